"""A day of a minute, recorded from the bundled exchange, with a gap in it; and the end of the day before."""

from itertools import groupby

import duckdb

from crypto_lake.config import Config
from crypto_lake.layout import DAY_US, MINUTE_US, day_of
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests import recorded_market
from crypto_lake_tests.raw_lines import DAY, SECOND, START, SYMBOL, land, sealed

NEXT = recorded_market.NEXT
MIDNIGHT = START + DAY_US
BEFORE_SEC, FIRST_SEC, GAP_SEC, LAST_SEC = 12, 9.3, 4.4, 23.7
_DELAY_US = 40_000


def record(config: Config, start: int, end: int) -> None:
    """What a collector leaves that listened in [start, end) of the exchange's time, to the microsecond."""
    notes = JournalWriter(config.layout, "binance")
    lines = recorded_market.lines(start, end)
    for minute, some in groupby(lines, key=lambda line: line.ts_recv // MINUTE_US * MINUTE_US):
        landed = list(some)
        heard = max(start + _DELAY_US, minute), min(end + _DELAY_US, minute + MINUTE_US)
        notes.write(sealed(land(config, landed, day_of(minute)), landed, [heard]), day_of(minute))


def recorded(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    """The lake: two stretches of the second day, the first of which began on the day before."""
    record(series.config, MIDNIGHT - BEFORE_SEC * SECOND, MIDNIGHT + int(FIRST_SEC * SECOND))
    record(series.config, MIDNIGHT + int((FIRST_SEC + GAP_SEC) * SECOND), MIDNIGHT + int(LAST_SEC * SECOND))
    compact(duck, series)


def compact(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    """Make what is made of finished days."""
    for day in (DAY, NEXT):
        bars.build_day(duck, series, day, recorded_market.OVER)
        daily.compact(duck, series, day, recorded_market.OVER)
        ticks.make(duck, series, day, recorded_market.OVER)


__all__ = ["DAY", "MIDNIGHT", "NEXT", "SYMBOL", "compact", "record", "recorded"]
