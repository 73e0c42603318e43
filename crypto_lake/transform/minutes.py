"""Minutes: the bars of a finished day's minutes, a small file of their own, so that nobody adds up its seconds again.

They are made from the day's daily file when that is complete, and say nothing that it does not: where there are none
that are in line with it, its seconds answer. The steps, each of which a crash may follow:

1. before another daily file takes its place, the minutes of the one before it go (`forget`)
2. when it is complete: write the minutes, read them back, rename them into place    3. checksum    4. manifest
"""

import itertools
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from loguru import logger

from crypto_lake import sql
from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import LakeError
from crypto_lake.layout import DAY_US, MINUTE_US, day_start_us
from crypto_lake.schema import BAR, PROVED_BAR, Column, names
from crypto_lake.series import Series
from crypto_lake.transform import longer
from crypto_lake.transform.workspace import locked

# Goes up when the same daily file would give other minutes.
MINUTES_VERSION = 1
# A run beside whose own days others lack their minutes makes so many of these: some minutes of work.
AT_ONCE = 5_000
# Of so many of the last days of each symbol it looks whether they are of their daily file: three small files a day.
_NEWEST = 30


class _Day(NamedTuple):
    """A symbol's finished day, its daily file, and the file of its minutes."""

    series: Series
    day: date

    @property
    def daily(self) -> Path:
        return self.series.layout.daily(self.series.exchange, self.series.symbol, self.day)

    @property
    def path(self) -> Path:
        return self.series.layout.minutes(self.series.exchange, self.series.symbol, self.day)

    @property
    def beside(self) -> tuple[Path, Path]:
        """The manifest and the checksum."""
        return self.series.layout.manifest(self.path), self.series.layout.checksum(self.path)


def make(
    connection: duckdb.DuckDBPyConnection, series: Series, day: date, seconds: pa.Table | None = None
) -> bool:
    """Bring a day's minutes in line with its daily file, whose rows may be given; return whether they were made anew.

    None are made of a daily file whose bars do not make up minutes, or of one that is not there.

    Raises:
        LakeError: the daily file is damaged, the disk refused, or what was written reads back otherwise.
    """
    of = _Day(series, day)
    if not of.daily.exists() or not (step := _step_us(of.daily)) or (seconds is None and _is_whole(of)):
        return False
    if seconds is None:
        if what := checksums.damage(of.daily, series.layout.checksum(of.daily)):
            raise LakeError(f"{of.daily}: {what}; make its day anew (crypto-lake transformer --date {day})")
        seconds = parquet.bars(of.daily)
    forget(series, day)
    minutes = _minutes(connection, seconds, step)
    starts = parquet.integers(minutes, "window_start")
    if not np.array_equal(starts, np.arange(day_start_us(day), day_start_us(day) + DAY_US, MINUTE_US)):
        raise LakeError(f"{of.daily}: its bars are not those of {day} in order; expected a whole day")
    _publish(connection, of, minutes)
    return True


def forget(series: Series, day: date) -> None:
    """Remove a day's minutes; the daily file that they were made from is about to be replaced, or gone.

    Raises:
        LakeError: the system refused.
    """
    of = _Day(series, day)
    # In this order: what a crash leaves lacks its manifest, and so is not taken for whole.
    there = [path for path in (*of.beside, of.path) if path.exists()]
    for path in there:
        try:
            publish.patiently(path.unlink)
        except OSError as error:
            # On Windows by somebody who reads it: then its daily file stays as it is as well.
            raise LakeError(f"{path}: cannot be removed: {error.strerror or error}") from None
    if there:
        # Else a power loss might bring minutes back that another daily file was made meanwhile.
        publish.sync_folder(of.path.parent)


def lacking(series: Iterable[Series]) -> Iterator[date]:
    """Yield the days whose daily file should have minutes and has none; names alone are looked at."""
    return (of.day for of in _lacking(series))


def outdated(series: Iterable[Series]) -> Iterator[date]:
    """Yield the days whose minutes are not those of their daily file as it is, or not by this code.

    Manifests and checksums are read, not the files themselves: that is `verify`'s.
    """
    return (of.day for of in _outdated(series))


