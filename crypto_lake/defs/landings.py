"""The collector's landings, as the asset `raw_segments` tells them: whether anything came today, and what in all."""

import contextlib
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import dagster as dg
import duckdb

from crypto_lake.ask import latency
from crypto_lake.defs.metadata import NAMED, Metadata
from crypto_lake.defs.partitions import Share
from crypto_lake.raw import journal, journals, segments
from crypto_lake.raw.intervals import union, without
from crypto_lake.series import Series


def newest_ns(series: Iterable[Series], day: date, since_ns: int) -> int:
    """When the last line of the newest segment of a day was received; 0 where that is not after an instant.

    What was fetched to heal was not received. Only folders that were touched since are looked into.
    """
    newest = 0
    for one in series:
        folder = one.layout.raw_day(one.exchange, one.symbol, day)
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime_ns > since_ns:
                newest = max([newest, *(path.stat().st_mtime_ns for path in _last(folder))])
    return newest if newest > since_ns else 0


def _last(folder: Path) -> list[Path]:
    """The last segment that each recorder received."""
    last = [paths[-1] for paths in segments.by_recorder(folder).values()]
    return [path for path in last if not segments.is_healed(path)]


def _received(folder: Path) -> list[Path]:
    return [path for path in segments.sealed(folder) if not segments.is_healed(path)]


class _Landed(NamedTuple):
    """What came of a symbol: counts."""

    lines: int
    segments: int
    size: int
    holes: int
    trades_missing: int


def landing(connection: duckdb.DuckDBPyConnection, share: Share, day: date) -> dg.AssetMaterialization:
    """Return what some symbols have of a day so far: a materialization of `raw_segments`, told by whoever saw it."""
    series = share.series
    layouts = {one.exchange: one.layout for one in series}
    told = {
        name: journals.of_each(layout, name, [one.symbol for one in series if one.exchange == name], day)
        for name, layout in layouts.items()
    }
    landed = [_landed(one, day, next(told[one.exchange])) for one in series]
    lines, files, size, holes, missing = map(sum, zip(*landed, strict=True)) if landed else [0] * 5
    shared = [one for name, layout in layouts.items() for one in journals.shared_by_all(layout, name, day)]
    metadata: Metadata = {
        "dagster/partition_row_count": lines,
        "segments": files,
        "bytes": size,
        "holes_at_first": holes,
        "trades_missing_at_first": missing,
        "disconnects": sum(1 for _ in journal.of_kind(shared, journal.Disconnected)),
        **_newest(connection, series, day),
    }
    return dg.AssetMaterialization("raw_segments", partition=share.key(day), metadata=metadata)


def _landed(series: Series, day: date, told: Sequence[journal.SymbolRecord]) -> _Landed:
    sizes = _sizes(series, told, day)
    lost = _lost(series, day, told)
    return _Landed(
        lines=sum(one.lines for one in journal.of_kind(told, journal.Sealed)),
        segments=len(sizes),
        size=sum(sizes),
        holes=len(lost),
        trades_missing=sum(gap.last_id - gap.first_id + 1 for gap in lost),
    )


def _lost(series: Series, day: date, told: Iterable[journal.SymbolRecord]) -> list[journal.Gap]:
    """The holes that a symbol's journals tell, but for those of one recorder whose trades another one has."""
    gaps = list(journal.of_kind(told, journal.Gap))
    place = series.exchange, series.symbol, day
    recorders = series.layout.recorders(*place)
    if not gaps or len(recorders) == 1:
        return gaps
    of_each = {name: journals.of_recorder(series.layout.of(name), *place) for name in recorders}
    return [
        gap
        for name, own in of_each.items()
        for gap in journal.of_kind(own, journal.Gap)
        if not any(_has(some, gap) for other, some in of_each.items() if other != name)
    ]


def _has(told: Sequence[journal.SymbolRecord], gap: journal.Gap) -> bool:
    """Return whether a recorder received all trades of another one's hole, by what its journal tells."""
    ids = [
        (one.first_trade_id, one.last_trade_id)
        for one in journal.of_kind(told, journal.Sealed)
        if one.first_trade_id is not None and one.last_trade_id is not None
    ]
    lacks = any(
        one.first_id <= gap.last_id and one.last_id >= gap.first_id
        for one in journal.of_kind(told, journal.Gap)
    )
    covered = without(union((first, last + 1) for first, last in ids), gap.first_id, gap.last_id + 1)
    return not covered and not lacks


def _sizes(series: Series, records: Iterable[journal.SymbolRecord], day: date) -> list[int]:
    """The sizes of a symbol's received segments, as the journal tells them; where there is none, as the files are."""
    known = {
        one.segment: one.size for one in journal.of_kind(records, journal.Sealed) if one.segment and one.at
    }
    if known:
        return list(known.values())
    return [
        segments.size_of(path)
        for path in _received(series.layout.raw_day(series.exchange, series.symbol, day))
    ]


def _newest(connection: duckdb.DuckDBPyConnection, series: Iterable[Series], day: date) -> Metadata:
    """The newest segment of the first few symbols, and how long the trades in these segments took."""
    found: Metadata = {}
    paths: list[Path] = []
    for one in series:
        if last := _last(one.layout.raw_day(one.exchange, one.symbol, day)):
            paths.append(max(last, key=lambda path: path.stat().st_mtime_ns))
            found[f"newest_{one.symbol}"] = dg.MetadataValue.path(str(paths[-1]))
        if len(paths) == NAMED:
            break
    with contextlib.suppress(duckdb.Error):  # A segment that is none: the run of its bars says so.
        if measured := latency.of_segments(connection, paths):
            found |= measured._asdict()
    return found
