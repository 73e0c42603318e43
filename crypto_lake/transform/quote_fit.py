"""The fit of quotes to trades: what placing them on the exchange's clock is worth."""

from typing import Any, NamedTuple

import duckdb

from crypto_lake import sql


class Hits(NamedTuple):
    """The share of an hour's trades that were made at the prevailing quote, 0 to 1; None without trades or quotes.

    `as_received` with quotes placed by the local clock, `corrected` by the exchange's: what the correction is worth.
    """

    as_received: float | None
    corrected: float | None


def hits(connection: duckdb.DuckDBPyConnection, lines: str, clocks: dict[str, Any]) -> list[Hits]:
    """Measure how well the quotes of some hours fit their trades: of each slot of `lines`, which has each line once.

    Raises:
        duckdb.Error: a segment holds something other than raw lines.
    """
    answer = sql.ask(connection, "transform/hits", {"raw": lines}, **clocks)
    return [Hits(*shares) for _, *shares in answer.fetchall()]
