"""Depth: the order book's events and snapshots of a finished day as one Parquet file, a row a level, each line once.

It holds all that a day's segments say of the book, so once it has been compared with the raw lines it can stand for
them. The steps, each of which a crash may follow:

1. stretch by stretch (`depth_rows`), write the rows under a temporary name, and compare them with their lines
2. rename it into place    3. its checksum    4. the manifest, without which it does not count
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
from loguru import logger
from msgspec import Struct, json, to_builtins

from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import NOT_JSON, LakeError, RawDataError
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.raw import book_scan, salvage, segments
from crypto_lake.raw.book_scan import BookSegment
from crypto_lake.raw.lines import OF_BOOK
from crypto_lake.series import Series
from crypto_lake.transform import depth_rows
from crypto_lake.transform.depth_rows import Counts
from crypto_lake.transform.every import of_every_symbol
from crypto_lake.transform.workspace import Workspace, locked

# Goes up when the same raw lines would give other depth.
DEPTH_VERSION = 1
_ADVICE = "expected it whole: take it from a copy"


class KeptDepth(Struct, frozen=True):
    """The memory of a day's depth, in the manifest beside it.

    `followed` is whether an event of the next day follows on the last one, as far as the segments tell. `made_from` is
    what a run compares; `segments` are the names and sizes of all segments whose lines are in it, those that are gone
    included; `ids` are the lowest and the highest id that an event ends with, None where that was not noted.
    """

    rows: int
    events: int
    snapshots: int
    followed: bool
    sha256: str
    made_from: dict[str, Any]
    segments: list[tuple[str, int]]
    ids: tuple[int, int] | None = None


@dataclass(frozen=True)
class Depth:
    """A symbol's day of depth. `rewritten` is False where it was right already."""

    symbol: str
    day: date
    rows: int
    events: int
    path: Path
    rewritten: bool


def read_kept(series: Series, day: date) -> KeptDepth | None:
    """The manifest of a day's depth; None where there is none that can be understood, or no depth beside it."""
    path = series.layout.depth(series.exchange, series.symbol, day)
    try:
        kept = json.decode(publish.read(series.layout.manifest(path)), type=KeptDepth)
    except (OSError, *NOT_JSON):
        return None
    return kept if path.exists() else None


