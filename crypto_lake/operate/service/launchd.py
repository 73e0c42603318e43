"""launchd: a property list a job; an agent of a user's session, or a daemon of the machine."""

import plistlib
import shlex
from pathlib import PurePosixPath
from typing import Any

from crypto_lake.operate.service.plan import Job, Machine, Recipe, Unit, command

_SYSTEM_FOLDER = PurePosixPath("/Library/LaunchDaemons")
_FIVE_MINUTES_SEC = 300


def recipe(machine: Machine, jobs: tuple[Job, ...]) -> Recipe:
    """Return what launchd needs for the jobs."""
    units = [_unit(machine, job) for job in jobs]
    hints = [f"to look at it: launchctl print {_domain(machine)}/{unit.name}" for unit in units]
    return Recipe(machine.python, units, None, hints)


def _unit(machine: Machine, job: Job) -> Unit:
    label = f"crypto-lake.{job.name}"
    folder = _SYSTEM_FOLDER if machine.system else machine.home / "Library" / "LaunchAgents"
    path, target = folder / f"{label}.plist", f"{_domain(machine)}/{label}"
    return Unit(
        label,
        path,
        plistlib.dumps(properties(machine, job), sort_keys=False),
        (["launchctl", "bootstrap", _domain(machine), str(path)],),
        (["launchctl", "bootout", target],),
        ["launchctl", "print", target],
    )


def _domain(machine: Machine) -> str:
    return "system" if machine.system else f"gui/{machine.uid}"


def properties(machine: Machine, job: Job) -> dict[str, Any]:
    """Return what the list of a job says. Times of day are local in launchd, hence `Machine.night`."""
    found: dict[str, Any] = {
        "Label": f"crypto-lake.{job.name}",
        "ProgramArguments": _program(machine, job),
        "WorkingDirectory": str(machine.config.parent),
    }
    if machine.environment:
        found["EnvironmentVariables"] = dict(machine.environment)
    if machine.system:
        found["UserName"] = machine.user
    if job.when == "always":
        return found | {"RunAtLoad": True, "KeepAlive": True, "ExitTimeOut": 60}
    if job.when == "often":
        return found | {"StartInterval": _FIVE_MINUTES_SEC}
    hour, minute = machine.night
    return found | {"StartCalendarInterval": {"Hour": hour, "Minute": minute}}


def _program(machine: Machine, job: Job) -> list[str]:
    """The words to start; launchd starts one program, so commands that follow each other are a shell's."""
    lines = [command(machine, name) for name in job.commands]
    return lines[0] if len(lines) == 1 else ["/bin/sh", "-c", "; ".join(map(shlex.join, lines))]
