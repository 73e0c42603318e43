"""What was traded in any span of time: one candle of it, its ids, its last trade.

Here belongs putting a span together from the tape's candles, hour by hour, and from single trades at its borders, so
that a day's statistics cost little and are exact to the trade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crypto_lake.simulator.market.candles import joined
from crypto_lake.simulator.market.tape import Candle, Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crypto_lake.simulator.market.tape import Tape, Trade

MINUTE_US = 60_000_000
_UNITS_US = (60 * MINUTE_US, MINUTE_US)


class Statistics(NamedTuple):
    """What was traded in `[start_us, end_us)`, as known now."""

    start_us: int
    end_us: int
    candle: Candle | None  # None: nothing was
    first_id: int  # -1 where nothing was traded, as the next one
    last_id: int
    last: Trade | None  # the newest trade up to the end, also one from before the start
    previous: Trade | None  # the newest trade before the start


def statistics(tape: Tape, symbol: str, start_us: int, end_us: int, now_us: int) -> Statistics:
    """What was traded from `start_us` up to, not including, `end_us`."""
    before, up_to = (tape.last_trade_id(symbol, time_us - 1, now_us) for time_us in (start_us, end_us))
    last, previous = _trade(tape, symbol, up_to, now_us), _trade(tape, symbol, before, now_us)
    candle = traded(tape, symbol, start_us, end_us, now_us)
    if candle is None:
        return Statistics(start_us, end_us, None, -1, -1, last, previous)
    (first,) = tape.trades_from(symbol, before + 1, 1, now_us)
    return Statistics(start_us, end_us, candle, first.id, up_to, last, previous)


def traded(tape: Tape, symbol: str, start_us: int, end_us: int, now_us: int) -> Candle | None:
    """One candle of the trades from `start_us` up to, not including, `end_us`; None where there are none."""
    parts = [it for it in _parts(tape, symbol, start_us, end_us, now_us, _UNITS_US) if it.trades]
    whole = joined(part._replace(open_us=start_us) for part in parts)
    return whole.get(start_us)


def last_price(tape: Tape, symbol: str, time_us: int, now_us: int) -> int | None:
    """The price of the newest trade up to a time, 1e-8; None where there is none."""
    trade = _trade(tape, symbol, tape.last_trade_id(symbol, time_us, now_us), now_us)
    return trade and trade.price


def _parts(
    tape: Tape, symbol: str, start_us: int, end_us: int, now_us: int, units_us: Sequence[int]
) -> Iterator[Candle]:
    """Candles of whole units, the longest first, and of the trades before and after."""
    if start_us >= end_us:
        return
    if not units_us:
        yield from map(_of_trade, _trades(tape, symbol, start_us, end_us, now_us))
        return
    unit_us, *finer = units_us
    first_us, last_us = -(-start_us // unit_us) * unit_us, end_us // unit_us * unit_us
    if first_us >= last_us:
        yield from _parts(tape, symbol, start_us, end_us, now_us, finer)
        return
    yield from _parts(tape, symbol, start_us, first_us, now_us, finer)
    page = Page(unit_us, first_us, last_us - 1, (last_us - first_us) // unit_us)
    yield from tape.candles(symbol, page, now_us)
    yield from _parts(tape, symbol, last_us, end_us, now_us, finer)


def _trades(tape: Tape, symbol: str, start_us: int, end_us: int, now_us: int) -> Sequence[Trade]:
    before, last = (tape.last_trade_id(symbol, time_us - 1, now_us) for time_us in (start_us, end_us))
    return tape.trades_from(symbol, before + 1, last - before, now_us) if last > before else ()


def _trade(tape: Tape, symbol: str, id_: int, now_us: int) -> Trade | None:
    found = tape.trades_from(symbol, id_, 1, now_us) if id_ else ()
    return found[0] if found else None


def _of_trade(trade: Trade) -> Candle:
    price, qty = trade.price, trade.qty
    taken = 0 if trade.buyer_is_maker else qty
    return Candle(trade.ts_us, price, price, price, price, qty, price * qty, 1, taken, price * taken)
