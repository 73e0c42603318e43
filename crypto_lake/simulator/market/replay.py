"""A tape from capture files: what a recorder heard, at the times it heard it.

Here belongs reading captures. A line is `<receive time, ns> <combined-stream JSON>`; `@trade` and `@bookTicker` are
used, other streams are passed over. The market's clock is the recorder's: a frame is sent when it was received then,
even where the recorder's clock ran slow and a trade seems to happen later than it is sent.
"""

from __future__ import annotations

import gzip
import zlib
from bisect import bisect_left
from itertools import accumulate
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.candles import TradeColumns, filled, joined, summarise
from crypto_lake.simulator.market.instruments import split_symbol
from crypto_lake.simulator.market.tape import Instrument, Quote, Trade, to_e8

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crypto_lake.simulator.market.tape import Candle, Page


class _Frame(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class _TradeWire(msgspec.Struct):
    E: int
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _QuoteWire(msgspec.Struct):
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str


_frame = msgspec.json.Decoder(_Frame)
_trade = msgspec.json.Decoder(_TradeWire)
_quote = msgspec.json.Decoder(_QuoteWire)


class Replay:
    """A tape of what capture files hold; the files are read at once, in the order given.

    Args:
        paths: captures, plain or gzip (by the name's `.gz`).
        time_unit: of the times in the payloads.

    Raises:
        OSError: a file that cannot be read.
        ValueError: a line that is not a capture's, or no trade and no quote at all.
    """

    def __init__(self, *paths: Path | str, time_unit: Literal["ms", "us"] = "ms") -> None:
        events: dict[str, list[Trade | Quote]] = {}
        for symbol, event in _events(paths, 1000 if time_unit == "ms" else 1):
            events.setdefault(symbol, []).append(event)
        if not events:
            raise ValueError(f"no trade and no quote in {', '.join(str(path) for path in paths)}")
        self._recordings = {symbol: _Recording(symbol, heard) for symbol, heard in events.items()}
        self.symbols = tuple(self._recordings)
        self.start_us = min(recording.sent_us[0] for recording in self._recordings.values())
        self.end_us = max(recording.sent_us[-1] for recording in self._recordings.values())

    def clock(self, speed: float = 1.0) -> MarketClock:
        """A clock that waits at the first frame until a client has subscribed, so that nothing is lost."""
        return MarketClock(self.start_us, speed, waiting=True)

    def instrument(self, symbol: str) -> Instrument:
        """Return what the symbol stands for, its steps as fine as seen; KeyError for one that is not in the capture."""
        return self._recordings[symbol].instrument

    def events(self, symbol: str, start_us: int, end_us: int) -> Iterator[Trade | Quote]:
        """Trades and quotes with `start_us <= sent_us < end_us`, in the order they are sent."""
        recording = self._recordings[symbol]
        return iter(
            recording.events[
                bisect_left(recording.sent_us, start_us) : bisect_left(recording.sent_us, end_us)
            ]
        )

    def trades_from(self, symbol: str, from_id: int, limit: int, now_us: int) -> Sequence[Trade]:
        """The oldest `limit` trades with an id of at least `from_id`, none sent later than now."""
        known = self._recordings[symbol].known_trades(now_us)
        first = int(np.searchsorted(known.ids, from_id))
        return list(known.cut(first, first + limit).records())

    def recent_trades(self, symbol: str, limit: int, now_us: int) -> Sequence[Trade]:
        """The newest `limit` trades up to now, oldest first."""
        known = self._recordings[symbol].known_trades(now_us)
        return list(known.cut(len(known) - limit, len(known)).records())

    def candles(self, symbol: str, page: Page, now_us: int) -> list[Candle]:
        """See `Tape.candles`; a trade whose time is later than now counts once it has been sent."""
        known = self._recordings[symbol].known_trades(now_us)
        if not len(known):
            return []
        latest_us = max(now_us, int(known.ts_us[-1]))
        opens = page.opens(int(known.ts_us[0]), latest_us)
        if not opens:
            return []
        first, last = (
            int(at) for at in np.searchsorted(known.ts_us, (opens[0], opens[-1] + page.interval_us))
        )
        before = known.cut(first - 1, first) if first else known.cut(0, 1)
        return filled(
            joined(summarise(known.cut(first, last), page.interval_us).records()),
            opens,
            int(before.price[0]) * known.tick,
        )


class _Recording:
    """The events of one symbol in a capture."""

    def __init__(self, symbol: str, events: list[Trade | Quote]) -> None:
        self.events = events
        self.sent_us = [event.sent_us for event in events]
        trades = sorted({event.id: event for event in events if isinstance(event, Trade)}.values())
        quotes = [event for event in events if isinstance(event, Quote)]
        prices = (
            [trade.price for trade in trades]
            + [quote.bid for quote in quotes]
            + [quote.ask for quote in quotes]
        )
        tick, step = gcd(*prices), gcd(*(trade.qty for trade in trades))
        self.instrument = Instrument(*split_symbol(symbol), tick or 1, step or 1)
        self._trades = _columns(trades, self.instrument)

    def known_trades(self, now_us: int) -> TradeColumns:
        """The trades that had been sent up to now."""
        return self._trades.cut(0, int(np.searchsorted(self._trades.sent_us, now_us, side="right")))


def _columns(trades: list[Trade], instrument: Instrument) -> TradeColumns:
    def column(values: Iterable[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.fromiter(values, np.int64, len(trades))

    return TradeColumns(
        instrument.tick,
        instrument.step,
        ids=column(trade.id for trade in trades),
        ts_us=column(accumulate((trade.ts_us for trade in trades), max)),
        event_us=column(trade.event_us for trade in trades),
        sent_us=column(accumulate((trade.sent_us for trade in trades), max)),
        price=column(trade.price // instrument.tick for trade in trades),
        qty=column(trade.qty // instrument.step for trade in trades),
        buyer_is_maker=column(trade.buyer_is_maker for trade in trades).astype(np.bool_),
    )


def _events(paths: Sequence[Path | str], us_a_unit: int) -> Iterator[tuple[str, Trade | Quote]]:
    """Symbol and event of each frame used; `sent_us` never falls, also where the recorder's clock did."""
    latest_us = 0
    for path in map(Path, paths):
        for number, line in enumerate(_lines(path), 1):
            try:
                received_ns, _, text = line.partition(b" ")
                latest_us = max(latest_us, int(received_ns) // 1000)
                event = _event(_frame.decode(text), latest_us, us_a_unit)
            except (ValueError, msgspec.DecodeError) as error:
                raise ValueError(f"{path}:{number}: not a line of a capture: {error}") from error
            if event is not None:
                yield event


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            yield from lines
    except (EOFError, zlib.error) as error:
        raise ValueError(f"{path}: the compressed file is damaged or cut short") from error


def _event(frame: _Frame, sent_us: int, us_a_unit: int) -> tuple[str, Trade | Quote] | None:
    if frame.stream.endswith("@trade"):
        t = _trade.decode(frame.data)
        return t.s, Trade(t.t, t.T * us_a_unit, t.E * us_a_unit, sent_us, to_e8(t.p), to_e8(t.q), t.m)
    if frame.stream.endswith("@bookTicker"):
        q = _quote.decode(frame.data)
        return q.s, Quote(q.u, sent_us, to_e8(q.b), to_e8(q.B), to_e8(q.a), to_e8(q.A))
    return None
