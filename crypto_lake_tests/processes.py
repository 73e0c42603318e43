"""Real processes, as a person starts and stops them: on their own signals' terms, and never left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STOP_SEC = 30


def python(*words: str) -> list[str]:
    """A command that runs a module with the Python of the tests."""
    return [sys.executable, "-m", *words]


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A module's output and exit code; variables given are added, and those of the tests' own surroundings left out."""
    return subprocess.run(
        python(*words),
        cwd=cwd,
        env=surroundings(**environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )


def surroundings(**environment: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in {"DAGSTER_HOME", "CRYPTO_LAKE_CONFIG"}}
    return kept | {"PYTHONUTF8": "1", "COLUMNS": "140"} | environment


@contextmanager
def started(*words: str, cwd: Path, log: Path, **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A module running in a process group of its own, which is gone afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            python(*words),
            cwd=cwd,
            env=surroundings(**environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            start_new_session=sys.platform != "win32",
        )
        try:
            yield process
        finally:
            interrupt(process)
            try:
                process.wait(STOP_SEC)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def interrupt(process: "subprocess.Popen[bytes]") -> None:
    """What Ctrl-C (Ctrl-Break on Windows) is to a process and its children."""
    if process.poll() is not None:
        return
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        os.killpg(process.pid, signal.SIGINT)
