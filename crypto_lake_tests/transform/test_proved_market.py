"""From lines to bars: what both connections lost is filled from the book, marked, and right at each second's end."""

import duckdb

from crypto_lake.disk import parquet
from crypto_lake.series import Series
from crypto_lake.transform import daily, proof
from crypto_lake_tests.proved_market import EVENTS, Told, record
from crypto_lake_tests.raw_lines import DAY, SECOND, START, SYMBOL

Duck = duckdb.DuckDBPyConnection
SECONDS = EVENTS // 10


def told_bars(duck: Duck, series: Series) -> list[tuple[float, float, float, float, bool, str]]:
    path = series.layout.daily("binance", SYMBOL, DAY)
    shown = "bid, bid_qty, ask, ask_qty, quotes_proved, quote_source"
    query = f"SELECT {shown} FROM {parquet.scan([path])} ORDER BY window_start LIMIT {SECONDS}"
    return duck.execute(query).fetchall()


def truth(told: Told, second: int) -> tuple[float, ...]:
    ids = [one.id for one in told.events if one.ts_event < START + (second + 1) * SECOND]
    return tuple(map(float, told.best[ids[-1]]))


def prove(duck: Duck, series: Series) -> proof.Manifest:
    done = daily.prove(duck, series, DAY)
    assert done
    return done


def test_a_day_on_which_nothing_was_lost_is_proved(duck: Duck, series: Series) -> None:
    told = record(duck, series)
    counts = prove(duck, series).counts
    assert (counts.equal, counts.contradicted, counts.breaks, counts.seconds_filled) == (EVENTS, 0, 0, 0)
    found = told_bars(duck, series)
    assert [row[:4] for row in found] == [truth(told, second) for second in range(SECONDS)]
    assert [row[4] for row in found] == [False, *[True] * (SECONDS - 1)]


def test_quotes_that_were_lost_are_the_books_and_marked(duck: Duck, series: Series) -> None:
    told = record(duck, series, is_lost=lambda number: number % 7 < 4)
    manifest = prove(duck, series)
    counts = manifest.counts
    assert (counts.equal + counts.contradicted, counts.lost) == (EVENTS, counts.contradicted)
    assert counts.contradicted > EVENTS // 10
    found = told_bars(duck, series)
    assert [row[:4] for row in found] == [truth(told, second) for second in range(SECONDS)]
    assert {row[5] for row in found} == {"received", "book"}
    assert not any(row[4] for row in found if row[5] == "book")


def test_nothing_is_told_of_seconds_in_which_events_are_missing(duck: Duck, series: Series) -> None:
    told = record(duck, series, event_is_lost=lambda number: 150 < number < 200)
    manifest = prove(duck, series)
    assert (manifest.counts.breaks, manifest.counts.contradicted) == (1, 0)
    proved = [row[4] for row in told_bars(duck, series)]
    broken = next(n for n, one in enumerate(told.events) if one.id > 150) // 10
    assert proved[1:broken] == [True] * (broken - 1)
    assert not any(proved[broken:])
