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
from crypto_lake.transform import bars, daily, plan
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, SYMBOL, land, quote, trade

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


def healed(lake: Config, day: date) -> None:
    """One more trade, fetched, late on a day whose bars are made."""
    land(lake, [trade(9000, day_start_us(day) + 20 * HOUR, price="500.00000000")], day, "heal")


def made(duck: duckdb.DuckDBPyConnection, lake: Config, *days: date) -> None:
    """Days' bars and daily files, as a run makes them."""
    (series,) = Series.recorded(lake)
    for day in days:
        bars.build_day(duck, series, day, LATER)
        daily.compact(duck, series, day, LATER)


def looked(duck: duckdb.DuckDBPyConnection, lake: Config, seen: Seen, *alone: date) -> list[date]:
    """The days that a tick finds to need a run."""
    return [one.day for one in changes.find(look(duck, lake, *alone), seen, TODAY)]


def test_what_a_day_hands_on_since_a_trade_was_healed_is_followed_from_day_to_day(
    duck: duckdb.DuckDBPyConnection, lake: Config
) -> None:
    """The second day has a quote and no trade, so that the price goes on to the third, which comes days after it."""
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=5)]
    land(lake, [trade(1, START + HOUR), quote(1, START + 2 * HOUR)], days[0])
    land(lake, [quote(2, day_start_us(days[1]) + HOUR)], days[1])
    land(lake, [trade(2, day_start_us(days[2]) + HOUR)], days[2])
    made(duck, lake, *days)
    seen = Seen()
    assert looked(duck, lake, seen) == []
    healed(lake, DAY)
    for day in days:
        assert looked(duck, lake, seen) == [day]
        # While the run is under way.
        assert looked(duck, lake, seen, day) == []
        made(duck, lake, day)
    assert looked(duck, lake, seen) == []
    assert seen.changed == set()


def test_a_day_that_hands_on_what_it_did_before_needs_no_run_of_the_next(
    duck: duckdb.DuckDBPyConnection, lake: Config, asked: list[str]
) -> None:
    # Neighbours are read with each other's segments.
    days = [DAY, DAY + timedelta(days=5)]
    land(lake, [trade(1, START + HOUR), trade(2, START + 22 * HOUR)], days[0])
    land(lake, [trade(3, day_start_us(days[1]) + HOUR)], days[1])
    made(duck, lake, *days)
    seen = Seen()
    assert looked(duck, lake, seen) == []
    healed(lake, DAY)
    assert looked(duck, lake, seen) == [DAY]
    made(duck, lake, DAY)
    assert looked(duck, lake, seen) == []
    asked.clear()
    assert (looked(duck, lake, seen), asked, seen.changed) == ([], [], set())


def test_days_that_were_made_in_their_order_are_not_held_against_each_other(
    duck: duckdb.DuckDBPyConnection, lake: Config, asked: list[str]
) -> None:
    days = [DAY, DAY + timedelta(days=1)]
    for day in days:
        land(lake, [trade(1, day_start_us(day) + HOUR)], day)
    made(duck, lake, *days)
    assert looked(duck, lake, Seen()) == []
    assert len(asked) == len(days)


def test_a_day_after_one_that_changed_waits_while_it_is_left_alone(
    duck: duckdb.DuckDBPyConnection, lake: Config
) -> None:
    days = [DAY, DAY + timedelta(days=1)]
    for number, day in enumerate(days):
        land(lake, [trade(number, day_start_us(day) + HOUR)], day)
    made(duck, lake, *days)
    healed(lake, DAY)
    made(duck, lake, DAY)
    seen = Seen()
    assert looked(duck, lake, seen, days[1]) == []
    assert looked(duck, lake, seen) == [days[1]]