def complete(connection: duckdb.DuckDBPyConnection, series: Iterable[Series]) -> int:
    """Make the minutes of days that have none, and of late ones whose daily file is another; return of how many.

    `AT_ONCE` at most: days were compacted before there were minutes, and a daily file may be put back from a copy. One
    that is damaged keeps no other from its minutes, and is told of in the log.
    """
    made = 0
    some = list(series)
    for of in itertools.islice(itertools.chain(_lacking(some), _outdated(some, _NEWEST)), AT_ONCE):
        try:
            with locked(of.series):
                made += make(connection, of.series, of.day)
        except LakeError as error:
            logger.error("{} {}: no minutes: {}", of.series.symbol, of.day, error)
    if made:
        logger.info("minutes made of {} days that had none, or those of another daily file", made)
    return made


def _outdated(series: Iterable[Series], newest: int = 0) -> Iterator[_Day]:
    """Of each series the days that it has had minutes of last, so many, or all (0)."""
    for one in series:
        for day in one.layout.minute_days(one.exchange, one.symbol)[-newest:]:
            of = _Day(one, day)
            if of.daily.exists() and not _is_current(of):
                yield of


def _lacking(series: Iterable[Series]) -> Iterator[_Day]:
    """Of each series the newest day first: it is asked for most."""
    for one in series:
        folder = one.layout.minutes_symbol(one.exchange, one.symbol)
        there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        for day in reversed(one.layout.daily_days(one.exchange, one.symbol)):
            of = _Day(one, day)
            if not there.issuperset(path.name for path in (of.path, *of.beside)) and _step_us(of.daily):
                yield of


def _step_us(daily: Path) -> int | None:
    """Return how long each bar of a daily file is; None where no minute is made up of whole bars."""
    rows = parquet.row_count(daily)
    step = DAY_US // rows if rows else 0
    return step if rows and step * rows == DAY_US and not MINUTE_US % step else None


def _noted(series: Series, path: Path) -> str | None:
    found = checksums.noted(series.layout.checksum(path))
    return found if checksums.is_one(found) else None


def _is_current(of: _Day) -> bool:
    """Return whether a day has minutes whose manifest says that they were made from its daily file, by this code."""
    # A copy of a daily file that was put back, for example, is another one.
    try:
        noted = publish.read(of.beside[0]) if of.path.is_file() else None
        # It has the columns of the daily file that it names.
        return any(noted == _manifest(of, columns) for columns in (BAR, PROVED_BAR))
    except OSError:
        return False


def _is_whole(of: _Day) -> bool:
    """Return whether a day's minutes are in line with its daily file, and what they were made as."""
    return _is_current(of) and checksums.damage(of.path, of.beside[1]) is None


def _manifest(of: _Day, columns: tuple[Column, ...]) -> bytes:
    """Return the manifest that belongs beside a day's minutes, as the checksums of both files are noted."""
    said = {
        "exchange": of.series.exchange,
        "symbol": of.series.symbol,
        "day": of.day.isoformat(),
        "rows": DAY_US // MINUTE_US,
        "sha256": _noted(of.series, of.path),
        "schema": {column.name: column.type for column in columns},
        "version": MINUTES_VERSION,
        "made_from": _noted(of.series, of.daily),
    }
    return parquet.canonical(said).encode() + b"\n"


def _minutes(connection: duckdb.DuckDBPyConnection, seconds: pa.Table, step: int) -> pa.Table:
    """Add a day's bars up, by the rule of the views.

    Raises:
        duckdb.Error: there is no memory left for it.
    """
    columns = parquet.columns_of(seconds)
    with parquet.registered(connection, day_seconds=seconds):
        longer.add_exactly(connection)
        is_proved = columns == PROVED_BAR
        longer.define(connection, "minutes_of_day", "day_seconds", step, proved=is_proved)
        query = f"SELECT {', '.join(names(columns))} FROM minutes_of_day({MINUTE_US}) ORDER BY window_start"
        return sql.arrow(connection.execute(query)).cast(parquet.arrow_schema(columns))


def _publish(connection: duckdb.DuckDBPyConnection, of: _Day, minutes: pa.Table) -> None:
    compression = of.series.config.transformer.parquet_compression
    parquet.write_compared(connection, minutes, of.path, compression, footer={"version": MINUTES_VERSION})
    manifest, beside = of.beside
    checksums.note(beside, of.path, checksums.of(of.path))
    publish.write(manifest, _manifest(of, parquet.columns_of(minutes)))
