"""Which ids were seen before: trades by contiguous id, quotes by rising id. No I/O, bounded memory.

Ids are those of one symbol over all connections: whichever delivers first wins, the others' copies are duplicates.
`monotonic` is in seconds, event times in µs.
"""

from bisect import bisect_right
from typing import NamedTuple

# So many separate holes are remembered for each symbol; a trade for an older hole counts as a duplicate.
MAX_HOLES = 256
# A floor that nothing rises above for so long, although quotes come, is that of an exchange that counts anew.
STUCK_SEC = 30.0


class Hole(NamedTuple):
    """Trade ids that were skipped, `first_id` to `last_id`, between trades of these two exchange times (µs)."""

    first_id: int
    last_id: int
    event_from: int
    event_to: int


class _Open:
    """A hole that may still be filled. `since` is when it was first looked at, `told` whether it was called a gap."""

    __slots__ = ("hole", "since", "told")

    def __init__(self, hole: Hole, *, told: bool, since: float | None = None) -> None:
        self.hole = hole
        self.told = told
        self.since = since

    def around(self, number: int, ts_event: int) -> "list[_Open]":
        """What is left of it once this trade has come."""
        first, last, event_from, event_to = self.hole
        parts = Hole(first, number - 1, event_from, ts_event), Hole(number + 1, last, ts_event, event_to)
        return [
            _Open(part, told=self.told, since=self.since) for part in parts if part.first_id <= part.last_id
        ]


class TradeIds:
    """The trades of one symbol, deduplicated by an id that has no holes of its own.

    Everything below the first id is a hole that nobody asks about: an exchange that starts its ids anew is
    recorded as usual.
    """

    __slots__ = ("_holes", "_last_event", "_last_hole", "_next", "_out_of_reach", "_watching")

    def __init__(self) -> None:
        self._next = -1
        self._last_event = 0
        self._last_hole = -1
        self._holes: list[_Open] = []
        self._out_of_reach: list[_Open] = []
        self._watching = False

    def accept(self, number: int, ts_event: int) -> bool:
        """Whether the trade is new: the next one, one beyond a hole, or one that fills a hole."""
        if number == self._next:
            self._next = number + 1
            self._last_event = ts_event
            return True
        if number > self._next:
            self._skip_to(number, ts_event)
            return True
        return number <= self._last_hole and self._fill(number, ts_event)

    def overdue(self, monotonic: float, grace: float) -> list[Hole]:
        """The holes that have stayed open for `grace` seconds since they were first looked at; each only once."""
        if not self._watching:
            return []
        untold = [one for one in self._holes if not one.told]
        due = self._out_of_reach
        self._out_of_reach = []
        for one in untold:
            if one.since is None:
                one.since = monotonic
            if monotonic - one.since >= grace:
                one.told = True
                due.append(one)
        self._watching = not all(one.told for one in untold)
        return [one.hole for one in due]

    def _skip_to(self, number: int, ts_event: int) -> None:
        first, before = self._next, self._last_event
        self._next, self._last_event = number + 1, ts_event
        if first < 0:
            everything_before = Hole(0, number - 1, 0, ts_event)
            self._replace(slice(0, 0), [_Open(everything_before, told=True)])
            return
        self._watching = True
        skipped = Hole(first, number - 1, before, ts_event)
        self._replace(slice(len(self._holes), None), [_Open(skipped, told=False)])

    def _fill(self, number: int, ts_event: int) -> bool:
        """Late: it belongs to a hole, or was there before."""
        index = bisect_right(self._holes, number, key=_first_id) - 1
        if index < 0 or number > self._holes[index].hole.last_id:
            return False
        self._replace(slice(index, index + 1), self._holes[index].around(number, ts_event))
        return True

    def _replace(self, place: slice, holes: list[_Open]) -> None:
        """Put holes in the place of others, letting go of the oldest but the first, which is all before us."""
        self._holes[place] = holes
        if len(self._holes) > MAX_HOLES:
            oldest = self._holes.pop(1)
            if not oldest.told:
                self._out_of_reach.append(oldest)
        self._last_hole = self._holes[-1].hole.last_id if self._holes else -1


def _first_id(one: _Open) -> int:
    return one.hole.first_id


class QuoteIds:
    """The quotes of one symbol, taken while their update id rises, whichever connection brings them."""

    __slots__ = ("_floor", "_floor_before", "_late", "_since")

    def __init__(self) -> None:
        self._since = 0.0
        self._floor = self._floor_before = -1
        self._late = False

    def accept(self, number: int) -> bool:
        """Whether the quote is newer than all before it."""
        if number > self._floor:
            self._floor = number
            return True
        self._late = True
        return False

    def tick(self, monotonic: float) -> None:
        """Time passes: a floor that only old ids have come under for `STUCK_SEC` is given up."""
        if self._floor != self._floor_before or not self._late:
            self._floor_before, self._late, self._since = self._floor, False, monotonic
        elif monotonic - self._since >= STUCK_SEC:
            self.reset()

    def reset(self) -> None:
        """Nobody was connected: the exchange may count from anywhere."""
        self._floor = self._floor_before = -1
        self._late = False
