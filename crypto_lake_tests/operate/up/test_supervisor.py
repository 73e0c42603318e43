"""How often one has to ask for the end."""

import signal

import pytest

from crypto_lake.operate.up import supervisor


def asked_twice() -> tuple[bool, bool]:
    """Ask, and once more at once; whether that is an end, and whether it is one in a hurry."""
    with supervisor._asked_to_stop() as (stop, hurry):
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
        return stop.is_set(), hurry.is_set()


def test_one_keystroke_that_a_launcher_passes_on_as_well_is_no_second_one() -> None:
    assert asked_twice() == (True, False)


def test_a_second_one_is_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ONE_KEYSTROKE_SEC", -1)
    assert asked_twice() == (True, True)
