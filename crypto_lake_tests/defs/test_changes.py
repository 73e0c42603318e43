"""Which days need a run, by the folders that changed since the last look."""

import os
import time
from datetime import date, timedelta
from types import SimpleNamespace

import duckdb
import msgspec
import pytest

from crypto_lake.config import Config
from crypto_lake.defs import changes
from crypto_lake.defs.changes import Look, Seen
from crypto_lake.layout import day_start_us
from crypto_lake.raw.segments import next_number
from crypto_lake.series import Series
from crypto_lake.transform import plan
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SYMBOL, trade

TODAY = DAY + timedelta(days=400)
TWO = ("ADAUSDT", SYMBOL)


def landed(lake: Config, symbol: str, day: date) -> None:
    """A segment more of a symbol."""
    line = msgspec.structs.replace(trade(1, day_start_us(day) + HOUR), symbol=symbol)
    folder = lake.layout.raw_day("binance", symbol, day)
    folder.mkdir(parents=True, exist_ok=True)
    path = lake.layout.segment("binance", symbol, day, next_number(folder))
    path.write_bytes(msgspec.json.encode(line) + b"\n")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The symbols whose bars were held against their files."""
    found: list[str] = []
    is_stale = plan.is_stale

    def noted(duck: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> bool:
        found.append(series.symbol)
        return is_stale(duck, series, day, now_us)

    monkeypatch.setattr(plan, "is_stale", noted)
    return found


def look(duck: duckdb.DuckDBPyConnection, lake: Config, *alone: date) -> Look:
    return Look(duck, Series.recorded(lake), LATER, lambda day: day in alone)


def test_only_symbols_whose_folders_changed_are_looked_at(
    duck: duckdb.DuckDBPyConnection, lake: Config, asked: list[str]
) -> None:
    for symbol in TWO:
        landed(lake, symbol, DAY)
    seen = Seen()
    assert [one.day for one in changes.find(look(duck, lake), seen, TODAY)] == [DAY]
    asked.clear()
    assert changes.find(look(duck, lake), seen, TODAY) == []
    assert asked == []
    landed(lake, "ADAUSDT", DAY)
    (due,) = changes.find(look(duck, lake), seen, TODAY)
    assert (due.day, due.series.symbol, asked) == (DAY, "ADAUSDT", ["ADAUSDT"])


def test_a_look_that_takes_too_long_goes_on_with_the_next_tick_where_it_stopped(
    duck: duckdb.DuckDBPyConnection, lake: Config, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for at, symbol in enumerate(TWO, 1):
        landed(lake, symbol, DAY)
        os.utime(lake.layout.raw_day("binance", symbol, DAY), ns=(at * 10**15, at * 10**15))
    seconds = iter(range(100))
    clock = SimpleNamespace(monotonic=lambda: next(seconds), time_ns=time.time_ns, sleep=time.sleep)
    monkeypatch.setattr(changes, "time", clock)
    monkeypatch.setattr(changes, "_LOOK_SEC", 1)
    seen = Seen()
    assert [one.series.symbol for one in changes.find(look(duck, lake), seen, TODAY)] == ["ADAUSDT"]
    assert [one.series.symbol for one in changes.find(look(duck, lake), seen, TODAY)] == [SYMBOL]
    assert (changes.find(look(duck, lake), seen, TODAY), asked) == ([], [*TWO])
    assert seen == Seen(looked_ns=2 * 10**15)


def test_a_day_that_is_left_alone_keeps_no_other_waiting(
    duck: duckdb.DuckDBPyConnection, lake: Config
) -> None:
    other = DAY - timedelta(days=30)
    landed(lake, "ADAUSDT", DAY)
    seen = Seen()
    assert changes.find(look(duck, lake, DAY), seen, DAY) == []
    landed(lake, SYMBOL, other)
    assert [one.day for one in changes.find(look(duck, lake, DAY), seen, DAY)] == [other]
    assert changes.find(look(duck, lake, DAY), seen, DAY) == []
    assert [one.day for one in changes.find(look(duck, lake), seen, DAY)] == [DAY]


def test_what_lies_in_a_symbols_folder_and_is_no_day_is_none(
    duck: duckdb.DuckDBPyConnection, lake: Config
) -> None:
    landed(lake, SYMBOL, DAY)
    for name in ("20251020", "old", "2025-10-20.bak"):
        (lake.layout.raw_symbol("binance", SYMBOL) / name).mkdir()
    assert [one.day for one in changes.find(look(duck, lake), Seen(), TODAY)] == [DAY]
