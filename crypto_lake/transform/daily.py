"""Compaction: the parts of a finished day become one daily file, its checksum and its manifest, and its minutes.

The steps, each of which a crash may follow (`docs/FORMAT.md` lists what is then on disk, and why no reader is
misled and the next run mends it):

1. read the parts and, for hours that have none, the daily file before it; look that every interval of the day is there
   once and in order
2. write the daily file under a temporary name, and read it back: columns and rows are those that were read
3. rename it into place    4. its checksum    5. its manifest    6. remove the parts    7. its minutes (`minutes`)

Where there is a proof of the day's quotes (`proof`), the file has what that says, and is made anew with another one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from loguru import logger
from msgspec import Struct, json, to_builtins

from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import NOT_JSON, LakeError
from crypto_lake.layout import DAY_US, HOUR_US, HOURS_OF_A_DAY, SECOND_US, day_start_us
from crypto_lake.schema import BAR
from crypto_lake.series import Series
from crypto_lake.transform import minutes, plan, proof, proved
from crypto_lake.transform.every import of_every_symbol
from crypto_lake.transform.plan import PartRecord
from crypto_lake.transform.workspace import locked


@dataclass(frozen=True)
class Compacted:
    """The result of a run for one symbol's day. `rewritten` is False where the daily file was right already."""

    symbol: str
    day: date
    path: Path
    rows: int
    sha256: str
    rewritten: bool


def compact(
    connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int
) -> Compacted | None:
    """Make (or make anew, where there are parts younger than it) the daily file of a day, and the minutes of it.

    None where the day has no bars at all.

    Raises:
        LakeError: the day is not over, or what would be the daily file is not a whole day: all stays as it was. Or the
            disk refused: a daily file without minutes gets them by the next run.
    """
    if now_us < day_start_us(day) + DAY_US:
        raise LakeError(f"{day} is not over (UTC): a day in progress stays in parts; expected an earlier day")
    layout = series.layout
    with locked(series):
        path = layout.daily(series.exchange, series.symbol, day)
        parts = layout.parts(series.exchange, series.symbol, day)
        rows = None
        if parts:
            rows = _make(connection, series, day, proof.standing(series, day))
            for part in parts:
                part.unlink()
            _remove_empty_folders(parts[0].parent, layout.bars_symbol(series.exchange, series.symbol))
        elif not path.exists():
            return None
        done = Compacted(
            series.symbol, day, path, _row_count(path), _checksum(series, day), rewritten=bool(parts)
        )
        minutes.make(connection, series, day, rows)
        columns = len(parquet.columns_of(rows) if rows else BAR)
        logger.info(
            "{} {}: {} bars of {} columns, sha256 {}", done.symbol, day, done.rows, columns, done.sha256
        )
        return done


