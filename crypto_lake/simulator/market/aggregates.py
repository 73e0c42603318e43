"""Trades put together: the fills of one taker order at one price.

Here belongs the exchange's rule: trades of consecutive ids with one time, price and side. The exchange numbers
aggregates by themselves; here one has the id of its first trade, which is known without counting from the beginning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from crypto_lake.simulator.market.tape import Trade

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crypto_lake.simulator.market.tape import Tape

# How many trades, and how long a time, one taker order is looked for beyond what is asked for.
_LONGEST_TRADES, _LONGEST_US = 1000, 1_000_000


class Aggregate(NamedTuple):
    """Trades of one taker order at one price; quantity in 1e-8."""

    first: Trade
    last: Trade
    qty: int
    sent_us: int  # when the last of them leaves the exchange

    @property
    def id(self) -> int:
        """See the module."""
        return self.first.id


def aggregated(trades: Iterable[Trade]) -> Iterator[Aggregate]:
    """Put trades together; they come in the order of their ids."""
    open_: Aggregate | None = None
    for trade in trades:
        if open_ is not None and _is_one_order(open_.last, trade):
            open_ = Aggregate(open_.first, trade, open_.qty + trade.qty, max(open_.sent_us, trade.sent_us))
            continue
        if open_ is not None:
            yield open_
        open_ = Aggregate(trade, trade, trade.qty, trade.sent_us)
    if open_ is not None:
        yield open_


def _is_one_order(last: Trade, trade: Trade) -> bool:
    return trade.id == last.id + 1 and _order(trade) == _order(last)


def _order(trade: Trade) -> tuple[int, int, bool]:
    return trade.ts_us, trade.price, trade.buyer_is_maker


def sent(tape: Tape, symbol: str, start_us: int, end_us: int) -> list[Aggregate]:
    """The aggregates that are complete in `[start_us, end_us)`, in the order they are sent."""
    events = tape.events(symbol, start_us - _LONGEST_US, end_us + _LONGEST_US)
    trades = {event.id: event for event in events if isinstance(event, Trade)}
    found = aggregated(trades[id_] for id_ in sorted(trades))
    return sorted((it for it in found if start_us <= it.sent_us < end_us), key=lambda it: it.sent_us)


def from_id(tape: Tape, symbol: str, first_id: int, limit: int, now_us: int) -> list[Aggregate]:
    """The oldest `limit` with an id of at least `first_id`, of what is known now."""
    found: list[Aggregate] = []
    next_id = first_id - _LONGEST_TRADES  # an order may have begun before
    while True:
        trades = tape.trades_from(symbol, next_id, limit + _LONGEST_TRADES, now_us)
        whole = list(aggregated(trades))
        is_end = len(trades) < limit + _LONGEST_TRADES
        if not is_end:
            # The last one may go on; where it is all there is, it is longer than any order.
            next_id = whole[-1].id if len(whole) > 1 else trades[-1].id + 1
            whole = whole[:-1] or whole
        found += (it for it in whole if it.id >= first_id)
        if is_end or len(found) >= limit:
            return found[:limit]


def up_to_id(tape: Tape, symbol: str, last_id: int, limit: int, now_us: int) -> list[Aggregate]:
    """The newest `limit` of the trades up to `last_id` that are known now."""
    count = limit + _LONGEST_TRADES
    while True:
        first_id = max(last_id - count + 1, 0)
        trades: Sequence[Trade] = tape.trades_from(symbol, first_id, count, now_us)
        found = list(aggregated(trade for trade in trades if trade.id <= last_id))
        # The first one may have begun before.
        if first_id == 0 or len(found) > limit:
            return found[-limit:]
        count *= 2
