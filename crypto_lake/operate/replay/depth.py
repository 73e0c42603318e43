"""The depth of a day as it was recorded: its events, and the book carried along them.

Nothing is made up: before the first snapshot, and from a break of the chain to the next one, the book is not known. A
snapshot is told as it was recorded to who asks at about the time of it, so a recorder's book begins with the same.
"""

import contextlib
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from crypto_lake.book.chain import Carried, Chain, Snapshot
from crypto_lake.book.side import Level, Side
from crypto_lake.errors import LakeError
from crypto_lake.layout import SECOND_US
from crypto_lake.simulator.market.recorded_book import together
from crypto_lake.simulator.market.tape import Book, DepthEvent, Levels
from crypto_lake.transform import depth_read
from crypto_lake.transform.depth_read import Lines

RECORDED_US = 100_000
"""The window of the events that are recorded."""
# So long, while the book is not known, an answer waits for the snapshot that comes.
_PATIENCE_US = 5 * SECOND_US
# Who asks for what is to be sent is ahead of the clock, who asks over REST is not: the book is known at both, and not
# further back than twice this.
_APART_US = 120 * SECOND_US
_CARRIED = 3


class Groups:
    """The newest row groups of all files together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[Path, int], Lines] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, number: int) -> Lines:
        """Return a row group.

        Raises:
            LakeError: it cannot be read.
        """
        with self._lock, _told(path):
            found = self._kept.pop((path, number), None) or depth_read.group(path, number)
            self._kept[path, number] = found
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return found


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, KeyError) as error:
        raise LakeError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None


class _Place(NamedTuple):
    """A recorded snapshot: from when on it can be told, and where it lies."""

    time_us: int
    group: int
    line: int


class DayOfDepth:
    """The depth of one symbol's day.

    Args:
        path: its file.
        carried: the book that the day before ended with.
        groups: what is in memory of all files.
        near_us: how far from the time of a recorded snapshot it is told.
        end_us: until when the book is told by it; 0: never, for its events alone.

    Raises:
        LakeError: the file cannot be read; also at any question.
    """

    def __init__(
        self, path: Path, carried: Carried | None, groups: Groups, near_us: int, end_us: int
    ) -> None:
        self.end_us = end_us
        self._path = path
        self._groups = groups
        self._near_us = near_us
        self._spans: list[tuple[int, int]] = []
        self._snapshots: list[_Place] = []
        self._look_through()
        self._lock = threading.Lock()
        self._first = _Carrier(Chain(carried))
        self._marks = [self._first]
        self._carried: list[_Carrier] = []

    def _look_through(self) -> None:
        latest_us = 0
        with _told(self._path):
            for number, columns in enumerate(depth_read.outlines(self._path)):
                times, snapshots = columns["ts_event"], columns["is_snapshot"].astype(bool)
                rising = np.maximum.accumulate(np.maximum(times, latest_us))
                for line in np.flatnonzero(snapshots).tolist():
                    # It lies within the window of the event that follows.
                    within_us = int(next((one for one in times[line:] if one), 0)) - RECORDED_US
                    self._snapshots.append(_Place(max(int(rising[line]), within_us), number, line))
                events = times[~snapshots]
                self._spans.append((int(events.min()), int(events.max())) if len(events) else (0, -1))
                latest_us = int(rising[-1])

    def events(self, start_us: int, end_us: int, window_us: int) -> Iterator[DepthEvent]:
        """See `Tape.depth`: as recorded, or those of a longer window together, a new one after a break."""
        if window_us <= RECORDED_US:
            yield from sorted(self._between(start_us, end_us), key=_sent)
            return
        first_us, last_us = start_us // window_us * window_us, -(-end_us // window_us) * window_us
        found: list[DepthEvent] = []
        for event in sorted(self._between(first_us, last_us), key=_last_id):
            last = found[-1] if found else None
            is_same = last and last.event_us // window_us == event.event_us // window_us
            if last and is_same and event.first_id <= last.last_id + 1:
                found[-1] = together(last, event)
            else:
                found.append(event)
        yield from (one for one in sorted(found, key=_sent) if start_us <= one.sent_us < end_us)

    def _between(self, start_us: int, end_us: int) -> Iterator[DepthEvent]:
        for number, (first_us, last_us) in enumerate(self._spans):
            if first_us < end_us and last_us >= start_us:
                lines = self._groups.get(self._path, number)
                times = lines.ts_event
                for line in np.flatnonzero(
                    (times >= start_us) & (times < end_us) & ~lines.is_snapshot
                ).tolist():
                    bids, asks = map(_levels, lines.sides(line))
                    ids = int(lines.first_id[line]), int(lines.id[line])
                    yield DepthEvent(*ids, int(times[line]), int(times[line]), bids, asks)

    def due_us(self, now_us: int) -> int:
        """When a question after the book is answered: now, or as soon as a snapshot that comes soon is there."""
        following = bisect_left(self._snapshots, now_us, key=_time)
        coming = self._snapshots[following].time_us if following < len(self._snapshots) else None
        if coming is None or coming > now_us + _PATIENCE_US:
            return now_us
        return coming if coming <= now_us + self._near_us or self.book(1, now_us) is None else now_us

    def book(self, limit: int, now_us: int) -> Book | None:
        """See `Tape.book`: a snapshot from just now as it was recorded, else the book that is known."""
        position = bisect_left(self._snapshots, now_us + 1, key=_time)
        if position and now_us - self._snapshots[position - 1].time_us <= self._near_us:
            place = self._snapshots[position - 1]
            lines = self._groups.get(self._path, place.group)
            bids, asks = (_levels(side[:limit]) for side in lines.sides(place.line))
            return Book(int(lines.id[place.line]), bids, asks)
        with self._lock:
            chain = self._at(now_us).chain
            if chain.sides is None or chain.last_id is None:
                return None
            # Of a book that is not known whole a snapshot has as many levels a side, or the longer one is cut off: who
            # takes it for one knows that there may be more.
            known = [
                sum(key >= one.floor for key in one.levels) for one in chain.sides if one.floor is not None
            ]
            bids, asks = (_levels(side.best(min([limit, *known]))) for side in chain.sides)
            return Book(chain.last_id, bids, asks)

    def _at(self, now_us: int) -> "_Carrier":
        before = [one for one in self._carried if one.now_us <= now_us]
        best = max(before, key=_now, default=None)
        if best is None:
            marks = (one for one in self._marks if one.now_us <= now_us)
            best = max(marks, key=_now, default=self._first).copy()
        elif best.now_us > self._marks[-1].now_us + _APART_US and best.is_settled:
            self._marks = [self._marks[-1], best.copy()]
        self._carried = [*(one for one in self._carried if one is not best), best][-_CARRIED:]
        best.to(now_us, self._path, self._groups, len(self._spans))
        return best


class _Carrier:
    """A book on its way through the day."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.now_us = 0
        self.is_settled = True
        self._latest_us = 0
        self._group = self._line = 0

    def copy(self) -> "_Carrier":
        """Return another one at the same place; this one has to be settled."""
        chain, sides = self.chain, self.chain.sides
        carried = None
        if chain.last_id is not None:
            bids_asks = (
                (Side(sides[0].levels, sides[0].floor), Side(sides[1].levels, sides[1].floor))
                if sides
                else None
            )
            carried = Carried(chain.last_id, bids_asks)
        other = _Carrier(Chain(carried))
        other.now_us, other._latest_us = self.now_us, self._latest_us
        other._group, other._line = self._group, self._line
        return other

    def to(self, now_us: int, path: Path, groups: Groups, count: int) -> None:
        """Go on to a moment that is not before the last one."""
        self.now_us = now_us
        while self._group < count:
            lines = groups.get(path, self._group)
            times, snapshots = lines.ts_event, lines.is_snapshot
            while self._line < len(times):
                line = self._line
                latest_us = max(self._latest_us, int(times[line]))
                if latest_us > now_us:
                    return
                self._latest_us = latest_us
                bids, asks = lines.sides(line)
                if snapshots[line]:
                    self.chain.snapshot(Snapshot(int(lines.id[line]), int(lines.ts_recv[line]), bids, asks))
                else:
                    ids = int(lines.first_id[line]), int(lines.id[line])
                    self.chain.event(ids, latest_us, bids, asks)
                self.is_settled = not snapshots[line]
                self._line += 1
            self._group, self._line = self._group + 1, 0


def _levels(side: Sequence[Level]) -> Levels:
    return tuple((abs(key), qty) for key, qty in side)


def _now(carrier: _Carrier) -> int:
    return carrier.now_us


def _time(place: _Place) -> int:
    return place.time_us


def _sent(event: DepthEvent) -> int:
    return event.sent_us


def _last_id(event: DepthEvent) -> int:
    return event.last_id
