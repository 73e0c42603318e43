"""The page of a day: its numbers are those of the bars, and it loads nothing."""

import json
import re

import duckdb
import pytest

from crypto_lake.errors import LakeError
from crypto_lake.pages import day
from crypto_lake.pages.day import facts
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.proved_market import record
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade


@pytest.fixture
def text(series: Series, duck: duckdb.DuckDBPyConnection) -> str:
    lines = [trade(n, START + n * HOUR, price=f"{100 + n}.5") for n in (1, 2, 3)]
    land(series.config, [quote(1, START + HOUR), *lines])
    bars.build_day(duck, series, DAY, LATER)
    return day.write(series.config, Series.recorded(series.config)).read_text(encoding="utf-8")


def test_a_day_without_bars_is_one_line(series: Series) -> None:
    with pytest.raises(LakeError, match=r"no bars of 2025-10-20"):
        day.write(series.config, Series.recorded(series.config), DAY)


def test_its_candles_are_the_minutes_of_the_bars(text: str) -> None:
    found = re.search(r'id="data">(.*?)</script>', text)
    assert found
    (day,) = json.loads(found[1])["days"]
    traded = [i for i, trades in enumerate(day["trades"]) if trades]
    assert [(day["time"][i] * 1_000_000, day["close"][i], day["vwap"][i]) for i in traded] == [
        (START + n * HOUR, 100.5 + n, 100.5 + n) for n in (1, 2, 3)
    ]


def test_it_loads_nothing(text: str) -> None:
    assert "default-src 'none'" in text
    assert not re.findall(
        r'(?:src|data)="https?:|<link[^>]+http|@import|url\(', text.split("<script>", maxsplit=1)[0]
    )


def test_a_day_with_a_book_shows_how_much_it_offered_and_what_it_proves(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    record(duck, series, is_lost=lambda number: 300 < number < 310)
    daily.prove(duck, series, DAY)
    text = day.write(series.config, Series.recorded(series.config)).read_text(encoding="utf-8")
    drawn = text.partition('<svg class="heat"')[2].partition("</svg>")[0]
    assert drawn.count("<rect") == 2 * facts.HEAT_ROWS
    assert "<dt>seconds filled from the book</dt><dd>1</dd>" in text


def test_what_was_healed_is_no_less_so_when_only_ticks_are_left(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    lines = [trade(n, START + n * HOUR) for n in (1, 2, 3, 5, 6)]
    path = land(series.config, lines)
    stretches = [(START - HOUR, START + 3 * HOUR + SECOND), (START + 5 * HOUR - SECOND, START + 25 * HOUR)]
    JournalWriter(series.layout, "binance").write(sealed(path, lines, stretches), DAY)
    land(series.config, [trade(4, START + 4 * HOUR)], kind="heal")
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)
    before = facts.of_day(series, DAY)
    for one in series.layout.raw_day("binance", SYMBOL, DAY).glob("*_*.jsonl"):
        one.unlink()
    after = facts.of_day(series, DAY)
    assert before
    assert after
    told = [(row["state"], row["until"] - row["begin"]) for row in before.stretches]
    assert told == [("healed", 2 * 3_600 - 1)]
    assert after.stretches == before.stretches
    heard = [(row["live"], row["healed"], row["missed"]) for row in before.minutes]
    assert [(row["live"], row["healed"], row["missed"]) for row in after.minutes] == heard


def test_a_day_without_a_book_says_nothing_of_one(text: str) -> None:
    assert "order book" not in text
