"""What Prometheus reads on loopback."""

import asyncio
import socket
import sys
import urllib.request
from pathlib import Path

import msgspec
import pytest

from collector_daemon.tell import metrics
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError
from crypto_lake.raw.collector_status import ExchangeStatus, SymbolStatus
from crypto_lake_tests.collector_daemon.daemon_runs import record
from crypto_lake_tests.collector_daemon.fakes import Exchange, quote, says, trade, until
from crypto_lake_tests.collector_daemon.test_daemon import counted


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def scrape(port: int) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text.splitlines()


def test_a_scrape_sees_what_the_status_says(tmp_path: Path) -> None:
    port, seen = free_port(), list[str]()

    async def look(config: Config, _stop: asyncio.Event) -> None:
        await until(lambda: counted(config) == (2, 1), "the status")
        seen.extend(await asyncio.to_thread(scrape, port))

    record(tmp_path, Exchange(says(trade(1), quote(1), trade(2))), look, metrics_port=port)
    assert 'crypto_lake_trades_total{exchange="binance",symbol="SOLUSDT"} 2.0' in seen
    assert 'crypto_lake_quotes_total{exchange="binance",symbol="SOLUSDT"} 1.0' in seen
    assert 'crypto_lake_live{exchange="binance"} 1.0' in seen


def test_an_exchange_of_which_nothing_is_recorded_at_the_moment_has_no_numbers_of_symbols() -> None:
    assert list(metrics._families(metrics.SYMBOL_COUNTERS, [], is_counter=True)) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets two servers share a port")
def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=rf"metrics_port: {port} cannot"),
            metrics.serving(port, lambda: None),
        ):
            pass


def test_every_number_that_is_offered_is_in_the_status() -> None:
    symbol = {field.name for field in msgspec.structs.fields(SymbolStatus)}
    exchange = {field.name for field in msgspec.structs.fields(ExchangeStatus)}
    assert symbol >= {*metrics.SYMBOL_COUNTERS, *metrics.SYMBOL_GAUGES}
    assert exchange >= {*metrics.EXCHANGE_COUNTERS, *metrics.EXCHANGE_GAUGES}
