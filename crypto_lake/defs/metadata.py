"""The metadata that assets and checks show in the UI, and how a run over many days reports it day by day."""

import base64
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
from loguru import logger
from msgspec import to_builtins

from crypto_lake.ask import views
from crypto_lake.ask.latency import Latency
from crypto_lake.checks import Verdict
from crypto_lake.completeness import backfill
from crypto_lake.completeness.healed import Healed
from crypto_lake.config import Config
from crypto_lake.coverage.page import doubts
from crypto_lake.coverage.rows import Row
from crypto_lake.pages.preview import Lacking, Preview
from crypto_lake.raw.lines import TICKS
from crypto_lake.series import Series
from crypto_lake.showing import printable
from crypto_lake.transform.bars import Built
from crypto_lake.transform.book import Book
from crypto_lake.transform.daily import Compacted
from crypto_lake.transform.depth import Depth
from crypto_lake.transform.proof import Manifest as Proof
from crypto_lake.transform.quote_fit import Hits
from crypto_lake.transform.ticks import Ticks

Metadata = dict[str, Any]
Rows = list[dict[str, Any]]
# The sensor for missing trades reads it of the last heal.
TRADES_FETCHED = "trades_fetched"
Events = Iterator[dg.AssetMaterialization | dg.MaterializeResult[Any]]
# Every run leaves this behind in Dagster's history, so what is told of a day of many symbols stays below 30 KB: so many
# thumbnails, pictures and rows of minutes.
THUMBNAILS, _PICTURES, _MINUTES = 6, 3, 15
# So many symbols are named beside a reason that all of them share, and have entries of their own.
NAMED = 10
# Of more rows the worst are shown.
_ROWS = 30


def reported(
    context: dg.AssetExecutionContext, done: Iterable[tuple[str, Metadata]], always: Metadata | None = None
) -> Events:
    """Report each partition, by its key, as soon as it is done, so that a run killed half-way keeps what it did.

    Each has what is `always` said of the asset, and how long its work took.
    """
    timed = ((key, (always or {}) | metadata) for key, metadata in _timed(done))
    if context.has_partition_key:
        for _, metadata in timed:
            yield dg.MaterializeResult(metadata=metadata)
        return
    for key, metadata in timed:
        logger.bind(day_done=key).info("{} {} done", context.asset_key.to_user_string(), key)
        yield dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata)
        # The result at the end counts as one more materialization of every day, so it needs the same metadata.
        context.add_asset_metadata(metadata, partition_key=key)
    yield dg.MaterializeResult()


def _timed(done: Iterable[tuple[str, Metadata]]) -> Iterator[tuple[str, Metadata]]:
    began = time.monotonic()
    for key, metadata in done:
        yield key, metadata | {"seconds_of_work": round(time.monotonic() - began, 3)}
        began = time.monotonic()


def of_bars(built: list[Built], seen: Metadata) -> Metadata:
    """Return what a run of the transform did, and what is `seen` of the day now."""
    return {
        "parts_made": sum(len(one.rebuilt) for one in built),
        "parts_unchanged": sum(one.unchanged for one in built),
        **seen,
    }


def of_hits(hits: dict[str, Hits]) -> Metadata:
    """By symbol: how well the quotes of the newest hour fit its trades, in percent as received and as corrected."""
    shares = [
        {"symbol": symbol, "as_received": _percent(one.as_received), "corrected": _percent(one.corrected)}
        for symbol, one in _worst(
            hits.items(), lambda item: 1 if item[1].corrected is None else item[1].corrected
        )
    ]
    known = [one.corrected for one in hits.values() if one.corrected is not None]
    before = [one.as_received for one in hits.values() if one.as_received is not None]
    fit: Metadata = {"trades_at_the_quote": _table(shares)} if shares else {}
    if known and before:
        fit |= {
            "at_the_quote_as_received": sum(before) / len(before),
            "at_the_quote_corrected": sum(known) / len(known),
        }
    return fit


def of_previews(previews: list[Preview], lacking: Lacking) -> Metadata:
    """Return what a person wants to see of a day first: a picture of some symbols, the last minutes, what all lack."""
    if not previews:
        return {}
    minutes = [row for one in previews for row in one.minutes]
    minutes.sort(key=lambda row: row["minute"], reverse=True)
    small = {f"day_of_{one.symbol}": _inline(one.symbol, one.small) for one in previews[:THUMBNAILS]}
    large = [_inline(one.symbol, one.svg) for one in previews[:_PICTURES]]
    return {
        **{name: dg.MetadataValue.md(image) for name, image in small.items()},
        "preview": dg.MetadataValue.md("\n\n".join(large)),
        "last_minutes": dg.MetadataValue.table([dg.TableRecord(row) for row in minutes[:_MINUTES]]),
        "gaps": lacking.gaps,
        **({} if lacking.trades_missing is None else {"trades_missing": lacking.trades_missing}),
    }


