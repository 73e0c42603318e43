"""Where a command begins and ends, whatever surrounds it."""

import signal
import sys
from collections.abc import Callable, Iterator

import pytest

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
