"""What a day's coverage tells of its order book: the boundaries at which quotes were held against it, and its breaks.

It is what was noted when the proof was made, or, looked at thoroughly, what its files say now.
"""

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import duckdb

from crypto_lake import sql
from crypto_lake.disk import parquet
from crypto_lake.series import Series
from crypto_lake.transform import book_kept, judging, proof

if TYPE_CHECKING:
    from crypto_lake.transform.judging import Counts


class Told(NamedTuple):
    """Boundaries that were compared, equal and contradicted, and breaks of the chain; None where nothing tells."""

    boundaries: int | None = None
    proved: int | None = None
    contradicted: int | None = None
    breaks: int | None = None


def told(connection: duckdb.DuckDBPyConnection, series: Series, day: date, *, thorough: bool) -> Told:
    """Return what there is to tell of a symbol's day; of one without depth nothing.

    Raises:
        LakeError: a file cannot be read.
    """
    depth = series.layout.depth(series.exchange, series.symbol, day)
    if not depth.is_file():
        return Told()
    noted = proof.read(series, day)
    counts: Counts | None = noted.counts if noted else None
    if thorough:
        counts = judging.judge(series, day).counts if counts else None
        breaks: int | None = _breaks(connection, series, day)
    else:
        kept = book_kept.read_kept(series, day)
        breaks = kept.breaks.count if kept else None
    if counts is None:
        return Told(breaks=breaks)
    return Told(counts.boundaries, counts.equal, counts.contradicted, breaks)


def _breaks(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> int:
    """Count the breaks of a day's chain by its depth, and by the end of the book of the day before."""
    kept = book_kept.read_kept(series, day - timedelta(days=1))
    before = kept.end.id if kept and kept.end else None
    depth = series.layout.depth(series.exchange, series.symbol, day)
    with parquet.named([depth]):
        tables = {"depth": parquet.scan([depth])}
        ((count,),) = sql.ask(connection, "coverage/breaks", tables, before=before).fetchall()
    return int(count)
