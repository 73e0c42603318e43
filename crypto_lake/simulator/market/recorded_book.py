"""The book that a capture holds: its depth events as recorded, and its snapshots carried over them.

Here belongs what is known of a recorded book at a moment. Nothing is made up: before the first snapshot, and from a
break of the chain to the next snapshot, nothing is known.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from crypto_lake.simulator.market.tape import Book, DepthEvent, to_e8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crypto_lake.simulator.market.tape import Levels


class RecordedEvent(NamedTuple):
    """A depth event as heard; levels are parsed when they are asked for, since most never are."""

    sent_us: int
    window_us: int  # the stream's, by its name
    first_id: int
    last_id: int
    event_us: int
    bids: msgspec.Raw  # as the two of a snapshot: JSON, `[["price", "quantity"], ...]`
    asks: msgspec.Raw


class RecordedSnapshot(NamedTuple):
    """An answer of `depth` as heard."""

    sent_us: int
    last_id: int
    bids: msgspec.Raw
    asks: msgspec.Raw


_CARRIED = 4
# A client that is not answered for longer gives up.
_LONGEST_WAIT_US = 5_000_000
_levels = msgspec.json.Decoder(list[tuple[str, str]])
_sent = attrgetter("sent_us")


class RecordedBook:
    """The book of one symbol in a capture.

    Args:
        heard: its events and snapshots, `sent_us` never falling.
    """

    def __init__(self, heard: Sequence[RecordedEvent | RecordedSnapshot]) -> None:
        events = [it for it in heard if isinstance(it, RecordedEvent)]
        self.windows_us = sorted({it.window_us for it in events})
        """Of the streams recorded."""
        self.ids = range(events[0].first_id - 1, events[-1].last_id + 1) if events else range(0)
        """The ids over which events can carry a snapshot."""
        self._events = events
        # The finest stream alone carries the book.
        self._heard = [
            it for it in heard if isinstance(it, RecordedSnapshot) or it.window_us == self.windows_us[0]
        ]
        self._snapshots = {it.sent_us: it for it in heard if isinstance(it, RecordedSnapshot)}
        self._lock = threading.Lock()
        self._carried: list[_Carried] = []
        self._in_windows = lru_cache(self._in_windows_of)

    def events(self, start_us: int, end_us: int, window_us: int) -> Iterator[DepthEvent]:
        """The events sent in `[start_us, end_us)`: as recorded, or several finer ones put together where those were.

        Where only a coarser stream was recorded, that is told.
        """
        if not self.windows_us:
            return
        if window_us in self.windows_us or window_us < self.windows_us[0]:
            window_us = min(it for it in self.windows_us if it >= window_us)
            own = [it for it in self._between(self._events, start_us, end_us) if it.window_us == window_us]
            yield from map(_parsed, own)
        else:
            yield from self._between(self._in_windows(window_us), start_us, end_us)

    def at(self, now_us: int, limit: int) -> Book | None:
        """The best `limit` levels a side at a moment; None while they are not known.

        At the moment of a recorded snapshot it is that one, although events that go beyond it may have come before.
        """
        if told := self._snapshots.get(now_us):
            return Book(told.last_id, *(tuple(_parse(side))[:limit] for side in (told.bids, told.asks)))
        with self._lock:
            # Who plans ahead, and who asks for now, each go on from where they were.
            before = [it for it in self._carried if it.now_us <= now_us]
            carried = max(before, key=lambda it: it.now_us, default=None) or _Carried()
            self._carried = [*(it for it in self._carried if it is not carried), carried][-_CARRIED:]
            return carried.to(now_us, self._heard, limit)

    def due_us(self, now_us: int) -> int:
        """When a question after the book is answered: with the next snapshot, if it is not known and that is near."""
        if self.at(now_us, 1) is None:
            return next((at for at in self._snapshots if now_us < at <= now_us + _LONGEST_WAIT_US), now_us)
        return now_us

    @staticmethod
    def _between(events: Sequence, start_us: int, end_us: int) -> Sequence:  # type: ignore[type-arg]
        return events[bisect_left(events, start_us, key=_sent) : bisect_left(events, end_us, key=_sent)]

    def _in_windows_of(self, window_us: int) -> list[DepthEvent]:
        """The finest events put together: a new one for each window of their times, and after a break."""
        found: list[DepthEvent] = []
        for event in (_parsed(it) for it in self._events if it.window_us == self.windows_us[0]):
            last = found[-1] if found else None
            if (
                last
                and last.event_us // window_us == event.event_us // window_us
                and event.first_id == last.last_id + 1
            ):
                found[-1] = together(last, event)
            else:
                found.append(event)
        return found


class _Carried:
    """A book on its way through what was heard."""

    def __init__(self) -> None:
        self.now_us = 0
        self._next = 0
        self._last_id: int | None = None  # None: the levels are not known
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}

    def to(self, now_us: int, heard: Sequence[RecordedEvent | RecordedSnapshot], limit: int) -> Book | None:
        """Go on to a moment that is not before the last one."""
        self.now_us = now_us
        while self._next < len(heard) and heard[self._next].sent_us <= now_us:
            one = heard[self._next]
            if isinstance(one, RecordedEvent):
                self._apply(one)
            elif self._last_id is None:
                self._anchor(one, heard)
            self._next += 1
        if self._last_id is None:
            return None
        bids, asks = sorted(self._bids.items(), reverse=True), sorted(self._asks.items())
        return Book(self._last_id, tuple(bids[:limit]), tuple(asks[:limit]))

    def _anchor(self, snapshot: RecordedSnapshot, heard: Sequence[RecordedEvent | RecordedSnapshot]) -> None:
        """Begin at a snapshot; events that it lacks may have been heard before it."""
        self._last_id = snapshot.last_id
        self._bids, self._asks = dict(_parse(snapshot.bids)), dict(_parse(snapshot.asks))
        for one in heard[: self._next]:
            if isinstance(one, RecordedEvent):
                self._apply(one)

    def _apply(self, event: RecordedEvent) -> None:
        if self._last_id is None or event.last_id <= self._last_id:
            return
        if event.first_id > self._last_id + 1:
            self._last_id = None
            return
        self._last_id = event.last_id
        for side, levels in ((self._bids, event.bids), (self._asks, event.asks)):
            for price, qty in _parse(levels):
                if qty:
                    side[price] = qty
                else:
                    side.pop(price, None)


def checked(levels: msgspec.Raw) -> msgspec.Raw:
    """The same, once it is known to be levels.

    Raises:
        msgspec.DecodeError: it is something else.
    """
    _levels.decode(levels)
    return levels


def _parse(levels: msgspec.Raw) -> list[tuple[int, int]]:
    return [(to_e8(price), to_e8(qty)) for price, qty in _levels.decode(levels)]


def _parsed(event: RecordedEvent) -> DepthEvent:
    sides = tuple(_parse(event.bids)), tuple(_parse(event.asks))
    return DepthEvent(event.first_id, event.last_id, event.event_us, event.sent_us, *sides)


def together(first: DepthEvent, then: DepthEvent) -> DepthEvent:
    """Two events that follow each other as one: of a level the newer quantity counts."""
    bids: Levels = tuple(sorted((dict(first.bids) | dict(then.bids)).items(), reverse=True))
    asks: Levels = tuple(sorted((dict(first.asks) | dict(then.asks)).items()))
    return DepthEvent(first.first_id, then.last_id, then.event_us, then.sent_us, bids, asks)
