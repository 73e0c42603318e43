"""What the bundled exchange loses on both connections: each second's verdict and fill is the truth's."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest

from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.layout import SECOND_US
from crypto_lake.raw import segments
from crypto_lake.raw.lines import QuoteLine, decode
from crypto_lake.series import Series
from crypto_lake.simulator.market.tape import Quote
from crypto_lake.simulator.server.faults import Faults
from crypto_lake.transform import bars, book, daily, depth, ticks
from crypto_lake_tests.collector_daemon.test_order_book import (
    DAY,
    MARKET,
    SYMBOLS,
    events,
    lines,
    recorded,
    until_status,
)
from crypto_lake_tests.raw_lines import LATER

SYMBOL = SYMBOLS[0]
Best = tuple[float, ...]


class Second(NamedTuple):
    start: int
    best: Best
    is_proved: bool
    source: str
    verdict: str


@pytest.fixture
def lossy(tmp_path: Path) -> Config:
    faults = Faults(lose_quotes_every=3, lose_depth_every=61, overlap_depth_every=11)
    return recorded(tmp_path, faults, until_status(lambda one: (one.depth or 0) > 150))


def made(duck: duckdb.DuckDBPyConnection, config: Config) -> list[Second]:
    series = Series(config, "binance", SYMBOL)
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)
    depth.make(duck, series, DAY, LATER)
    book.make(series, DAY)
    assert daily.prove(duck, series, DAY)
    proof, bar = (
        parquet.scan([path("binance", SYMBOL, DAY)]) for path in (series.layout.proof, series.layout.daily)
    )
    shown = (
        "epoch_us(window_start), [b.bid, b.bid_qty, b.ask, b.ask_qty], quotes_proved, quote_source, verdict"
    )
    query = f"""SELECT {shown}
        FROM {bar} AS b JOIN {proof} AS p USING (window_start) ORDER BY 1"""
    return [Second(at, tuple(best), *rest) for at, best, *rest in duck.execute(query).fetchall()]


def held(config: Config) -> dict[int, Best]:
    """The quotes that came, by id."""
    folder = config.layout.raw_day("binance", SYMBOL, DAY)
    content = b"".join(path.read_bytes() for path in segments.sealed(folder))
    told = (decode(line) for line in content.splitlines())
    return {
        one.id: best(one.bid, one.bid_qty, one.ask, one.ask_qty) for one in told if isinstance(one, QuoteLine)
    }


def best(*numbers: str | None) -> Best:
    return tuple(float(number or 0) for number in numbers)


def newest(quotes: dict[int, Best], number: int) -> Best | None:
    return next((quotes[one] for one in sorted(quotes, reverse=True) if one <= number), None)


def test_what_both_connections_lost_is_filled_and_every_verdict_is_the_truths(
    duck: duckdb.DuckDBPyConnection, lossy: Config
) -> None:
    kept = events(lines(lossy, SYMBOL))
    came = held(lossy)
    first, last = kept[0].ts_event, kept[-1].ts_event
    truth = dict(true_quotes(first - 60 * SECOND_US, last + SECOND_US))
    seconds = [one for one in made(duck, lossy) if first - SECOND_US < one.start <= last]
    assert len(seconds) > 10
    for one in seconds:
        inside = [it.id for it in kept if one.start <= it.ts_event < one.start + SECOND_US]
        wrong = [number for number in inside if newest(came, number) != newest(truth, number)]
        if one.verdict == "proved":
            assert wrong == []
        if one.source == "book":
            until = [it.id for it in kept if it.ts_event < one.start + SECOND_US]
            # Where the chain broke meanwhile, it is the last that was known.
            assert one.best in [newest(truth, number) for number in reversed(until)]
        assert one.is_proved == (one.verdict == "proved")
    assert {one.verdict for one in seconds} == {"proved", "contradicted", "unverifiable"}
    assert {one.source for one in seconds} == {"received", "book"}


def true_quotes(start: int, end: int) -> Iterator[tuple[int, Best]]:
    for event in MARKET.events(SYMBOL, start, end):
        if isinstance(event, Quote):
            numbers = (event.bid, event.bid_qty, event.ask, event.ask_qty)
            yield event.update_id, tuple(number / 10**8 for number in numbers)
