"""A day of a lake as the tape that the bundled exchange plays.

Trades are sent at their exchange time. Of a quote the lake knows when it came, by the exchange's clock, which is a
matter of milliseconds; it is sent at that time, but a little away from the ends of its second, or what is late on the
way to a recorder would count to another second. The order stays.

Nothing is made up. Trades and quotes of the day before are known as well, where they are there; in the moment in which
the replay begins, the newest of each before it is sent, since it is what stands.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from crypto_lake.layout import SECOND_US
from crypto_lake.operate.replay.candles import Candles
from crypto_lake.operate.replay.depth import DayOfDepth
from crypto_lake.operate.replay.rows import Columns, Rows, chosen
from crypto_lake.raw.instruments import Instrument as Listed
from crypto_lake.raw.intervals import Interval, clipped, without
from crypto_lake.series import Series
from crypto_lake.simulator.market.candles import TradeColumns, filled, joined, summarise
from crypto_lake.simulator.market.instruments import split_symbol
from crypto_lake.simulator.market.tape import (
    Book,
    Candle,
    DepthEvent,
    Instrument,
    Loss,
    Page,
    Quote,
    Trade,
    to_e8,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRADE_COLUMNS = ("id", "ts_event", "price", "qty", "side")
QUOTE_COLUMNS = ("id", "ts_event", "bid", "bid_qty", "ask", "ask_qty")
# Quotes of the first of a second are sent so long after its start, and others at most as long before its end.
EARLY_US = 80_000


@dataclass(frozen=True)
class Recorded:
    """What a lake has of one symbol: its ticks, and its depth, of the day before first; when somebody was listening.

    `days` are those of the ticks. There is no depth at all where none of the day itself was recorded.
    """

    series: Series
    trades: Sequence[Rows]
    quotes: Sequence[Rows]
    days: Sequence[date]
    listened: Sequence[Interval]
    lost: Sequence[Interval]
    listed: Listed | None
    depth: Sequence[DayOfDepth]


class LakeTape:
    """See `simulator.market.tape.Tape`, and the module.

    `begin_us` is when the replay begins; quotes of the last `late_us` of a second are sent before.
    """

    def __init__(
        self, recorded: Mapping[str, Recorded], begin_us: int, end_us: int, late_us: int = EARLY_US
    ) -> None:
        self._symbols = {symbol: _Symbol(one, begin_us, late_us) for symbol, one in recorded.items()}
        self.symbols = tuple(self._symbols)
        self._begin_us = begin_us
        self.end_us = end_us

    def instrument(self, symbol: str) -> Instrument:
        """See `Tape`: as the exchange listed it, else as fine as its trades were."""
        return self._symbols[symbol].instrument

    def events(self, symbol: str, start_us: int, end_us: int) -> Iterator[Trade | Quote]:
        """See `Tape`."""
        return self._symbols[symbol].events(start_us, end_us)

    def losses(self, symbol: str, start_us: int, end_us: int) -> Iterator[Loss]:
        """See `Tape`."""
        return self._symbols[symbol].losses(start_us, end_us)

    def depth(self, symbol: str, start_us: int, end_us: int, window_us: int) -> Iterator[DepthEvent]:
        """See `Tape`: as recorded; none where none was."""
        for day in self._symbols[symbol].depth:
            yield from day.events(max(start_us, self._begin_us), end_us, window_us)

    def book(self, symbol: str, limit: int, now_us: int) -> Book | None:
        """See `Tape`: of a book that was not recorded the best bid and ask are known."""
        if day := self._depth_at(symbol, now_us):
            return day.book(limit, now_us)
        quote = self.quote(symbol, now_us)
        return quote and Book(quote.update_id, ((quote.bid, quote.bid_qty),), ((quote.ask, quote.ask_qty),))

    def book_due_us(self, symbol: str, now_us: int) -> int:
        """See `Tape`."""
        day = self._depth_at(symbol, now_us)
        return day.due_us(now_us) if day else now_us

    def _depth_at(self, symbol: str, now_us: int) -> DayOfDepth | None:
        """The depth by which the book is known: before midnight that of the day before, if it is carried that far."""
        days = self._symbols[symbol].depth
        return next((one for one in days if now_us < one.end_us), days[-1] if days else None)

    def quote(self, symbol: str, now_us: int) -> Quote | None:
        """See `Tape`."""
        return self._symbols[symbol].quote(now_us)

    def trades_from(self, symbol: str, from_id: int, limit: int, now_us: int) -> Sequence[Trade]:
        """See `Tape`."""
        return self._symbols[symbol].trades_from(from_id, limit, now_us)

    def recent_trades(self, symbol: str, limit: int, now_us: int) -> Sequence[Trade]:
        """See `Tape`."""
        return self._symbols[symbol].recent_trades(limit, now_us)

    def last_trade_id(self, symbol: str, time_us: int, now_us: int) -> int:
        """See `Tape`."""
        newest = self._symbols[symbol].recent_trades(1, min(time_us, now_us))
        return newest[0].id if newest else 0

    def candles(self, symbol: str, page: Page, now_us: int) -> list[Candle]:
        """See `Tape`; the exchange's own where the lake has them."""
        return self._symbols[symbol].candles.page(page, now_us)


