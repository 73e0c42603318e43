"""The page of a day: its numbers are those of the bars, and it loads nothing."""

import json
import re

import duckdb
import pytest

from crypto_lake.errors import LakeError
from crypto_lake.pages import day
from crypto_lake.pages.day import facts
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily
from crypto_lake_tests.proved_market import record
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, land, quote, trade


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


def test_a_day_without_a_book_says_nothing_of_one(text: str) -> None:
    assert "order book" not in text
