"""The quotes that were seen before, by rising id. No I/O, bounded memory. `ids` has those that are contiguous.

Ids are those of one symbol over all connections. `monotonic` is in seconds.
"""

from itertools import pairwise

from collector_daemon.decide.ids import REMEMBER_MOST, Hole, Jump, Late, Odd
from crypto_lake.raw.lines import RawLine

# What comes under a floor that has not risen for so long is no copy, since no connection is so far behind another: the
# exchange counts anew.
STUCK_SEC = 5.0
# From here on a rise of a quote's id is looked at: so many quotes under it say that it was a single absurd id.
LEAP = 1_000
CONTRADICTED_BY = 3
# No book changes so often between two quotes of one connection: the first quote under such a rise is enough.
_WILD_LEAP = 1_000_000_000
# A connection may be so far behind one that has just begun; what only it brings is taken for at least so long.
LAG_SEC = 2.0
# From its opening to its first quote a connection takes ten seconds at most, or it is given up.
_SETTLE_SEC = 10.0 + 2 * LAG_SEC
_HIGHEST = (1 << 63) - 1
# Twice as many ids as a book has in some seconds of the busiest hours.
_FAR = 100_000
# So many rises are remembered for each symbol; quotes under an older one count as copies.
MAX_VOIDS = 16
_MOST_ABSURD = 64


class _Void:
    """Ids strictly between two quotes, of which none came: those that a rise leapt over.

    `noted` is the floor when a quote last came in between, `alive` whether they go on there while the floor rises.
    """

    __slots__ = ("above", "alive", "below", "noted")

    def __init__(self, below: int, above: int, *, alive: bool, noted: int = -1) -> None:
        self.below = below
        self.above = above
        self.alive = alive
        self.noted = noted


