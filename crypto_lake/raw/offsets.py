"""Clock offsets: `ts_recv - ts_event`, of which the smallest of a minute says how far the collector's clock was off.

One trade with an implausible time must not be it. Here belongs which of the smallest differences is believed, while
recording and afterwards, and what is known of a minute without any. No I/O; everything is in microseconds.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from crypto_lake.layout import MINUTE_US, SECOND_US
from crypto_lake.raw.intervals import Interval

# How much the offset may change from one minute to the next without the clock having been set.
DRIFT_US = 5 * SECOND_US
# So many trades of a minute may be wrong, whatever the others are; and of many trades one in twenty, up to the most.
_FEW = 3
_ONE_IN = 20
_MOST = 16
# Of a minute's differences so many are looked at, the smallest: one more than may be wrong.
KEPT = _MOST + 1


def near(one: int, other: int) -> bool:
    """Return whether two offsets may be those of one clock."""
    return abs(one - other) <= DRIFT_US


def smallest(kept: list[int], more: Iterable[int]) -> list[int]:
    """The `KEPT` smallest of both, each once, in order.

    Trades of one order share both times, so that a wrong one of them would be confirmed by the others.
    """
    return sorted({*kept, *more})[:KEPT]


def are_few(trades: int) -> bool:
    """Return whether so many trades may all be wrong."""
    return trades <= _FEW


class Measured(NamedTuple):
    """An offset, how many trades are behind it, and how many smaller differences were set aside as implausible."""

    us: int
    trades: int
    set_aside: int = 0


def measure(kept: list[int], trades: int, known: int | None) -> Measured:
    """The offset of a minute by its `smallest` differences, at least one, those of so many trades.

    `known` is the offset before it, None where there is none: the clock then counts as right, where a choice is left.
    """
    before = 0 if known is None else known
    if near(kept[0], before):
        return Measured(kept[0], trades)
    for few in range(len(kept) - 1, 0, -1):
        is_apart = kept[few] - kept[few - 1] > DRIFT_US
        may_be_wrong = few <= _FEW or few * _ONE_IN <= trades
        if is_apart and may_be_wrong and (near(kept[few], before) or trades - few > few):
            return Measured(kept[few], trades - few, few)
    if known is not None and trades <= _FEW:
        return Measured(known, 0, trades)
    return Measured(kept[0], trades)


class Follow:
    """The offset of a recording as it goes on. `known` is what the next minute is held against, None: not known yet."""

    def __init__(self) -> None:
        self.known: int | None = None
        self._doubted: int | None = None

    def next(self, kept: list[int], trades: int) -> Measured:
        """The offset of the next minute that has trades; see `measure`.

        A few trades that contradict what is known are believed if the next ones say the same: the clock was set.
        """
        found = measure(kept, trades, self.known)
        before = 0 if self.known is None else self.known
        is_sure = found.trades > _FEW or (found.trades > 0 and near(found.us, before))
        if not is_sure and self._doubted is not None and near(kept[0], self._doubted):
            found, is_sure = Measured(kept[0], trades), True
        if is_sure:
            self.known, self._doubted = found.us, None
        else:
            self._doubted = kept[0]
        return found

    def was_set(self, step_us: int) -> None:
        """The clock was set by so much, 0 for unknown. Forward, it may be right all the same: the machine slept."""
        is_known = self.known is not None and step_us < 0
        self.known, self._doubted = (self.known or 0) + step_us if is_known else None, None


def merged(one: Measured, other: Measured) -> Measured:
    """The offset of a minute that was measured twice: the smaller one, unless they are not those of one clock."""
    if near(one.us, other.us):
        return min(one, other)
    return max(one, other, key=lambda measured: (measured.trades, -abs(measured.us)))


def believed(found: dict[int, Measured]) -> dict[int, int]:
    """Offsets by minute, without those of a few trades that contradict the minutes known on either side."""
    minutes = sorted(found)
    kept: dict[int, int] = {}
    for place, minute in enumerate(minutes):
        first = max(0, min(place - 1, len(minutes) - 3))
        beside = [found[other].us for other in minutes[first : first + 3] if other != minute]
        one = found[minute]
        is_alone = len(beside) > 1 and near(*beside) and not near(one.us, beside[0])
        if one.trades > _FEW or not is_alone:
            kept[minute] = one.us
    return kept


class Received(Protocol):
    """The lines received in a stretch of local time, None where they were fetched."""

    @property
    def received(self) -> Interval | None:
        """From the first line to the last."""


class Offsets:
    """The clock's offsets by minute of receipt.

    A minute of which nothing is known has the offset of the last one before it, or else of the first one there is; 0 if
    there is none at all.
    """

    def __init__(self, known: dict[int, int]) -> None:
        aligned = {-(-minute // MINUTE_US) * MINUTE_US: us for minute, us in sorted(known.items())}
        self._known = sorted(aligned.items())

    def by_minute(self, sources: Iterable[Received], start: int, end: int) -> dict[int, int]:
        """The offset of each minute in which something of these sources was received that may lie in [start, end)."""
        found: dict[int, int] = {}
        for source in sources:
            for first, last, us in self._pieces(*source.received) if source.received else ():
                earliest, latest = _minute(start + us - MINUTE_US) + MINUTE_US, _minute(end + us - 1)
                found |= dict.fromkeys(range(max(first, earliest), min(last, latest) + 1, MINUTE_US), us)
        return dict(sorted(found.items()))

    def exchange_now(self, now_us: int) -> int:
        """No instant of the exchange that has come yet is later, whether the local clock was put right since or not."""
        return max(now_us, now_us - self._at(now_us - now_us % MINUTE_US))

    def span(self, recv_from: int, recv_to: int) -> Interval:
        """The first and the last instant of the exchange at which what was received from … to may have happened."""
        pieces = list(self._pieces(recv_from, recv_to))
        starts = [max(recv_from, first) - us for first, _, us in pieces]
        return min(starts), max(min(recv_to, last + MINUTE_US - 1) - us for _, last, us in pieces)

    def _pieces(self, recv_from: int, recv_to: int) -> Iterator[tuple[int, int, int]]:
        """Cut the minutes of a stretch where the offset changes: the first and the last of each piece, and the offset.

        Not minute by minute: one line that says it was received in 2099 would bring 39 million of them.
        """
        first, last = _minute(recv_from), _minute(recv_to)
        begin, end = (bisect_right(self._known, (minute, math.inf)) for minute in (first, last))
        firsts = [first, *(minute for minute, _ in self._known[begin:end])]
        for one, following in zip(firsts, [*firsts[1:], last + MINUTE_US], strict=True):
            yield one, following - MINUTE_US, self._at(one)

    def _at(self, minute: int) -> int:
        if not self._known:
            return 0
        return self._known[max(bisect_left(self._known, (minute + 1,)) - 1, 0)][1]


def _minute(us: int) -> int:
    return us - us % MINUTE_US
