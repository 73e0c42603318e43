"""The fit of quotes to trades: what placing them on the exchange's clock is worth."""

from typing import NamedTuple

import duckdb

from crypto_lake import sql
from crypto_lake.errors import RawDataError
from crypto_lake.layout import HOUR_US
from crypto_lake.transform import hours
from crypto_lake.transform.plan import Carry, Plan
from crypto_lake.transform.workspace import Workspace


class Hits(NamedTuple):
    """The share of an hour's trades that were made at the prevailing quote, 0 to 1; None without trades or quotes.

    `as_received` with quotes placed by the local clock, `corrected` by the exchange's: what the correction is worth.
    """

    as_received: float | None
    corrected: float | None


def hits(connection: duckdb.DuckDBPyConnection, workspace: Workspace, plan: Plan, hour: int) -> Hits:
    """Measure how well an hour's quotes fit its trades.

    Raises:
        RawDataError: a segment holds something other than raw lines.
    """
    fingerprint = plan.fingerprint(hour, Carry())
    sources = plan.sources(fingerprint)
    start = fingerprint["hour_start"]
    values = {
        "hour_start": start,
        "hour_end": start + HOUR_US,
        "offsets": hours.offsets(fingerprint["offsets"]),
    }
    try:
        lines = hours.once(workspace.lines(sources), sources)
        row = sql.ask(connection, "transform/hits", {"raw": lines}, **values).fetchall()[0]
    except duckdb.Error as error:
        where = f"{plan.series.symbol} {plan.day} hour {hour:02d}"
        raise RawDataError(f"{where}: {' '.join(str(error).split())}") from None
    return Hits(*row)
