"""The trades that were seen before, by contiguous id, and what may be odd about ids. No I/O, bounded memory.

Ids are those of one symbol over all connections: whichever delivers first wins, the others' copies are duplicates.
An id that is where nobody expects it, or that comes again with other contents, is kept and told. `monotonic` is in
seconds, event times in µs.
"""

from bisect import bisect_right
from decimal import Decimal
from itertools import islice
from statistics import median_low
from typing import NamedTuple

from crypto_lake.layout import HOUR_US
from crypto_lake.raw.lines import TradeLine
from crypto_lake.raw.numbering import may_be_missing
from crypto_lake.raw.offsets import near

# So many separate holes are remembered for each symbol; a trade for an older hole counts as a duplicate.
MAX_HOLES = 256
# Contents of trades are remembered for at least so long: the other connection's copies come within a second or so.
REMEMBER_SEC = 5.0
REMEMBER_MOST = 40_000
# So many contents of all symbols together, some 400 bytes each: in a burst over many symbols they are forgotten sooner.
REMEMBER_TOGETHER = 50_000
# By so many of the newest trades, most of which are right, the time of one that comes from tomorrow is told.
_SAMPLE = 9
# No connection is so far behind another: what looks older is no copy, but has a wrong time, or the exchange's was set.
_MOST_BEHIND_US = HOUR_US


class Hole(NamedTuple):
    """Trade ids that were skipped, `first_id` to `last_id`, between trades of these two exchange times (µs)."""

    first_id: int
    last_id: int
    event_from: int
    event_to: int


class Jump(NamedTuple):
    """An id that is too far from the one that was expected for lines to be missing between them.

    `stream` is the word for the stream.
    """

    symbol: str
    stream: str
    id: int
    expected: int


class Conflict(NamedTuple):
    """Two trades with one id. The second came later, and is no later trade."""

    first: TradeLine
    second: TradeLine


class Late(NamedTuple):
    """A line that came under one with a higher id, `after`, and was missing there."""

    symbol: str
    id: int
    after: int


Odd = Jump | Conflict | Late


class _Open:
    """A hole that may still be filled. `since` is when it was first looked at, `told` whether it was called a gap."""

    __slots__ = ("hole", "since", "told")

    def __init__(self, hole: Hole, *, told: bool, since: float | None = None) -> None:
        self.hole = hole
        self.told = told
        self.since = since

    def around(self, number: int, ts_event: int) -> "list[_Open]":
        """Return what is left of it once this trade has come."""
        first, last, event_from, event_to = self.hole
        parts = Hole(first, number - 1, event_from, ts_event), Hole(number + 1, last, ts_event, event_to)
        return [
            _Open(part, told=self.told, since=self.since) for part in parts if part.first_id <= part.last_id
        ]


class _Count(NamedTuple):
    """A count of the exchange's that may go on: the next id, the last trade, the holes below."""

    next: int
    last: TradeLine
    holes: list[_Open]