def prove(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> proof.Manifest | None:
    """Bring the proof of a finished day's quotes in line with its book, and the daily file with the proof.

    None where the day has no book, or no quotes; a daily file that there is not gets the proof when it is made.

    Raises:
        LakeError: a file is damaged, or the disk refused.
    """
    path = series.layout.daily(series.exchange, series.symbol, day)
    with locked(series):
        prepared = proof.prepare(series, day)
        if prepared is None:
            return None
        if path.exists() and _proof_of(series, day) != prepared.name:
            rows = _make(connection, series, day, (prepared.name, prepared.rows))
            minutes.make(connection, series, day, rows)
        return proof.appear(prepared)


def prove_all(
    connection: duckdb.DuckDBPyConnection,
    series: Iterable[Series],
    day: date,
    failures: list[LakeError] | None = None,
) -> list[proof.Manifest]:
    """`prove` each series; of one without a book there is no proof.

    Raises:
        LakeError: as `prove`, the first, when all symbols were tried; with `failures` as `of_every_symbol`.
    """
    return of_every_symbol(
        series, day, lambda one: prove(connection, one, day), "no proof: ", failures=failures
    )


def compact_all(
    connection: duckdb.DuckDBPyConnection,
    series: Iterable[Series],
    day: date,
    now_us: int,
    failures: list[LakeError] | None = None,
) -> list[Compacted]:
    """`compact` each series; those without bars of the day are left out.

    Raises:
        LakeError: as `compact`, the first, when all symbols were tried; with `failures` as `of_every_symbol`.
    """
    return of_every_symbol(
        series, day, lambda one: compact(connection, one, day, now_us), "", failures=failures
    )


def whole_day(series: Series) -> int:
    """Return how many bars a finished day has."""
    return DAY_US // (series.config.transformer.resample_interval_sec * SECOND_US)


class _Remembered(NamedTuple):
    """What a daily file remembers of its origin: the records of its hours, and the proof that is in it."""

    records: dict[int, PartRecord]
    proof: str | None


def _make(
    connection: duckdb.DuckDBPyConnection, series: Series, day: date, told: tuple[str, pa.Table] | None
) -> pa.Table:
    """Write the daily file of the bars that there are, with what a proof says (its name, its rows); return its rows."""
    rows = _rows(connection, series, day)
    if told:
        rows = proved.proved(connection, series, rows, told[1])
    _write(connection, series, day, rows, _Remembered(plan.remembered(series, day), told and told[0]))
    return rows


def _write(
    connection: duckdb.DuckDBPyConnection, series: Series, day: date, rows: pa.Table, origin: _Remembered
) -> None:
    layout = series.layout
    path = layout.daily(series.exchange, series.symbol, day)
    # Before, or a crash would leave them beside a daily file that they were not made from.
    minutes.forget(series, day)
    compression = series.config.transformer.parquet_compression
    parquet.write_compared(connection, rows, path, compression, footer={"version": plan.TRANSFORM_VERSION})
    checksum = checksums.of(path)
    checksums.note(layout.checksum(path), path, checksum)
    manifest = {
        "exchange": series.exchange,
        "symbol": series.symbol,
        "day": day.isoformat(),
        "rows": whole_day(series),
        "sha256": checksum,
        "schema": {column.name: column.type for column in parquet.columns_of(rows)},
        "version": plan.TRANSFORM_VERSION,
        "made_from": {f"{hour:02d}": to_builtins(record) for hour, record in sorted(origin.records.items())},
    }
    if origin.proof:
        manifest["proof"] = origin.proof
    publish.write(layout.manifest(path), parquet.canonical(manifest).encode() + b"\n")


def _proof_of(series: Series, day: date) -> str | None:
    """Return the name of the proof that a daily file has, by its manifest."""
    path = series.layout.manifest(series.layout.daily(series.exchange, series.symbol, day))
    try:
        return json.decode(publish.read(path), type=_Manifest).proof
    except (OSError, *NOT_JSON):
        return None


class _Manifest(Struct):
    """The part of a manifest that says which proof is in the file."""

    proof: str | None = None


def _rows(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> pa.Table:
    """Return all bars of a day, in order: those of its parts, which are the younger, and of the daily file the rest.

    They are as they were received: what a proof filled is taken back.

    Raises:
        LakeError: a file cannot be read, or they are not a whole day.
    """
    layout = series.layout
    daily = layout.daily(series.exchange, series.symbol, day)
    present = layout.parts_by_hour(series.exchange, series.symbol, day)
    try:
        found = [parquet.bars(path) for path in present.values()]
        if daily.exists() and len(present) < HOURS_OF_A_DAY:
            rest = proved.received(connection, series, day, parquet.bars(daily))
            hours = (parquet.integers(rest, "window_start") - day_start_us(day)) // HOUR_US
            found.append(rest.filter(pa.array(~np.isin(hours, list(present)))))
    except LakeError as error:
        raise LakeError(f"{error}; make its day anew (crypto-lake transformer --date {day})") from None
    return _in_order(series, day, pa.concat_tables(found))


def _in_order(series: Series, day: date, rows: pa.Table) -> pa.Table:
    """Return the bars of a day in order of time.

    Raises:
        LakeError: they are not a whole day.
    """
    starts = parquet.integers(rows, "window_start")
    if np.any(starts[1:] < starts[:-1]):
        order = np.argsort(starts, kind="stable")
        rows, starts = rows.take(pa.array(order)), starts[order]
    whole = whole_day(series)
    step = series.config.transformer.resample_interval_sec * SECOND_US
    misplaced = int(np.sum(starts != day_start_us(day) + np.arange(len(starts)) * step))
    if len(starts) != whole or misplaced:
        raise LakeError(
            f"{series.symbol} {day}: not compacted: {len(starts)} bars, {misplaced} of them not where they belong; "
            f"expected {whole}, one after the other; make the bars of the whole day first (crypto-lake transformer)"
        )
    return rows


def current_rows(series: Series, day: date) -> str:
    """The query for all rows of a day: its parts, which are the younger, and the hours that only the daily file has."""
    layout = series.layout
    daily = layout.daily(series.exchange, series.symbol, day)
    present = layout.parts_by_hour(series.exchange, series.symbol, day)
    columns = ", ".join(column.name for column in BAR)
    queries = [f"SELECT {columns} FROM {parquet.scan(list(present.values()))}"] if present else []
    if daily.exists() and len(present) < HOURS_OF_A_DAY:
        start = day_start_us(day)
        hours = ", ".join(str(start + hour * HOUR_US) for hour in present) or "0"
        queries.append(
            f"SELECT {columns} FROM {parquet.scan([daily])}"
            f" WHERE epoch_us(window_start) // {HOUR_US} * {HOUR_US} NOT IN ({hours})"
        )
    return f"FROM ({' UNION ALL '.join(queries)})"


def recorded_checksum(series: Series, day: date) -> str | None:
    """The checksum that stands beside a daily file; None where there is none that can be understood."""
    path = series.layout.checksum(series.layout.daily(series.exchange, series.symbol, day))
    noted = checksums.noted(path)
    return noted if checksums.is_one(noted) else None


def _checksum(series: Series, day: date) -> str:
    """The recorded checksum of a daily file; computed and recorded where a crash came before that."""
    path = series.layout.daily(series.exchange, series.symbol, day)
    if recorded_checksum(series, day) is None:
        checksums.note(series.layout.checksum(path), path, checksums.of(path))
    return str(recorded_checksum(series, day))


def _row_count(path: Path) -> int:
    """Return how many rows a daily file says it has.

    Raises:
        LakeError: it cannot be read; from raw files it is made anew by the transform and another compaction.
    """
    rows = parquet.row_count(path)
    if rows is None:
        raise LakeError(
            f"{path}: not a readable Parquet file; remove it, then make its day anew from the raw files"
        )
    return rows


def _remove_empty_folders(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
