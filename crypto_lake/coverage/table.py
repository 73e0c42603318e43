"""The file of a day's coverage, `coverage/D.parquet`: made by compaction, anew where what it tells of has changed."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
from msgspec import ValidationError, convert, to_builtins
from pyarrow import parquet as pq

from crypto_lake.config import Config
from crypto_lake.coverage import rows
from crypto_lake.coverage.rows import Row
from crypto_lake.disk import locks, parquet, publish
from crypto_lake.errors import LakeError
from crypto_lake.schema import COVERAGE, names
from crypto_lake.series import Series

# Goes up when the same files would give other rows.
COVERAGE_VERSION = 2
_COMPRESSION = "zstd"
_PATIENCE_SEC = 60
# So many days that were compacted without are made up for by one run.
_MOST_LACKING = 30


def make(
    connection: duckdb.DuckDBPyConnection,
    series: Iterable[Series],
    day: date,
    now_us: int,
    failures: list[LakeError] | None = None,
) -> list[Row]:
    """Bring a day's file in line with the files of some symbols, and return their rows; those of others stay.

    Where `failures` are given, a symbol whose files cannot be read has no row, and is told there.

    Raises:
        LakeError: a file cannot be read, the disk refused, or another run has been at it for a minute.
    """
    some = list(series)
    if not some:
        return []
    found = rows.of_day(connection, some, day, now_us, failures=failures)
    layout = some[0].layout
    path = layout.coverage(day)
    with locks.hold(layout.coverage_lock, _PATIENCE_SEC):
        before = read(path) if path.is_file() else []
        # Rows of shards lie in files of their own as well: runs on several hosts do not lose those of each other.
        _write_shard(some[0], day, found)
        rest = {(row.exchange, row.symbol): row for row in [*before, *_of_other_shards(some[0], day)]}
        for one in some:
            rest.pop((one.exchange, one.symbol), None)
        wanted = sorted([*rest.values(), *found], key=lambda row: (row.exchange, row.symbol))
        if wanted != before:
            _write(path, wanted)
    return found


def _write_shard(series: Series, day: date, own: Sequence[Row]) -> None:
    """Bring the file of a symbol's shard in line with its rows; where there is one shard for all, it has none."""
    if series.shard is not None:
        path = series.layout.coverage_of_shard(day, series.shard, series.config.cluster.shards)
        if own != (read(path) if path.is_file() else []):
            _write(path, own)


def _of_other_shards(series: Series, day: date) -> list[Row]:
    """Return the rows of the shards that a symbol is not of."""
    count = series.config.cluster.shards
    others = [shard for shard in range(count) if shard != series.shard] if series.shard is not None else []
    paths = (series.layout.coverage_of_shard(day, shard, count) for shard in others)
    return [row for path in paths if path.is_file() for row in read(path)]


def refresh(config: Config, days: Iterable[date], now_us: int) -> None:
    """Bring the coverage of those days in line with their files that have a daily file of any symbol.

    Raises:
        LakeError: as `make`.
    """
    series = Series.known(config)
    wanted = {*rows.days_with_rows(series)}
    with parquet.connect() as connection:
        for day in days:
            if day in wanted:
                make(connection, series, day, now_us)


def complete(connection: duckdb.DuckDBPyConnection, series: Sequence[Series], now_us: int) -> None:
    """Make the files of days that were compacted without, the newest first, as many as one run can bear.

    Raises:
        LakeError: as `make`.
    """
    for day in lacking(series)[-_MOST_LACKING:]:
        make(connection, series, day, now_us)


def lacking(series: Sequence[Series]) -> list[date]:
    """The days that have daily files and no coverage, oldest first."""
    there = {day for one in series[:1] for day in one.layout.coverage_days()}
    return [day for day in rows.days_with_rows(series) if day not in there]


def read(path: Path) -> list[Row]:
    """Return the rows of a file, in its order; none where it is damaged: it is then made anew."""
    try:
        return understood(path)
    except LakeError:
        return []


def understood(path: Path) -> list[Row]:
    """Return the rows of a file, in its order.

    Raises:
        LakeError: it cannot be read, or holds something else.
    """
    if differences := parquet.schema_differences(path, COVERAGE):
        raise LakeError(f"{path}: {differences[0]}")
    try:
        table = publish.patiently(lambda: pq.ParquetFile(path).read(use_threads=False))
        return convert(table.to_pylist(), list[Row])
    except (pa.ArrowException, OSError, ValidationError) as error:
        raise LakeError(f"{path}: damaged: {' '.join(str(error).split())}") from None


def _write(path: Path, wanted: Sequence[Row]) -> None:
    if not wanted:
        path.unlink(missing_ok=True)
        return
    # Dates as they are: msgspec would spell them.
    plain = [to_builtins(row, builtin_types=(date,)) for row in wanted]
    schema = parquet.arrow_schema(COVERAGE)
    columns = [pa.array([row[name] for row in plain], schema.field(name).type) for name in names(COVERAGE)]
    parquet.write_table(
        pa.table(columns, schema=schema), path, _COMPRESSION, footer={"version": COVERAGE_VERSION}
    )