def _inline(name: str, svg: str) -> str:
    return f"![{name}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def of_coverage(rows: list[Row]) -> Metadata:
    """Return how many symbols of a day are complete, and what those that are not leave in doubt."""
    left = [row for row in rows if not row.complete]
    worst = _worst([(row.symbol, row) for row in left], lambda item: -len(doubts(item[1])))
    told = [{"symbol": symbol, "doubts": ", ".join(doubts(row))} for symbol, row in worst]
    return {
        "symbols": len(rows),
        "symbols_complete": len(rows) - len(left),
        "trades_missing": sum(row.trade_ids_missing or 0 for row in rows),
        **({"not_complete": _table(told)} if told else {}),
    }


def places(series: Iterable[Series], day: date) -> Metadata:
    """Return where the bars of a day lie: the folder of all, and the daily file or folder of parts of the first few."""
    found: Metadata = {}
    for one in series:
        layout = one.layout
        daily = layout.daily(one.exchange, one.symbol, day)
        parts = layout.parts_day(one.exchange, one.symbol, day)
        if daily.exists() or parts.is_dir():
            found |= _files([(one.symbol, daily if daily.exists() else parts)])
            found["dagster/uri"] = layout.bars_symbol(one.exchange, one.symbol).parent.as_uri()
        if len(found) > NAMED:
            break
    return found


def _files(paths: Iterable[tuple[str, Path]]) -> Metadata:
    return {f"file_{name}": dg.MetadataValue.path(str(path)) for name, path in islice(paths, NAMED)}


def of_daily(compacted: list[Compacted], state: Metadata) -> Metadata:
    """Return what a compaction did, and the `state` of the day now."""
    files = [
        {
            "symbol": one.symbol,
            "rows": one.rows,
            "rewritten": one.rewritten,
            "sha256": one.sha256,
            "file": one.path,
        }
        for one in _worst(compacted, lambda one: -one.rewritten)
    ]
    return {"files": _table(files), **state}


def of_ticks(made: list[Ticks], latencies: dict[str, Latency]) -> Metadata:
    """Return what a day's trades and quotes are, where, and how long trades took; the worst `latencies` plot."""
    files = [(one, kind, path) for one in made for kind, path in one.paths.items()]
    sizes = {path: path.stat().st_size for _, _, path in files}
    rows = [
        {"symbol": one.symbol, "kind": kind, "rows": one.rows[kind], "bytes": sizes[path], "file": path}
        for one, kind, path in _worst(files, lambda file: -sizes[file[2]])
    ]
    by_latency = _worst(latencies.items(), lambda item: -item[1].latency_p99_ms)
    slowest = [{"symbol": symbol} | one._asdict() for symbol, one in by_latency]
    return {
        "dagster/partition_row_count": sum(sum(one.rows.values()) for one in made),
        **{stream.table: sum(one.rows[stream.table] for one in made) for stream in TICKS},
        "rewritten": sum(one.rewritten for one in made),
        "bytes": sum(sizes.values()),
        "files": _table(rows),
        **_files((f"{one.symbol}_{kind}", path) for one, kind, path in files),
        **({"latencies": _table(slowest), **_slowest(latencies)} if latencies else {}),
    }


def of_books(kept: list[Depth], made: list[Book]) -> Metadata:
    """Return what a day's depth is, and how its chain and snapshots came out: in sums, and of the worst symbols."""
    breaks = {one.symbol: one.kept.breaks.count for one in made}
    rows = [
        {
            "symbol": one.symbol,
            "events": one.kept.rows["boundaries"],
            "breaks": breaks[one.symbol],
            "levels_compared": one.kept.anchors.levels_compared,
            "levels_different": one.kept.anchors.levels_different,
        }
        for one in _worst(made, lambda one: -breaks[one.symbol])
    ]
    return {
        "dagster/partition_row_count": sum(one.rows for one in kept),
        "events": sum(one.events for one in kept),
        "breaks": sum(breaks.values()),
        "levels_compared": sum(one.kept.anchors.levels_compared for one in made),
        "levels_different": sum(one.kept.anchors.levels_different for one in made),
        "rewritten": sum(one.rewritten for one in kept) + sum(one.rewritten for one in made),
        "symbols": _table(rows),
    }


def of_proofs(proofs: list[Proof]) -> Metadata:
    """Return what the book proves of a day's quotes: in sums, and of the worst symbols."""
    counts = [one.counts for one in proofs]
    compared, equal = sum(one.boundaries for one in counts), sum(one.equal for one in counts)
    worst = _worst(proofs, lambda one: -one.counts.contradicted)
    return {
        "dagster/partition_row_count": sum(one.rows for one in proofs),
        "boundaries": compared,
        **({"share_equal": equal / compared} if compared else {}),
        "quotes_lost": sum(one.lost for one in counts),
        "seconds_proved": sum(one.seconds_proved for one in counts),
        "seconds_contradicted": sum(one.seconds_contradicted for one in counts),
        "seconds_unverifiable": sum(one.seconds_unverifiable for one in counts),
        "seconds_filled": sum(one.seconds_filled for one in counts),
        "symbols": _table([{"symbol": one.symbol} | to_builtins(one.counts) for one in worst]),
    }


