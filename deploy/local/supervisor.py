"""Keeps the processes of a fleet going, does what `stop` and `start` ask for, and says in `fleet.json` what there is.

It runs in the background from `up` to `down`. What is asked of it are files in `asked/`: so nothing needs to listen.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from crypto_lake.disk import publish
from deploy.local import plan as plans
from deploy.local.plan import Plan
from deploy.local.program import FleetError, Program, end

if TYPE_CHECKING:
    import subprocess

READY_SEC = 240
_LOOK_SEC = 0.2
_AGAIN_SEC = 1.0
_LONGEST_WAIT_SEC = 15.0
_SETTLED_SEC = 60.0
# What cannot even begin after so many tries never will.
_MOST_DEATHS = 3


def fleet_file(folder: Path) -> Path:
    """Return the file that says what there is."""
    return folder / "fleet.json"


def _asked(folder: Path, name: str) -> Path:
    return folder / "asked" / name


def ask(folder: Path, name: str, wish: str) -> None:
    """Ask the supervisor of a folder to `start` or `stop` a program."""
    publish.write(_asked(folder, name), wish.encode())


class Kept:
    """A program, its process, and when it is to be started again."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process: subprocess.Popen[bytes] | None = None
        self.began = 0.0
        self.due: float | None = None
        self.deaths = 0
        self._wait = _AGAIN_SEC

    @property
    def pid(self) -> int | None:
        """Its process; None while there is none."""
        return self.process.pid if self.process else None

    def start(self) -> None:
        """Start it."""
        self.due, self.began = None, time.monotonic()
        self.process = self.program.start()
        _say(f"{self.program.name}: started, process {self.process.pid}")

    def tend(self) -> bool:
        """Notice that it died, and start it when it is time to; return whether anything changed."""
        if self.process and self.process.poll() is not None:
            code = self.process.returncode
            self.deaths += 1
            end(self.process.pid, self.program.stop, 0)
            self.process = None
            again = ""
            if self.program.is_kept:
                self._wait = _AGAIN_SEC if time.monotonic() - self.began > _SETTLED_SEC else self._wait
                self.due = time.monotonic() + self._wait
                again = f"; again in {self._wait:.0f} s"
                self._wait = min(_LONGEST_WAIT_SEC, self._wait * 2)
            _say(f"{self.program.name}: ended, {code}{again or '; not started again'}")
            return True
        if self.due is not None and time.monotonic() >= self.due:
            try:
                self.start()
            except FleetError as error:
                _say(f"{self.program.name}: {error}")
                self.due = time.monotonic() + _LONGEST_WAIT_SEC
            return True
        return False

    def stop(self) -> None:
        """End it, and leave it so."""
        self.due = None
        if self.process:
            end(self.process.pid, self.program.stop, self.program.patience_sec)
            self.process.wait()
            self.process = None
            _say(f"{self.program.name}: stopped")


class Supervisor:
    """All programs of a fleet."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder, self._plan = folder, plan
        self._stop = threading.Event()
        self.kept: dict[str, Kept] = {}

    def run(self) -> None:
        """Start all, say so, and tend them until this process is asked to end."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._stop.set())
        (self._folder / "asked").mkdir(exist_ok=True)
        for left in (self._folder / "asked").iterdir():
            left.unlink()
        try:
            self._begin(plans.storage(self._plan, self._folder))
            plans.prepare(self._plan, self._folder)
            self._begin(plans.programs(self._plan, self._folder))
            self._tell(is_ready=True)
            _say("ready")
            while not self._stop.wait(_LOOK_SEC):
                self._tend()
        finally:
            # The other way round, so that nobody misses what he works with.
            for one in reversed(self.kept.values()):
                one.stop()
            fleet_file(self._folder).unlink(missing_ok=True)
            _say("down")

    def _begin(self, programs: list[Program]) -> None:
        for program in programs:
            self.kept[program.name] = one = Kept(program)
            one.start()
            self._tell(is_ready=False)
            if program.is_first:
                self._wait_for(one)
        for program in programs:
            self._wait_for(self.kept[program.name])

    def _wait_for(self, one: Kept) -> None:
        until = time.monotonic() + READY_SEC
        while not one.program.is_ready():
            one.tend()
            if self._stop.wait(_LOOK_SEC):
                raise FleetError("asked to end before all was ready")
            if one.process is None and (one.due is None or one.deaths > _MOST_DEATHS):
                raise FleetError(f"{one.program.name}: ended before it was ready: {one.program.last_words()}")
            if time.monotonic() > until:
                raise FleetError(f"{one.program.name}: not ready after {READY_SEC} s; see {one.program.log}")

    def _tend(self) -> None:
        changed = [one.tend() for one in self.kept.values()]
        for path, name, wish in list(_wishes(self._folder)):
            one = self.kept.get(name)
            if one and wish == "stop":
                one.stop()
            elif one and not one.process:
                one.start()
            path.unlink(missing_ok=True)
            changed.append(True)
        if any(changed):
            self._tell(is_ready=True)

    def _tell(self, *, is_ready: bool) -> None:
        """Write down each process; all else too once all is ready."""
        processes = [_told(one) for one in self.kept.values() if one.process]
        found: dict[str, Any] = {"pid": os.getpid(), "processes": processes}
        publish.write(self._folder / "processes.json", json.dumps(found).encode())
        if is_ready:
            publish.write(fleet_file(self._folder), described(self._folder, self._plan, processes))


def described(folder: Path, plan: Plan, processes: list[dict[str, Any]]) -> bytes:
    """Return what `fleet.json` says."""
    config = plans.config_of(folder, "outside")
    found = {
        "config": str(config),
        "environment": plan.environment(folder),
        "store": plan.url(folder),
        "web": plan.web,
        "processes": [{name: value for name, value in one.items() if name != "began"} for one in processes],
    }
    return json.dumps(found, indent=2).encode()


def _told(one: Kept) -> dict[str, Any]:
    program, pid = one.program, one.pid
    found = {"name": program.name, "pid": pid, "log": str(program.log)}
    if program.base_path:
        found["base_path"] = str(program.base_path)
    with contextlib.suppress(psutil.NoSuchProcess):
        found["began"] = psutil.Process(pid).create_time()
    return found


def _wishes(folder: Path) -> Iterator[tuple[Path, str, str]]:
    for path in sorted((folder / "asked").iterdir()):
        if not path.name.startswith("."):
            yield path, path.name, path.read_text(encoding="utf-8")


def _say(sentence: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%H:%M:%S} {sentence}\n")
    sys.stdout.flush()


def left(folder: Path) -> tuple[int | None, list[dict[str, Any]]]:
    """Return the supervisor that runs in a folder, and the processes of the fleet that are there, however it ended."""
    try:
        found = json.loads((folder / "processes.json").read_bytes())
    except (OSError, ValueError):
        return None, []
    there = [one for one in found["processes"] if _is_the_same(one)]
    supervisor = found["pid"] if _is_supervisor(found["pid"], folder) else None
    return supervisor, there


def _is_the_same(one: dict[str, Any]) -> bool:
    """Return whether a process is the one that was started: numbers are given out again."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(one["pid"]).create_time() == one.get("began"))
    return False


def _is_supervisor(pid: int, folder: Path) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return str(folder) in psutil.Process(pid).cmdline()
    return False
