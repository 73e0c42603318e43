"""One process under supervision: started, listened to, started again when it dies, and stopped with all below it."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from crypto_lake.operate.up.watch import CREATION_FLAGS, Watch
from crypto_lake.showing import printable

_LONGEST_WAIT_SEC = 60.0
# One that lived so long starts from the shortest wait again.
_SETTLED_SEC = 120.0
_POLITE_SEC = 40.0
# Its last output is waited for so long: a process that left the group may hold the pipe open for ever.
_LAST_WORDS_SEC = 5.0
_LOOK_SEC = 0.1
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST_LINE = 500


@dataclass(frozen=True)
class Program:
    """A program to run: the words after the interpreter's name, variables added to ours, and what it gives a person.

    `keeps_log` where its output is written to no log of its own.
    """

    name: str
    words: tuple[str, ...]
    what: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    keeps_log: bool = True


class Child:
    """A program and its process.

    `say` is told what happens to it, a sentence each; `log` each line that it prints, where it keeps none itself.
    """

    def __init__(
        self, program: Program, watch: Watch, say: Callable[[str], None], log: Callable[[str], None]
    ) -> None:
        self.program = program
        self.restarts = 0
        self.last_line = ""
        self._watch, self._say, self._log = watch, say, log
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._began = 0.0
        self._wait = 1.0
        self._due = 0.0

    @property
    def pid(self) -> int | None:
        """Its process; None while there is none."""
        return self._process.pid if self._process else None

    @property
    def state(self) -> str:
        """In a word or two, for the screen."""
        if self._process:
            return "running"
        return f"again in {max(0, self._due - time.monotonic()):.0f} s" if self._due else "stopped"

    @property
    def lived_sec(self) -> float:
        """Return how long its process has been there."""
        return time.monotonic() - self._began if self._process else 0.0

    def start(self) -> None:
        """Start it, in a process group of its own: Ctrl-C is for the supervisor, which stops all in order."""
        self.last_line = ""
        self._process = subprocess.Popen(  # noqa: S603 - our own words only
            [sys.executable, *self.program.words],
            cwd=self.program.folder,
            env=os.environ | {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"} | self.program.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            creationflags=CREATION_FLAGS,
            start_new_session=sys.platform != "win32",
        )
        self._watch.began(self._process)
        self._began, self._due = time.monotonic(), 0.0
        self._reader = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._reader.start()
        self._say(f"{self.program.name}: started, process {self._process.pid}")

    def tend(self) -> None:
        """Notice that it died, and start it again when it is time to."""
        if self._process and self._process.poll() is not None:
            self._died(self._process)
        if self._process is None and self._due and time.monotonic() >= self._due:
            self.restarts += 1
            self.start()

    def _died(self, process: "subprocess.Popen[str]") -> None:
        if self.lived_sec > _SETTLED_SEC:
            self._wait = 1.0
        self._bury(process)
        self._due = time.monotonic() + self._wait
        why = f": {self.last_line}" if self.last_line else ""
        self._say(
            f"{self.program.name}: ended by itself, {_exit(process.returncode)}{why}; again in {self._wait:.0f} s"
        )
        self._wait = min(_LONGEST_WAIT_SEC, self._wait * 2)

    def stop(self, hurry: threading.Event) -> None:
        """Ask it to end, wait until all below it has, and kill what has not; at once when `hurry` is set."""
        self._due = 0.0
        process = self._process
        if process is None:
            return
        until = time.monotonic() + (_POLITE_SEC if _ask(process) else 0)
        while process.poll() is None and time.monotonic() < until and not hurry.is_set():
            time.sleep(_LOOK_SEC)
        self._say(f"{self.program.name}: {'stopped' if process.poll() is not None else 'killed'}")
        self._bury(process)

    def _bury(self, process: "subprocess.Popen[str]") -> None:
        """End what is left of it, and wait for its last words."""
        self._watch.end(process)
        process.wait()
        if self._reader:
            self._reader.join(_LAST_WORDS_SEC)
        self._process = None

    def _listen(self, process: "subprocess.Popen[str]") -> None:
        if process.stdout is None:
            return
        # Closed here and nowhere else: a close by another thread waits until this one's read returns.
        with process.stdout as lines:
            for line in lines:
                if text := printable(_COLOURS.sub("", line), _LONGEST_LINE):
                    if process is self._process:
                        self.last_line = text
                    if self.program.keeps_log:
                        self._log(f"{self.program.name}: {text}")


def _exit(code: int) -> str:
    """An exit code in words."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def _ask(process: "subprocess.Popen[str]") -> bool:
    """Ask a process to end; False where the system cannot (Windows without a console, as under `pythonw.exe`)."""
    try:
        if sys.platform == "win32":
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            process.terminate()
    except OSError:
        return False
    return True