class RisingIds:
    """The quotes of one symbol, taken while their update id rises, whichever connection brings them.

    A connection that has just begun may be ahead of those that live: what they bring of the time before is missing
    under its first quote. So for some seconds ids are remembered, and a quote under the floor that is none of them is
    taken as well (`Late`).
    A rise that no quote after it confirms, and several contradict, was a single absurd id: it is told, and set aside.
    Where quotes go on among the ids that a rise leapt over, although quotes above confirm it, the exchange has two
    counts: that is told, and both are taken. None of them can be a copy, since none of these ids came before.
    `word` is the stream's.
    """

    __slots__ = (
        "_absurd",
        "_before",
        "_below",
        "_complete",
        "_contradictions",
        "_doubted",
        "_floor",
        "_floor_before",
        "_late",
        "_leapt",
        "_near",
        "_recent",
        "_settled_at",
        "_since",
        "_symbol",
        "_told",
        "_top",
        "_turned_at",
        "_turned_floor",
        "_unsettled",
        "_voids",
        "_word",
    )

    def __init__(self, symbol: str, word: str, told: list[Odd]) -> None:
        self._symbol = symbol
        self._word = word
        self._told = told
        self._since = 0.0
        self._floor = self._floor_before = -1
        self._contradictions = 0
        # What is to be told if nothing after it tells more: a quote that is no copy was not kept.
        self._doubted: Jump | None = None
        self._unsettled = False
        self._settled_at = self._turned_at = 0.0
        self.reset()

    def accept(self, line: RawLine) -> bool:
        """Return whether to keep a quote: one newer than all before it, or missing below."""
        number = line.id
        if number > self._floor:
            if number > self._near:
                return self._rise(number)
            self._floor = number
            return True
        self._late = number
        return number < self._top and self._is_missing(number)

    def settle(self, monotonic: float) -> None:
        """A connection begins; those that live may be behind it."""
        self._settled_at = monotonic + _SETTLE_SEC
        if not self._unsettled:
            self._unsettled = True
            self._near = -1
            self._top = _HIGHEST
            self._complete = self._turned_floor = self._floor
            self._turned_at = monotonic + LAG_SEC

    def tick(self, monotonic: float, _most: int = 0) -> int:
        """Time passes: a floor that ids come under `STUCK_SEC` after it last rose is given up. No contents are kept."""
        if self._unsettled:
            self._turn(monotonic)
        self._tell_doubted()
        if self._floor != self._floor_before:
            self._floor_before, self._since = self._floor, monotonic
        # The floor itself is a copy however late: of a connection that was held up, and has caught up with the others.
        elif 0 <= self._late < self._floor and monotonic - self._since >= STUCK_SEC:
            self._told.append(Jump(self._symbol, self._word, self._late, self._floor + 1))
            self.reset()
        # A connection that lags has brought what it had under the rise: what it brings now contradicts it.
        elif self._contradictions < 0 and not (self._unsettled and monotonic - self._since < LAG_SEC):
            self._contradictions += LEAP
        # The copy of a quote that rarely comes would else count as long as there is no other.
        self._late = -1
        return 0

    def overdue(self, _monotonic: float, _grace: float) -> list[Hole]:
        """None: these ids have holes by nature."""
        return []

    def reset(self) -> None:
        """Nobody was connected: the exchange may count from anywhere."""
        self._tell_doubted()
        self._floor = self._floor_before = self._late = self._near = -1
        self._leapt = self._below = -1
        # The newest that were set aside; they came, so they are in no void.
        self._absurd: list[int] = []
        # All that is not above `_complete` has come, or is given up; `_top` says up to where to look closer.
        self._complete = self._turned_floor = -1
        self._top = _HIGHEST if self._unsettled else -1
        # The one that a quote was last taken from, or that is newest, is the last.
        self._voids: list[_Void] = []
        # Two generations of the ids above `_complete`.
        self._recent: set[int] = set()
        self._before: set[int] = set()

    def _tell_doubted(self) -> None:
        if self._doubted:
            self._told.append(self._doubted)
            self._doubted = None

    def _turn(self, monotonic: float) -> None:
        """Forget what came two turns ago; and remember nothing once all connections are long there."""
        held = len(self._recent) + len(self._before)
        if monotonic < self._turned_at and held < REMEMBER_MOST:
            return
        self._complete = min(self._turned_floor, self._floor)
        self._before, self._recent = self._recent, set()
        self._turned_at, self._turned_floor = monotonic + LAG_SEC, self._floor
        if monotonic >= self._settled_at:
            self._unsettled = False
            self._before = set()
            self._look_closer()

    def _rise(self, number: int) -> bool:
        """Off the hot path, which compares with what was near enough when this was here last."""
        if number in self._absurd:
            return False
        if self._unsettled:
            self._recent.add(number)
        else:
            self._near = number + LEAP
        if number - self._floor <= LEAP:
            self._floor = number
            return True
        self._leapt, self._below = number, self._floor
        # What came before the first quote of all, or of a connection, is not known: another one may lag behind it.
        self._contradictions = -LEAP if self._unsettled or self._floor < 0 else 0
        passed = sorted(one for one in self._absurd if self._floor < one < number)
        leapt_over = pairwise([self._floor, *passed, number])
        lowest, *others = [_Void(below, above, alive=bool(passed)) for below, above in leapt_over]
        # In the lowest the quotes will be that go on from the floor; of the others nobody may come, so they go first.
        self._voids = [*others, *self._voids, lowest]
        del self._voids[:-MAX_VOIDS]
        self._floor = number
        self._look_closer()
        return True

    def _look_closer(self) -> None:
        """Look closer at a quote under the floor that may be missing, or is among ids that a rise leapt over."""
        self._top = _HIGHEST if self._unsettled else max((one.above for one in self._voids), default=-1)

    def _is_missing(self, number: int) -> bool:
        """Return whether a quote that is not above the floor is kept all the same."""
        if self._unsettled and (number in self._recent or number in self._before):
            return False
        void = next((one for one in self._voids if one.below < number < one.above), None)
        if void and self._floor == self._leapt and number > self._below and self._contradicts(number):
            return True
        is_lag = self._unsettled and number > self._complete
        if not is_lag and not (void and self._goes_on(number, void)):
            return False
        if self._unsettled:
            self._recent.add(number)
        self._told.append(Late(self._symbol, number, self._floor))
        if void:
            self._take(number, void)
        return True

    def _goes_on(self, number: int, void: _Void) -> bool:
        """Return whether quotes rise among the ids that were leapt over, while others confirm the rise."""
        if not void.alive:
            jump = Jump(self._symbol, self._word, void.above, number)
            void.alive = void.noted not in {-1, self._floor}
            if void.alive:
                self._told.append(jump)
            self._doubted = None if void.alive else jump
        void.noted = self._floor
        return void.alive

    def _take(self, number: int, void: _Void) -> None:
        """Leave of a void what is above a quote in it, and what is below where the quote may be absurd itself."""
        self._voids.remove(void)
        above = void.above
        is_highest = all(one.below < number for one in self._voids)
        if is_highest and void.alive and above - number <= LEAP and self._floor - above > _FAR:
            # The lower count reaches what the higher one began with. No connection is half so far behind the floor.
            above += (self._floor - above) // 2
        if number - void.below > LEAP and void.below >= 0:
            self._voids.append(_Void(void.below, number, alive=void.alive, noted=self._floor))
        self._voids.append(_Void(number, above, alive=void.alive, noted=self._floor))
        del self._voids[:-MAX_VOIDS]
        self._look_closer()
        if void.alive:
            # Not stuck: one of two counts goes on under the floor.
            self._floor_before = -1

    def _contradicts(self, number: int) -> bool:
        """A quote between the two ends of a rise; the quotes of one connection rise themselves."""
        self._below = number
        self._contradictions += 1
        if self._contradictions < CONTRADICTED_BY and self._leapt - number < _WILD_LEAP:
            return False
        self._told.append(Jump(self._symbol, self._word, self._leapt, number))
        self._absurd = [*self._absurd, self._leapt][-_MOST_ABSURD:]
        self._floor, self._late, self._doubted = number, -1, None
        self._near = -1 if self._unsettled else number + LEAP
        if self._unsettled:
            self._recent.add(number)
        self._voids = [one for one in self._voids if one.above <= number]
        self._look_closer()
        return True
