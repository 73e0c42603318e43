"""Ticks: the trades and quotes of a finished day as two Parquet files, typed, sorted, each line once.

They hold all that a day's segments say of it, so once they have been compared with the raw lines, row for row, they can
stand for them: the same bars come out of either. The steps, each of which a crash may follow:

1. stretch by stretch (`tick_hours`), make both, in a staging folder if they are many, and compare them with their lines
2. publish the trades, then the quotes, each with its checksum    3. the manifest, without which neither counts
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from loguru import logger
from msgspec import to_builtins
from msgspec.structs import replace

from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import LakeError, RawDataError
from crypto_lake.layout import DAY_US, HOURS_OF_A_DAY, day_start_us
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.intervals import Interval, clipped, union
from crypto_lake.raw.kept import Kept, read_kept
from crypto_lake.raw.lines import TICKS, TRADE
from crypto_lake.raw.sources import Source, recorders_of
from crypto_lake.schema import names
from crypto_lake.series import Series
from crypto_lake.transform import tick_hours
from crypto_lake.transform.every import of_every_symbol
from crypto_lake.transform.hours import Hour
from crypto_lake.transform.plan import Plan
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
        plan = Plan(catalog, series, day, start + DAY_US)
        sources = plan.read()
        if not sources:
            manifest = series.layout.ticks_manifest(series.exchange, series.symbol, day)
            if manifest.exists():
                raise LakeError(
                    f"{manifest}: it, or its ticks, are gone or damaged, and so are the raw segments; {_ADVICE}"
                )
            return None
        wanted, spare = _fingerprint(plan, sources), _spare(plan, sources, kept)
        heard = _heard(plan, sources, kept)
        damaged = _damaged(series, day, kept, sources) if kept else []
        if kept and not damaged and (kept.made_from == wanted or all(source.is_ticks for source in sources)):
            return _in_line(series, day, kept, replace(kept, spare=spare, heard=heard))
        hours = tick_hours.of_day(plan)
        rows = _write(connection, workspace, series, day, hours)
        listened = union(stretch for hour in hours for stretch in hour.listened(connection, workspace))
        of = _Made(wanted, _held(sources, kept), spare, listened, heard, rows)
        _write_manifest(connection, series, day, of)
        logger.info("{} {}: ticks of {} trades and {} quotes", series.symbol, day, *rows.values())
        return Ticks(series.symbol, day, rows, _paths(series, day), rewritten=True)


def make_all(
    connection: duckdb.DuckDBPyConnection,
    series: Iterable[Series],
    day: date,
    now_us: int,
    failures: list[LakeError] | None = None,
) -> list[Ticks]:
    """`make` those of each series; of one without segments of the day there are none.

    Raises:
        LakeError: as `make`, the first, when all symbols were tried; with `failures` as `of_every_symbol`.
    """
    return of_every_symbol(
        series, day, lambda one: make(connection, one, day, now_us), "no ticks: ", failures=failures
    )


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


def _in_line(series: Series, day: date, kept: Kept, wanted: Kept) -> Ticks:
    """Keep a day's ticks as they are, but for what their manifest says beside what they are made of."""
    if kept != wanted:
        _publish(series, day, wanted)
    paths = _paths(series, day)
    for table, path in paths.items():
        checksums.keep(series.layout.checksum(path), path, kept.sha256[table])
    return Ticks(series.symbol, day, kept.rows, paths, rewritten=False)


def _fingerprint(plan: Plan, sources: list[Source]) -> dict[str, Any]:
    start = day_start_us(plan.day)
    return {
        "version": TICKS_VERSION,
        "segments": [[source.name, source.size] for source in sources],
        "clock": checksums.of_bytes(parquet.canonical(_clock(plan, sources)).encode()),
        "listened": [list(one) for one in clipped(plan.catalog.covered, start, start + DAY_US)],
    }


