"""A tape from capture files: what a recorder heard, at the times it heard it.

Here belongs reading captures. A line is `<receive time, ns> <combined-stream JSON>`; `@trade`, `@bookTicker` and diff
depth are used, and answers of REST's `depth` (`lastUpdateId` and no symbol), other streams are passed over. The
market's clock is the recorder's: a frame is sent when it was received then, even where the recorder's clock ran slow
and a trade seems to happen later than it is sent.
"""

from __future__ import annotations

import gzip
import re
import zlib
from bisect import bisect_left, bisect_right
from itertools import accumulate
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
import numpy as np

from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.candles import TradeColumns, filled, joined, summarise
from crypto_lake.simulator.market.instruments import split_symbol
from crypto_lake.simulator.market.recorded_book import (
    RecordedBook,
    RecordedEvent,
    RecordedSnapshot,
    checked,
)
from crypto_lake.simulator.market.tape import Book, Instrument, Quote, Trade, to_e8

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from crypto_lake.simulator.market.tape import Candle, DepthEvent, Loss, Page


class _Frame(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    last_update_id: int | None = msgspec.field(default=None, name="lastUpdateId")
    bids: msgspec.Raw = msgspec.Raw(b"[]")
    asks: msgspec.Raw = msgspec.Raw(b"[]")


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


class _DepthWire(msgspec.Struct):
    E: int = 0
    s: str = ""
    U: int = 0
    u: int = 0
    b: msgspec.Raw = msgspec.Raw(b"[]")
    a: msgspec.Raw = msgspec.Raw(b"[]")


_Heard: TypeAlias = Trade | Quote | RecordedEvent | RecordedSnapshot
_DEPTH = re.compile(r"[^@]+@depth(?:@(?P<ms>\d+)ms)?")
_frame = msgspec.json.Decoder(_Frame)
_trade = msgspec.json.Decoder(_TradeWire)
_quote = msgspec.json.Decoder(_QuoteWire)
_depth = msgspec.json.Decoder(_DepthWire)


class Replay:
    """A tape of what capture files hold; the files are read at once, in the order given.

    Depth events are those recorded, and a book is a recorded snapshot carried over them. While no such book is known
    `book` is the newest quote, one level a side; without depth in the capture it is never more, and `depth` is empty.

    Args:
        paths: captures, plain or gzip (by the name's `.gz`).
        time_unit: of the times in the payloads.

    Raises:
        OSError: a file that cannot be read.
        ValueError: a line that is not a capture's, or no trade and no quote at all.
    """

    def __init__(self, *paths: Path | str, time_unit: Literal["ms", "us"] = "ms") -> None:
        heard: dict[str, list[_Heard]] = {}
        for symbol, one in _events(paths, 1000 if time_unit == "ms" else 1):
            heard.setdefault(symbol, []).append(one)
        snapshots = [it for it in heard.pop("", []) if isinstance(it, RecordedSnapshot)]
        if not heard:
            raise ValueError(f"no trade and no quote in {', '.join(str(path) for path in paths)}")
        self.start_us = min(found[0].sent_us for found in heard.values())
        self.end_us = max(found[-1].sent_us for found in heard.values())
        self._recordings = {symbol: _Recording(symbol, found) for symbol, found in heard.items()}
        self._books = {
            symbol: RecordedBook(found) for symbol, found in _with_snapshots(heard, snapshots).items()
        }
        self.symbols = tuple(self._recordings)

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

    def losses(self, symbol: str, start_us: int, end_us: int) -> Iterator[Loss]:  # noqa: ARG002 - there are none
        """See `Tape.losses`: a capture does not tell."""
        return iter(())

    def depth(self, symbol: str, start_us: int, end_us: int, window_us: int) -> Iterator[DepthEvent]:
        """See `Tape.depth`: what was recorded, and nothing else."""
        return self._books[symbol].events(start_us, end_us, window_us)

    def book(self, symbol: str, limit: int, now_us: int) -> Book | None:
        """See `Tape.book`: the recorded snapshot carried to now, or the newest quote where no depth was recorded."""
        known = self._books[symbol].at(now_us, limit)
        # A book of the best levels alone, believed, would contradict quotes for hours.
        if known is not None or self._books[symbol].windows_us:
            return known
        quote = self.quote(symbol, now_us)
        return quote and Book(quote.update_id, ((quote.bid, quote.bid_qty),), ((quote.ask, quote.ask_qty),))

    def book_due_us(self, symbol: str, now_us: int) -> int:
        """See `Tape.book_due_us`."""
        return self._books[symbol].due_us(now_us)

    def quote(self, symbol: str, now_us: int) -> Quote | None:
        """See `Tape.quote`: the newest that had been sent."""
        recording = self._recordings[symbol]
        position = bisect_right(recording.quotes, now_us, key=_sent)
        return recording.quotes[position - 1] if position else None

    def last_trade_id(self, symbol: str, time_us: int, now_us: int) -> int:
        """See `Tape.last_trade_id`."""
        known = self._recordings[symbol].known_trades(now_us)
        position = int(np.searchsorted(known.ts_us, time_us, side="right"))
        return int(known.ids[position - 1]) if position else 0

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

    def __init__(self, symbol: str, heard: Sequence[_Heard]) -> None:
        self.events = [one for one in heard if isinstance(one, Trade | Quote)]
        self.sent_us = [event.sent_us for event in self.events]
        trades = sorted({event.id: event for event in self.events if isinstance(event, Trade)}.values())
        self.quotes = quotes = [event for event in self.events if isinstance(event, Quote)]
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


def _with_snapshots(
    heard: dict[str, list[_Heard]], snapshots: Iterable[RecordedSnapshot]
) -> dict[str, list[RecordedEvent | RecordedSnapshot]]:
    """What was heard of each symbol's depth; a snapshot is of the symbol whose events can carry it."""
    found: dict[str, list[RecordedEvent | RecordedSnapshot]] = {
        symbol: [one for one in events if isinstance(one, RecordedEvent)] for symbol, events in heard.items()
    }
    ids = {symbol: RecordedBook(events).ids for symbol, events in found.items()}
    for snapshot in snapshots:
        fitting = [symbol for symbol, known in ids.items() if snapshot.last_id in known]
        if len(fitting) == 1:
            found[fitting[0]].append(snapshot)
    return {symbol: sorted(events, key=_sent) for symbol, events in found.items()}


def _events(paths: Sequence[Path | str], us_a_unit: int) -> Iterator[tuple[str, _Heard]]:
    """Symbol and event of each frame used, no symbol of a snapshot.

    `sent_us` never falls, also where the recorder's clock did.
    """
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


def _event(frame: _Frame, sent_us: int, us_a_unit: int) -> tuple[str, _Heard] | None:
    if frame.stream.endswith("@trade"):
        t = _trade.decode(frame.data)
        return t.s, Trade(t.t, t.T * us_a_unit, t.E * us_a_unit, sent_us, to_e8(t.p), to_e8(t.q), t.m)
    if frame.stream.endswith("@bookTicker"):
        q = _quote.decode(frame.data)
        return q.s, Quote(q.u, sent_us, to_e8(q.b), to_e8(q.B), to_e8(q.a), to_e8(q.A))
    if depth := _DEPTH.fullmatch(frame.stream):
        d, window_us = _depth.decode(frame.data), int(depth["ms"] or 1000) * 1000
        if not (d.s and d.u):  # without ids it says nothing about a book
            return None
        levels = checked(d.b), checked(d.a)
        return d.s, RecordedEvent(sent_us, window_us, d.U, d.u, d.E * us_a_unit, *levels)
    if frame.last_update_id is not None and not frame.stream:
        return "", RecordedSnapshot(sent_us, frame.last_update_id, checked(frame.bids), checked(frame.asks))
    return None


def _sent(one: _Heard) -> int:
    return one.sent_us
