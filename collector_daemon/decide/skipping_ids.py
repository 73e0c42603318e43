"""The trades that were seen before where ids rise and skip. No I/O, bounded memory; `ids` has the contiguous ones.

Ids are those of one symbol over all connections. `monotonic` is in seconds.
"""

from operator import attrgetter

from collector_daemon.decide.ids import REMEMBER_MOST, REMEMBER_SEC, Conflict, Hole, Jump, Odd, says_the_same
from crypto_lake.raw.lines import TradeLine

# So many trades, those of the latest times, are always remembered: all but one may be from tomorrow.
_LATEST = 4
_time = attrgetter("ts_event")


class SkippingIds:
    """The trades of one symbol whose ids rise and skip: copies are told from new trades, and no hole from a step.

    What is odd is added to `told`, which is the caller's. An id below all that are remembered came before, unless it is
    a later trade's: then the exchange counts anew.
    """

    __slots__ = (
        "_before",
        "_floor",
        "_forget_at",
        "_high",
        "_high_before",
        "_latest",
        "_recent",
        "_symbol",
        "_told",
        "_word",
    )

    def __init__(self, symbol: str, word: str, told: list[Odd]) -> None:
        self._symbol = symbol
        self._word = word
        self._told = told
        self._latest: list[TradeLine] = []
        # Two generations of what came by id. `_floor` is the highest id of those that were forgotten.
        self._recent: dict[int, list[TradeLine]] = {}
        self._before: dict[int, list[TradeLine]] = {}
        self._high = self._high_before = self._floor = -1
        self._forget_at: float | None = None

    def accept(self, line: TradeLine) -> bool:
        """Return whether to keep a trade: anything but the copy of one that came before."""
        number, latest = line.id, self._latest
        known = [*self._recent.get(number, ()), *self._before.get(number, ())]
        if any(says_the_same(one, line) for one in (*known, *latest) if one.id == number):
            return False
        if known and line.ts_event <= latest[-1].ts_event:
            self._told.append(Conflict(known[0], line))
        elif known or number <= self._floor:
            # What was forgotten is none of the latest, so it was no later than any of them.
            if len(latest) == _LATEST and line.ts_event <= latest[0].ts_event:
                return False
            highest = max(self._high, self._high_before, self._floor)
            self._told.append(Jump(self._symbol, self._word, number, highest + 1))
            self._high = self._high_before = self._floor = -1
        self._high = max(self._high, number)
        self._latest = sorted((*latest, line), key=_time)[-_LATEST:]
        self._recent.setdefault(number, []).append(line)
        return True

    def tick(self, monotonic: float, _most: int = 0) -> int:
        """Time passes: what is old enough is forgotten, but for the highest of its ids.

        Not sooner in a crowd: what a slower connection brings would be taken for what came before.
        """
        if self._forget_at is None:
            self._forget_at = monotonic + REMEMBER_SEC
        if monotonic >= self._forget_at or len(self._recent) + len(self._before) > REMEMBER_MOST:
            self._floor = max(self._floor, self._high_before)
            self._high_before, self._high = self._high, -1
            self._before, self._recent = self._recent, {}
            self._forget_at = monotonic + REMEMBER_SEC
        return 0

    def settle(self, monotonic: float) -> None:
        """A connection begins: what it brings anew is told from copies as ever."""

    def reset(self) -> None:
        """Nobody was connected: trades go on where they were."""

    def overdue(self, _monotonic: float, _grace: float) -> list[Hole]:
        """None: an id that is not there need not be missing."""
        return []
