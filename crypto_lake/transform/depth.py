"""Depth: the order book's events and snapshots of a finished day as one Parquet file, a row a level, each line once.

It holds all that a day's segments say of the book, so once it has been compared with the raw lines it can stand for
them. The steps, each of which a crash may follow:

1. stretch by stretch (`depth_rows`), write the rows under a temporary name, and compare them with their lines
2. rename it into place    3. its checksum    4. the manifest, without which it does not count
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from loguru import logger
from msgspec import Struct, json, to_builtins

from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import NOT_JSON, LakeError
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.raw import book_scan
from crypto_lake.raw.book_scan import BookSegment
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

    `made_from` is what a run compares; `segments` are the names and sizes of all segments whose lines are in it, those
    that are gone included.
    """

    rows: int
    events: int
    snapshots: int
    sha256: str
    made_from: dict[str, Any]
    segments: list[tuple[str, int]]


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
    path = series.layout.depth(series.exchange, series.symbol, day)
    with locked(series), Workspace(connection, series):
        found = book_scan.of_day(connection, series, day)
        kept = read_kept(series, day)
        there = {(one.name, one.size) for one in found}
        stands = kept is not None and not there.issuperset(kept.segments)
        new = [one for one in found if not (kept and stands and (one.name, one.size) in set(kept.segments))]
        if kept and _is_whole(path, kept, needed=stands):
            if not new if stands else kept.made_from == _made_from(found):
                return Depth(series.symbol, day, kept.rows, kept.events, path, rewritten=False)
        elif not found and series.layout.manifest(path).exists():
            raise LakeError(
                f"{path}: it, or its manifest, is gone or damaged, and so are its segments; {_ADVICE}"
            )
        if not new:
            return None
        counts = _write(connection, series, day, (path, new, stands))
        if not counts:
            return None
        gone = kept.segments if kept and stands else []
        held = sorted({*gone, *there})
        _publish(series, path, counts, (_made_from(found), held))
        logger.info("{} {}: depth of {} events, {} rows", series.symbol, day, counts.events, counts.rows)
        return Depth(series.symbol, day, counts.rows, counts.events, path, rewritten=True)


def make_all(
    connection: duckdb.DuckDBPyConnection, series: Iterable[Series], day: date, now_us: int
) -> list[Depth]:
    """`make` that of each series; of one without events of the book of the day there is none.

    Raises:
        LakeError: as `make`, the first, when all symbols were tried.
    """
    return of_every_symbol(series, day, lambda one: make(connection, one, day, now_us), "no depth: ")


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


def _write(
    connection: duckdb.DuckDBPyConnection,
    series: Series,
    day: date,
    made: tuple[Path, list[BookSegment], bool],
) -> Counts | None:
    """Write the file, of segments and, if it stands for some that are gone, of itself; None where there is no event."""
    path, new, stands = made
    source = depth_rows.Source(series.symbol, [one.path for one in new], path if stands else None)
    counts = depth_rows.write(connection, source, day, path, footer={"version": DEPTH_VERSION})
    if counts:
        checksums.note(series.layout.checksum(path), path, checksums.of(path))
    return counts


def _publish(
    series: Series, path: Path, counts: Counts, of: tuple[dict[str, Any], list[tuple[str, int]]]
) -> None:
    made_from, held = of
    kept = KeptDepth(counts.rows, counts.events, counts.snapshots, checksums.of(path), made_from, held)
    publish.write(series.layout.manifest(path), parquet.canonical(to_builtins(kept)).encode() + b"\n")
