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


def start_of(at: str) -> str:
    """Return the start of the interval of `length` µs that a time is in."""
    return f"make_timestamptz(epoch_us({at}) // length * length)"


_START = start_of("s.window_start")


def define(
    connection: duckdb.DuckDBPyConnection,
    macro: str,
    bars: str,
    step: int,
    start: str = _START,
    *,
    proved: bool,
) -> None:
    """Make a macro of longer bars over a table of bars, each `step` µs; see the statement. It wants `exact_sum`.

    `start` is the start of the interval that a bar `s` is in, if the table knows it. `proved`: that table has the
    columns of what proves their quotes. Else they are null.
    """
    proof = _PROOF.format(step=step) if proved else NO_PROOF
    sql.define(connection, "ask/longer", macro=macro, bars=bars, step=str(step), start=start, proof=proof)


def add_exactly(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the macro `exact_sum`, which adds volumes as the decimals that they were rounded from."""
    sql.define(connection, "ask/exact_sum")
