"""Which symbols a configuration means, as far as a lake knows."""

import msgspec
import pytest

from crypto_lake import universe
from crypto_lake.config import Config, Exchange
from crypto_lake.layout import Layout
from crypto_lake.raw import instruments
from crypto_lake_tests.raw.test_instruments import MONDAY, TUESDAY, listed


def section(symbols: list[str], exclude: list[str] | None = None) -> Exchange:
    return Exchange("binance", symbols, "http://h/", "ws://h/", exclude=exclude or [])


@pytest.fixture
def layout(lake: Config) -> Layout:
    return lake.layout


def test_patterns_mean_what_traded_by_the_newest_table(layout: Layout) -> None:
    instruments.write(layout, "binance", MONDAY, listed("SOLUSDT", "OLDUSDT"))
    table = listed("SOLUSDT", "NEWUSDT", "币安USDT") | listed("OLDUSDT", status="BREAK")
    instruments.write(layout, "binance", TUESDAY, table)
    assert universe.meant(layout, section(["ADAUSDT", "*USDT"])) == ["ADAUSDT", "NEWUSDT", "SOLUSDT"]
    assert universe.meant(layout, section(["all"], ["SOL*"])) == ["NEWUSDT"]


def test_in_a_lake_without_a_table_patterns_mean_what_was_recorded(layout: Layout) -> None:
    layout.raw_day("binance", "SOLUSDT", MONDAY).mkdir(parents=True)
    assert universe.meant(layout, section(["*USDT"])) == ["SOLUSDT"]


def test_names_mean_themselves_whatever_is_listed(lake: Config) -> None:
    instruments.write(lake.layout, "binance", MONDAY, listed("ADAUSDT"))
    assert universe.meant(lake.layout, lake.exchanges[0]) == ["SOLUSDT"]
    one = msgspec.structs.replace(lake.exchanges[0], exclude=["SOL*"])
    assert universe.meant(lake.layout, one) == []
