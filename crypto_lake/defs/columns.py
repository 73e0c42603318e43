"""The tables behind the assets, for the UI: the columns of each, and from which columns upstream each comes."""

from collections.abc import Iterable

import dagster as dg

from crypto_lake import schema
from crypto_lake.raw.lines import TICKS
from crypto_lake.schema import BAR, RAW_LINE, Column

_PRICE = ("price", "id", "ts_event")
_QUOTE = ("ts_recv", "id")
# A bar's columns, and those of the raw lines they are made of.
_BAR_FROM_RAW = {
    "symbol": ("symbol",),
    "window_start": ("ts_event", "ts_recv"),
    **dict.fromkeys(("open", "high", "low", "close"), _PRICE),
    "volume_base": ("qty", "id", "ts_event"),
    "volume_quote": ("qty", *_PRICE),
    "taker_buy_base": ("qty", "side", "id", "ts_event"),
    "taker_buy_quote": ("qty", "side", *_PRICE),
    "vwap": ("qty", *_PRICE),
    "trade_count": ("id", "ts_event"),
    "quote_count": _QUOTE,
    **{name: (name, *_QUOTE) for name in ("bid", "bid_qty", "ask", "ask_qty")},
    "spread": ("bid", "ask", *_QUOTE),
    "observed": ("id", "ts_event", "ts_recv"),
    "first_trade_id": ("id", "ts_event"),
    "last_trade_id": ("id", "ts_event"),
}


def _schema(columns: Iterable[Column]) -> dg.TableSchema:
    return dg.TableSchema(columns=[dg.TableColumn(c.name, c.type, c.meaning) for c in columns])


def _lineage(upstream: str, made_from: dict[str, tuple[str, ...]]) -> dg.TableColumnLineage:
    asset = dg.AssetKey(upstream)
    return dg.TableColumnLineage(
        {name: [dg.TableColumnDep(asset, source) for source in some] for name, some in made_from.items()}
    )


_TICK_COLUMNS = {column.name: column for stream in TICKS for column in stream.columns}
_BARS = {"dagster/column_schema": _schema(BAR)}
RAW = {"dagster/column_schema": _schema(RAW_LINE)}
CANDLES = _BARS
# Dagster's own API has lineage from what a run reports, other readers from how an asset is declared: it is in both.
BARS_LINEAGE = {"dagster/column_lineage": _lineage("raw_segments", _BAR_FROM_RAW)}
BARS = _BARS | BARS_LINEAGE
DAILY_LINEAGE = {"dagster/column_lineage": _lineage("bars_1s", {c.name: (c.name,) for c in BAR})}
DAILY = _BARS | DAILY_LINEAGE
TICKS_LINEAGE = {
    "dagster/column_lineage": _lineage("raw_segments", {name: (name,) for name in _TICK_COLUMNS})
}
TICKS_OF_DAYS = {"dagster/column_schema": _schema(_TICK_COLUMNS.values())} | TICKS_LINEAGE
DEPTH = {"dagster/column_schema": _schema(schema.DEPTH)}
PROOF = {"dagster/column_schema": _schema(schema.PROOF)}
COVERAGE = {"dagster/column_schema": _schema(schema.COVERAGE)}
