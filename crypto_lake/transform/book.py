"""The book of a finished day, rebuilt from its depth: its best levels each second, its best bid and ask at each event.

A day begins with the book that the day before ended with, where it has one and its events follow on, else it is not
known until the first snapshot. The steps, each of which a crash may follow:

1. carry the book along the day's depth, and publish what it was at each second and at each event
2. publish what it is at the day's end    3. the checksums    4. the manifest, without which none of them counts
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
from loguru import logger
from msgspec import to_builtins

from crypto_lake.book.chain import Carried, Chain, Snapshot
from crypto_lake.book.side import Side
from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import LakeError
from crypto_lake.layout import day_start_us
from crypto_lake.schema import BOOK, BOUNDARY, DEPTH
from crypto_lake.series import Series
from crypto_lake.transform import depth, depth_read
from crypto_lake.transform.book_kept import (
    BOOK_VERSION,
    Anchors,
    Breaks,
    End,
    KeptBook,
    Table,
    paths,
    read_kept,
)
from crypto_lake.transform.book_rows import Boundaries, Seconds, end_table
from crypto_lake.transform.depth_read import Lines
from crypto_lake.transform.every import of_every_symbol
from crypto_lake.transform.workspace import locked

# Two connections may cut the ids of a second otherwise, so a day may begin with ids of the one before; not with more.
_OVERLAP = 1_000_000


@dataclass(frozen=True)
class Book:
    """A symbol's day of the book. `rewritten` is False where it was right already."""

    symbol: str
    day: date
    kept: KeptBook
    rewritten: bool


def make(series: Series, day: date) -> Book | None:
    """Bring a day's book in line with its depth, and with the book of the day before. None where it has no depth.

    Raises:
        LakeError: the depth is damaged, or the disk refused.
    """
    source = series.layout.depth(series.exchange, series.symbol, day)
    with locked(series):
        of_depth = depth.read_kept(series, day)
        if of_depth is None:
            return None
        before = read_kept(series, day - timedelta(days=1))
        made_from = _made_from(of_depth, before)
        kept = read_kept(series, day)
        if kept and kept.made_from == made_from and _is_whole(series, day, kept):
            for name, checksum in kept.sha256.items():
                path = paths(series, day)[name]
                checksums.keep(series.layout.checksum(path), path, checksum)
            return Book(series.symbol, day, kept, rewritten=False)
        if checksums.of(source) != of_depth.sha256:
            raise LakeError(f"{source}: damaged; make it anew (crypto-lake compact --date {day})")
        carried = begins_with(series, day, of_depth, before)
        chain, rows = _write(series, day, source, (carried, of_depth.followed))
        kept = _publish(series, day, (chain, rows), made_from)
    logger.info(
        "{} {}: book of {} events, {} breaks, {} levels of snapshots compared, {} different",
        *(series.symbol, day, rows["boundaries"], chain.break_count),
        *(chain.levels_compared, chain.levels_different),
    )
    return Book(series.symbol, day, kept, rewritten=True)


def make_all(
    _connection: duckdb.DuckDBPyConnection,
    series: Iterable[Series],
    day: date,
    _now_us: int,
    failures: list[LakeError] | None = None,
) -> list[Book]:
    """`make` that of each series; of one without depth of the day there is none.

    Raises:
        LakeError: as `make`, the first, when all symbols were tried; with `failures` as `of_every_symbol`.
    """
    return of_every_symbol(series, day, lambda one: make(one, day), "no book: ", failures=failures)


def waiting(series: Series) -> set[date]:
    """The days whose book is not there, or not in line with their depth and the book of the day before."""
    kept = {day: read_kept(series, day) for day in series.layout.depth_days(series.exchange, series.symbol)}
    found = set()
    for day, one in kept.items():
        of_depth, before = depth.read_kept(series, day), kept.get(day - timedelta(days=1))
        if of_depth and (one is None or one.made_from != _made_from(of_depth, before)):
            found.add(day)
    return found


def _made_from(of_depth: depth.KeptDepth, before: KeptBook | None) -> dict[str, Any]:
    end = _goes_on_from(of_depth, before)
    carried = [end.id, before.sha256.get("end")] if before and end else None
    return {
        "version": BOOK_VERSION,
        "depth": of_depth.sha256,
        "carried": carried,
        "followed": of_depth.followed,
    }


def _goes_on_from(of_depth: depth.KeptDepth, before: KeptBook | None) -> End | None:
    """Return what the day before ended with; None where the exchange counts anew since, or named an absurd id then."""
    end = before.end if before else None
    if end and of_depth.ids:
        lowest, highest = of_depth.ids
        if highest <= end.id or lowest < end.id - _OVERLAP:
            return None
    return end


