"""A process of the fleet: its words, where it logs, and how one knows that it is ready."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_LOOK_SEC = 0.1
_BEGIN = b"\n--- started\n"


class FleetError(Exception):
    """The reason why there is no fleet: a line."""


@dataclass(frozen=True)
class Program:
    """A program to run.

    `base_path`: that of its configuration, if it has one. `before`: what is done before it starts. `is_kept`: it is
    started again when it dies; a host's work is not, since the death of a host is what a fleet is tried with.
    `is_first`: what comes after it starts once it is ready. `stop`: the signal that it ends in order by.
    """

    name: str
    words: tuple[str, ...]
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    is_ready: Callable[[], bool] = lambda: True
    before: Callable[[], None] = lambda: None
    is_kept: bool = True
    is_first: bool = False
    base_path: Path | None = None
    stop: signal.Signals = signal.SIGTERM
    patience_sec: float = 20

    @property
    def log(self) -> Path:
        """Where it writes what it prints."""
        return self.folder / "logs" / f"{self.name}.log"

    def said(self) -> str:
        """Return what it has written since it was started."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes().rpartition(_BEGIN)[2].decode(errors="replace")

    def last_words(self) -> str:
        """Return the last line that it wrote, and where the others are."""
        lines = self.said().strip().splitlines()
        return f"{lines[-1] if lines else 'without a word'} ({self.log})"

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, as the leader of a session of its own."""
        self.before()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            log.write(_BEGIN)
            log.flush()
            return subprocess.Popen(
                self.words,
                cwd=self.folder,
                env=os.environ | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"} | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def end(pid: int, number: signal.Signals, patience_sec: float) -> None:
    """Ask a process to end, wait for it, and kill it and all of its session that is left."""
    for asked, seconds in ((number, patience_sec), (signal.SIGKILL, 5)):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            break
        _tell(pid, asked, to_all=asked == signal.SIGKILL)
        until = time.monotonic() + seconds
        while time.monotonic() < until and _is_there(pid):
            time.sleep(_LOOK_SEC)
    _tell(pid, signal.SIGKILL, to_all=True)


def _is_there(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _tell(pid: int, number: signal.Signals, *, to_all: bool) -> None:
    try:
        (os.killpg if to_all else os.kill)(pid, number)
    except ProcessLookupError:
        return


def listens(port: int) -> bool:
    """Return whether something accepts connections at a port of this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Return so many ports that nobody listens at."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return found
