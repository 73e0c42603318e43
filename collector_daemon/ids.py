"""Which ids were seen before: trades by contiguous id, quotes by rising id. No I/O, bounded memory."""

from typing import NamedTuple

# So many separate holes are remembered for each symbol; a trade for an older hole counts as a duplicate.
MAX_HOLES = 256


class Hole(NamedTuple):
    """Trade ids that were skipped, `first_id` to `last_id`, between trades of these two exchange times (µs)."""

    first_id: int
    last_id: int
    event_from: int
    event_to: int


class TradeIds:
    """The trades of one symbol, deduplicated by an id that has no holes of its own.

    Everything below the first id is a hole that nobody asks about: an exchange that starts its ids anew is
    recorded as usual.
    """

    __slots__ = ("_holes", "_last_event", "_next")

    def __init__(self) -> None:
        self._next = -1
        self._last_event = 0
        self._holes: list[tuple[int, int]] = []

    def accept(self, number: int, ts_event: int) -> bool | Hole:
        """True for a new trade, False for a duplicate; a `Hole` for a new trade that comes after a hole."""
        if number == self._next:
            self._next = number + 1
            self._last_event = ts_event
            return True
        if number > self._next:
            return self._skip_to(number, ts_event)
        return self._fill(number)

    def _skip_to(self, number: int, ts_event: int) -> bool | Hole:
        first, before = self._next, self._last_event
        self._next, self._last_event = number + 1, ts_event
        if first < 0:
            self._holes.append((0, number - 1))
            return True
        self._holes.append((first, number - 1))
        self._forget()
        return Hole(first, number - 1, before, ts_event)

    def _fill(self, number: int) -> bool:
        """Late: it belongs to a hole, or was there before."""
        for index, (first, last) in enumerate(self._holes):
            if first <= number <= last:
                parts = [(first, number - 1), (number + 1, last)]
                self._holes[index : index + 1] = [(low, high) for low, high in parts if low <= high]
                self._forget()
                return True
        return False

    def _forget(self) -> None:
        """Let go of the oldest hole but the first, which is all that came before us."""
        if len(self._holes) > MAX_HOLES:
            del self._holes[1]


class QuoteIds:
    """The quotes of one symbol, taken while their update id rises."""

    __slots__ = ("_floor",)

    def __init__(self) -> None:
        self._floor = -1

    def accept(self, number: int) -> bool:
        """Whether the quote is newer than all before it on this connection."""
        if number > self._floor:
            self._floor = number
            return True
        return False

    def reset(self) -> None:
        """A new connection: the exchange may count from anywhere."""
        self._floor = -1
