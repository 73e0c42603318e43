"""The register of halts: what was entered is read again, whoever else enters something."""

from datetime import timedelta

import pytest

from crypto_lake.completeness import candles, halts
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.exchanges.base import Candle
from crypto_lake.layout import MINUTE_US
from crypto_lake_tests.raw_lines import DAY, HOUR, START

STRETCHES = [(START + HOUR, START + 2 * HOUR), (START + 5 * HOUR, START + 6 * HOUR)]


def test_what_was_entered_is_read_again(lake: Config) -> None:
    halts.enter(lake.layout, "binance", "SOLUSDT", DAY, STRETCHES)
    halts.enter(lake.layout, "binance", "ADAUSDT", DAY, STRETCHES[1:])
    assert halts.of_day(lake.layout, "binance", "SOLUSDT", DAY) == STRETCHES
    assert halts.of_day(lake.layout, "binance", "ADAUSDT", DAY) == STRETCHES[1:]


def test_of_other_days_and_symbols_nothing_is_said(lake: Config) -> None:
    halts.enter(lake.layout, "binance", "SOLUSDT", DAY, STRETCHES)
    assert halts.of_day(lake.layout, "binance", "SOLUSDT", DAY + timedelta(days=1)) == []
    assert halts.of_day(lake.layout, "binance", "ADAUSDT", DAY) == []


def test_a_day_is_entered_anew(lake: Config) -> None:
    halts.enter(lake.layout, "binance", "SOLUSDT", DAY, STRETCHES)
    halts.enter(lake.layout, "binance", "SOLUSDT", DAY, [])
    assert halts.of_day(lake.layout, "binance", "SOLUSDT", DAY) == []


def test_without_a_halt_there_is_no_register(lake: Config) -> None:
    halts.enter(lake.layout, "binance", "SOLUSDT", DAY, [])
    assert not lake.layout.halts.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{"])
def test_a_register_that_is_none_is_made_anew_from_the_candles(lake: Config, content: bytes) -> None:
    minutes = [n for n in range(1440) if not (60 <= n < 120 or 300 <= n < 360)]
    found = [
        Candle(at, "1", "2", "1", "2", "3", at + MINUTE_US - 1, "4", 5, "1", "1")
        for at in (START + n * MINUTE_US for n in minutes)
    ]
    path = lake.layout.candles("binance", "SOLUSDT", DAY)
    footer = {"complete": True, "rows": len(found), "missing": 120}
    parquet.write_table(candles.table("SOLUSDT", found), path, "snappy", footer=footer)
    lake.layout.halts.parent.mkdir(parents=True)
    lake.layout.halts.write_bytes(content)
    assert halts.of_day(lake.layout, "binance", "SOLUSDT", DAY) == STRETCHES
    halts.enter(lake.layout, "binance", "ADAUSDT", DAY, STRETCHES[:1])
    assert halts.of_day(lake.layout, "binance", "SOLUSDT", DAY) == STRETCHES
    assert b"SOLUSDT" in lake.layout.halts.read_bytes()
