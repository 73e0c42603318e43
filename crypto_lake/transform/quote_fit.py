"""How well quotes fit the trades: what placing them on the exchange's clock is worth."""

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

import duckdb

from crypto_lake import sql
from crypto_lake.errors import RawDataError
from crypto_lake.layout import DAY_US, HOUR_US, day_start_us
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.sources import lines_of
from crypto_lake.series import Series
from crypto_lake.transform import hours
from crypto_lake.transform.bars import Built
from crypto_lake.transform.plan import Carry, Plan


class Hits(NamedTuple):
    """The share of an hour's trades that were made at the prevailing quote, 0 to 1; None without trades or quotes.

    `as_received` with quotes placed by the local clock, `corrected` by the exchange's: what the correction is worth.
    """

    as_received: float | None
    corrected: float | None


def hits(connection: duckdb.DuckDBPyConnection, series: Series, day: date, hour: int) -> Hits:
    """Measure how well an hour's quotes fit its trades.

    Raises:
        RawDataError: a segment holds something other than raw lines.
    """
    plan = Plan(Recording(connection, series).around(day), series, day, day_start_us(day) + DAY_US)
    fingerprint = plan.fingerprint(hour, Carry())
    sources = plan.sources(fingerprint)
    start = fingerprint["hour_start"]
    values = {
        "hour_start": start,
        "hour_end": start + HOUR_US,
        "offsets": hours.offsets(fingerprint["offsets"]),
    }
    try:
        lines = hours.once(lines_of(sources), sources)
        row = sql.ask(connection, "transform/hits", {"raw": lines}, **values).fetchall()[0]
    except duckdb.Error as error:
        raise RawDataError(f"{series.symbol} {day} hour {hour:02d}: {' '.join(str(error).split())}") from None
    return Hits(*row)


def newest_hits(
    connection: duckdb.DuckDBPyConnection, series: Iterable[Series], built: list[Built]
) -> dict[str, Hits]:
    """By symbol, `hits` of the newest hour that was made anew; those of which none was are left out."""
    rebuilt = {one.symbol: one for one in built if one.rebuilt}
    return {
        one.symbol: hits(connection, one, rebuilt[one.symbol].day, rebuilt[one.symbol].rebuilt[-1])
        for one in series
        if one.symbol in rebuilt
    }
