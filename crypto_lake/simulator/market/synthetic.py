"""The synthetic market: a tape that is a pure function of (seed, symbol, time).

Here belong trades and quotes made up from a seed. Time is cut into blocks; how many trades came before a block has a
closed form, so any block can be made on its own and its ids still follow the block before, ninety days ago or now.
In a block, quotes follow a smooth price path and every trade hits the quote that prevails: a taker buys at the ask
and sells at the bid. The ids that quotes skip are changes of the levels behind (`ladder`).
"""

from __future__ import annotations

import bisect
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crypto_lake.simulator.market.candles import CandleColumns, TradeColumns, filled, joined, summarise
from crypto_lake.simulator.market.depth import Depth
from crypto_lake.simulator.market.instruments import character
from crypto_lake.simulator.market.ladder import Ladder, Tops
from crypto_lake.simulator.market.tape import Quote, Trade
from crypto_lake.simulator.market.waves import SECOND_US, elapsed_activity, mixed, swing, uniform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from crypto_lake.simulator.market.tape import Book, Candle, DepthEvent, Instrument, Loss, Page

EPOCH_US = 1_577_836_800 * SECOND_US  # 2020-01-01: before it nothing was traded
SEND_DELAY_US = 150  # from the match to the wire
_BLOCK_LENGTHS_S = (3600, 600, 60, 10, 1)
_MOST_EVENTS_A_BLOCK = 100_000
# Of all symbols together, beside the block of each that is being sent: those that are asked for; 0.1 to 1 MB each.
_SPARE_BLOCKS = 16
# Of all symbols together, the candles of so many finished blocks: 90 days of three symbols, or a day of five hundred,
# are asked for at a time; 5 kB each.
_CACHED_CANDLES = 12_000
_MINUTE_US = 60 * SECOND_US
_ID_STRIDE = 7  # quotes count every change of the book, not only those at the top
_LONGEST_BURST_GAP_S = 0.03
_LADDER = 300  # apart from the seeds of all else


class SyntheticMarket:
    """A tape made up from a seed; the same arguments give the same market on every machine.

    Args:
        seed: any integer.
        symbols: what is traded, in the exchange's spelling.
        rate: multiplies how many messages there are; 1.0 is about 11 a second for SOLUSDT, 1.2 for ADAUSDT.
    """

    end_us = None

    def __init__(self, seed: int, symbols: Sequence[str], rate: float = 1.0) -> None:
        self.symbols = tuple(symbols)
        self.shared = _Shared(len(self.symbols))
        self._books = {symbol: _Listing(seed, symbol, rate, self.shared) for symbol in symbols}

    def instrument(self, symbol: str) -> Instrument:
        """Return what the symbol stands for; KeyError for one that is not traded."""
        return self._books[symbol].character.instrument

    def events(self, symbol: str, start_us: int, end_us: int) -> Iterator[Trade | Quote]:
        """Trades and quotes with `start_us <= sent_us < end_us`, in the order they are sent."""
        listing = self._books[symbol]
        start_us = max(start_us, EPOCH_US)
        if start_us < end_us:
            for block in range(listing.block_at(start_us - SEND_DELAY_US), listing.block_at(end_us) + 1):
                yield from listing.events(block, start_us, end_us)

    def losses(self, symbol: str, start_us: int, end_us: int) -> Iterator[Loss]:  # noqa: ARG002 - there are none
        """See `Tape.losses`: nothing is."""
        return iter(())

    def depth(self, symbol: str, start_us: int, end_us: int, window_us: int) -> Iterator[DepthEvent]:
        """See `Tape.depth`."""
        return self._books[symbol].depth.events(max(start_us, EPOCH_US), end_us, window_us)

    def book(self, symbol: str, limit: int, now_us: int) -> Book | None:
        """See `Tape.book`."""
        return self._books[symbol].depth.book(now_us, limit) if now_us >= EPOCH_US else None

    def book_due_us(self, symbol: str, now_us: int) -> int:  # noqa: ARG002 - all are answered at once
        """See `Tape.book_due_us`."""
        return now_us

    def quote(self, symbol: str, now_us: int) -> Quote | None:
        """See `Tape.quote`."""
        return self._books[symbol].quote(now_us) if now_us >= EPOCH_US else None

    def last_trade_id(self, symbol: str, time_us: int, now_us: int) -> int:
        """See `Tape.last_trade_id`."""
        return self._books[symbol].last_id(min(time_us, now_us))

    def trades_from(self, symbol: str, from_id: int, limit: int, now_us: int) -> Sequence[Trade]:
        """The oldest `limit` trades with an id of at least `from_id`, none later than now."""
        listing = self._books[symbol]
        trades: list[Trade] = []
        for block in range(listing.block_of(from_id), listing.block_at(now_us) + 1):
            known = listing.known_trades(block, now_us)
            first = int(np.searchsorted(known.ids, from_id))
            trades.extend(known.cut(first, first + limit - len(trades)).records())
            if len(trades) == limit:
                break
        return trades

    def recent_trades(self, symbol: str, limit: int, now_us: int) -> Sequence[Trade]:
        """The newest `limit` trades up to now, oldest first."""
        return self.trades_from(symbol, self._books[symbol].last_id(now_us) - limit + 1, limit, now_us)

    def candles(self, symbol: str, page: Page, now_us: int) -> list[Candle]:
        """See `Tape.candles`."""
        listing = self._books[symbol]
        opens = page.opens(EPOCH_US, now_us)
        if not opens:
            return []
        last_us = opens[-1] + page.interval_us - 1
        blocks = range(listing.block_at(opens[0]), listing.block_at(min(last_us, now_us)) + 1)
        known = joined(c for block in blocks for c in listing.candles(block, page.interval_us, now_us))
        if opens[0] in known:
            return filled(known, opens, previous_close=0)
        before = self.trades_from(symbol, listing.last_id(opens[0] - 1), 1, now_us)
        return filled(known, opens, before[0].price if before else listing.first_price)


