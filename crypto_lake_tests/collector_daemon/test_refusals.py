"""A flood of what is worth a line each makes few lines."""

from collections.abc import Iterator

import pytest
from loguru import logger

from collector_daemon.connect.refusals import NoticeLog, RefusalLog, SilenceLog
from collector_daemon.decide.session import RefusedFrame
from crypto_lake_tests.collector_daemon.fakes import T0, FakeClock


@pytest.fixture
def logged() -> Iterator[list[str]]:
    messages: list[str] = []
    logger.enable("collector_daemon")
    sink = logger.add(messages.append, format="{message}", level="INFO")
    yield messages
    logger.remove(sink)


def test_a_thousand_notices_are_a_line_with_their_number_each_ten_seconds(logged: list[str]) -> None:
    clock = FakeClock()
    log = NoticeLog("binance", clock)
    for _ in range(1000):
        log.saw()
    clock.pass_by(10)
    log.saw()
    assert logged == [f"binance: the exchange sent {n} notices; see the journal\n" for n in (1, 1000)]


def test_a_thousand_refused_frames_are_as_well(logged: list[str]) -> None:
    clock = FakeClock()
    log = RefusalLog("binance", clock)
    for number in range(1000):
        log.saw(RefusedFrame(T0, f"reason {number}", b"{"))
    clock.pass_by(10)
    log.saw(RefusedFrame(T0, "the last", b"{"))
    assert logged == [
        "binance: 1 frames refused; the last: reason 0\n",
        "binance: 1000 frames refused; the last: the last\n",
    ]


def test_a_thousand_silent_streams_are_as_well(logged: list[str]) -> None:
    clock = FakeClock()
    log = SilenceLog("binance", clock)
    for number in range(1000):
        log.saw(f"s{number}usdt@trade", 300)
    clock.pass_by(10)
    log.saw("lastusdt@trade", 301)
    assert logged == [
        "binance: nothing on s0usdt@trade for 300 s\n",
        "binance: nothing on lastusdt@trade for 301 s, nor on 999 others\n",
    ]
