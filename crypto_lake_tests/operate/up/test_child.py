"""Children are started again when they die, and leave nothing behind when they are stopped."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crypto_lake.operate.up import child as module
from crypto_lake.operate.up import guard, watch
from crypto_lake.operate.up.child import Child, Program

_PATIENCE_SEC = 90
# What it starts says where it listens: whoever is connected to it learns of its end.
_BELOW = """
import socket, time
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    connection, _ = server.accept()
    time.sleep(600)
"""
_PARENT = f"""
import subprocess, sys, time
below = subprocess.Popen([sys.executable, "-c", {_BELOW!r}])
time.sleep(600)
"""
# It leaves something behind that holds its output open, where the system lets it out of its group.
_LEAVER = """
import subprocess, sys
below = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(below.pid, flush=True)
"""
_STUBBORN = """
import signal, time
for name in ("SIGTERM", "SIGBREAK"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(600)
"""


def until(holds: Callable[[], bool], told: object = None) -> None:
    end = time.monotonic() + _PATIENCE_SEC
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.02)
    assert held, told


def number_of(one: Child) -> int:
    """What it prints."""
    until(lambda: one.last_line != "")
    return int(one.last_line)


def connected(one: Child) -> socket.socket:
    """A connection to what is below a `_PARENT`."""
    return socket.create_connection(("127.0.0.1", number_of(one)), timeout=_PATIENCE_SEC)


def has_ended(connection: socket.socket) -> bool:
    """Wait for the end of the process behind it."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


class Told:
    """What was said, and logged."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.logged: list[str] = []


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def child_of(tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Child]]:
    # What has ended counts as alive until it is reaped, which the first process of a container may take its time for.
    monkeypatch.setattr(watch, "_GROUP_SEC", 1.0)
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
    with connected(one) as below:
        one.stop(threading.Event())
        assert (one.pid, one.state) == (None, "stopped")
        assert has_ended(below)


def test_one_that_dies_takes_everything_below_it_along(child_of: Callable[[str], Child], told: Told) -> None:
    one = child_of(_PARENT)
    with connected(one) as below:
        assert one.pid is not None
        # Of its own accord it would not die where whoever started these tests ignores SIGTERM.
        os.kill(one.pid, guard.KILL)

        def again() -> bool:
            one.tend()
            return one.restarts == 1

        until(again, told.said)
        assert has_ended(below)


def test_what_holds_its_output_open_freezes_nobody(
    child_of: Callable[[str], Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LAST_WORDS_SEC", 0.2)
    one = child_of(_LEAVER)
    left = number_of(one)
    stopping = threading.Thread(target=one.stop, args=(threading.Event(),), daemon=True)
    stopping.start()
    stopping.join(_PATIENCE_SEC)
    try:
        assert not stopping.is_alive()
        assert one.pid is None
    finally:
        if sys.platform != "win32":  # There it cannot leave its job.
            os.kill(left, signal.SIGKILL)


def test_one_that_does_not_listen_is_killed(
    child_of: Callable[[str], Child], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_POLITE_SEC", 0.5)
    monkeypatch.setattr(watch, "_GROUP_SEC", 0.5)
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


def test_one_that_cannot_be_asked_is_killed_at_once(
    child_of: Callable[[str], Child], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no console")

    one = child_of("import time; time.sleep(600)")
    monkeypatch.setattr(subprocess.Popen, "send_signal", refuse)
    one.stop(threading.Event())
    assert told.said[-1] == "it: killed"
    assert one.pid is None


def test_when_the_supervisor_is_killed_its_children_and_theirs_end(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from crypto_lake.operate.up import guard, watch
from crypto_lake.operate.up.child import Child, Program
one = Child(Program("it", ("-c", {_PARENT!r}), "", Path(".")), watch.of_this_system(), str, str)
one.start()
while not one.last_line.isdigit():
    time.sleep(0.02)
print(one.last_line, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        address = "127.0.0.1", int(supervisor.stdout.readline())
        with socket.create_connection(address, timeout=_PATIENCE_SEC) as below:
            supervisor.kill()
            assert has_ended(below)