def _clock(plan: Plan, sources: list[Source]) -> list[Any]:
    """Return the offset of each minute; of several recorders by hour, with whose segments the hour is read from."""
    start = day_start_us(plan.day)
    if len(recorders_of(sources)) <= 1:
        return sorted(plan.catalog.offsets(sources, start, start + DAY_US).items())
    hours = [plan.made_from(hour) for hour in range(HOURS_OF_A_DAY)]
    return [[hour["segments"], hour["offsets"], hour.get("recorders")] for hour in hours]


def _spare(plan: Plan, sources: list[Source], kept: Kept | None) -> list[tuple[str, int]]:
    """Return the segments that need not be read, those included that were so when ticks were made that stand now."""
    before = kept.spare if kept and any(source.is_ticks for source in sources) else []
    return sorted({*before, *((source.name, source.size) for source in plan.spare())})


def _heard(plan: Plan, sources: list[Source], kept: Kept | None) -> list[Interval] | None:
    """Return when somebody listened on the day; None where that is told only by ticks that do not know."""
    if kept and kept.heard is None and any(source.is_ticks for source in sources):
        return None
    start = day_start_us(plan.day)
    return clipped(plan.catalog.listened, start, start + DAY_US)


class _Made(NamedTuple):
    """The origin of new ticks; all but the number of rows as in `Kept`."""

    fingerprint: dict[str, Any]
    segments: list[tuple[str, int]]
    spare: list[tuple[str, int]]
    listened: list[Interval]
    heard: list[Interval] | None
    rows: dict[str, int]


def _held(sources: list[Source], kept: Kept | None) -> list[tuple[str, int]]:
    """All segments whose lines are in the ticks now, those that are gone included."""
    gone = kept.segments if kept and any(source.is_ticks for source in sources) else []
    return sorted({*gone, *((source.name, source.size) for source in sources if not source.is_ticks)})


def _paths(series: Series, day: date) -> dict[str, Path]:
    layout, exchange, symbol = series.layout, series.exchange, series.symbol
    return {stream.table: layout.ticks(exchange, symbol, stream.table, day) for stream in TICKS}


def _write(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    series: Series,
    day: date,
    hours: list[Hour],
) -> dict[str, int]:
    """Both files and their checksums; how many rows they have is returned."""
    rows = {}
    with tick_hours.made(connection, workspace, hours) as made:
        # Of one file DuckDB knows from its footer which columns have no nulls, of several it does not, and encodes them
        # otherwise: how the hours were staged would be seen in the bytes. So would be which of two threads was the
        # quicker: where a row group ends depends on it.
        connection.execute("SET disabled_optimizers = 'statistics_propagation'; SET threads = 1")
        try:
            for stream in TICKS:
                path = _paths(series, day)[stream.table]
                query = f"SELECT {', '.join(names(stream.columns))} FROM {made[stream]}"
                parquet.write(connection, query, path, _COMPRESSION, footer={"version": TICKS_VERSION})
                checksums.note(series.layout.checksum(path), path, checksums.of(path))
                rows[stream.table] = parquet.row_count(path) or 0
        finally:
            connection.execute("RESET disabled_optimizers; RESET threads")
    return rows


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
        listened=made.listened,
        span=(start, start + DAY_US - 1),
        trade_ids=None if first is None else (first, last),
        spare=made.spare,
        heard=made.heard,
    )
    _publish(series, day, kept)


def _publish(series: Series, day: date, kept: Kept) -> None:
    text = parquet.canonical(to_builtins(kept)).encode() + b"\n"
    publish.write(series.layout.ticks_manifest(series.exchange, series.symbol, day), text)


def all_paths(series: Series) -> Iterator[Path]:
    """All ticks files of a series, by table and day."""
    layout = series.layout
    for stream in TICKS:
        for day in layout.ticks_days(series.exchange, series.symbol, stream.table):
            yield layout.ticks(series.exchange, series.symbol, stream.table, day)