class _Book(NamedTuple):
    """A block's quotes: times as µs since its start, bids and spreads in ticks, and how many quotes came before it."""

    times: NDArray[np.unsignedinteger]
    bid: NDArray[np.unsignedinteger]
    spread: NDArray[np.unsignedinteger]
    first: int


class _Trades(NamedTuple):
    """A block's trades as `TradeColumns` has them, in as few bytes as they need; times as µs since its start."""

    first_id: int
    times: NDArray[np.unsignedinteger]
    price: NDArray[np.unsignedinteger]
    qty: NDArray[np.unsignedinteger]
    sells: NDArray[np.bool_]


class _Shared:
    """The blocks that are kept, of all symbols together: hundreds of symbols must not keep what three may."""

    def __init__(self, symbols: int) -> None:
        self.trades = lru_cache(symbols + _SPARE_BLOCKS)(_Listing.make_trades)
        self.book = lru_cache(symbols + _SPARE_BLOCKS)(_Listing.make_book)
        self.candles = lru_cache(_CACHED_CANDLES)(_Listing.make_candles)


class _Listing:
    """One symbol's market, block by block."""

    def __init__(self, seed: int, symbol: str, rate: float, shared: _Shared) -> None:
        self.character = character(symbol)
        self.seed = int(mixed(seed, np.array([zlib.crc32(symbol.encode())]))[0]) >> 8
        self._trades_per_s = self.character.trades_per_s * rate
        self._quotes_per_s = self.character.quotes_per_s * rate
        per_s = self._trades_per_s + self._quotes_per_s
        fitting = [length for length in _BLOCK_LENGTHS_S if length * per_s <= _MOST_EVENTS_A_BLOCK]
        self._block_s = fitting[0] if fitting else _BLOCK_LENGTHS_S[-1]
        self._shared = shared
        self.first_price = self.character.price * self.character.instrument.tick
        ladder = Ladder(self.seed + _LADDER, self.character.price, self.character.qty)
        self.depth = Depth(
            self._ids_at, self._tops, ladder, self.character.instrument, self.seed, SEND_DELAY_US
        )

    def block_at(self, time_us: int) -> int:
        """The block that holds the time; the first one for all time before."""
        return max(time_us - EPOCH_US, 0) // (self._block_s * SECOND_US)

    def block_of(self, trade_id: int) -> int:
        """The block that holds the trade; the first one for ids that never were."""
        latest = 2**40 // self._block_s
        return (
            max(
                bisect.bisect_left(
                    range(latest), trade_id, key=lambda block: self._before(block, self._trades_per_s)
                ),
                1,
            )
            - 1
        )

    def last_id(self, time_us: int) -> int:
        """Id of the last trade up to the time; 0 where there is none."""
        if time_us < EPOCH_US:
            return 0
        block = self.block_at(time_us)
        return self._before(block, self._trades_per_s) + self._known(block, time_us)

    def known_trades(self, block: int, now_us: int) -> TradeColumns:
        """The block's trades that were matched up to now."""
        return self._columns(block, self._shared.trades(self, block), 0, self._known(block, now_us))

    def _known(self, block: int, now_us: int) -> int:
        """Return how many of the block's trades were matched up to now."""
        times = self._shared.trades(self, block).times
        return self._position(block, times, now_us + 1)

    def _position(self, block: int, times: NDArray[np.unsignedinteger], time_us: int) -> int:
        """Return how many of times in a block are before a time."""
        since = max(time_us - self._start_us(block), 0)
        if since > np.iinfo(times.dtype).max:
            return len(times)
        # Of the type of the times, or all of them would be made wider for the search.
        return int(np.searchsorted(times, times.dtype.type(since)))

    def candles(self, block: int, interval_us: int, now_us: int) -> list[Candle]:
        """Return what the block's trades up to now make of each interval that has any."""
        if now_us < self._start_us(block + 1):
            return summarise(self.known_trades(block, now_us), interval_us).records()
        make = self._shared.candles if interval_us >= _MINUTE_US else _Listing.make_candles
        return make(self, block, interval_us).records()

    def make_candles(self, block: int, interval_us: int) -> CandleColumns:
        """Return the candles of a whole block; its trades are not kept for them, since the candles are."""
        trades = self.make_trades(block)
        return summarise(self._columns(block, trades, 0, len(trades.times)), interval_us)

    def events(self, block: int, start_us: int, end_us: int) -> Iterator[Trade | Quote]:
        """The block's trades and quotes sent in `[start_us, end_us)`, in order; of equal times the quote first."""
        window = (start_us - SEND_DELAY_US, end_us - SEND_DELAY_US)
        trades, book = self._shared.trades(self, block), self._shared.book(self, block)
        columns = self._columns(block, trades, *(self._position(block, trades.times, at) for at in window))
        quotes = self._quotes(block, book, *(self._position(block, book.times, at) for at in window))
        merged: list[Trade | Quote] = [*quotes, *columns.records()]
        return iter(sorted(merged, key=_sent))

    def quote(self, now_us: int) -> Quote:
        """The quote that stands; now is not before the market opened."""
        block = self.block_at(now_us)
        book = self._shared.book(self, block)
        stop = self._position(block, book.times, now_us + 1)
        (quote,) = self._quotes(block, book, stop - 1, stop)
        return quote

    def _ids_at(self, times_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """The newest update id at each of rising times.

        The ids between two quotes' are changes of the levels behind, spread over the time between the two.
        """
        times_us = np.maximum(times_us, EPOCH_US)
        blocks = (times_us - EPOCH_US) // (self._block_s * SECOND_US)
        starts = np.flatnonzero(np.diff(blocks, prepend=-1))
        parts = zip(blocks[starts].tolist(), np.split(times_us, starts[1:]), strict=True)
        return np.concatenate([self._ids_in(block, part) for block, part in parts])

    def _ids_in(self, block: int, times_us: NDArray[np.int64]) -> NDArray[np.int64]:
        book = self._shared.book(self, block)
        since = times_us - self._start_us(block)
        begins = book.times.astype(np.int64)
        at = np.searchsorted(begins, since, side="right") - 1
        ends = np.append(begins, self._block_s * SECOND_US)[at + 1]
        first = self._update_ids(book.first + at)
        changes = self._update_ids(book.first + at + 1) - first
        return first + np.floor_divide(changes * (since - begins[at]), ends - begins[at])

    def _tops(self, start_us: int, end_us: int) -> Tops:
        """The top of the book at each id from the newest at one time to the newest at another."""
        first, last = self._ids_at(np.array([start_us, end_us])).tolist()
        ids = np.arange(first, last + 1)
        numbers = ids // _ID_STRIDE
        numbers -= self._update_ids(numbers) > ids
        bid, spread = np.empty_like(ids), np.empty_like(ids)
        for block in range(self.block_at(start_us), self.block_at(end_us) + 1):
            book = self._shared.book(self, block)
            at = slice(*np.searchsorted(numbers, (book.first, book.first + len(book.times))).tolist())
            bid[at], spread[at] = (column[numbers[at] - book.first] for column in (book.bid, book.spread))
        bid_qty, ask_qty = (10 * self._quantities(purpose, numbers) for purpose in (5, 6))
        return Tops(ids, bid, bid_qty, bid + spread, ask_qty)

    def _update_ids(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The update ids of quotes."""
        return _ID_STRIDE * numbers + (mixed(self.seed + 4, numbers) % np.uint64(_ID_STRIDE)).astype(np.int64)

    def _start_us(self, block: int) -> int:
        return EPOCH_US + block * self._block_s * SECOND_US

    def _before(self, block: int, per_s: float) -> int:
        """Return how many there were before the block; never falls from block to block."""
        mean = per_s * self._block_s
        noise = 0.3 * mean * float(uniform(self.seed, np.array([block]))[0]) if block else 0.0
        return int(per_s * elapsed_activity(block * self._block_s) + noise)

    def _times(self, block: int, count: int, purpose: int) -> NDArray[np.int64]:
        """`count` times in the block, rising: bursts of milliseconds between waits of very different lengths."""
        chance = np.random.Generator(np.random.PCG64([self.seed, block, purpose])).random((2, count + 1))
        longest = min(_LONGEST_BURST_GAP_S, 0.2 * self._block_s / (count + 1))
        follows = chance[0] < self.character.burst
        follows[[0, -1]] = False
        bursts = np.where(follows, longest * chance[1] * chance[1], 0.0)
        waits = np.where(follows, 0.0, 0.02 + chance[1] / (1.03 - chance[1]))
        waits *= (self._block_s - bursts.cumsum()[-1]) / waits.cumsum()[-1]
        offsets = ((bursts + waits).cumsum()[:-1] * SECOND_US).astype(np.int64)
        return np.minimum(offsets, self._block_s * SECOND_US - 1) + self._start_us(block)

    def make_book(self, block: int) -> _Book:
        """The block's quotes.

        The first quote stands at the block's very start, so that no trade needs the block before.
        """
        first = self._before(block, self._quotes_per_s) + block
        count = self._before(block + 1, self._quotes_per_s) + block + 1 - first
        start_us = self._start_us(block)
        times = np.concatenate([np.array([start_us]), self._times(block, count - 1, purpose=0)])
        middle = self.character.price * swing(self.seed, times)
        spread = 1 + (uniform(self.seed + 1, first + np.arange(count)) * 1.3).astype(np.int64)
        bid = (middle - spread / 2).astype(np.int64)
        return _Book(_narrow(times - start_us), _narrow(bid), _narrow(spread), first)

    def make_trades(self, block: int) -> _Trades:
        """The block's trades."""
        first = self._before(block, self._trades_per_s)
        count = self._before(block + 1, self._trades_per_s) - first
        times = self._times(block, count, purpose=1) - self._start_us(block)
        book = self._shared.book(self, block)
        prevailing = np.searchsorted(book.times, times, side="right") - 1
        ids = 1 + first + np.arange(count)
        sells = uniform(self.seed + 2, ids) < 0.5  # noqa: PLR2004 - as many sell as buy
        price = book.bid[prevailing].astype(np.int64) + np.where(sells, 0, book.spread[prevailing])
        return _Trades(1 + first, _narrow(times), _narrow(price), _narrow(self._quantities(3, ids)), sells)

    def _columns(self, block: int, trades: _Trades, start: int, stop: int) -> TradeColumns:
        at = slice(start, stop)
        times = trades.times[at].astype(np.int64) + self._start_us(block)
        sent = times + SEND_DELAY_US
        ids = trades.first_id + np.arange(start, start + len(times))
        price, qty = trades.price[at].astype(np.int64), trades.qty[at].astype(np.int64)
        tick, step = self.character.instrument.tick, self.character.instrument.step
        return TradeColumns(tick, step, ids, times, sent, sent, price, qty, trades.sells[at])

    def _quotes(self, block: int, book: _Book, start: int, stop: int) -> Iterator[Quote]:
        instrument, at = self.character.instrument, slice(start, stop)
        numbers = book.first + np.arange(start, stop)
        bid = book.bid[at].astype(np.int64)
        columns = (
            self._update_ids(numbers),
            book.times[at].astype(np.int64) + self._start_us(block) + SEND_DELAY_US,
            bid * instrument.tick,
            10 * self._quantities(5, numbers) * instrument.step,
            (bid + book.spread[at]) * instrument.tick,
            10 * self._quantities(6, numbers) * instrument.step,
        )
        return (Quote(*row) for row in zip(*(column.tolist() for column in columns), strict=True))

    def _quantities(self, purpose: int, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Steps: mostly small, a few fifty times that."""
        chance = uniform(self.seed + purpose, numbers)
        return 1 + (self.character.qty * chance / (1.02 - chance)).astype(np.int64)


def _narrow(values: NDArray[np.int64]) -> NDArray[np.unsignedinteger]:
    """The same in as few bytes as the largest of them needs; none is negative."""
    narrow: NDArray[np.unsignedinteger] = values.astype(np.min_scalar_type(int(values.max(initial=0))))
    return narrow


def _sent(event: Trade | Quote) -> int:
    return event.sent_us
