"""A day of a minute, recorded from the bundled exchange, with a gap in it; and the end of the day before."""

from itertools import groupby

import duckdb

from crypto_lake.config import Config
from crypto_lake.layout import DAY_US, MINUTE_US, day_of
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import BookLine, DepthLine, DepthSnapshotLine, Level
from crypto_lake.series import Series
from crypto_lake.simulator.market.tape import Levels, from_e8
from crypto_lake.transform import bars, book, daily, depth, ticks
from crypto_lake_tests import book_lines, recorded_market
from crypto_lake_tests.raw_lines import DAY, SECOND, START, SYMBOL, land, sealed

NEXT = recorded_market.NEXT
MIDNIGHT = START + DAY_US
BEFORE_SEC, FIRST_SEC, GAP_SEC, LAST_SEC = 12, 9.3, 4.4, 23.7
SNAPSHOT_US = 300_000
_DELAY_US = 40_000


def record(config: Config, start: int, end: int) -> None:
    """What a collector leaves that listened in [start, end) of the exchange's time, to the microsecond."""
    notes = JournalWriter(config.layout, "binance")
    lines = recorded_market.lines(start, end)
    for minute, some in groupby(lines, key=lambda line: line.ts_recv // MINUTE_US * MINUTE_US):
        landed = list(some)
        heard = max(start + _DELAY_US, minute), min(end + _DELAY_US, minute + MINUTE_US)
        notes.write(sealed(land(config, landed, day_of(minute)), landed, [heard]), day_of(minute))


def record_book(config: Config, start: int, end: int) -> None:
    """The order book of [start, end), with snapshots on either day if it crosses midnight."""
    found: list[BookLine] = [
        DepthLine(
            SYMBOL,
            it.event_us,
            it.sent_us + _DELAY_US,
            it.first_id,
            it.last_id,
            _texts(it.bids),
            _texts(it.asks),
        )
        for it in recorded_market.MARKET.depth(SYMBOL, start, end, 100_000)
    ]
    for at in (start + SNAPSHOT_US, MIDNIGHT + SNAPSHOT_US) if start < MIDNIGHT else ():
        if told := recorded_market.MARKET.book(SYMBOL, 1000, at):
            sides = _texts(told.bids), _texts(told.asks)
            found.append(DepthSnapshotLine(SYMBOL, None, at + _DELAY_US, None, told.update_id, *sides))
    for day, some in groupby(
        sorted(found, key=lambda line: line.ts_recv), key=lambda line: day_of(line.ts_recv)
    ):
        book_lines.land(config, some, day)


def _texts(levels: Levels) -> tuple[Level, ...]:
    return tuple((from_e8(price), from_e8(qty)) for price, qty in levels)


def recorded(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    """The lake: two stretches of the second day, the first of which began on the day before."""
    for first, last in ((-BEFORE_SEC, FIRST_SEC), (FIRST_SEC + GAP_SEC, LAST_SEC)):
        heard = MIDNIGHT + int(first * SECOND), MIDNIGHT + int(last * SECOND)
        record(series.config, *heard)
        record_book(series.config, *heard)
    compact(duck, series)


def compact(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    """Make what is made of finished days."""
    for day in (DAY, NEXT):
        bars.build_day(duck, series, day, recorded_market.OVER)
        daily.compact(duck, series, day, recorded_market.OVER)
        ticks.make(duck, series, day, recorded_market.OVER)
        depth.make(duck, series, day, recorded_market.OVER)
        book.make(series, day)


__all__ = ["DAY", "MIDNIGHT", "NEXT", "SYMBOL", "compact", "record", "recorded"]
