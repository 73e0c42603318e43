"""The stretches in which trades may be missing, of exchanges that are asked by time: where nobody listened.

Their ids tell no hole. So each stretch between two in which somebody listened counts as missing, until the exchange was
asked for all its trades (`raw/asked.py`). Nothing is fetched here; all times are µs of the exchange's clock.
"""

from datetime import date

import duckdb

from crypto_lake.exchanges import registry
from crypto_lake.layout import DAY_US, SECOND_US, day_start_us
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.intervals import Interval, without
from crypto_lake.series import Series

# What is younger an exchange may not have in its past trades yet.
_SETTLED_US = 60 * SECOND_US


def find(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> list[Interval]:
    """The stretches of a symbol's day, in order; none that begin before what the exchange still has.

    Raises:
        RawDataError: a raw file or a journal holds something else.
    """
    past = registry.exchange(series.exchange).capabilities.past_trades
    if past is None or past.by != "time":
        return []
    days = series.layout.raw_days(series.exchange, series.symbol)
    if not days:
        return []
    recording = Recording(connection, series)
    oldest = recording.around(days[0]).listened
    newest = recording.around(days[-1]).listened
    if not oldest or not newest:
        return []
    back_us = past.back.days * DAY_US + past.back.seconds * SECOND_US if past.back else now_us
    start = max(day_start_us(day), oldest[0][0], now_us - back_us)
    end = min(day_start_us(day) + DAY_US, newest[-1][1], now_us - _SETTLED_US)
    return without(recording.around(day).covered, start, end)