def make(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> Depth | None:
    """Bring a finished day's depth in line with its segments. None where no event of the book was recorded of it.

    Raises:
        LakeError: the day is not over, the disk refused, what was written is not what was read, or the file is damaged
            and segments that it was made of are gone; nothing has changed.
        RawDataError: a segment holds something other than lines of the book.
    """
    if now_us < day_start_us(day) + DAY_US:
        raise LakeError(f"{day} is not over (UTC): depth is made of finished days; expected an earlier day")
    with locked(series):
        try:
            return _make(connection, series, day)
        except RawDataError:
            if not _is_mended(series, day):
                raise
            return _make(connection, series, day)


def _make(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> Depth | None:
    with Workspace(connection, series) as workspace:
        return _made(connection, workspace, series, day)


def _made(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, series: Series, day: date
) -> Depth | None:
    path = series.layout.depth(series.exchange, series.symbol, day)
    found, kept = book_scan.of_day(connection, series, day), read_kept(series, day)
    there, known = {(one.name, one.size) for one in found}, set(kept.segments if kept else [])
    # Depth stands for its segments once one of them is gone; only what came since is read beside it.
    stands = not known.issubset(there)
    new = [one for one in found if (one.name, one.size) not in known] if stands else found
    if kept and _is_whole(path, kept, needed=stands):
        if not new if stands else kept.made_from == _made_from(found):
            checksums.keep(series.layout.checksum(path), path, kept.sha256)
            return Depth(series.symbol, day, kept.rows, kept.events, path, rewritten=False)
    elif not found and series.layout.manifest(path).exists():
        raise LakeError(
            f"{path}: it, or its manifest, is gone or damaged, and so are its segments; {_ADVICE}"
        )
    if not (stands or any(one.has_events_of(day) for one in new)):
        return None
    source = depth_rows.Source(series.symbol, [one.path for one in new], path if stands else None, workspace)
    counts = depth_rows.write(connection, source, day, path, footer={"version": DEPTH_VERSION})
    if not counts:
        return None
    if kept and stands and kept.events == counts.events:
        # What told it is gone as well.
        counts = counts._replace(followed=counts.followed or kept.followed)
    _note(series, path, counts, (_made_from(found), sorted(known | there) if stands else sorted(there)))
    logger.info("{} {}: depth of {} events, {} rows", series.symbol, day, counts.events, counts.rows)
    return Depth(series.symbol, day, counts.rows, counts.events, path, rewritten=True)


def _is_mended(series: Series, day: date) -> bool:
    """Take what is no line out of the segments around a day; return whether there was any."""
    layout, where = series.layout, (series.exchange, series.symbol)
    folders = [layout.raw_day(*where, day + timedelta(days=n)) for n in (-1, 0, 1)]
    paths = [path for folder in folders for path in segments.sealed(folder, [OF_BOOK])]
    return bool(salvage.salvage(layout, *where, paths, salvage.SETTLED_SEC))


def make_all(
    connection: duckdb.DuckDBPyConnection,
    series: Iterable[Series],
    day: date,
    now_us: int,
    failures: list[LakeError] | None = None,
) -> list[Depth]:
    """`make` that of each series; of one without events of the book of the day there is none.

    Raises:
        LakeError: as `make`, the first, when all symbols were tried; with `failures` as `of_every_symbol`.
    """
    return of_every_symbol(
        series, day, lambda one: make(connection, one, day, now_us), "no depth: ", failures=failures
    )


def waiting(connection: duckdb.DuckDBPyConnection, series: Series) -> set[date]:
    """The days whose depth lacks lines of a segment, as far as the journals tell of which days these are.

    Raises:
        RawDataError: a segment that no journal describes holds something other than lines of the book.
    """
    found: set[date] = set()
    known = _Known(series)
    for received in series.layout.raw_days(series.exchange, series.symbol):
        # Of most days, and of those beside them, all is there: no journal has to be read to learn that.
        is_between = all(known[received + timedelta(days=n)] for n in (-1, 1))
        if is_between and book_scan.named(series, received).keys() <= known[received]:
            continue
        for segment in book_scan.of_folder(connection, series, received):
            found |= {day for day in segment.event_days if (segment.name, segment.size) not in known[day]}
    return found


class _Known(dict[date, set[tuple[str, int]]]):
    """The segments that are in the depth of days, read when they are asked for."""

    def __init__(self, series: Series) -> None:
        super().__init__()
        self._series = series

    def __missing__(self, day: date) -> set[tuple[str, int]]:
        kept = read_kept(self._series, day)
        self[day] = set(kept.segments if kept else [])
        return self[day]


def _made_from(found: list[BookSegment]) -> dict[str, Any]:
    return {"version": DEPTH_VERSION, "segments": [[one.name, one.size] for one in found]}


def _is_whole(path: Path, kept: KeptDepth, *, needed: bool) -> bool:
    """Return whether a file is as it was made; one that is not is made anew, which takes its segments.

    Raises:
        LakeError: it is not, and is `needed`: it stands for segments that are gone.
    """
    if checksums.of(path) == kept.sha256:
        return True
    if needed:
        raise LakeError(f"{path}: damaged, and raw segments that it was made of are gone; {_ADVICE}")
    logger.warning("{}: damaged; it is made anew from the raw segments", path)
    return False


def _note(
    series: Series, path: Path, counts: Counts, of: tuple[dict[str, Any], list[tuple[str, int]]]
) -> None:
    """Publish the checksum and the manifest of a file that has appeared."""
    checksum, (made_from, held) = checksums.of(path), of
    checksums.note(series.layout.checksum(path), path, checksum)
    kept = KeptDepth(*counts[:-1], checksum, made_from, held, counts.ids)
    publish.write(series.layout.manifest(path), parquet.canonical(to_builtins(kept)).encode() + b"\n")
