"""The columns of the lake, as tables: what a raw line and a bar consist of. `docs/FORMAT.md` says the same.

Types are DuckDB's names; `parquet.py` turns the bar's into an Arrow schema.
"""

from typing import NamedTuple


class Column(NamedTuple):
    """One column: its name, its DuckDB type, and what it means (with its unit, and what null says)."""

    name: str
    type: str
    meaning: str


# Prices reach 10 integer digits, quantities of the cheapest coins 12; a product then fills DECIMAL(38,16).
PRICE = "DECIMAL(18,8)"
QUANTITY = "DECIMAL(20,8)"

RAW_LINE: tuple[Column, ...] = (
    Column("stream", "VARCHAR", "`trade` or `bookTicker`"),
    Column("symbol", "VARCHAR", "the exchange's own spelling"),
    Column("ts_event", "BIGINT", "trade time of the exchange, µs UTC; null for quotes"),
    Column("ts_recv", "BIGINT", "receipt by the local clock, µs UTC"),
    Column("id", "BIGINT", "trade id (no holes) or the quote's update id (rising, with holes)"),
    Column("price", PRICE, "trade price; null for quotes"),
    Column("qty", QUANTITY, "trade quantity, base asset; null for quotes"),
    Column("side", "VARCHAR", "the taker's: `buy` or `sell`; null for quotes"),
    Column("bid", PRICE, "best bid; null for trades"),
    Column("bid_qty", QUANTITY, "quantity at the best bid; null for trades"),
    Column("ask", PRICE, "best ask; null for trades"),
    Column("ask_qty", QUANTITY, "quantity at the best ask; null for trades"),
)

BOOK_LINE: tuple[Column, ...] = (
    Column("stream", "VARCHAR", "`depth` or `depthSnapshot`"),
    Column("symbol", "VARCHAR", "the exchange's own spelling"),
    Column("ts_event", "BIGINT", "event time of the exchange, µs UTC; null for snapshots"),
    Column("ts_recv", "BIGINT", "receipt by the local clock, µs UTC"),
    Column(
        "first_id", "BIGINT", "first update id in the event, one above the `id` before; null for snapshots"
    ),
    Column("id", "BIGINT", "last update id in it; quotes count in the same ids"),
    Column(
        "bids", "VARCHAR[][]", "`[price, quantity]` of each level; of an event those that changed, 0: gone"
    ),
    Column("asks", "VARCHAR[][]", "the same"),
)

