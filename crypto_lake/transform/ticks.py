"""Ticks: the trades and quotes of a finished day as two Parquet files, typed, sorted, each line once.

They hold all that a day's segments say of it, so once they have been compared with the raw lines, row for row, they can
stand for them: the same bars come out of either. The steps, each of which a crash may follow:

1. hour by hour, write both into a staging folder, and compare what was written with the lines it came from
2. publish the trades, then the quotes, each with its checksum    3. the manifest, without which neither counts
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from loguru import logger
from msgspec import to_builtins

from crypto_lake import sql
from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import LakeError, RawDataError
from crypto_lake.layout import DAY_US, HOUR_US, HOURS_OF_A_DAY, day_of, day_start_us
from crypto_lake.raw import scan
from crypto_lake.raw.catalog import Catalog, Recording
from crypto_lake.raw.intervals import Interval, clipped
from crypto_lake.raw.kept import Kept, read_kept
from crypto_lake.raw.lines import TICKS, TRADE
from crypto_lake.raw.sources import Source, has_late, in_place
from crypto_lake.schema import names
from crypto_lake.series import Series
from crypto_lake.transform import hours
from crypto_lake.transform.every import of_every_symbol
from crypto_lake.transform.workspace import Workspace, locked

# Goes up when the same raw lines would give other ticks.
TICKS_VERSION = 1
_COMPRESSION = "zstd"
_ADVICE = "expected either whole: take one from a copy"


@dataclass(frozen=True)
class Ticks:
    """A symbol's day in ticks: `rows` and `paths` by table. `rewritten` is False where they were right already."""

    symbol: str
    day: date
    rows: dict[str, int]
    paths: dict[str, Path]
    rewritten: bool


