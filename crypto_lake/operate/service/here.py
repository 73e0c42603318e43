"""This machine, as the units have to know it: which Python, whose, where."""

import getpass
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crypto_lake.errors import ConfigError
from crypto_lake.operate.service import launchd, systemd, windows
from crypto_lake.operate.service.plan import Job, Machine, Recipe

SYSTEMS: dict[str, Callable[[Machine, tuple[Job, ...]], Recipe]] = {
    "windows": windows.recipe,
    "systemd": systemd.recipe,
    "launchd": launchd.recipe,
}
_HOME = re.compile(r"""^[^#]*base_path["']?\s*:\s*["']?~""", re.MULTILINE)
_DAY_MINUTES = 24 * 60
_NIGHT_MINUTES = 30


def name() -> str:
    """Return which of `SYSTEMS` starts programs here."""
    return {"win32": "windows", "darwin": "launchd"}.get(sys.platform, "systemd")


def bare(*, system: bool) -> Machine:
    """This machine, as far as taking units away needs it: no configuration."""
    return Machine(
        python=Path(sys.executable).absolute(),
        config=Path(),
        writes=(),
        environment={},
        home=Path.home(),
        program_data=Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")),
        user=_user(os.environ),
        uid=os.getuid() if sys.platform != "win32" else 0,
        system=system,
        night=night([_offset(month) for month in (1, 7)]),
    )


def machine(config: Path, base: Path, dagster: Path, *, system: bool) -> Machine:
    """This machine, for a configuration file and the lake `base` it describes; Dagster keeps its history in `dagster`.

    Raises:
        ConfigError: a path means something else to the jobs, or holds what no unit can say.
    """
    if system and _HOME.search(config.read_text(encoding="utf-8-sig")):
        raise ConfigError(
            f"{config}: general.base_path: ~ is whoever runs it; expected an absolute path for --system"
        )
    found = bare(system=system)._replace(
        config=config, writes=(base, dagster), environment=environment(config, os.environ)
    )
    for word in (str(found.python), str(config), *map(str, found.writes), *found.environment.values()):
        if not word.isprintable():
            raise ConfigError(f"{word!r}: a control character; expected a path or value that a unit can hold")
    return found


def environment(config: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that the commands need: `DAGSTER_HOME`, and what the configuration's paths are made of."""
    named = re.findall(r"\$\{(.*?)\}", config.read_text(encoding="utf-8-sig"))
    return {one: variables[one] for one in sorted({"DAGSTER_HOME", *named}) if variables.get(one)}


def night(offsets: list[timedelta]) -> tuple[int, int]:
    """The local hour and minute that is 00:30 UTC at the largest of a year's offsets from UTC, and later at others."""
    minutes = (_NIGHT_MINUTES + int(max(offsets).total_seconds() // 60)) % _DAY_MINUTES
    return divmod(minutes, 60)


def _offset(month: int) -> timedelta:
    """Return how far local time is ahead of UTC in a month of this year."""
    then = datetime.now(UTC).replace(month=month, day=1)
    return then.astimezone().utcoffset() or timedelta(0)


def _user(variables: Mapping[str, str]) -> str:
    """Return who the jobs run as: who called, also through sudo."""
    name = variables.get("SUDO_USER") or getpass.getuser()
    domain = variables.get("USERDOMAIN")
    return f"{domain}\\{name}" if sys.platform == "win32" and domain else name
