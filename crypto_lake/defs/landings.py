"""The collector's landings, as the asset `raw_segments` tells them: whether anything came today, and what in all."""

import contextlib
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb

from crypto_lake.ask import latency
from crypto_lake.defs.metadata import NAMED, Metadata
from crypto_lake.defs.partitions import Share
from crypto_lake.raw import journal, journals, segments
from crypto_lake.series import Series


def newest_ns(series: Iterable[Series], day: date, since_ns: int) -> int:
    """When the last line of the newest segment of a day was received; 0 where that is not after an instant.

    What was fetched to heal was not received. Only folders that were touched since are looked into.
    """
    newest = 0
    for one in series:
        folder = one.layout.raw_day(one.exchange, one.symbol, day)
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime_ns > since_ns and (received := _received(folder)):
                newest = max(newest, received[-1].stat().st_mtime_ns)
    return newest if newest > since_ns else 0


def _received(folder: Path) -> list[Path]:
    return [path for path in segments.sealed(folder) if not segments.is_healed(path)]


def landing(connection: duckdb.DuckDBPyConnection, share: Share, day: date) -> dg.AssetMaterialization:
    """Return what some symbols have of a day so far: a materialization of `raw_segments`, told by whoever saw it."""
    series = share.series
    layouts = {one.exchange: one.layout for one in series}
    told = {
        name: journals.of_symbols(layout, name, [one.symbol for one in series if one.exchange == name], day)
        for name, layout in layouts.items()
    }
    of_each = [(one, told[one.exchange][one.symbol]) for one in series]
    sealed = [size for one, records in of_each for size in _sizes(one, records, day)]
    records = [record for _, some in of_each for record in some]
    lost = list(journal.of_kind(records, journal.Gap))
    shared = [one for name, layout in layouts.items() for one in journals.shared_by_all(layout, name, day)]
    metadata: Metadata = {
        "dagster/partition_row_count": sum(one.lines for one in journal.of_kind(records, journal.Sealed)),
        "segments": len(sealed),
        "bytes": sum(sealed),
        "holes_at_first": len(lost),
        "trades_missing_at_first": sum(gap.last_id - gap.first_id + 1 for gap in lost),
        "disconnects": sum(1 for _ in journal.of_kind(shared, journal.Disconnected)),
        **_newest(connection, series, day),
    }
    return dg.AssetMaterialization("raw_segments", partition=share.key(day), metadata=metadata)


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
        if received := _received(one.layout.raw_day(one.exchange, one.symbol, day)):
            paths.append(received[-1])
            found[f"newest_{one.symbol}"] = dg.MetadataValue.path(str(received[-1]))
        if len(paths) == NAMED:
            break
    with contextlib.suppress(duckdb.Error):  # A segment that is none: the run of its bars says so.
        if measured := latency.of_segments(connection, paths):
            found |= measured._asdict()
    return found
