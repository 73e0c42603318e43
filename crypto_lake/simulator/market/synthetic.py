"""The synthetic market: a tape that is a pure function of (seed, symbol, time).

Here belong trades and quotes made up from a seed. Time is cut into blocks; how many trades came before a block has a
closed form, so any block can be made on its own and its ids still follow the block before, ninety days ago or now.
In a block, quotes follow a smooth price path and every trade hits the quote that prevails: a taker buys at the ask
and sells at the bid.
"""

from __future__ import annotations

import bisect
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from crypto_lake.simulator.market.candles import TradeColumns, filled, joined, summarise
from crypto_lake.simulator.market.instruments import character
from crypto_lake.simulator.market.tape import Quote, Trade
from crypto_lake.simulator.market.waves import SECOND_US, elapsed_activity, mixed, swing, uniform

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from crypto_lake.simulator.market.tape import Candle, Instrument, Page

EPOCH_US = 1_577_836_800 * SECOND_US  # 2020-01-01: before it nothing was traded
SEND_DELAY_US = 150  # from the match to the wire
_BLOCK_LENGTHS_S = (3600, 600, 60, 10, 1)
_MOST_EVENTS_A_BLOCK = 100_000
_CACHED_BLOCKS = 4  # of each symbol's trades: those being sent, and a few that are asked for; 1 to 2 MB each
_CACHED_CANDLES = (
    24 * 100
)  # of each symbol, the candles of so many blocks: 90 days of them are asked for at a time
_ID_STRIDE = 7  # quotes count every change of the book, not only those at the top
_LONGEST_BURST_GAP_S = 0.03


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
        self._books = {symbol: _Listing(seed, symbol, rate) for symbol in symbols}

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


class _Listing:
    """One symbol's market, block by block."""

    def __init__(self, seed: int, symbol: str, rate: float) -> None:
        self.character = character(symbol)
        self.seed = int(mixed(seed, np.array([zlib.crc32(symbol.encode())]))[0]) >> 8
        self._trades_per_s = self.character.trades_per_s * rate
        self._quotes_per_s = self.character.quotes_per_s * rate
        per_s = self._trades_per_s + self._quotes_per_s
        fitting = [length for length in _BLOCK_LENGTHS_S if length * per_s <= _MOST_EVENTS_A_BLOCK]
        self._block_s = fitting[0] if fitting else _BLOCK_LENGTHS_S[-1]
        self.trades = lru_cache(_CACHED_BLOCKS)(self._trades)
        self._book = lru_cache(4)(self._make_book)
        self._whole = lru_cache(_CACHED_CANDLES)(self._summarised)
        self.first_price = self.character.price * self.character.instrument.tick

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
        return self._before(block, self._trades_per_s) + len(self.known_trades(block, time_us))

    def known_trades(self, block: int, now_us: int) -> TradeColumns:
        """The block's trades that were matched up to now."""
        trades = self.trades(block)
        return trades.cut(0, int(np.searchsorted(trades.ts_us, now_us, side="right")))

    def candles(self, block: int, interval_us: int, now_us: int) -> list[Candle]:
        """Return what the block's trades up to now make of each interval that has any."""
        if now_us >= self._start_us(block + 1):
            return self._whole(block, interval_us)
        return summarise(self.known_trades(block, now_us), interval_us)

    def _summarised(self, block: int, interval_us: int) -> list[Candle]:
        return summarise(self.trades(block), interval_us)

    def events(self, block: int, start_us: int, end_us: int) -> Iterator[Trade | Quote]:
        """The block's trades and quotes sent in `[start_us, end_us)`, in order; of equal times the quote first."""
        window = (start_us - SEND_DELAY_US, end_us - SEND_DELAY_US)
        trades = self.trades(block)
        trades = trades.cut(*(int(at) for at in np.searchsorted(trades.ts_us, window)))
        times = self._book(block)[0]
        first, last = (int(at) for at in np.searchsorted(times, window))
        merged: list[Trade | Quote] = [*self._quotes(block, first, last), *trades.records()]
        return iter(sorted(merged, key=_sent))

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

    def _make_book(self, block: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
        """Times, bids and asks (ticks) of the block's quotes, and how many quotes came before it.

        The first quote stands at the block's very start, so that no trade needs the block before.
        """
        first = self._before(block, self._quotes_per_s) + block
        count = self._before(block + 1, self._quotes_per_s) + block + 1 - first
        start = np.array([self._start_us(block)])
        times = np.concatenate([start, self._times(block, count - 1, purpose=0)])
        middle = self.character.price * swing(self.seed, times)
        spread = 1 + (uniform(self.seed + 1, first + np.arange(count)) * 1.3).astype(np.int64)
        bid = (middle - spread / 2).astype(np.int64)
        return times, bid, bid + spread, first

    def _trades(self, block: int) -> TradeColumns:
        first = self._before(block, self._trades_per_s)
        count = self._before(block + 1, self._trades_per_s) - first
        times = self._times(block, count, purpose=1)
        quote_times, bid, ask, _ = self._book(block)
        prevailing = np.searchsorted(quote_times, times, side="right") - 1
        ids = 1 + first + np.arange(count)
        sells = uniform(self.seed + 2, ids) < 0.5  # noqa: PLR2004 - as many sell as buy
        price = np.where(sells, bid[prevailing], ask[prevailing])
        instrument = self.character.instrument
        sent = times + SEND_DELAY_US
        return TradeColumns(
            instrument.tick, instrument.step, ids, times, sent, sent, price, self._quantities(3, ids), sells
        )

    def _quotes(self, block: int, start: int, stop: int) -> Iterator[Quote]:
        times, bid, ask, first = self._book(block)
        instrument = self.character.instrument
        numbers = first + np.arange(start, stop)
        columns = (
            _ID_STRIDE * numbers + (mixed(self.seed + 4, numbers) % np.uint64(_ID_STRIDE)).astype(np.int64),
            times[start:stop] + SEND_DELAY_US,
            bid[start:stop] * instrument.tick,
            10 * self._quantities(5, numbers) * instrument.step,
            ask[start:stop] * instrument.tick,
            10 * self._quantities(6, numbers) * instrument.step,
        )
        return (Quote(*row) for row in zip(*(column.tolist() for column in columns), strict=True))

    def _quantities(self, purpose: int, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Steps: mostly small, a few fifty times that."""
        chance = uniform(self.seed + purpose, numbers)
        return 1 + (self.character.qty * chance / (1.02 - chance)).astype(np.int64)


def _sent(event: Trade | Quote) -> int:
    return event.sent_us