def _is_whole(series: Series, day: date, kept: KeptBook) -> bool:
    found = paths(series, day)
    damaged = [found[name] for name, wanted in kept.sha256.items() if checksums.of(found[name]) != wanted]
    for path in damaged:
        logger.warning("{}: damaged; it is made anew from the depth", path)
    return not damaged


def begins_with(
    series: Series, day: date, of_depth: depth.KeptDepth, before: KeptBook | None
) -> Carried | None:
    """Return the book that a day begins with, by its own depth and by the manifest of the day before.

    Raises:
        LakeError: the file of the day before is damaged.
    """
    end, day = _goes_on_from(of_depth, before), day - timedelta(days=1)
    if before is None or end is None:
        return None
    path = paths(series, day)["end"]
    if not end.is_known:
        return Carried(end.id, None)
    if checksums.of(path) != before.sha256["end"]:
        raise LakeError(f"{path}: damaged; make its day anew (crypto-lake compact --date {day})")
    (bids, asks) = (dict(side) for lines in depth_read.lines(path) for side in lines.sides(0))
    return Carried(end.id, (Side(bids, end.floors[0]), Side(asks, end.floors[1])))


def _write(
    series: Series, day: date, source: Path, ends: tuple[Carried | None, bool]
) -> tuple[Chain, dict[Table, int]]:
    """Publish the files of a day; return its chain, carried to the end, and how many rows each file has.

    `ends`: what the day begins with, and whether the event after its last one follows on.
    """
    carried, is_followed = ends
    found = paths(series, day)
    footer = {"version": BOOK_VERSION}
    with (
        parquet.growing(found["book"], BOOK, footer=footer) as append_seconds,
        parquet.growing(found["boundaries"], BOUNDARY, footer=footer) as append_boundaries,
    ):
        chain = Chain(carried)
        times = depth_read.event_times(source)
        seconds = Seconds(series.symbol, day_start_us(day), times, append_seconds)
        events = 0
        for lines in depth_read.lines(source):
            boundaries = Boundaries(series.symbol)
            events = _carry(chain, lines, events, (boundaries, seconds))
            append_boundaries(boundaries.table(lines))
        seconds.add(events, chain, is_followed=is_followed)
        seconds.flush()
    return chain, {"book": seconds.written, "boundaries": events}


def _carry(chain: Chain, lines: Lines, events: int, rows: tuple[Boundaries, Seconds]) -> int:
    """Carry the book along some lines, and add what it was; return how many events there were by now."""
    boundaries, seconds = rows
    for number, line in enumerate(lines.each()):
        bids, asks = lines.sides(number)
        if line.is_snapshot:
            chain.snapshot(Snapshot(line.id, line.ts_recv, bids, asks))
            continue
        seconds.add(events, chain, is_followed=chain.is_followed(line.first_id))
        is_at = chain.event((line.first_id, line.id), line.ts_event, bids, asks)
        boundaries.add(chain, is_known=is_at)
        events += 1
    return events


def _publish(
    series: Series, day: date, made: tuple[Chain, dict[Table, int]], made_from: dict[str, Any]
) -> KeptBook:
    """Publish the book at the end of the day, the checksums, and the manifest."""
    chain, rows = made
    found = paths(series, day)
    carried = chain.finish()
    end = None
    if carried and carried.sides:
        rows["end"] = _write_end(series, found["end"], carried)
        end = End(carried.id, is_known=True, floors=(carried.sides[0].floor, carried.sides[1].floor))
    elif carried:
        end = End(carried.id, is_known=False, floors=(None, None))
    if "end" not in rows:
        for path in (found["end"], series.layout.checksum(found["end"])):
            path.unlink(missing_ok=True)
    sha256 = {name: checksums.of(found[name]) for name in rows}
    for name, checksum in sha256.items():
        checksums.note(series.layout.checksum(found[name]), found[name], checksum)
    kept = KeptBook(
        rows=rows,
        sha256=sha256,
        made_from=made_from,
        breaks=Breaks(chain.break_count, chain.breaks),
        anchors=Anchors(chain.anchor_counts, chain.levels_compared, chain.levels_different, chain.anchors),
        end=end,
    )
    text = parquet.canonical(to_builtins(kept)).encode() + b"\n"
    publish.write(series.layout.manifest(found["book"]), text)
    return kept


def _write_end(series: Series, path: Path, carried: Carried) -> int:
    table = end_table(series.symbol, carried)
    with parquet.growing(path, DEPTH, footer={"version": BOOK_VERSION}) as append:
        append(table)
    return int(table.num_rows)
