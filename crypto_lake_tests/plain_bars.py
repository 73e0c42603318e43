"""Bars of trades and quotes in plain Python and decimal arithmetic: slow, simple, no line shared with the lake."""

from decimal import Decimal
from typing import Any

from crypto_lake.raw.lines import QuoteLine, RawLine, TradeLine

SECOND = 1_000_000
_MINUTE = 60 * SECOND


def plain_bars(lines: list[RawLine], start: int, until: int) -> list[dict[str, Any]]:
    """One bar a second of [start, until): what `docs/FORMAT.md` says, word by word; without `observed`."""
    trades = {line.id: line for line in lines if isinstance(line, TradeLine)}
    quotes = {
        line.id: line for line in sorted(lines, key=lambda line: -line.ts_recv) if isinstance(line, QuoteLine)
    }
    received = [line for line in lines if isinstance(line, TradeLine)]
    bars: list[dict[str, Any]] = []
    close: float | None = None
    last: QuoteLine | None = None
    for second in range(start, until, SECOND):
        inside = sorted(
            (t for t in trades.values() if second <= t.ts_event < second + SECOND),
            key=lambda t: t.id,
        )
        placed = sorted((_exchange_time(q, received), q.id, q) for q in quotes.values())
        mine = [q for at, _, q in placed if second <= at < second + SECOND]
        last = mine[-1] if mine else last
        bar = _bar(inside, close) | _quote(last) | {"window_start": second, "quote_count": len(mine)}
        close = bar["close"]
        bars.append(bar)
    return bars


def _exchange_time(quote: QuoteLine, received: list[TradeLine]) -> int:
    """Receipt minus the smallest delay of the same minute's trades, else of the last minute before that has any."""
    offsets: dict[int, int] = {}
    for trade in received:
        minute = trade.ts_recv // _MINUTE
        delay = trade.ts_recv - trade.ts_event
        offsets[minute] = min(delay, offsets.get(minute, delay))
    if not offsets:
        return quote.ts_recv
    known = sorted(minute for minute in offsets if minute <= quote.ts_recv // _MINUTE)
    return quote.ts_recv - offsets[known[-1] if known else min(offsets)]


def _bar(trades: list[TradeLine], close: float | None) -> dict[str, Any]:
    prices = [Decimal(t.price) for t in trades]
    base = [Decimal(t.qty) for t in trades]
    value = [p * q for p, q in zip(prices, base, strict=True)]
    bought = [t.side == "buy" for t in trades]
    volume, turnover = float(sum(base)), float(sum(value))
    return {
        "open": float(prices[0]) if trades else close,
        "high": float(max(prices)) if trades else close,
        "low": float(min(prices)) if trades else close,
        "close": float(prices[-1]) if trades else close,
        "volume_base": volume,
        "volume_quote": turnover,
        "taker_buy_base": float(sum(q for q, b in zip(base, bought, strict=True) if b)),
        "taker_buy_quote": float(sum(v for v, b in zip(value, bought, strict=True) if b)),
        "vwap": min(max(turnover / volume, float(min(prices))), float(max(prices))) if trades else None,
        "trade_count": len(trades),
        "first_trade_id": trades[0].id if trades else None,
        "last_trade_id": trades[-1].id if trades else None,
    }


def _quote(quote: QuoteLine | None) -> dict[str, Any]:
    if quote is None:
        return dict.fromkeys(("bid", "bid_qty", "ask", "ask_qty", "spread"))
    spread = Decimal(quote.ask) - Decimal(quote.bid)
    values = {name: float(getattr(quote, name)) for name in ("bid", "bid_qty", "ask", "ask_qty")}
    return values | {"spread": float(spread)}
