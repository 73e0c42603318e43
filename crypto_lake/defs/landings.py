"""What the collector has landed, as the sensors and the asset `raw_segments` see it: folders, fingerprints, a landing.

A fingerprint is made of names and sizes. A folder's own time only says where to look again, never that nothing changed.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb

from crypto_lake.ask import latency
from crypto_lake.config import Config
from crypto_lake.defs.metadata import Metadata
from crypto_lake.raw import journal, segments
from crypto_lake.series import Series

_RECENT_FOLDERS = 3


def last_folders(series: Series, count: int) -> list[date]:
    """The last days that a symbol has raw folders of."""
    return series.layout.raw_days(series.exchange, series.symbol)[-count:]


def recent_days(config: Config) -> set[date]:
    """The last folders of each symbol, which are looked at each time."""
    return {day for series in Series.recorded(config) for day in last_folders(series, _RECENT_FOLDERS)}


def touched(config: Config, since_ns: int) -> list[tuple[int, date]]:
    """Older folders in which files came or went after an instant, and when; the longest ago first."""
    changed: dict[date, int] = {}
    for series in Series.recorded(config):
        layout = series.layout
        for day in layout.raw_days(series.exchange, series.symbol)[:-_RECENT_FOLDERS]:
            with contextlib.suppress(OSError):
                at = layout.raw_day(series.exchange, series.symbol, day).stat().st_mtime_ns
                changed[day] = max(at, changed.get(day, 0))
    recent = recent_days(config)
    return sorted((at, day) for day, at in changed.items() if at > since_ns and day not in recent)


def fingerprint(config: Config, day: date, of: Callable[[Path], bool] = lambda _: True) -> str:
    """Names and sizes of a day's sealed segments (those that `of` holds for), in short; empty where there are none."""
    found = _sealed(config, day, of)
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16] if found else ""


def is_received(path: Path) -> bool:
    """Whether a segment is the collector's, and not fetched to heal."""
    return not segments.is_healed(path)


def _sealed(config: Config, day: date, of: Callable[[Path], bool]) -> list[tuple[str, int]]:
    return [
        (f"{series.exchange}/{series.symbol}/{segments.name_of(path)}", segments.size_of(path))
        for series in Series.recorded(config)
        for path in segments.sealed(series.layout.raw_day(series.exchange, series.symbol, day))
        if of(path)
    ]


def landing(connection: duckdb.DuckDBPyConnection, config: Config, day: date) -> dg.AssetMaterialization:
    """What has landed of a day so far: a materialization of `raw_segments`, reported by whoever saw it."""
    sealed = _sealed(config, day, is_received)
    records = [
        record
        for exchange in config.exchanges
        for record in journal.read(config.layout.journal(exchange.name, day))
    ]
    lost = list(journal.of_kind(records, journal.Gap))
    metadata: Metadata = {
        "dagster/partition_row_count": sum(one.lines for one in journal.of_kind(records, journal.Sealed)),
        "segments": len(sealed),
        "bytes": sum(size for _, size in sealed),
        "gaps": len(lost),
        "trades_missing_at_first": sum(gap.last_id - gap.first_id + 1 for gap in lost),
        "disconnects": sum(1 for _ in journal.of_kind(records, journal.Disconnected)),
        **_newest(connection, config, day),
    }
    return dg.AssetMaterialization("raw_segments", partition=day.isoformat(), metadata=metadata)


def _newest(connection: duckdb.DuckDBPyConnection, config: Config, day: date) -> Metadata:
    """The folder and newest segment of each symbol, and how long the trades in these segments took."""
    found: Metadata = {}
    paths = []
    for series in Series.recorded(config):
        folder = series.layout.raw_day(series.exchange, series.symbol, day)
        received = [path for path in segments.sealed(folder) if is_received(path)]
        if received:
            paths.append(received[-1])
            found[f"newest_{series.symbol}"] = dg.MetadataValue.path(str(received[-1]))
    with contextlib.suppress(duckdb.Error):  # A segment that is none: the run of its bars says so.
        if measured := latency.of_segments(connection, paths):
            found |= measured._asdict()
    return found
