"""Where a command begins and ends, whatever surrounds it."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from crypto_lake import __main__
from crypto_lake.cli import cli


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def ended_with(monkeypatch: pytest.MonkeyPatch, command: Callable[..., object]) -> object:
    monkeypatch.setattr(cli, "main", command)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    return ended.value.code


def test_a_supervisor_ends_a_command_as_ctrl_c_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended_with(monkeypatch, lambda **_: signal.raise_signal(signal.SIGTERM)) == 1
    assert capsys.readouterr().err == "interrupted; what was done stays done\n"


def test_ctrl_c_in_the_middle_of_a_question_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(**_: object) -> None:
        # What DuckDB makes of Ctrl-C, mostly at once; but now and then only when the query ends, after many seconds.
        raise RuntimeError("Query interrupted")

    assert ended_with(monkeypatch, ask) == 1
    assert capsys.readouterr().err == "interrupted; what was done stays done\n"


def test_another_error_of_a_program_is_not_taken_for_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(cli, "main", fail)
    with pytest.raises(RuntimeError, match="new thread"):
        __main__.main()


def test_a_command_may_print_where_there_are_no_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)

    def talk(**_: object) -> int:
        for stream in (sys.stdout, sys.stderr):
            stream.write("to nobody")
            assert not stream.isatty()
            stream.close()
        return 0

    assert ended_with(monkeypatch, talk) == 0


class _NullDevice(io.TextIOWrapper):
    """As Windows has it: a character device, hence called a terminal."""

    def isatty(self) -> bool:
        return True


def test_the_null_device_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def ask(**_: object) -> int:
        seen.append(Console().is_terminal)
        for stream in (sys.stdout, sys.stderr):
            seen.append(stream.isatty())
            stream.close()
        return 0

    null = Path(os.devnull)
    with _NullDevice(null.open("wb")) as out, _NullDevice(null.open("wb")) as err:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        assert ended_with(monkeypatch, ask) == 0
    assert seen == [False, False, False]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals to open")
def test_a_terminal_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(ours), os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        seen: list[bool] = []
        assert ended_with(monkeypatch, lambda **_: seen.append(sys.stdout.isatty())) == 0
    assert seen == [True]