def _slowest(latencies: dict[str, Latency]) -> Metadata:
    found = Latency(
        max(one.latency_p50_ms for one in latencies.values()),
        max(one.latency_p99_ms for one in latencies.values()),
    )
    return found._asdict()


def of_candles(done: backfill.Day) -> Metadata:
    """Return what a backfill brought, and what it has asked since the day before was done."""
    files = [
        {"symbol": one.symbol, "rows": one.rows, "missing": one.missing, "file": one.path}
        for one in _worst(done.files, lambda one: -one.missing)
    ]
    return {
        "dagster/partition_row_count": sum(one.rows for one in done.files),
        "fetched": sum(one.fetched for one in done.files),
        "already_there": sum(not one.fetched for one in done.files),
        "minutes_missing": sum(one.missing for one in done.files),
        "requests": done.usage.requests,
        "weight": done.usage.weight,
        "bytes": sum(one.path.stat().st_size for one in done.files),
        "files": _table(files),
        **_files((one.symbol, one.path) for one in done.files),
    }


def of_heal(healed: list[Healed]) -> Metadata:
    """Return what a heal brought, and what stays missing."""
    return {
        "trades_missing": sum(one.missing for one in healed),
        TRADES_FETCHED: sum(one.fetched for one in healed),
        "trades_withheld": sum(one.withheld for one in healed),
        "requests": sum(one.requests for one in healed),
        "more_than_max_trades": _some([one.symbol for one in healed if one.too_many]) or "none",
        "symbols": _table([asdict(one) for one in _worst(healed, lambda one: -one.missing)]),
    }


def of_verdict(verdict: Verdict) -> Metadata:
    """Return how it came out, how many rows offend, by symbol, the first of them, and why a symbol is unverifiable.

    Of many symbols the worst are told by name.
    """
    worst = {*sorted(verdict.counts, key=lambda symbol: -verdict.counts[symbol])[:NAMED]}
    return {
        "outcome": verdict.outcome,
        "symbols_checked": len(verdict.counts),
        "offending_rows": sum(verdict.counts.values()),
        **{f"offending_rows_{symbol}": count for symbol, count in verdict.counts.items() if symbol in worst},
        **({"unverifiable": unverifiable(verdict)} if verdict.unverifiable else {}),
        "first_rows": _table(
            [
                {"symbol": symbol} | row
                for symbol, rows in verdict.rows.items()
                if symbol in worst
                for row in rows
            ]
        ),
    }


def unverifiable(verdict: Verdict) -> str:
    """Say of which symbols a verdict proves nothing, and why: in a line, however many they are."""
    by_reason: dict[str, list[str]] = {}
    for symbol, reason in verdict.unverifiable.items():
        by_reason.setdefault(reason, []).append(symbol)
    return "; ".join(f"{_some(symbols)}: {reason}" for reason, symbols in by_reason.items())


def _some(symbols: list[str]) -> str:
    more = len(symbols) - NAMED
    return ", ".join(symbols[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def of_views(config: Config) -> Metadata:
    """Return which views there are, and where."""
    path = config.layout.database
    return {
        "dagster/uri": path.as_uri(),
        "file": dg.MetadataValue.path(str(path)),
        "views": ", ".join(views.NAMES),
        "bytes": path.stat().st_size,
    }


def of_day(numbers: Rows) -> Metadata:
    """A day's bars in numbers, of all symbols and of each."""
    return {
        "dagster/partition_row_count": sum(row["rows"] for row in numbers),
        "trades": sum(row["trades"] for row in numbers),
        "quotes": sum(row["quotes"] for row in numbers),
        "unobserved_seconds": sum(row["unobserved"] for row in numbers),
        "bytes": sum(row["bytes"] for row in numbers),
        "symbols": _table(_worst(numbers, lambda row: -row["unobserved"])),
    }


_Item = TypeVar("_Item")


def _worst(items: Iterable[_Item], order: Callable[[_Item], float]) -> list[_Item]:
    """All of them as they are, where they are few; else the first by an order."""
    found = list(items)
    return found if len(found) <= _ROWS else sorted(found, key=order)[:_ROWS]


def _table(rows: Rows) -> dg.MarkdownMetadataValue:
    """Rows as a Markdown table; the keys of all are the columns."""
    if not rows:
        return dg.MetadataValue.md("none")
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([_cell(row.get(name, "")) for name in names] for row in rows)]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _cell(value: object) -> str:
    """Return a value as a table's cell; an exchange's words in it become no link, no picture and no HTML."""
    return re.sub(r"[\\`|\[<]", r"\\\g<0>", printable(str(value)))
