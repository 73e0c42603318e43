"""The depth events that were seen before, by ids that are a chain. No I/O, bounded memory.

Ids are those of one symbol over all connections: whichever delivers first wins. What came is kept as runs of ids
without a hole. Two connections may cut the ids into events differently, so an event is a copy only if all of its ids
came; one that overlaps is kept. Between two runs the chain is broken, once nobody has filled the hole within the grace.
`monotonic` is in seconds, event times in µs.
"""

import math
from bisect import bisect_right
from typing import NamedTuple

from collector_daemon.decide.ids import Hole
from crypto_lake.raw.lines import DepthLine

# So many runs are remembered; an event of an older one counts as a copy.
MAX_RUNS = 64
# An event whose ids came before is a copy, however the other connection tells its time, unless it is so much later.
_LATER_US = 2_000_000
# No connection is so far behind the others that only copies come for so long, by the local clock: an absurd id, or an
# absurd time, has made copies of what is new.
_COPIES_US = 10_000_000
LOST, UNHEARD, ANEW = "lost", "unheard", "anew"


class Break(NamedTuple):
    """A place where the chain broke, see `journal.BookBreak`."""

    after_id: int
    first_id: int
    reason: str


class _Run:
    """Ids without a hole, and the times of the first and the last event that brought some.

    `since`: when its hole below was first looked at; `told`: whether that was called a break, or is none.
    """

    __slots__ = ("began", "ended", "first", "last", "reason", "since", "told")

    def __init__(self, line: DepthLine, reason: str, *, told: bool) -> None:
        self.first, self.last = line.first_id, line.id
        self.began = self.ended = line.ts_event
        self.reason = reason
        self.since: float | None = None
        self.told = told


class ChainedIds:
    """The depth events of one symbol. `first` is where the newest run of ids begins, -1 before the first event."""

    __slots__ = (
        "_copies_since",
        "_due",
        "_forgotten",
        "_is_deserted",
        "_newest",
        "_next",
        "_runs",
        "_watching",
    )

    def __init__(self) -> None:
        # In order of ids. `_newest` is that which the last event belongs to, `_next` the id that is due there.
        self._runs: list[_Run] = []
        self._newest: _Run | None = None
        self._next = -1
        self._forgotten = -1
        self._is_deserted = False
        self._watching = False
        self._due: list[Break] = []
        # When the first copy came since an event was kept, µs of the local clock.
        self._copies_since: int | None = None

    @property
    def first(self) -> int:
        """Return where the newest run of ids begins; -1 before the first event."""
        return self._newest.first if self._newest else -1

    @property
    def last(self) -> int:
        """Return where it ends."""
        return self._next - 1

    def accept(self, line: DepthLine) -> bool:
        """Return whether to keep an event: anything but the copy of what came before."""
        newest = self._newest
        if newest and line.first_id == self._next and newest is self._runs[-1]:
            newest.last, newest.ended, self._next = line.id, line.ts_event, line.id + 1
            self._is_deserted = False
            self._copies_since = None
            return True
        return self._elsewhere(line)

    def go_on_from(self, last_id: int) -> None:
        """A recording before this one ended with this id; nobody has listened since."""
        before = DepthLine("", 0, 0, last_id, last_id, (), ())
        self._runs.append(_Run(before, UNHEARD, told=True))
        self.reset()

    def settle(self, _monotonic: float) -> None:
        """A connection begins: nothing to do, since these ids say themselves what is missing."""

    def tick(self, _monotonic: float, _most: int = 0) -> int:
        """Time passes. No contents are kept."""
        return 0

    def clock_was_set(self) -> None:
        """The local clock was set: what it said of the first copy tells no more how long only copies have come."""
        self._copies_since = None

    def reset(self) -> None:
        """Nobody was connected: what is missing when the next event comes was not heard."""
        self._is_deserted = True

    def overdue(self, _monotonic: float, _grace: float) -> list[Hole]:
        """None: what is missing is told by `breaks`."""
        return []

    def breaks(self, monotonic: float, grace: float) -> list[Break]:
        """The places between two runs that have stayed open for `grace` seconds; each only once."""
        due, self._due = self._due, []
        if not self._watching:
            return due
        self._watching = False
        for number, run in enumerate(self._runs):
            if run.told or not number:
                continue
            run.since = monotonic if run.since is None else run.since
            if monotonic - run.since >= grace:
                run.told = True
                due.append(_between(self._runs[number - 1], run))
            else:
                self._watching = True
        return due

    def _elsewhere(self, line: DepthLine) -> bool:
        """An event that does not go on where the last one ended."""
        is_later = self._newest is None or line.ts_event > self._newest.ended + _LATER_US
        if not self._is_known(line):
            self._add(line)
        else:
            since = self._copies_since = self._copies_since or line.ts_recv
            if not is_later and line.ts_recv - since < _COPIES_US:
                return False
            self._begin_anew(line)
        self._copies_since = None
        return True

    def _is_known(self, line: DepthLine) -> bool:
        """Return whether all ids of an event came before, or are below all that is remembered."""
        if line.id <= self._forgotten:
            return True
        place = bisect_right(self._runs, line.first_id, key=_first) - 1
        return place >= 0 and line.id <= self._runs[place].last

    def _begin_anew(self, line: DepthLine) -> None:
        """The exchange counts from ids that it had used before."""
        before = self._newest or self._runs[-1]
        self._due = [*self.breaks(0.0, -math.inf), Break(before.last, line.first_id, ANEW)]
        self._forgotten = -1
        self._runs = [_Run(line, ANEW, told=True)]
        self._turn_to(self._runs[0])

    def _add(self, line: DepthLine) -> None:
        """Put an event to the runs that it touches, which become one, or begin another."""
        runs = self._runs
        begin = bisect_right(runs, line.first_id, key=_first)
        if begin and runs[begin - 1].last >= line.first_id - 1:
            begin -= 1
        end = bisect_right(runs, line.id + 1, key=_first)
        touched = runs[begin:end]
        if touched:
            run = touched[0]
            run.first, run.last = min(run.first, line.first_id), max(line.id, touched[-1].last)
            run.began = min(line.ts_event, *(one.began for one in touched))
            run.ended = max(line.ts_event, *(one.ended for one in touched))
            runs[begin:end] = [run]
        else:
            run = _Run(line, UNHEARD if self._is_deserted else LOST, told=False)
            runs.insert(begin, run)
            self._watching = True
            # What was the lowest has a hole below now.
            if begin == 0 and len(runs) > 1:
                runs[1].since, runs[1].told = None, False
        self._is_deserted = False
        self._turn_to(run)
        if len(runs) > MAX_RUNS:
            self._forget_one()

    def _turn_to(self, run: _Run) -> None:
        self._newest, self._next = run, run.last + 1

    def _forget_one(self) -> None:
        """Let go of the lowest run, but not of that which is going on."""
        number = int(self._runs[0] is self._newest)
        above = self._runs[number + 1]
        if not above.told:
            above.told = True
            self._due.append(_between(self._runs[number], above))
        gone = self._runs.pop(number)
        if not number:
            self._forgotten = gone.last


def _between(below: _Run, above: _Run) -> Break:
    if below.began > above.ended:
        return Break(above.last, below.first, ANEW)
    return Break(below.last, above.first, above.reason)


def _first(run: _Run) -> int:
    return run.first