class ContiguousIds:
    """The trades of one symbol, deduplicated by an id that has no holes of its own. `word` is the stream's.

    What is odd is added to `told`, which is the caller's. Two counts are followed: an id that does not fit the running
    one is set aside with a count of its own, which becomes the running one with the first trade that goes on from
    there. So a single absurd id hides no hole, and an exchange that starts its ids anew is recorded as usual.
    """

    __slots__ = (
        "_aside",
        "_before",
        "_closed_to",
        "_forget_at",
        "_forgotten",
        "_holes",
        "_last",
        "_leads",
        "_next",
        "_out_of_reach",
        "_recent",
        "_seconds",
        "_symbol",
        "_told",
        "_turned",
        "_watching",
        "_word",
    )

    def __init__(self, symbol: str, word: str, told: list[Odd]) -> None:
        self._symbol = symbol
        self._word = word
        self._told = told
        self._next = -1
        self._last: TradeLine | None = None
        # Of `_before` and of all that was forgotten the newest trade; and how far the newest were ahead of our clock.
        self._turned: TradeLine | None = None
        self._forgotten: TradeLine | None = None
        self._leads: list[int] = []
        self._holes: list[_Open] = []
        # The exchange's time of the newest hole that is not looked after any more.
        self._closed_to = -1
        self._out_of_reach: list[_Open] = []
        self._watching = False
        self._aside: _Count | None = None
        # Two generations of what came by id, and the contents that contradict them.
        self._recent: dict[int, TradeLine] = {}
        self._before: dict[int, TradeLine] = {}
        self._seconds: set[tuple[object, ...]] = set()
        self._forget_at: float | None = None

    def accept(self, line: TradeLine) -> bool:
        """Return whether to keep a trade: anything but the copy of one that came before."""
        number = line.id
        if number == self._next:
            self._next = number + 1
            self._last = line
            self._recent[number] = line
            return True
        known = self._recent.get(number) or self._before.get(number)
        if known is None:
            return self._out_of_order(line)
        if known.price == line.price and known.qty == line.qty and known.ts_event == line.ts_event:
            if known.side == line.side:
                return False
        elif says_the_same(known, line):
            return False
        return self._contradicts(known, line)

    def settle(self, _monotonic: float) -> None:
        """A connection begins: nothing to do, since these ids say themselves what is missing."""

    def tick(self, monotonic: float, most: int = REMEMBER_MOST) -> int:
        """Time passes: contents that are old enough, or more than `most`, are forgotten; see `rules.Ids`."""
        if self._forget_at is None:
            self._forget_at = monotonic + REMEMBER_SEC
        held = len(self._recent) + len(self._before) + len(self._seconds)
        if monotonic >= self._forget_at or held > most:
            self._forgotten = self._turned
            self._turn()
            self._before, self._recent = self._recent, {}
            self._seconds.clear()
            self._forget_at = monotonic + REMEMBER_SEC
        return len(self._recent) + len(self._before)

    def reset(self) -> None:
        """Nobody was connected: trades go on where they were, and what is missing of them shows."""

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

    def _out_of_order(self, line: TradeLine) -> bool:
        """An id that is not the next one, and not remembered."""
        number, ts_event = line.id, line.ts_event
        ahead = number - self._next
        last = self._last
        if last is None:
            self._skip_to(line)
        else:
            usual = self._lead(line)
            newest = _believed(last, usual)
            if ahead > 0 and may_be_missing(ahead, ts_event - min(newest, last.ts_event)):
                self._skip_to(line)
            elif ahead > 0 or ts_event > newest:
                # Ids and times rise together, so a lower id with a later time is no copy of what that id was before.
                self._elsewhere(line)
            elif not self._fill(number, ts_event):
                known_to = self._forgotten_to(usual)
                if known_to - _MOST_BEHIND_US < ts_event <= known_to:
                    return False
                # Whatever came since then is remembered, and no connection brings copies so late.
                self._elsewhere(line)
        self._recent[number] = line
        return True

    def _forgotten_to(self, usual: int) -> int:
        """The time of the newest trade that is not remembered; one that is not later may be its copy."""
        one = self._forgotten
        return (
            self._closed_to if one is None else max(self._closed_to, min(one.ts_event, _believed(one, usual)))
        )

    def _lead(self, line: TradeLine) -> int:
        """Return how far the exchange's clock is ahead of ours (µs), by most of the newest trades and `line`."""
        return median_low([_lead_of(line), *self._newest_leads()][:_SAMPLE])

    def _newest_leads(self) -> list[int]:
        return [*map(_lead_of, islice(reversed(self._recent.values()), _SAMPLE)), *self._leads][:_SAMPLE]

    def _turn(self) -> None:
        """What is remembered becomes what came before."""
        self._turned, self._leads = self._last, self._newest_leads()

    def _contradicts(self, known: TradeLine, line: TradeLine) -> bool:
        """An id that is remembered with other contents."""
        if self._last and line.ts_event > _believed(self._last, self._lead(line)):
            self._elsewhere(line)
            self._recent[line.id] = line
            return True
        before = self._before.get(line.id)
        if before is not None and says_the_same(before, line):
            return False  # A late copy of what the id stood for before the exchange counted anew.
        contents = (line.id, line.ts_event, line.price, line.qty, line.side)
        if contents in self._seconds:
            return False
        self._seconds.add(contents)
        self._told.append(Conflict(known, line))
        return True

    def _elsewhere(self, line: TradeLine) -> None:
        """An id that does not fit the running count: of the one set aside, or the first of a new one."""
        number, ts_event = line.id, line.ts_event
        self._fill(number, ts_event)
        aside = self._aside
        if (
            aside
            and self._last
            and number >= aside.next
            and may_be_missing(number - aside.next, ts_event - aside.last.ts_event)
        ):
            self._give_up(self._holes)
            self._aside = _Count(self._next, self._last, self._holes)
            self._next, self._last, self._holes = aside
            self._skip_to(line)
            return
        # Another count may use the same ids: what they stood for is still to be told from what they will.
        self._turn()
        self._before.update(self._recent)
        self._recent, self._forget_at = {}, None
        self._told.append(Jump(self._symbol, self._word, number, self._next))
        self._aside = _Count(number + 1, line, [_Open(Hole(0, number - 1, 0, ts_event), told=True)])

    def _give_up(self, holes: list[_Open]) -> None:
        """Nobody waits for these any more: what was not told of them is due."""
        untold = [one for one in holes if not one.told]
        for one in untold:
            one.told = True
        self._out_of_reach += untold
        self._watching = self._watching or bool(untold)

    def _skip_to(self, line: TradeLine) -> None:
        number, ts_event = line.id, line.ts_event
        first, before = self._next, self._last
        self._next, self._last = number + 1, line
        if before is None:
            everything_before = Hole(0, number - 1, 0, ts_event)
            self._replace(slice(0, 0), [_Open(everything_before, told=True)])
        elif first < number:
            self._watching = True
            skipped = Hole(first, number - 1, before.ts_event, ts_event)
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
            closed = self._holes.pop(1)
            self._closed_to = max(self._closed_to, closed.hole.event_to)
            self._give_up([closed])


def _first_id(one: _Open) -> int:
    return one.hole.first_id


def _lead_of(line: TradeLine) -> int:
    return line.ts_event - line.ts_recv


def _believed(line: TradeLine, usual: int) -> int:
    """Return the time of a trade, or, where it is far from the `usual` lead, what it is by its receipt."""
    return line.ts_event if near(_lead_of(line), usual) else line.ts_recv + usual


def says_the_same(one: TradeLine, other: TradeLine) -> bool:
    """Return whether two lines with one id are one trade, however it is spelt."""
    return (
        one.side == other.side
        and _same_time(one.ts_event, other.ts_event)
        and Decimal(one.price) == Decimal(other.price)
        and Decimal(one.qty) == Decimal(other.qty)
    )


def _same_time(one: int, other: int) -> bool:
    """Return whether two times are the same; an address that does not know of microseconds sends milliseconds."""
    whole = one % 1000 == 0 or other % 1000 == 0
    return one == other or (whole and one // 1000 == other // 1000)
