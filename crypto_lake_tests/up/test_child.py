"""Children are started again when they die, and leave nothing behind when they are stopped."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crypto_lake.up import child as module
from crypto_lake.up import guard, watch
from crypto_lake.up.child import Child, Program

_PATIENCE_SEC = 30
_PARENT = """
import subprocess, sys, time
below = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(below.pid, flush=True)
time.sleep(600)
"""
_STUBBORN = """
import signal, time
for name in ("SIGTERM", "SIGBREAK"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_SEC
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    assert holds()


class Told:
    """What was said, and logged."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.logged: list[str] = []


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def child_of(tmp_path: Path, told: Told) -> Iterator[Callable[[str], Child]]:
    made: list[Child] = []
    guardian = watch.of_this_system()

    def make(code: str) -> Child:
        program = Program("it", ("-c", code), "a test", tmp_path)
        made.append(Child(program, guardian, told.said.append, told.logged.append))
        made[-1].start()
        return made[-1]

    yield make
    hurry = threading.Event()
    hurry.set()
    for one in made:
        one.stop(hurry)
    guardian.close()


def test_one_that_dies_is_started_again_after_a_wait_and_that_is_said(
    child_of: Callable[[str], Child], told: Told
) -> None:
    one = child_of("print('the reason'); raise SystemExit(3)")

    def twice_again() -> bool:
        one.tend()
        return one.restarts == 2

    until(twice_again)
    deaths = [line for line in told.said if "ended" in line]
    assert deaths[:2] == [
        "it: ended by itself, exit code 3: the reason; again in 1 s",
        "it: ended by itself, exit code 3: the reason; again in 2 s",
    ]


def test_what_it_prints_is_logged_without_colours(child_of: Callable[[str], Child], told: Told) -> None:
    child_of(r"print('\x1b[31mred\x1b[0m words')")
    until(lambda: told.logged == ["it: red words"])


def test_a_stopped_one_takes_everything_below_it_along(child_of: Callable[[str], Child]) -> None:
    one = child_of(_PARENT)
    until(lambda: one.last_line != "")
    group = one.pid
    assert group is not None
    assert guard.is_alive(group) or sys.platform == "win32"
    one.stop(threading.Event())
    assert (one.pid, one.state) == (None, "stopped")
    # Killed; the system takes a moment to collect what had no parent any more.
    until(lambda: not guard.is_alive(group))


def test_one_that_does_not_listen_is_killed(
    child_of: Callable[[str], Child], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_POLITE_SEC", 0.5)
    monkeypatch.setattr(module, "_GROUP_SEC", 0.5)
    one = child_of(_STUBBORN)
    until(lambda: one.last_line == "deaf")
    one.stop(threading.Event())
    assert told.said[-1] == "it: killed"
    assert one.pid is None


def test_a_stopped_one_is_not_started_again(child_of: Callable[[str], Child]) -> None:
    one = child_of("import time; time.sleep(600)")
    one.stop(threading.Event())
    one.tend()
    assert one.pid is None


@pytest.mark.skipif(sys.platform == "win32", reason="there a job object does it")
def test_when_the_supervisor_is_killed_its_children_and_theirs_end(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from crypto_lake.up import watch
from crypto_lake.up.child import Child, Program
one = Child(Program("it", ("-c", {_PARENT!r}), "", Path(".")), watch.of_this_system(), str, str)
one.start()
while not one.last_line.isdigit():
    time.sleep(0.02)
print(one.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        group = int(supervisor.stdout.readline())
        assert guard.is_alive(group)
        supervisor.kill()
    until(lambda: not guard.is_alive(group))
