"""The quotes that were seen before, by rising id. No I/O, bounded memory. `ids` has those that are contiguous.

Ids are those of one symbol over all connections. `monotonic` is in seconds.
"""

from collector_daemon.decide.ids import REMEMBER_MOST, Hole, Jump, Late, Odd
from crypto_lake.raw.lines import RawLine

# Quotes that came only under their floor for so long are those of an exchange that counts anew.
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


class RisingIds:
    """The quotes of one symbol, taken while their update id rises, whichever connection brings them.

    A connection that has just begun may be ahead of those that live: what they bring of the time before is missing
    under its first quote. So for some seconds ids are remembered, and a quote under the floor that is none of them is
    taken as well (`Late`).
    A rise that no quote after it confirms, and several contradict, was a single absurd id: it is told, and set aside.
    `word` is the stream's.
    """

    __slots__ = (
        "_absurd",
        "_before",
        "_below",
        "_complete",
        "_contradictions",
        "_floor",
        "_floor_before",
        "_late",
        "_leapt",
        "_low",
        "_near",
        "_recent",
        "_settled_at",
        "_since",
        "_symbol",
        "_told",
        "_turned_at",
        "_turned_floor",
        "_unsettled",
        "_word",
    )

    def __init__(self, symbol: str, word: str, told: list[Odd]) -> None:
        self._symbol = symbol
        self._word = word
        self._told = told
        self._since = 0.0
        self._floor = self._floor_before = self._low = -1
        self._contradictions = 0
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
        return number > self._low and self._is_missing(number)

    def settle(self, monotonic: float) -> None:
        """A connection begins; those that live may be behind it."""
        self._settled_at = monotonic + _SETTLE_SEC
        if not self._unsettled:
            self._unsettled = True
            self._near = -1
            self._complete = self._low = self._turned_floor = self._floor
            self._turned_at = monotonic + LAG_SEC

    def tick(self, monotonic: float, _most: int = 0) -> int:
        """Time passes: a floor that only old ids have come under for `STUCK_SEC` is given up. No contents are kept."""
        if self._unsettled:
            self._turn(monotonic)
        if self._floor != self._floor_before or self._late < 0:
            self._floor_before, self._late, self._since = self._floor, -1, monotonic
        elif monotonic - self._since >= STUCK_SEC:
            self._told.append(Jump(self._symbol, self._word, self._late, self._floor + 1))
            self.reset()
        return 0

    def overdue(self, _monotonic: float, _grace: float) -> list[Hole]:
        """None: these ids have holes by nature."""
        return []

    def reset(self) -> None:
        """Nobody was connected: the exchange may count from anywhere."""
        self._floor = self._floor_before = self._late = self._near = -1
        self._leapt = self._below = self._absurd = -1
        # All that is not above `_complete` has come, or is given up; `_low` says from where on to look closer.
        self._complete = self._turned_floor = -1
        self._low = -1 if self._unsettled else _HIGHEST
        # Two generations of the ids above `_complete`.
        self._recent: set[int] = set()
        self._before: set[int] = set()

    def _turn(self, monotonic: float) -> None:
        """Forget what came two turns ago; and remember nothing once all connections are long there."""
        held = len(self._recent) + len(self._before)
        if monotonic < self._turned_at and held < REMEMBER_MOST:
            return
        self._complete = self._low = min(self._turned_floor, self._floor)
        self._before, self._recent = self._recent, set()
        self._turned_at, self._turned_floor = monotonic + LAG_SEC, self._floor
        if monotonic >= self._settled_at:
            self._unsettled = False
            self._before = set()
            self._low = self._below if self._floor == self._leapt else _HIGHEST

    def _rise(self, number: int) -> bool:
        """Off the hot path, which compares with what was near enough when this was here last."""
        if number == self._absurd:
            return False
        if self._unsettled:
            self._recent.add(number)
        else:
            self._near = number + LEAP
        if number - self._floor <= LEAP:
            self._floor = number
            return True
        self._leapt, self._below = number, self._floor
        if not self._unsettled:
            self._low = self._below
        # What came before the first quote of all is not known: another connection may lag behind it.
        self._contradictions = 0 if self._floor >= 0 else -LEAP
        self._floor = number
        return True

    def _is_missing(self, number: int) -> bool:
        """Return whether a quote that is not above the floor is kept all the same."""
        if self._unsettled:
            if number in self._recent or number in self._before:
                return False
            self._recent.add(number)
        if self._floor == self._leapt and number > self._below and self._contradicts(number):
            return True
        if self._unsettled:
            self._told.append(Late(self._symbol, number, self._floor))
        elif self._floor != self._leapt:
            self._low = _HIGHEST
        return self._unsettled

    def _contradicts(self, number: int) -> bool:
        """A quote between the two ends of a rise; the quotes of one connection rise themselves."""
        self._below = number
        self._contradictions += 1
        if self._contradictions < CONTRADICTED_BY and self._leapt - number < _WILD_LEAP:
            return False
        self._told.append(Jump(self._symbol, self._word, self._leapt, number))
        self._absurd, self._floor, self._late = self._leapt, number, -1
        self._near = -1 if self._unsettled else number + LEAP
        return True
