"""What is logged each minute, of a few symbols and of hundreds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from collector_daemon.connect.turns import AttemptLimit
from collector_daemon.recorder import Edges, Recorder
from collector_daemon.tell.report import Reporter
from crypto_lake.exchanges import registry
from crypto_lake_tests.collector_daemon.fakes import T0, FakeClock, configured, trade


@pytest.fixture
def logged() -> Iterator[list[str]]:
    messages: list[str] = []
    logger.enable("collector_daemon")
    sink = logger.add(lambda one: messages.append(str(one).strip()), format="{level} {message}", level="INFO")
    yield messages
    logger.remove(sink)


def recorder_of(base: Path, symbols: list[str]) -> Recorder:
    config = configured(base, 1, symbols)
    limit = AttemptLimit(registry.exchange("binance").limits)
    return Recorder(config, config.exchanges[0], FakeClock(), Edges(), limit)


def test_of_hundreds_of_symbols_a_minute_is_one_line_and_one_for_each_that_misses_trades(
    tmp_path: Path, logged: list[str]
) -> None:
    recorder = recorder_of(tmp_path, [f"S{n}USDT" for n in range(500)])
    recorder.session.receive([trade(1, T0, "S7USDT"), trade(3, T0, "S7USDT")], T0, 1)
    recorder.session.receive([trade(1, T0, "S8USDT")], T0, 1)
    for later in (10.0, 20.0):
        recorder.session.tick(T0, later)
    Reporter([recorder], T0).minute()
    assert [line.partition(", latency")[0] for line in logged] == [
        "WARNING binance S7USDT: 2 messages, 2 trades, 0 quotes, 1 holes",
        "INFO binance, 500 symbols: 3 messages, 3 trades, 0 quotes, 1 holes",
    ]
    assert logged[-1].endswith("498 were silent")


def test_a_symbol_that_comes_back_counts_from_the_beginning(tmp_path: Path, logged: list[str]) -> None:
    recorder = recorder_of(tmp_path, ["SOLUSDT", "ADAUSDT"])
    reporter = Reporter([recorder], T0)
    recorder.session.receive([trade(n, T0) for n in (1, 2, 3)], T0, 1)
    reporter.minute()
    recorder.session.forget(["SOLUSDT"], T0)
    reporter.minute()
    recorder.session.expect(["SOLUSDT"])
    recorder.session.receive([trade(4, T0)], T0, 1)
    reporter.minute()
    sol = [line.partition(", ")[0] for line in logged if "SOLUSDT" in line]
    assert sol == ["INFO binance SOLUSDT: 3 messages", "INFO binance SOLUSDT: 1 messages"]
