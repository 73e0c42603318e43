"""The latency of trades, from the exchange to us: `ts_recv − ts_event`, with the local clock's error in it."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb

from crypto_lake.disk import parquet
from crypto_lake.raw import scan, segments
from crypto_lake.raw.lines import TRADE
from crypto_lake.series import Series


class Latency(NamedTuple):
    """Half of the trades, and 99 of a hundred, took no longer; milliseconds."""

    latency_p50_ms: float
    latency_p99_ms: float


def of_segments(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> Latency | None:
    """That of the trades in received segments; None where there is no trade.

    Raises:
        duckdb.Error: a segment holds something other than raw lines.
    """
    return _measured(connection, f"(FROM {scan.lines(paths)} SELECT * WHERE stream = '{TRADE.name}')")


def of_day(connection: duckdb.DuckDBPyConnection, series: Iterable[Series], day: date) -> dict[str, Latency]:
    """`of_finished_day` by symbol, of those that have it."""
    found = {one.symbol: of_finished_day(connection, one, day) for one in series}
    return {symbol: one for symbol, one in found.items() if one}


def of_finished_day(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> Latency | None:
    """That of a day's trades as its ticks have them; those that were fetched later, to heal, are left out.

    None where there are no ticks, or no trade that was received.
    """
    trades = _received(series, day)
    return _measured(connection, trades) if trades else None


def by_interval(
    connection: duckdb.DuckDBPyConnection, series: Series, day: date, length: int
) -> dict[int, Latency]:
    """The same for each interval of `length` µs of the exchange's clock that has such trades, by its start (µs)."""
    trades = _received(series, day)
    if not trades:
        return {}
    rows = connection.execute(
        f"""SELECT ts_event // {length} * {length}, quantile_cont((ts_recv - ts_event) / 1000, [0.5, 0.99])
            FROM {trades} GROUP BY 1"""
    ).fetchall()
    return {start: Latency(*(round(ms, 3) for ms in found)) for start, found in rows}


def _received(series: Series, day: date) -> str | None:
    """A finished day's trades without those that were fetched, as an SQL table; None without ticks."""
    path = series.layout.ticks(series.exchange, series.symbol, TRADE.table, day)
    if not parquet.is_whole(path):
        return None
    folder = series.layout.raw_day(series.exchange, series.symbol, day)
    healed = scan.lines([one for one in segments.sealed(folder) if segments.is_healed(one)])
    trades = f"(SELECT id, epoch_us(ts_recv) AS ts_recv, epoch_us(ts_event) AS ts_event FROM {parquet.scan([path])})"
    return f"{trades} ANTI JOIN {healed} AS healed USING (id)"


def _measured(connection: duckdb.DuckDBPyConnection, trades: str) -> Latency | None:
    row = connection.execute(f"SELECT quantile_cont((ts_recv - ts_event) / 1000, [0.5, 0.99]) FROM {trades}")
    found = row.fetchall()[0][0]
    return Latency(*(round(ms, 3) for ms in found)) if found else None
