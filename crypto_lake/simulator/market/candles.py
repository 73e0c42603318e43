"""Candles from trades, exactly.

Here belongs the arithmetic from a run of trades to candles; where the trades come from is the tapes' business. Sums are
integers throughout: nothing is rounded before it is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crypto_lake.simulator.market.tape import Candle, Trade

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class TradeColumns:
    """Trades of one symbol in id order, as columns of one length.

    Prices are whole numbers of `tick`, quantities of `step` (both in 1e-8), which keeps products small.
    """

    tick: int
    step: int
    ids: NDArray[np.int64]
    ts_us: NDArray[np.int64]  # never falls with the id
    event_us: NDArray[np.int64]
    sent_us: NDArray[np.int64]  # never falls with the id
    price: NDArray[np.int64]
    qty: NDArray[np.int64]
    buyer_is_maker: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, start: int, stop: int) -> TradeColumns:
        """The trades at the positions from `start` up to, not including, `stop`."""
        at = slice(max(start, 0), max(stop, 0))
        return TradeColumns(
            self.tick, self.step, self.ids[at], self.ts_us[at], self.event_us[at], self.sent_us[at],
            self.price[at], self.qty[at], self.buyer_is_maker[at],
        )  # fmt: skip

    def records(self) -> Iterator[Trade]:
        """The same as plain records, prices and quantities in 1e-8."""
        tick, step = self.tick, self.step
        columns = (
            self.ids,
            self.ts_us,
            self.event_us,
            self.sent_us,
            self.price,
            self.qty,
            self.buyer_is_maker,
        )
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return (Trade(i, ts, event, sent, p * tick, q * step, m) for i, ts, event, sent, p, q, m in rows)


class CandleColumns(NamedTuple):
    """Candles of a stretch as columns in the order of `Candle`, and what a unit of each column is worth."""

    columns: tuple[NDArray[np.generic], ...]
    units: tuple[int, ...]

    def records(self) -> list[Candle]:
        """The same as plain records."""
        rows = zip(*(column.tolist() for column in self.columns), strict=True)
        return [Candle(*(value * unit for value, unit in zip(row, self.units, strict=True))) for row in rows]


def summarise(trades: TradeColumns, interval_us: int) -> CandleColumns:
    """One candle for each interval that has trades; open and close by trade id."""
    if not len(trades):
        return CandleColumns((), ())
    buckets = trades.ts_us // interval_us
    starts = np.flatnonzero(np.diff(buckets, prepend=buckets[0] - 1))
    ends = np.append(starts[1:], len(trades))
    taken = np.where(trades.buyer_is_maker, 0, trades.qty)
    tick, step = trades.tick, trades.step
    columns = (
        buckets[starts], trades.price[starts], np.maximum.reduceat(trades.price, starts),
        np.minimum.reduceat(trades.price, starts), trades.price[ends - 1],
        np.add.reduceat(trades.qty, starts), _products(trades.price, trades.qty, starts),
        ends - starts, np.add.reduceat(taken, starts), _products(trades.price, taken, starts),
    )  # fmt: skip
    return CandleColumns(
        columns, (interval_us, tick, tick, tick, tick, step, tick * step, 1, step, tick * step)
    )


def _products(
    price: NDArray[np.int64], qty: NDArray[np.int64], starts: NDArray[np.intp]
) -> NDArray[np.generic]:
    """Sums of price times quantity for each run; Python's integers where 64 bits might not hold them."""
    if int(price.max()) * int(qty.max()) * len(price) > _INT64_MAX:
        return np.add.reduceat(price.astype(object) * qty.astype(object), starts)
    return np.add.reduceat(price * qty, starts)


def joined(parts: Iterable[Candle]) -> dict[int, Candle]:
    """Candles by open time, where the trades of one candle may have come in several parts, oldest first."""
    whole: dict[int, Candle] = {}
    for part in parts:
        known = whole.get(part.open_us)
        whole[part.open_us] = part if known is None else _together(known, part)
    return whole


def _together(first: Candle, then: Candle) -> Candle:
    return Candle(
        first.open_us,
        first.open,
        max(first.high, then.high),
        min(first.low, then.low),
        then.close,
        first.volume + then.volume,
        first.quote_volume + then.quote_volume,
        first.trades + then.trades,
        first.taker_buy_volume + then.taker_buy_volume,
        first.taker_buy_quote_volume + then.taker_buy_quote_volume,
    )


def filled(known: dict[int, Candle], opens: Iterable[int], previous_close: int) -> list[Candle]:
    """A candle for each open time; flat at the close before it where nothing was traded.

    The exchange does the same: 23,863 minutes without a trade in eight years of its own files, each of them flat.
    """
    candles = []
    close = previous_close
    for open_us in opens:
        candle = known.get(open_us) or Candle(open_us, close, close, close, close, 0, 0, 0, 0, 0)
        close = candle.close
        candles.append(candle)
    return candles
