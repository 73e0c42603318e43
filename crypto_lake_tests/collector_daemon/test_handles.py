"""How many files the process asks to hold open."""

import pytest

from collector_daemon.land import handles

resource = pytest.importorskip("resource", reason="Windows has no such limit to raise")


def test_each_symbol_may_have_an_open_segment_and_two_that_wait_to_be_sealed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append(limits))
    handles.allow(700)
    ((soft, _),) = asked
    assert soft >= 3 * 700
