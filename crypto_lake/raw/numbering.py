"""The numbering of an exchange's trades, as far as collector and lake have to agree on it. No I/O.

Numbers rise by one. A number that is not there is a trade that was missed, unless so many would have to be missing
that no exchange could have made them in the time between: then it went on counting elsewhere. All times are in µs.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

# The busiest seconds that were published have some ten thousand trades of a symbol, the busiest hours a few million.
# Both bounds are far above, since a hole that is taken for a jump is never healed, and a jump that is taken for a
# hole costs a question.
MOST_AT_ONCE = 100_000
MOST_A_SECOND = 5_000
# Both as the statements in `sql/` take them.
MOST = {"most_at_once": MOST_AT_ONCE, "most_a_second": MOST_A_SECOND}
_SECOND_US = 1_000_000


def may_be_missing(count: int, elapsed_us: int) -> bool:
    """Return whether so many trades can have happened in so many µs."""
    return count <= MOST_AT_ONCE + MOST_A_SECOND * max(0, elapsed_us) // _SECOND_US


class Run(NamedTuple):
    """Trades whose ids follow each other. The first happened before `before_us`, the last not before `after_us`."""

    first_id: int
    last_id: int
    before_us: int
    after_us: int


class Missing(NamedTuple):
    """Ids that are not there, both ends included; their trades happened in [after_us, before_us)."""

    first_id: int
    last_id: int
    after_us: int
    before_us: int


class Jump(NamedTuple):
    """`id` came, before `before_us`, where `expected` was due, and nothing can be missing between the two."""

    id: int
    expected: int
    before_us: int


class Followed(NamedTuple):
    """The ids that are `missing`, in order of ids, and the `jumps`, in order of time."""

    missing: list[Missing]
    jumps: list[Jump]


def follow(runs: Iterable[Run]) -> Followed:
    """Put runs, given in order of time, each to the count that it goes on from.

    An exchange that starts anew has more than one count, and so has a day with a single absurd id. Nothing that came
    is missing, whatever it came after.
    """
    counts = _Counts()
    came = sorted(runs, key=lambda run: run.before_us)
    for run in came:
        counts.add(run)
    return Followed(list(without(counts.missing, sorted(came))), counts.jumps)


class _Counts:
    """The ends of all runs so far, with the instant that each one's trade is not before; sorted by id."""

    def __init__(self) -> None:
        self.missing: list[Missing] = []
        self.jumps: list[Jump] = []
        self._ends: list[tuple[int, int]] = []
        self._due = 0

    def add(self, run: Run) -> None:
        above = self._reopen(run)
        place = bisect_left(self._ends, (run.first_id,)) - 1
        last_id, after_us = self._ends[place] if place >= 0 else (run.first_id - 1, 0)
        count = run.first_id - last_id - 1
        fits = place >= 0 and may_be_missing(count, run.before_us - after_us)
        if self._ends and not (fits and above):
            self.jumps.append(Jump(run.first_id, self._due, run.before_us))
        if fits and count:
            insort(self.missing, Missing(last_id + 1, run.first_id - 1, after_us, run.before_us))
        elif fits:
            del self._ends[place]
        insort(self._ends, (run.last_id, run.after_us))
        self._due = run.last_id + 1

    def _reopen(self, run: Run) -> bool:
        """Take away the hole that a run lies in, but for what is above the run.

        False if the run is later than the trade above the hole: that one's id was no next one, and the rest is no hole.
        """
        place = bisect_right(self.missing, run.first_id, key=lambda hole: hole.first_id) - 1
        if place < 0 or run.first_id > self.missing[place].last_id:
            return True
        hole = self.missing.pop(place)
        if run.after_us >= hole.before_us:
            return False
        if run.last_id < hole.last_id:
            insort(self.missing, Missing(run.last_id + 1, hole.last_id, run.after_us, hole.before_us))
        return True


def without(missing: list[Missing], came: list[Run]) -> Iterator[Missing]:
    """Yield what is missing (in order of ids) without the ids of runs (sorted), once each."""
    done = 0
    for hole in missing:
        first = max(hole.first_id, done)
        for place in range(max(0, bisect_left(came, (first,)) - 1), len(came)):
            run = came[place]
            if run.first_id > hole.last_id:
                break
            if first < run.first_id:
                yield hole._replace(first_id=first, last_id=run.first_id - 1)
            first = max(first, run.last_id + 1)
        if first <= hole.last_id:
            yield hole._replace(first_id=first)
        done = max(done, hole.last_id + 1)
