"""Longer bars by the one rule, `sql/ask/longer.sql`, for the files of minutes and for the views."""

import duckdb

from crypto_lake import sql

# Of bars that have no such columns, and so of none of their days.
NO_PROOF = "NULL::BOOLEAN AS quotes_proved, NULL::VARCHAR AS quote_source"
# An interval may lie in days with a proof and in days without.
_PROOF = """CASE
            WHEN count(quotes_proved) > 0
            THEN bool_and(coalesce(quotes_proved, false)) AND count(*) * {step} = length
        END AS quotes_proved,
        arg_max(quote_source, s.window_start) AS quote_source"""


def define(
    connection: duckdb.DuckDBPyConnection, macro: str, bars: str, step: int, start: str, *, proved: bool
) -> None:
    """Make a macro of longer bars over a table of bars, each `step` µs; see the statement.

    `proved`: that table has the columns of what proves their quotes. Else they are null.
    """
    proof = _PROOF.format(step=step) if proved else NO_PROOF
    sql.define(connection, "ask/longer", macro=macro, bars=bars, step=str(step), start=start, proof=proof)
