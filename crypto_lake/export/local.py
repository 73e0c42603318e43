"""When something reached the recorder, as programs that test strategies need it: never before it happened."""

from dataclasses import dataclass
from datetime import date

import duckdb

from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError
from crypto_lake.raw import scan, segments
from crypto_lake.raw.lines import QUOTE, TICKS, TRADE
from crypto_lake.series import Series


@dataclass(frozen=True)
class Day:
    """A symbol's finished day: its `trades` and `quotes`, and the ids of trades that were `healed`, as SQL tables.

    Trades that were fetched later reached nobody when they happened: they are taken to have been on their way for
    `latency_us`, as the median of the others. `shift_us` is added to each local time where the recorder's clock was
    behind: as little as lets nothing arrive before it happened.
    """

    series: Series
    day: date
    trades: str
    quotes: str
    healed: str
    latency_us: int
    shift_us: int


def of(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> Day:
    """Look at the ticks of a day.

    Raises:
        LakeError: there are none.
        duckdb.Error: a file of theirs cannot be read.
    """
    paths = {one: series.layout.ticks(series.exchange, series.symbol, one.table, day) for one in TICKS}
    for path in paths.values():
        if not path.is_file():
            raise LakeError(
                f"{path}: no such file; expected the ticks of a finished day, which crypto-lake compact --date makes"
            )
    folder = series.layout.raw_day(series.exchange, series.symbol, day)
    fetched = scan.lines([path for path in segments.sealed(folder) if segments.is_healed(path)])
    tables = {stream: parquet.scan([path]) for stream, path in paths.items()}
    healed = f"(SELECT DISTINCT id FROM {fetched})"
    latency, least = _latency(connection, tables[TRADE], tables[QUOTE], healed)
    return Day(series, day, tables[TRADE], tables[QUOTE], healed, latency, max(-least, 0))


def _latency(connection: duckdb.DuckDBPyConnection, trades: str, quotes: str, healed: str) -> tuple[int, int]:
    """Return how long trades were on their way, by their median, and the least that anything was; µs, 0 of nothing."""
    row = connection.execute(
        f"""WITH late AS (
                SELECT epoch_us(ts_recv) - epoch_us(ts_event) AS us, true AS is_trade FROM {trades}
                WHERE id NOT IN (FROM {healed})
                UNION ALL
                SELECT epoch_us(ts_recv) - epoch_us(ts_event), false FROM {quotes}
            )
            SELECT coalesce(quantile_disc(us, 0.5) FILTER (is_trade), 0), coalesce(min(us), 0) FROM late"""
    ).fetchall()[0]
    return int(row[0]), int(row[1])