_TIME = "TIMESTAMP WITH TIME ZONE"
TRADE: tuple[Column, ...] = (
    Column("symbol", "VARCHAR", "the exchange's own spelling"),
    Column("id", "BIGINT", "trade id, without holes where nothing is missing"),
    Column("ts_event", _TIME, "trade time of the exchange"),
    Column("ts_recv", _TIME, "first receipt by the local clock, or when it was fetched"),
    Column("price", PRICE, "trade price"),
    Column("qty", QUANTITY, "trade quantity, base asset"),
    Column("side", "VARCHAR", "the taker's: `buy` or `sell`"),
)
QUOTE: tuple[Column, ...] = (
    Column("symbol", "VARCHAR", "the exchange's own spelling"),
    Column("id", "BIGINT", "the quote's update id, rising, with holes"),
    Column("ts_event", _TIME, "receipt put on the exchange's clock"),
    Column("ts_recv", _TIME, "first receipt by the local clock"),
    Column("bid", PRICE, "best bid"),
    Column("bid_qty", QUANTITY, "quantity at the best bid"),
    Column("ask", PRICE, "best ask"),
    Column("ask_qty", QUANTITY, "quantity at the best ask"),
)
_LEVELS = f"STRUCT(price {PRICE}, qty {QUANTITY})[]"
DEPTH: tuple[Column, ...] = (
    Column("symbol", "VARCHAR", "the exchange's own spelling"),
    Column("ts_event", _TIME, "event time of the exchange; null for snapshots"),
    Column("ts_recv", _TIME, "first receipt by the local clock"),
    Column("first_id", "BIGINT", "first update id in the event; null for snapshots"),
    Column("id", "BIGINT", "last update id in the event, or the snapshot's"),
    Column("side", "VARCHAR", "`bid` or `ask`; null in the one row of an event that changed no level"),
    Column("price", PRICE, "the level"),
    Column("qty", QUANTITY, "what is there now; 0: nothing any more"),
    Column("is_snapshot", "BOOLEAN", "whether it is of a snapshot"),
)
BOOK: tuple[Column, ...] = (
    Column("symbol", "VARCHAR", "the exchange's own spelling"),
    Column("window_start", _TIME, "start of the second, exchange clock, UTC"),
    Column("id", "BIGINT", "of the last event before the second's end; null where the book is not known"),
    Column("bids", _LEVELS, "the best 20 bids at the second's end, best first; null where not known"),
    Column("asks", _LEVELS, "the best 20 asks"),
    Column("unbroken", "BOOLEAN", "whether every event from a snapshot to the second's end is there"),
)
BOUNDARY: tuple[Column, ...] = (
    Column("symbol", "VARCHAR", "the exchange's own spelling"),
    Column("ts_event", _TIME, "event time of the exchange"),
    Column("ts_recv", _TIME, "first receipt by the local clock"),
    Column("first_id", "BIGINT", "first update id in the event"),
    Column("id", "BIGINT", "last update id in it"),
    Column("bid", PRICE, "best bid after it; null where the book is not known, or has none"),
    Column("bid_qty", QUANTITY, "quantity at the best bid"),
    Column("ask", PRICE, "best ask after it; null as `bid`"),
    Column("ask_qty", QUANTITY, "quantity at the best ask"),
    Column("unbroken", "BOOLEAN", "whether every event from a snapshot to this one is there"),
    Column(
        "certain",
        "BOOLEAN",
        "whether no better level can be there: false where the best one lies beyond all that a snapshot told",
    ),
)
PROOF: tuple[Column, ...] = (
    Column("symbol", "VARCHAR", "the exchange's own spelling"),
    Column("window_start", _TIME, "start of the second, exchange clock, UTC"),
    Column("boundaries", "INTEGER", "events of depth in it"),
    Column("equal", "INTEGER", "those at whose end the newest quote is the best bid and ask of the book"),
    Column("contradicted", "INTEGER", "those at whose end it is not"),
    Column("verdict", "VARCHAR", "of its quotes: `proved`, `contradicted` or `unverifiable`"),
    Column("bid", PRICE, "best bid of the book that stands for a lost quote at its end; null: none was lost"),
    Column("bid_qty", QUANTITY, "quantity at the best bid; null as `bid`"),
    Column("ask", PRICE, "best ask; null as `bid`"),
    Column("ask_qty", QUANTITY, "quantity at the best ask; null as `bid`"),
)