def make(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> Ticks | None:
    """Bring a finished day's ticks in line with its segments. None where nothing was recorded of it.

    Raises:
        LakeError: the day is not over, the disk refused, what was written is not what was read, or a file is damaged
            whose segments are gone; nothing has changed.
        RawDataError: a segment holds something other than raw lines.
    """
    start = day_start_us(day)
    if now_us < start + DAY_US:
        raise LakeError(f"{day} is not over (UTC): ticks are made of finished days; expected an earlier day")
    with locked(series), Workspace(connection, series) as workspace:
        kept = read_kept(series.layout, series.exchange, series.symbol, day)
        catalog = Recording(connection, series).around(day)
        if catalog.refused:
            raise RawDataError("; ".join(one.reason for one in catalog.refused))
        sources = catalog.between(start, start + DAY_US)
        if not sources:
            manifest = series.layout.ticks_manifest(series.exchange, series.symbol, day)
            if manifest.exists():
                raise LakeError(
                    f"{manifest}: it, or its ticks, are gone or damaged, and so are the raw segments; {_ADVICE}"
                )
            return None
        wanted = _fingerprint(catalog, sources, day)
        damaged = _damaged(series, day, kept, sources) if kept else []
        if kept and not damaged and (kept.made_from == wanted or all(source.is_ticks for source in sources)):
            return Ticks(series.symbol, day, kept.rows, _paths(series, day), rewritten=False)
        rows = _write(connection, workspace, series, catalog, day)
        heard = hours.heard(connection, workspace, series, catalog, day)
        _write_manifest(connection, series, day, _Made(wanted, _held(sources, kept), heard, rows))
        logger.info("{} {}: ticks of {} trades and {} quotes", series.symbol, day, *rows.values())
        return Ticks(series.symbol, day, rows, _paths(series, day), rewritten=True)


def make_all(
    connection: duckdb.DuckDBPyConnection, series: Iterable[Series], day: date, now_us: int
) -> list[Ticks]:
    """`make` those of each series; of one without segments of the day there are none.

    Raises:
        LakeError: as `make`, the first, when all symbols were tried.
    """
    return of_every_symbol(series, day, lambda one: make(connection, one, day, now_us), "no ticks: ")


def _damaged(series: Series, day: date, kept: Kept, sources: list[Source]) -> list[Path]:
    """The files that are not as they were made; they are then made anew, which takes their segments.

    Raises:
        LakeError: there is one, and it stands for segments that are gone.
    """
    found = [path for table, path in _paths(series, day).items() if checksums.of(path) != kept.sha256[table]]
    for path in found:
        if any(source.is_ticks for source in sources):
            raise LakeError(f"{path}: damaged, and raw segments that it was made of are gone; {_ADVICE}")
        logger.warning("{}: damaged; it is made anew from the raw segments", path)
    return found


def _fingerprint(catalog: Catalog, sources: list[Source], day: date) -> dict[str, Any]:
    start = day_start_us(day)
    offsets = catalog.offsets.by_minute(sources, start, start + DAY_US)
    clock = checksums.of_bytes(parquet.canonical(sorted(offsets.items())).encode())
    return {
        "version": TICKS_VERSION,
        "segments": [[source.name, source.size] for source in sources],
        "clock": clock,
        "listened": [list(one) for one in clipped(catalog.covered, start, start + DAY_US)],
    }


class _Made(NamedTuple):
    """The origin of new ticks: the segments in them, when these were heard, and how many rows there are."""

    fingerprint: dict[str, Any]
    segments: list[tuple[str, int]]
    heard: list[Interval]
    rows: dict[str, int]


def _held(sources: list[Source], kept: Kept | None) -> list[tuple[str, int]]:
    """All segments whose lines are in the ticks now, those that are gone included."""
    gone = kept.segments if kept and any(source.is_ticks for source in sources) else []
    return sorted({*gone, *((source.name, source.size) for source in sources if not source.is_ticks)})


def _paths(series: Series, day: date) -> dict[str, Path]:
    layout, exchange, symbol = series.layout, series.exchange, series.symbol
    return {stream.table: layout.ticks(exchange, symbol, stream.table, day) for stream in TICKS}


def _write(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, series: Series, catalog: Catalog, day: date
) -> dict[str, int]:
    """Both files and their checksums; how many rows they have is returned."""
    staging = series.layout.ticks_staging(series.exchange, series.symbol)
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    rows = {}
    try:
        for hour in range(HOURS_OF_A_DAY):
            _stage(connection, workspace, series, catalog, day_start_us(day) + hour * HOUR_US)
        for stream in TICKS:
            path = _paths(series, day)[stream.table]
            columns = ", ".join(names(stream.columns))
            query = f"SELECT {columns} FROM {parquet.scan(_staged(staging, stream.table))}"
            parquet.write(connection, query, path, _COMPRESSION, footer={"version": TICKS_VERSION})
            checksums.note(series.layout.checksum(path), path, checksums.of(path))
            rows[stream.table] = parquet.row_count(path) or 0
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return rows


def _staged(staging: Path, table: str) -> list[Path]:
    return [staging / f"{table}-{hour:02d}.parquet" for hour in range(HOURS_OF_A_DAY)]


def _stage(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, series: Series, catalog: Catalog, start: int
) -> None:
    """Write the hour from `start` (µs) on, all tables, and compare it with the lines that it was made from."""
    hour = start % DAY_US // HOUR_US
    staging = series.layout.ticks_staging(series.exchange, series.symbol)
    sources = catalog.between(start, start + HOUR_US)
    offsets = catalog.offsets.by_minute(sources, start, start + HOUR_US)
    bounds = {"hour_start": start, "hour_end": start + HOUR_US}
    clock = [{"clock": 0, "minute": minute, "offset_us": us} for minute, us in offsets.items()]
    placed = bounds | {"offsets": clock}
    where = f"{series.symbol} {day_of(start)} hour {hour:02d}"
    written = {stream: _staged(staging, stream.table)[hour] for stream in TICKS}
    try:
        lines = workspace.lines(sources, hours.window(start, offsets))
        with sql.kept(connection, "hour_lines", scan.in_slot(0, f"FROM {lines}")):
            once = in_place(scan.once("hour_lines"), sources)
            given = {"starts": [start]} | ({"clocks": [0], "offsets": clock} if has_late(sources) else {})
            with sql.kept(connection, "hour_once", f"FROM {once}", **given):
                for stream, path in written.items():
                    select = sql.statement(f"transform/tick_{stream.table}", {"once": "hour_once"})
                    # What has no time of the exchange is put on its clock, and belongs to the hour only then.
                    values = {} if stream.has_event_time else placed
                    parquet.copy(connection, select, path, symbol=series.symbol, **values)
            tables = {f"hour_{stream.table}": parquet.scan([path]) for stream, path in written.items()}
            tables["raw"] = "hour_lines"
            ((differences,),) = sql.ask(connection, "transform/tick_differences", tables, **placed).fetchall()
    except duckdb.Error as error:
        raise RawDataError(f"{where}: {' '.join(str(error).split())}") from None
    if differences:
        raise LakeError(
            f"{where}: {differences} ticks differ from the raw lines; expected none; nothing was changed"
        )


def _write_manifest(connection: duckdb.DuckDBPyConnection, series: Series, day: date, made: _Made) -> None:
    """The contents of the files, as the catalog will want to know them when their segments are gone."""
    paths = _paths(series, day)
    query = f"SELECT min(id), max(id) FROM {parquet.scan([paths[TRADE.table]])}"
    ((first, last),) = connection.execute(query).fetchall()
    start = day_start_us(day)
    kept = Kept(
        rows=made.rows,
        sha256={table: checksums.of(path) for table, path in paths.items()},
        made_from=made.fingerprint,
        segments=made.segments,
        listened=made.heard,
        span=(start, start + DAY_US - 1),
        trade_ids=None if first is None else (first, last),
    )
    text = parquet.canonical(to_builtins(kept)).encode() + b"\n"
    publish.write(series.layout.ticks_manifest(series.exchange, series.symbol, day), text)


def all_paths(series: Series) -> Iterator[Path]:
    """All ticks files of a series, by table and day."""
    layout = series.layout
    for stream in TICKS:
        for day in layout.ticks_days(series.exchange, series.symbol, stream.table):
            yield layout.ticks(series.exchange, series.symbol, stream.table, day)
