"""Raw segments as DuckDB reads them: the view `raw` of the transform, and what a file holds when no journal says so."""

from pathlib import Path

import duckdb

from crypto_lake import journal
from crypto_lake.errors import RawDataError
from crypto_lake.parquet import literal, path_list
from crypto_lake.schema import RAW_LINE, typed

# 2017-01-01, before which Binance has no data: a time below is in other units, or none.
_EARLIEST_US = 1_483_228_800_000_000


def is_healed(path: Path) -> bool:
    """Whether a segment was fetched rather than received."""
    return path.name.startswith("heal_")


def create_view(connection: duckdb.DuckDBPyConnection, paths: list[Path]) -> None:
    """Make the view `raw`: the lines of some segments, and whether they were `healed` (fetched, not received)."""
    columns = ", ".join(f"NULL::{column.type} AS {column.name}" for column in RAW_LINE)
    queries = [f"SELECT {columns}, false AS healed WHERE false"]
    kinds = {healed: [path for path in paths if is_healed(path) is healed] for healed in (False, True)}
    queries += [
        f"SELECT *, {healed} AS healed FROM {_read_json(some)}" for healed, some in kinds.items() if some
    ]
    connection.execute(f"CREATE OR REPLACE TEMP VIEW raw AS {' UNION ALL '.join(queries)}")


def scan(connection: duckdb.DuckDBPyConnection, paths: list[Path], symbol: str) -> dict[Path, journal.Sealed]:
    """Records for files that the journal does not describe (`at` is 0 in them).

    Somebody was listening from such a file's first line to its last; a healed file says nothing about listening, and
    its receipt times nothing about the clock.

    Raises:
        RawDataError: a file holds something other than raw lines of this symbol.
    """
    try:
        rows = connection.execute(
            f"""SELECT filename, count(*), min(ts_recv), max(ts_recv), min(ts_event), max(ts_event),
                       min(ts_recv - ts_event), min(id) FILTER (stream = 'trade'), max(id) FILTER (stream = 'trade'),
                       count(*) FILTER ({_WRONG.format(symbol=literal(symbol))})
                FROM {_read_json(paths, ", filename = true")} GROUP BY filename"""
        ).fetchall()
    except duckdb.Error as error:
        raise RawDataError(" ".join(str(error).split())) from None
    found = {Path(path): values for path, *values in rows}
    return {path: _record(path, symbol, found.get(path, [0] + [None] * 7 + [0])) for path in paths}


_WRONG = f"""symbol IS DISTINCT FROM {{symbol}}
    OR id IS NULL
    OR coalesce(ts_recv, 0) < {_EARLIEST_US}
    OR CASE stream
        WHEN 'trade' THEN coalesce(ts_event, 0) < {_EARLIEST_US} OR price IS NULL OR qty IS NULL OR side IS NULL
        WHEN 'bookTicker' THEN bid IS NULL OR bid_qty IS NULL OR ask IS NULL OR ask_qty IS NULL
        ELSE true
    END"""


def _record(path: Path, symbol: str, values: list[int | None]) -> journal.Sealed:
    lines, recv_from, recv_to, event_from, event_to, offset, first_id, last_id, wrong = values
    if wrong:
        raise RawDataError(
            f"{path}: {wrong} of {lines} lines are not raw lines of {symbol}; see docs/FORMAT.md"
        )
    healed = is_healed(path)
    return journal.Sealed(
        at=0,
        symbol=symbol,
        segment=path.name,
        lines=lines or 0,
        size=path.stat().st_size,
        recv_from=None if healed else recv_from,
        recv_to=None if healed else recv_to,
        event_from=event_from,
        event_to=event_to,
        offset_us=None if healed else offset,
        listened=[] if healed or recv_from is None or recv_to is None else [(recv_from, recv_to)],
        first_trade_id=first_id,
        last_trade_id=last_id,
    )


def _read_json(paths: list[Path], more: str = "") -> str:
    return f"read_json({path_list(paths)}, format = 'newline_delimited', columns = {typed(RAW_LINE)}{more})"
