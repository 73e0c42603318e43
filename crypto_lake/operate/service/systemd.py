"""systemd: a `.service` a job, and a `.timer` beside it where it does not run always.

Written as systemd.syntax(7), systemd.unit(5) and systemd.exec(5) want it. User units have the restrictions that an
unprivileged manager can apply; those that need a mount namespace are the system manager's.
"""

import shlex
from pathlib import PurePath, PurePosixPath

from crypto_lake.operate.service.plan import Job, Machine, Recipe, Unit, command

_SYSTEM_FOLDER = PurePosixPath("/etc/systemd/system")
_TIMES = {"often": "*:0/5", "nightly": "*-*-* 00:30:00 UTC"}
# A run that hangs would keep every later one from starting.
_LIMIT = {"often": "2h", "nightly": "12h"}
_RESTRICTIONS = """\
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
"""
_SYSTEM_RESTRICTIONS = """\
CapabilityBoundingSet=
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
"""


def recipe(machine: Machine, jobs: tuple[Job, ...]) -> Recipe:
    """Return what systemd needs for the jobs."""
    call = _call(machine)
    units = [unit for job in jobs for unit in _units(machine, job)]
    shown = shlex.join([*call, "list-units", "--all", "crypto-lake-*"])
    logs = f"journalctl {'--unit' if machine.system else '--user-unit'}=crypto-lake-{jobs[0].name}"
    hints = [f"to look at it: {shown}", f"what it said: {logs}"]
    if not machine.system:
        hints.append(f"to start it at boot, before you log in: loginctl enable-linger {machine.user}")
    return Recipe(machine.python, units, [*call, "daemon-reload"], hints)


def _units(machine: Machine, job: Job) -> list[Unit]:
    service = _unit(machine, f"crypto-lake-{job.name}.service", _service(machine, job))
    if job.when == "always":
        return [service]
    timer = _unit(machine, f"crypto-lake-{job.name}.timer", _timer(job))
    return [service._replace(starting=()), timer]


def _unit(machine: Machine, name: str, text: str) -> Unit:
    folder = _SYSTEM_FOLDER if machine.system else machine.home / ".config" / "systemd" / "user"
    call = _call(machine)
    enabling = [*call, "enable", "--now", name]
    return Unit(name, folder / name, text.encode(), (enabling,), ([*call, "disable", "--now", name],))


def _call(machine: Machine) -> list[str]:
    return ["systemctl"] if machine.system else ["systemctl", "--user"]


def _service(machine: Machine, job: Job) -> str:
    network = "Wants=network-online.target\nAfter=network-online.target\n" if machine.system else ""
    start = "StartLimitIntervalSec=0\n" if job.when == "always" else ""
    return (
        f"[Unit]\nDescription=Crypto Data Lake: {job.what}\n{network}{start}"
        f"\n[Service]\n{_running(machine, job)}{_confined(machine)}{_wanted(machine, job)}"
    )


def _running(machine: Machine, job: Job) -> str:
    """Return how it is started, and started again."""
    *before, last = [_start(command(machine, name)) for name in job.commands]
    lines = [f"ExecStart=-:{words}" for words in before] + [f"ExecStart=:{last}"]
    lines.append(f"WorkingDirectory={_folder(machine.config.parent)}")
    lines += [
        f"Environment={quoted(f'{name}={value}')}" for name, value in sorted(machine.environment.items())
    ]
    if machine.system:
        lines.append(f"User={machine.user}")
    if job.when == "always":
        # The main process is asked first and ends its own children in order; what is left then is killed.
        kind = ["Type=exec", "Restart=always", "RestartSec=10", "KillMode=mixed", "TimeoutStopSec=60"]
    else:
        kind = ["Type=oneshot", f"TimeoutStartSec={_LIMIT[job.when]}"]
    return "\n".join([*kind, *lines]) + "\n"


def _confined(machine: Machine) -> str:
    if not machine.system:
        return _RESTRICTIONS
    writes = "".join(f"ReadWritePaths={quoted(str(path))}\n" for path in machine.writes)
    return _RESTRICTIONS + _SYSTEM_RESTRICTIONS + writes


def _wanted(machine: Machine, job: Job) -> str:
    if job.when != "always":
        return ""
    return f"\n[Install]\nWantedBy={'multi-user' if machine.system else 'default'}.target\n"


def _timer(job: Job) -> str:
    return (
        f"[Unit]\nDescription=Crypto Data Lake: when it {job.what}\n"
        f"\n[Timer]\nOnCalendar={_TIMES[job.when]}\nPersistent={'true' if job.when == 'nightly' else 'false'}\n"
        "\n[Install]\nWantedBy=timers.target\n"
    )


def _start(words: list[str]) -> str:
    """A command line. `:` before it leaves every `$` alone; a program's own name may hold no quote or backslash."""
    if set(words[0]) & set("\"'\\"):
        words = ["/bin/sh", "-c", 'exec "$0" "$@"', *words]
    return " ".join(map(quoted, words))


def quoted(word: str) -> str:
    """A word as systemd.syntax(7) wants it."""
    word = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{word}"'


def _folder(path: PurePath) -> str:
    """A path as `WorkingDirectory=` wants it, which knows no quotes: the rest of the line, but for `%`."""
    return str(path).replace("%", "%%")
