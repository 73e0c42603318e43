"""Records as the exchange writes them: stream payloads and REST rows.

Here belong the spellings of the exchange's documentation (web-socket-streams.md, rest-api.md) and nothing else: no
sockets, no decisions. Times leave in the unit asked for, given as microseconds a unit: 1000 for ms, 1 for us.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crypto_lake.simulator.market.tape import E8, Quote, Trade, from_e8

if TYPE_CHECKING:
    from crypto_lake.simulator.market.aggregates import Aggregate
    from crypto_lake.simulator.market.intervals import Spell
    from crypto_lake.simulator.market.tape import Book, Candle, DepthEvent, Instrument, Levels, Loss

MILLISECOND_US = 1000
MICROSECOND_US = 1


def payload(symbol: str, event: Trade | Quote, unit_us: int) -> str:
    """The JSON text of one `@trade` or `@bookTicker` event."""
    if isinstance(event, Quote):
        return (
            f'{{"u":{event.update_id},"s":"{symbol}","b":"{from_e8(event.bid)}","B":"{from_e8(event.bid_qty)}",'
            f'"a":"{from_e8(event.ask)}","A":"{from_e8(event.ask_qty)}"}}'
        )
    return (
        f'{{"e":"trade","E":{event.event_us // unit_us},"s":"{symbol}","t":{event.id},"p":"{from_e8(event.price)}",'
        f'"q":"{from_e8(event.qty)}","T":{event.ts_us // unit_us},'
        f'"m":{"true" if event.buyer_is_maker else "false"},"M":true}}'
    )


def depth_payload(symbol: str, event: DepthEvent, unit_us: int) -> str:
    """The JSON text of one `@depth` event."""
    return (
        f'{{"e":"depthUpdate","E":{event.event_us // unit_us},"s":"{symbol}","U":{event.first_id},'
        f'"u":{event.last_id},"b":{_levels(event.bids)},"a":{_levels(event.asks)}}}'
    )


def book_payload(book: Book) -> str:
    """The JSON text of one `@depth<levels>` event."""
    return f'{{"lastUpdateId":{book.update_id},"bids":{_levels(book.bids)},"asks":{_levels(book.asks)}}}'


def _levels(levels: Levels) -> str:
    return "[" + ",".join([f'["{from_e8(price)}","{from_e8(qty)}"]' for price, qty in levels]) + "]"


def aggregate_payload(symbol: str, it: Aggregate, unit_us: int) -> str:
    """The JSON text of one `@aggTrade` event."""
    return (
        f'{{"e":"aggTrade","E":{it.last.event_us // unit_us},"s":"{symbol}","a":{it.id},'
        f'"p":"{from_e8(it.first.price)}","q":"{from_e8(it.qty)}","f":{it.first.id},"l":{it.last.id},'
        f'"T":{it.first.ts_us // unit_us},"m":{"true" if it.first.buyer_is_maker else "false"},"M":true}}'
    )


def loss_payload(symbol: str, loss: Loss, unit_us: int) -> str:
    """The JSON text of what a recording lacks; no event of the exchange's."""
    return json.dumps(
        {
            "e": "gap",
            "E": loss.sent_us // unit_us,
            "s": symbol,
            "from": loss.from_us // unit_us,
            "to": loss.to_us // unit_us,
            "firstId": loss.first_id,
            "lastId": loss.last_id,
        },
        separators=(",", ":"),
    )


def candle_payload(
    symbol: str, name: str, event_us: int, candle: tuple[Spell, Candle], ids: tuple[int, int], unit_us: int
) -> str:
    """The JSON text of one `@kline` event; `ids` are those of its first and last trade."""
    (open_us, close_us), columns = candle
    row = candle_row(columns, close_us - open_us, unit_us)
    return json.dumps(
        {
            "e": "kline",
            "E": event_us // unit_us,
            "s": symbol,
            "k": {
                "t": row[0], "T": row[6], "s": symbol, "i": name, "f": ids[0], "L": ids[1], "o": row[1], "c": row[4],
                "h": row[2], "l": row[3], "v": row[5], "n": row[8], "x": event_us >= close_us, "q": row[7],
                "V": row[9], "Q": row[10], "B": "0",
            },
        },
        separators=(",", ":"),
    )  # fmt: skip


def wrapped(stream: str, text: str) -> str:
    """A payload as the combined streams send it."""
    return f'{{"stream":"{stream}","data":{text}}}'


def server_shutdown(now_us: int, unit_us: int, *, combined: bool) -> str:
    """The frame that comes before an announced cut; it has no `s`."""
    text = f'{{"e":"serverShutdown","E":{now_us // unit_us}}}'
    return wrapped("!serverShutdown", text) if combined else text


def book_row(book: Book) -> dict[str, Any]:
    """The answer of `depth`."""
    bids, asks = ([[from_e8(price), from_e8(qty)] for price, qty in side] for side in (book.bids, book.asks))
    return {"lastUpdateId": book.update_id, "bids": bids, "asks": asks}


def aggregate_row(it: Aggregate, unit_us: int) -> dict[str, Any]:
    """An item of `aggTrades`."""
    return {
        "a": it.id,
        "p": from_e8(it.first.price),
        "q": from_e8(it.qty),
        "f": it.first.id,
        "l": it.last.id,
        "T": it.first.ts_us // unit_us,
        "m": it.first.buyer_is_maker,
        "M": True,
    }


def trade_row(trade: Trade, unit_us: int) -> dict[str, Any]:
    """An item of `trades` and `historicalTrades`."""
    return {
        "id": trade.id,
        "price": from_e8(trade.price),
        "qty": from_e8(trade.qty),
        "quoteQty": from_e8(trade.price * trade.qty // E8),
        "time": trade.ts_us // unit_us,
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }


def candle_row(candle: Candle, interval_us: int, unit_us: int) -> list[Any]:
    """A row of `klines`: twelve items; closes one unit before the next one opens."""
    return [
        candle.open_us // unit_us,
        from_e8(candle.open),
        from_e8(candle.high),
        from_e8(candle.low),
        from_e8(candle.close),
        from_e8(candle.volume),
        (candle.open_us + interval_us) // unit_us - 1,
        from_e8(candle.quote_volume // E8),
        candle.trades,
        from_e8(candle.taker_buy_volume),
        from_e8(candle.taker_buy_quote_volume // E8),
        "0",
    ]


def symbol_row(symbol: str, instrument: Instrument, status: str) -> dict[str, Any]:
    """An item of `exchangeInfo.symbols`, with the keys a market-data client looks at."""
    largest = from_e8(10**6 * E8)
    tick, step = from_e8(instrument.tick), from_e8(instrument.step)
    return {
        "symbol": symbol,
        "status": status,
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": largest, "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": largest, "stepSize": step},
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }
