"""Who ends the children when this process is gone, however it went."""

import subprocess
import sys
from typing import Protocol

from crypto_lake.up import guard
from crypto_lake.up.windows_job import Job


class Watch(Protocol):
    """Who ends children when this process is gone."""

    def began(self, process: "subprocess.Popen[str]") -> None:
        """It was started."""

    def ended(self, process: "subprocess.Popen[str]") -> None:
        """It, and all below it, is gone."""

    def close(self) -> None:
        """No child is left."""


class JobWatch:
    """On Windows: see `windows_job`."""

    def __init__(self) -> None:
        self._job = Job.of_this_system()

    def began(self, process: "subprocess.Popen[str]") -> None:
        """Into the job with it."""
        self._job.take(int(process._handle))  # type: ignore[attr-defined] # noqa: SLF001 - Popen has no other

    def ended(self, process: "subprocess.Popen[str]") -> None:
        """The system knows."""

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

    def ended(self, process: "subprocess.Popen[str]") -> None:
        """Tell it."""
        self._say(f"-{process.pid}")

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
