"""The collector's landings, as the sensors and the asset `raw_segments` see them: folders, fingerprints, metadata.

A fingerprint is made of names and sizes. A folder's own time only says where to look again, never that nothing changed.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb

from crypto_lake.ask import latency
from crypto_lake.defs.metadata import Metadata
from crypto_lake.raw import journal, journals, segments
from crypto_lake.series import Series

_RECENT_FOLDERS = 3


def last_folders(series: Series, count: int) -> list[date]:
    """The last days whose folders hold segments of a symbol."""
    return segments.days(series.layout, series.exchange, series.symbol, count)


def recent_days(series: Iterable[Series]) -> set[date]:
    """The last folders of each series, which are looked at each time."""
    return {day for one in series for day in last_folders(one, _RECENT_FOLDERS)}


def touched(series: Sequence[Series], since_ns: int) -> list[tuple[int, date]]:
    """Older folders in which files came or went after an instant, and when; the longest ago first."""
    changed: dict[date, int] = {}
    for one in series:
        for day in one.layout.raw_days(one.exchange, one.symbol)[:-_RECENT_FOLDERS]:
            folder = one.layout.raw_day(one.exchange, one.symbol, day)
            with contextlib.suppress(OSError):
                at = folder.stat().st_mtime_ns
                # One that holds its journal alone was pruned: what was made of it is left as it is.
                if at > since_ns and segments.sealed(folder):
                    changed[day] = max(at, changed.get(day, 0))
    recent = recent_days(series)
    return sorted((at, day) for day, at in changed.items() if day not in recent)


def fingerprint(series: Iterable[Series], day: date, of: Callable[[Path], bool] = lambda _: True) -> str:
    """Names and sizes of a day's sealed segments (those that `of` holds for), in short; empty where there are none."""
    found = _sealed(series, day, of)
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16] if found else ""


def is_received(path: Path) -> bool:
    """Return whether a segment is the collector's, and not fetched to heal."""
    return not segments.is_healed(path)


def _sealed(series: Iterable[Series], day: date, of: Callable[[Path], bool]) -> list[tuple[str, int]]:
    return [
        (f"{one.exchange}/{one.symbol}/{segments.name_of(path)}", segments.size_of(path))
        for one in series
        for path in segments.sealed(one.layout.raw_day(one.exchange, one.symbol, day))
        if of(path)
    ]


def landing(
    connection: duckdb.DuckDBPyConnection, series: Sequence[Series], day: date
) -> dg.AssetMaterialization:
    """Return what has landed of a day so far: a materialization of `raw_segments`, reported by whoever saw it."""
    sealed = _sealed(series, day, is_received)
    told = [
        one for each in series for one in journals.of_symbol(each.layout, each.exchange, each.symbol, day)
    ]
    lost = list(journal.of_kind(told, journal.Gap))
    exchanges = {one.exchange: one.layout for one in series}
    shared = [one for name, layout in exchanges.items() for one in journals.shared(layout, name, day)]
    metadata: Metadata = {
        "dagster/partition_row_count": sum(one.lines for one in journal.of_kind(told, journal.Sealed)),
        "segments": len(sealed),
        "bytes": sum(size for _, size in sealed),
        "holes_at_first": len(lost),
        "trades_missing_at_first": sum(gap.last_id - gap.first_id + 1 for gap in lost),
        "disconnects": sum(1 for _ in journal.of_kind(shared, journal.Disconnected)),
        **_newest(connection, series, day),
    }
    return dg.AssetMaterialization("raw_segments", partition=day.isoformat(), metadata=metadata)


def _newest(connection: duckdb.DuckDBPyConnection, series: Iterable[Series], day: date) -> Metadata:
    """The folder and newest segment of each symbol, and how long the trades in these segments took."""
    found: Metadata = {}
    paths = []
    for one in series:
        folder = one.layout.raw_day(one.exchange, one.symbol, day)
        received = [path for path in segments.sealed(folder) if is_received(path)]
        if received:
            paths.append(received[-1])
            found[f"newest_{one.symbol}"] = dg.MetadataValue.path(str(received[-1]))
    with contextlib.suppress(duckdb.Error):  # A segment that is none: the run of its bars says so.
        if measured := latency.of_segments(connection, paths):
            found |= measured._asdict()
    return found
