"""The watch that ends the children when this process is gone, however it went."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Protocol

from crypto_lake.operate.up import guard
from crypto_lake.operate.up.windows_job import CREATE_SUSPENDED, Job

# How a child is to be created for `began`.
CREATION_FLAGS = 0
if sys.platform == "win32":
    CREATION_FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED
# What a child leaves behind has so long to finish.
_GROUP_SEC = 10.0
_LOOK_SEC = 0.1


class Watch(Protocol):
    """The one that ends children, also when this process is gone."""

    def began(self, process: "subprocess.Popen[str]") -> None:
        """Take charge of a child that was started."""

    def end(self, process: "subprocess.Popen[str]") -> None:
        """Kill a child and all below it; where it has ended by itself, what is left may finish first."""

    def close(self) -> None:
        """Let go: no child is left."""


class JobWatch:
    """On Windows: a job object for each child, see `windows_job`."""

    def __init__(self, make: Callable[[], Job] = Job.of_this_system) -> None:
        self._make = make
        self._jobs: dict[int, Job] = {}

    def began(self, process: "subprocess.Popen[str]") -> None:
        """Put it into a job of its own, and let it run; the system ends the job with this process."""
        try:
            job = self._jobs[process.pid] = self._make()
            job.take(int(process._handle))  # type: ignore[attr-defined] # noqa: SLF001 - Popen has no other
        except OSError:
            process.kill()  # It would wait for ever.
            raise

    def end(self, process: "subprocess.Popen[str]") -> None:
        """End its job."""
        job = self._jobs.pop(process.pid, None)
        if job is None:
            return
        _wait_while(lambda: process.poll() is not None and job.alive() > 0)
        job.end()

    def close(self) -> None:
        """The system knows."""


class GroupWatch:
    """Elsewhere: see `guard`."""

    def __init__(self) -> None:
        self._guard = subprocess.Popen(  # noqa: S603 - our own words only
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    def began(self, process: "subprocess.Popen[str]") -> None:
        """Tell it."""
        self._say(f"+{process.pid}")

    def end(self, process: "subprocess.Popen[str]") -> None:
        """End its group, politely first: a run below it may have something to finish."""
        group = process.pid
        guard.tell(group, signal.SIGTERM)
        _wait_while(lambda: process.poll() is not None and guard.is_alive(group))
        guard.tell(group, guard.KILL)
        self._say(f"-{group}")

    def close(self) -> None:
        """Let the guard go."""
        if self._guard.stdin:
            self._guard.stdin.close()
        self._guard.wait()

    def _say(self, line: str) -> None:
        if self._guard.stdin:
            self._guard.stdin.write(line + "\n")


def of_this_system() -> Watch:
    """The one that works here.

    Raises:
        OSError: it cannot be had.
    """
    return JobWatch() if sys.platform == "win32" else GroupWatch()


def _wait_while(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + _GROUP_SEC
    while holds() and time.monotonic() < until:
        time.sleep(_LOOK_SEC)