BAR: tuple[Column, ...] = (
    Column("symbol", "VARCHAR", "the exchange's own spelling"),
    Column("window_start", "TIMESTAMP WITH TIME ZONE", "start of the interval, exchange clock, UTC"),
    Column("open", "DOUBLE", "first price by trade id; null before the first trade ever seen"),
    Column("high", "DOUBLE", "highest price; the previous close without trades"),
    Column("low", "DOUBLE", "lowest price; the previous close without trades"),
    Column("close", "DOUBLE", "last price by trade id; the previous close without trades"),
    Column("volume_base", "DOUBLE", "traded quantity, base asset; 0 without trades"),
    Column("volume_quote", "DOUBLE", "traded value, quote asset; 0 without trades"),
    Column("taker_buy_base", "DOUBLE", "the part of volume_base that takers bought"),
    Column("taker_buy_quote", "DOUBLE", "the part of volume_quote that takers bought"),
    Column("vwap", "DOUBLE", "volume_quote / volume_base, never outside of low … high; null without trades"),
    Column("trade_count", "INTEGER", "trades in the interval"),
    Column("quote_count", "INTEGER", "quotes in the interval"),
    Column("bid", "DOUBLE", "best bid at the end of the interval; null before the first quote"),
    Column("bid_qty", "DOUBLE", "quantity at the best bid"),
    Column("ask", "DOUBLE", "best ask at the end of the interval; null before the first quote"),
    Column("ask_qty", "DOUBLE", "quantity at the best ask"),
    Column("spread", "DOUBLE", "ask − bid; null before the first quote"),
    Column("observed", "BOOLEAN", "false where nobody was listening for a part of it and nothing healed it"),
    Column("first_trade_id", "BIGINT", "null without trades"),
    Column("last_trade_id", "BIGINT", "null without trades"),
)
# What bars of a finished day have beside, where there is a proof of its quotes.
BAR_PROOF: tuple[Column, ...] = (
    Column(
        "quotes_proved",
        "BOOLEAN",
        "whether the book proves the quotes of all its seconds; null without a book",
    ),
    Column(
        "quote_source",
        "VARCHAR",
        "`received`, or `book` where a quote was lost, and bid, ask and quantities are the book's; null without a book",
    ),
)
PROVED_BAR = BAR + BAR_PROOF

COVERAGE: tuple[Column, ...] = (
    Column("exchange", "VARCHAR", "as in `config.yml`"),
    Column("symbol", "VARCHAR", "the exchange's own spelling"),
    Column("day", "DATE", "UTC"),
    Column("trades", "BIGINT", "trades in the day's bars"),
    Column(
        "trade_ids_missing",
        "BIGINT",
        "trade ids that are not there; null where the exchange's ids do not tell",
    ),
    Column(
        "trades_healed",
        "BIGINT",
        "trades that were fetched later; null where the files they came in are gone",
    ),
    Column("seconds_observed", "BIGINT", "seconds of which a bar is observed"),
    Column("seconds_listened", "BIGINT", "seconds that a collector listened to throughout"),
    Column("quotes", "BIGINT", "quotes in the day's bars"),
    Column(
        "book_boundaries",
        "BIGINT",
        "depth events at whose end the quote was held against the book; null without",
    ),
    Column("boundaries_proved", "BIGINT", "those at which they are equal"),
    Column("boundaries_contradicted", "BIGINT", "those at which they are not"),
    Column("book_breaks", "BIGINT", "breaks of the chain of depth events; null without depth"),
    Column(
        "candle_minutes",
        "BIGINT",
        "minutes of which the lake has the exchange's candle; null without all of them",
    ),
    Column("candle_minutes_equal", "BIGINT", "those whose bar equals it in every column, to the last bit"),
    Column("checks_passed", "BIGINT", "checks of the day that this symbol passed"),
    Column("checks_warned", "BIGINT", "checks that warned of it"),
    Column("checks_failed", "BIGINT", "checks that it failed"),
    Column("checks_unverifiable", "BIGINT", "checks that the exchange's data cannot prove"),
    Column(
        "files",
        "STRUCT(path VARCHAR, bytes BIGINT, sha256 VARCHAR)[]",
        "the day's finished files, by their path from the lake's folder",
    ),
    Column("transform_version", "BIGINT", "of the transform that made the bars"),
    Column("complete", "BOOLEAN", "whether nothing of all this leaves a doubt; what is null leaves none"),
)


def names(columns: tuple[Column, ...]) -> list[str]:
    """The names of the columns, in order."""
    return [column.name for column in columns]


def typed(columns: tuple[Column, ...]) -> str:
    """The columns as DuckDB's `read_json` wants them: `{'stream': 'VARCHAR', …}`."""
    return "{" + ", ".join(f"'{column.name}': '{column.type}'" for column in columns) + "}"
