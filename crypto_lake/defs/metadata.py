"""What assets and checks tell the UI, and how a run over many days tells it day by day."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

import dagster as dg
from loguru import logger

from crypto_lake import backfill
from crypto_lake.bars import Built, Hits
from crypto_lake.checks import Verdict
from crypto_lake.daily import Compacted
from crypto_lake.heal import Healed
from crypto_lake.schema import BAR
from crypto_lake.ticks import Ticks

Metadata = dict[str, Any]
Rows = list[dict[str, Any]]
Events = Iterator[dg.AssetMaterialization | dg.MaterializeResult[Any]]
COLUMNS = dg.TableSchema(columns=[dg.TableColumn(column.name, column.type, column.meaning) for column in BAR])


def reported(context: dg.AssetExecutionContext, done: Iterable[tuple[date, Metadata]]) -> Events:
    """Report each day as soon as it is done, so that a run killed half-way keeps what it did."""
    if context.has_partition_key:
        for _, metadata in done:
            yield dg.MaterializeResult(metadata=metadata)
        return
    for day, metadata in done:
        logger.bind(day_done=day).info("{} {} done", context.asset_key.to_user_string(), day)
        yield dg.AssetMaterialization(context.asset_key, partition=day.isoformat(), metadata=metadata)
        # The result at the end counts as one more materialization of every day, so it needs the same metadata.
        context.add_asset_metadata(metadata, partition_key=day.isoformat())
    yield dg.MaterializeResult()


def of_bars(built: list[Built], numbers: Rows, hits: dict[str, Hits]) -> Metadata:
    """What a run of the transform did, and the day as it is now.

    `hits` by symbol: how well the quotes of the newest hour fit its trades, in percent as received and as corrected.
    """
    rebuilt = sum(len(one.rebuilt) for one in built)
    shares = [
        {"symbol": symbol, "as_received": _percent(one.as_received), "corrected": _percent(one.corrected)}
        for symbol, one in hits.items()
    ]
    known = [one.corrected for one in hits.values() if one.corrected is not None]
    before = [one.as_received for one in hits.values() if one.as_received is not None]
    fit: Metadata = {"trades_at_the_quote": _table(shares)} if shares else {}
    if known and before:
        fit |= {
            "at_the_quote_as_received": sum(before) / len(before),
            "at_the_quote_corrected": sum(known) / len(known),
        }
    return {
        **fit,
        "parts_rebuilt": rebuilt,
        "parts_unchanged": sum(one.unchanged for one in built),
        **_totals(numbers),
    }


def of_daily(compacted: list[Compacted], numbers: Rows) -> Metadata:
    """What a compaction did, and the day as it is now."""
    files = [
        {
            "symbol": one.symbol,
            "rows": one.rows,
            "rewritten": one.rewritten,
            "sha256": one.sha256,
            "file": one.path,
        }
        for one in compacted
    ]
    return {"files": _table(files), **_totals(numbers)}


def of_ticks(made: list[Ticks]) -> Metadata:
    """What a day's trades and quotes are, and where."""
    files = [(one, kind, path) for one in made for kind, path in one.paths.items()]
    sizes = {path: path.stat().st_size for _, _, path in files}
    rows = [
        {"symbol": one.symbol, "kind": kind, "rows": one.rows[kind], "bytes": sizes[path], "file": path}
        for one, kind, path in files
    ]
    return {
        "dagster/partition_row_count": sum(sum(one.rows.values()) for one in made),
        "trades": sum(one.rows["trades"] for one in made),
        "quotes": sum(one.rows["quotes"] for one in made),
        "rewritten": sum(one.rewritten for one in made),
        "bytes": sum(sizes.values()),
        "files": _table(rows),
    }


def of_candles(done: backfill.Day) -> Metadata:
    """What a backfill brought, and what it has asked since the day before was done."""
    files = [
        {"symbol": one.symbol, "rows": one.rows, "missing": one.missing, "file": one.path}
        for one in done.files
    ]
    return {
        "dagster/partition_row_count": sum(one.rows for one in done.files),
        "fetched": sum(one.fetched for one in done.files),
        "already_there": sum(not one.fetched for one in done.files),
        "minutes_missing": sum(one.missing for one in done.files),
        "requests": done.usage.requests,
        "weight": done.usage.weight,
        "files": _table(files),
    }


def of_heal(healed: list[Healed]) -> Metadata:
    """What a heal brought, and what stays missing."""
    return {
        "missing": sum(one.missing for one in healed),
        "fetched": sum(one.fetched for one in healed),
        "withheld_by_the_exchange": sum(one.withheld for one in healed),
        "requests": sum(one.requests for one in healed),
        "more_than_max_trades": _names(one.symbol for one in healed if one.too_many),
        "symbols": _table([asdict(one) for one in healed]),
    }


def _names(symbols: Iterable[str]) -> str:
    return ", ".join(symbols) or "none"


def of_verdict(verdict: Verdict) -> Metadata:
    """How many rows offend, by symbol, and the first of them."""
    return {
        "symbols_checked": len(verdict.counts),
        "offending_rows": sum(verdict.counts.values()),
        **{f"offending_rows_{symbol}": count for symbol, count in verdict.counts.items()},
        "first_rows": _table(
            [{"symbol": symbol} | row for symbol, rows in verdict.rows.items() for row in rows]
        ),
    }


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _totals(numbers: Rows) -> Metadata:
    return {
        "dagster/partition_row_count": sum(row["rows"] for row in numbers),
        "trades": sum(row["trades"] for row in numbers),
        "quotes": sum(row["quotes"] for row in numbers),
        "unobserved_seconds": sum(row["unobserved"] for row in numbers),
        "bytes": sum(row["bytes"] for row in numbers),
        "symbols": _table(numbers),
    }


def _table(rows: Rows) -> dg.MarkdownMetadataValue:
    """Rows as a Markdown table; the keys of all are the columns."""
    if not rows:
        return dg.MetadataValue.md("none")
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([str(row.get(name, "")) for name in names] for row in rows)]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))