class _Symbol:
    """One symbol of the tape."""

    def __init__(self, recorded: Recorded, begin_us: int, late_us: int) -> None:
        self._recorded = recorded
        self._begin_us = begin_us
        self._late_us = late_us
        self.depth = recorded.depth
        self.candles = Candles(recorded.series, recorded.days, self._candles)

    @cached_property
    def instrument(self) -> Instrument:
        listed = self._recorded.listed
        if listed and listed.base and listed.quote and listed.tick and listed.lot:
            return Instrument(listed.base, listed.quote, to_e8(listed.tick), to_e8(listed.lot))
        tick = step = 0
        for piece in self._recorded.trades[-1].from_id(0):
            tick, step = gcd(tick, _divisor(piece["price"])), gcd(step, _divisor(piece["qty"]))
        return Instrument(*split_symbol(self._recorded.series.symbol), tick or 1, step or 1)

    def events(self, start_us: int, end_us: int) -> Iterator[Trade | Quote]:
        found: list[Trade | Quote] = []
        start_us = max(start_us, self._begin_us)
        if start_us <= self._begin_us < end_us:
            found += self._standing()
        for rows in self._recorded.trades:
            found += itertools.chain.from_iterable(map(_trades, rows.between(start_us, end_us)))
        first_us, last_us = start_us // SECOND_US * SECOND_US, -(-end_us // SECOND_US) * SECOND_US
        for rows in self._recorded.quotes:
            for piece in rows.between(first_us, last_us):
                found += (it for it in self._quotes(piece) if start_us <= it.sent_us < end_us)
        # Of equal times in order of the files: trades by their ids, quotes by theirs.
        found.sort(key=_sent)
        return iter(found)

    def _standing(self) -> list[Trade | Quote]:
        """The newest trade and quote from before the replay begins, as they are sent then."""
        before_us = self._begin_us - 1
        found: list[Trade | Quote] = [
            trade._replace(sent_us=self._begin_us) for trade in self.recent_trades(1, before_us)
        ]
        quote = self.quote(before_us)
        return [*found, quote._replace(sent_us=self._begin_us)] if quote else found

    def losses(self, start_us: int, end_us: int) -> Iterator[Loss]:
        """Holes, each at the time of the trade after it, and stretches that nobody listened to, at their start."""
        newest = self.recent_trades(1, max(start_us, self._begin_us) - 1)
        before = newest[0] if newest else None
        events = (
            it for it in self.events(start_us, end_us) if isinstance(it, Trade) and it.sent_us == it.ts_us
        )
        found = []
        for trade in sorted(events):
            if before and trade.id > before.id + 1:
                found.append(Loss(trade.ts_us, before.ts_us, trade.ts_us, before.id + 1, trade.id - 1))
            before = trade
        found += [
            Loss(first, first, last, None, None)
            for first, last in self._recorded.lost
            if start_us <= first < end_us
        ]
        return iter(sorted(found, key=_sent))

    def quote(self, now_us: int) -> Quote | None:
        # One that is later may have been moved to an earlier time within its second.
        last_us = now_us // SECOND_US * SECOND_US + SECOND_US - 1
        for rows in reversed(self._recorded.quotes):
            for piece in rows.up_to(last_us):
                position = int(np.searchsorted(self._moved(piece["ts_event"]), now_us, side="right"))
                if position:
                    return next(self._quotes(chosen(piece, slice(position - 1, position))))
        return None

    def _quotes(self, piece: Columns) -> Iterator[Quote]:
        names = "bid", "bid_qty", "ask", "ask_qty"
        sent = self._moved(piece["ts_event"]).tolist()
        rows = zip(piece["id"].tolist(), sent, *(piece[name].tolist() for name in names), strict=True)
        return itertools.starmap(Quote, rows)

    def _moved(self, times_us: "NDArray[np.int64]") -> "NDArray[np.int64]":
        """See the module; rising times stay so."""
        within = times_us % SECOND_US
        moved: NDArray[np.int64] = times_us - within + np.clip(within, EARLY_US, SECOND_US - self._late_us)
        return moved

    def trades_from(self, from_id: int, limit: int, now_us: int) -> list[Trade]:
        found: list[Trade] = []
        for rows in self._recorded.trades:
            for piece in rows.from_id(from_id):
                known = chosen(piece, piece["ts_event"] <= now_us)
                found += _trades(chosen(known, slice(limit - len(found))))
                if len(found) >= limit or len(known["id"]) < len(piece["id"]):
                    return found
        return found

    def recent_trades(self, limit: int, now_us: int) -> list[Trade]:
        found: list[Trade] = []
        for rows in reversed(self._recorded.trades):
            for piece in rows.up_to(now_us):
                found[:0] = _trades(chosen(piece, slice(len(found) - limit, None)))
                if len(found) >= limit:
                    return found
        return found

    def _candles(self, start_us: int, end_us: int, interval_us: int) -> dict[int, Candle]:
        """Those of the trades in [start, end), and flat ones where that was heard and nothing was traded."""
        pieces = (piece for rows in self._recorded.trades for piece in rows.between(start_us, end_us))
        made = joined(
            candle for piece in pieces for candle in summarise(_trade_columns(piece), interval_us).records()
        )
        opens = range(start_us // interval_us * interval_us, end_us, interval_us)
        before = self.recent_trades(1, opens.start - 1)
        if not before:
            # Before the first trade that is known there is no price.
            opens = range(min(made, default=end_us), end_us, interval_us)
        close = before[0].price if before else 0
        # Of the one in progress it is enough that it was heard so far.
        unheard = without(self._recorded.listened, start_us, end_us)
        return {
            it.open_us: it
            for it in filled(made, opens, close)
            if it.trades or not clipped(unheard, it.open_us, it.open_us + interval_us)
        }


def _trades(piece: Columns) -> Iterator[Trade]:
    times = piece["ts_event"].tolist()
    sells = [side == "sell" for side in piece["side"]]
    rows = zip(
        piece["id"].tolist(),
        times,
        times,
        times,
        piece["price"].tolist(),
        piece["qty"].tolist(),
        sells,
        strict=True,
    )
    return itertools.starmap(Trade, rows)


def _trade_columns(piece: Columns) -> TradeColumns:
    tick, step = _divisor(piece["price"]), _divisor(piece["qty"])
    times = piece["ts_event"]
    price, qty = piece["price"] // tick, piece["qty"] // step
    return TradeColumns(tick, step, piece["id"], times, times, times, price, qty, piece["side"] == "sell")


def _divisor(numbers: "NDArray[np.int64]") -> int:
    """The greatest common divisor of some; 1 of none."""
    return int(np.gcd.reduce(numbers)) if len(numbers) else 1


def _sent(one: Trade | Quote | Loss) -> int:
    return one.sent_us
