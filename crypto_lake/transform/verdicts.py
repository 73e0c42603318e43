"""The judgement of a day's quotes by its order book: which are equal, which were lost, what each second is worth.

Plain arrays in, plain arrays out; which files they come from and go to is the business of `proof`.

Quotes and events of depth count in the same ids, so at the end of each event (a boundary) it is known which quote the
lake held: the newest whose id is not above the event's. Ids decide that, and not times: a quote's time is its receipt,
so it may lie in a later second than its place among the events.

Memory goes by the number of boundaries; of quotes a stretch at a time is looked at, in any order.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crypto_lake.layout import DAY_US, SECOND_US
from crypto_lake.transform import best
from crypto_lake.transform.chosen import MARGIN_US

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECONDS = DAY_US // SECOND_US
_NONE = -1
_PRICES = [best.BID.start, best.ASK.start]
_FARTHEST = np.iinfo(np.int64).max


class Verdict(IntEnum):
    """What is known of the quotes of a second."""

    PROVED = 0
    CONTRADICTED = 1
    UNVERIFIABLE = 2


class Boundaries(NamedTuple):
    """The ends of events, in order of their ids: times (µs), ids, best prices.

    The first is the last one before the day; where there is none, one with the id -1 that is not unbroken. `both`:
    there is a bid and an ask. `unbroken`: every event from a snapshot to this one is there. `certain`: no better level
    can be there. `followed`: an event of the next day follows on the last one.
    """

    ts: "NDArray[np.int64]"
    first_id: "NDArray[np.int64]"
    id: "NDArray[np.int64]"
    best: "NDArray[np.int64]"
    both: "NDArray[np.bool_]"
    unbroken: "NDArray[np.bool_]"
    certain: "NDArray[np.bool_]"
    followed: bool = False


class Quotes(NamedTuple):
    """A stretch of quotes: times (µs), ids, best prices."""

    ts: "NDArray[np.int64]"
    id: "NDArray[np.int64]"
    best: "NDArray[np.int64]"


class Compared(NamedTuple):
    """Boundaries beside the quote held at each: its id (-1: none), its prices; whether they were compared, are equal.

    `newest` has the highest id of a quote before the day (first), and before the end of each of its seconds.
    """

    quote_id: "NDArray[np.int64]"
    quote: "NDArray[np.int64]"
    is_compared: "NDArray[np.bool_]"
    is_equal: "NDArray[np.bool_]"
    newest: "NDArray[np.int64]"

    @property
    def different(self) -> "NDArray[np.int64]":
        """The numbers of the boundaries that contradict the quote."""
        return np.flatnonzero(self.is_compared & ~self.is_equal)


class Seconds(NamedTuple):
    """A day, second by second. `fills`: whether bars take their quote from the book, which is in `fill` then."""

    boundaries: "NDArray[np.int32]"
    equal: "NDArray[np.int32]"
    contradicted: "NDArray[np.int32]"
    verdict: "NDArray[np.int8]"
    fills: "NDArray[np.bool_]"
    fill: "NDArray[np.int64]"


def compare(boundaries: Boundaries, quotes: Iterable[Quotes], start: int) -> Compared:
    """Hold the best bid and ask at each boundary of a day that begins at `start` µs against the newest quote."""
    held = _Held(boundaries.id, start)
    for some in quotes:
        held.take(some)
    # Where no quote came between two boundaries, the one before is held still; the first slot is empty at first.
    slot = np.maximum.accumulate(np.where(held.id > _NONE, np.arange(len(held.id)), 0))
    quote_id, quote = held.id[slot], held.best[slot]
    is_equal = np.all(quote == boundaries.best, axis=1)
    newest = np.maximum.accumulate(held.newest)
    # A quote that was on its way at midnight is in the next day's file: of the last boundaries, if none with a higher
    # id came before, it is not known whether it was lost.
    on_its_way = (boundaries.ts >= start + DAY_US - MARGIN_US) & (boundaries.id > newest[-1]) & ~is_equal
    # Of a side of which the book has no level, it is not known whether there is any.
    is_unknown = np.any((boundaries.best[:, _PRICES] == 0) & (quote[:, _PRICES] != 0), axis=1)
    is_compared = boundaries.unbroken & (quote_id > _NONE) & ~on_its_way & ~is_unknown
    return Compared(quote_id, quote, is_compared, is_equal & is_compared, newest)


class _Held:
    """The newest quote from one boundary (but for it) to the next, of each; and before the end of each second."""

    def __init__(self, ids: "NDArray[np.int64]", start: int) -> None:
        self._boundaries, self._start = ids, start
        self.id = np.full(len(ids), _NONE, dtype=np.int64)
        self.best = np.zeros((len(ids), 6), dtype=np.int64)
        self.newest = np.full(SECONDS + 1, _NONE, dtype=np.int64)

    def take(self, some: Quotes) -> None:
        seconds = np.clip((some.ts - self._start) // SECOND_US + 1, 0, SECONDS)
        np.maximum.at(self.newest, seconds, some.id)
        if np.any(some.id[1:] < some.id[:-1]):
            order = np.argsort(some.id, kind="stable")
            some = Quotes(some.ts[order], some.id[order], some.best[order])
        slots = np.searchsorted(self._boundaries, some.id)
        last = np.flatnonzero(slots != np.append(slots[1:], _NONE))
        last = last[slots[last] < len(self._boundaries)]
        last = last[some.id[last] > self.id[slots[last]]]
        self.id[slots[last]] = some.id[last]
        self.best[slots[last]] = some.best[last]


def certain(boundaries: Boundaries, found: Compared) -> "NDArray[np.bool_]":
    """Return where no better level can be there than the best ones, by snapshots and by quotes.

    A quote that is equal to the book says that no better level is there; from its price on, events have told all since.
    """
    sure = boundaries.certain | found.is_equal
    prices = boundaries.best[:, _PRICES] * (1, -1)
    # A book that began anew has told nothing before.
    begins = np.union1d(np.flatnonzero(~boundaries.unbroken), torn(boundaries))
    reach = np.where(sure[:, None], prices, _FARTHEST)
    for begin, end in zip([0, *begins], [*begins, len(sure)], strict=True):
        np.minimum.accumulate(reach[begin:end], axis=0, out=reach[begin:end])
    is_reached: NDArray[np.bool_] = np.all(prices >= reach, axis=1)
    return boundaries.unbroken & (sure | (boundaries.both & is_reached))


def disputed(boundaries: Boundaries, found: Compared, side: slice) -> "NDArray[np.int64]":
    """Return, of the boundaries that contradict the quote, the price of the level of a side in question; -1: none.

    It is the better one of the two best prices: one of both has a level there that the other has not, or another
    quantity.
    """
    rows = found.different
    book, quote = boundaries.best[rows, side], found.quote[rows, side]
    better = np.maximum(book[:, 0], quote[:, 0]) if side == best.BID else _lower(book[:, 0], quote[:, 0])
    return np.where(np.any(book != quote, axis=1), better, _NONE)


def _lower(one: "NDArray[np.int64]", other: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Return the lower of two prices; 0 is none."""
    return np.where((one == 0) | ((other != 0) & (other < one)), other, one)


def judge(
    boundaries: Boundaries,
    found: Compared,
    is_lost: "NDArray[np.bool_]",
    start: int,
    before: "NDArray[np.int64] | None" = None,
) -> Seconds:
    """Tell of each second of a day what its quotes are worth, and with what bars fill it.

    `is_lost` says of each boundary whether a quote was lost there. `before` is the best bid and ask of the book that
    bars carry into the day, where they do.
    """
    second = (np.maximum.accumulate(boundaries.ts) - start) // SECOND_US
    is_here = (second >= 0) & (second < SECONDS)
    is_different = found.is_compared & ~found.is_equal

    def count(some: "NDArray[np.bool_]") -> "NDArray[np.int32]":
        return np.bincount(second[some & is_here], minlength=SECONDS).astype(np.int32)

    events, equal, different = count(is_here), count(found.is_equal), count(is_different)
    # The last boundary before each second begins, and before it ends.
    last = np.searchsorted(second, np.arange(SECONDS + 1)) - 1
    began, ended = np.maximum(last[:-1], 0), np.maximum(last[1:], 0)
    covered = _covered(boundaries, second)
    # What is held as a second begins is known to be wrong where it was so at the boundary before, and none came since.
    wrong_before = covered & is_different[began] & (found.newest[:-1] <= boundaries.id[began])
    wrong = (different > 0) | wrong_before
    proved = covered & ~wrong & found.is_compared[began] & (equal == events)
    verdict = np.select([wrong, proved], [Verdict.CONTRADICTED, Verdict.PROVED], Verdict.UNVERIFIABLE)
    fills, fill = _fills(boundaries, found, is_lost, ended, before)
    return Seconds(events, equal, different, verdict.astype(np.int8), fills, fill)


def torn(boundaries: Boundaries) -> "NDArray[np.int64]":
    """Return the numbers of the boundaries before which the chain broke: the event is not the next one."""
    follows = boundaries.first_id[1:] <= boundaries.id[:-1] + 1
    return np.flatnonzero(~follows & (boundaries.id[:-1] > _NONE)) + 1


def _covered(boundaries: Boundaries, second: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Return the seconds of which no event is missing: what is lost between two is lost in any second between them."""
    is_linked = boundaries.unbroken[1:] & boundaries.unbroken[:-1]
    is_linked[torn(boundaries) - 1] = False
    gaps = np.flatnonzero(~is_linked)
    changes = np.zeros(SECONDS + 1, dtype=np.int64)
    np.add.at(changes, np.clip(second[gaps], 0, SECONDS), 1)
    np.add.at(changes, np.clip(second[gaps + 1] + 1, 0, SECONDS), -1)
    if not (boundaries.followed and boundaries.unbroken[-1]):
        changes[np.clip(second[-1], 0, SECONDS)] += 1
    return np.equal(np.cumsum(changes[:-1]), 0)


def _fills(
    boundaries: Boundaries,
    found: Compared,
    is_lost: "NDArray[np.bool_]",
    ended: "NDArray[np.int64]",
    before: "NDArray[np.int64] | None",
) -> tuple["NDArray[np.bool_]", "NDArray[np.int64]"]:
    """Return the seconds that bars fill from the book, and with what: the last boundary compared before their end.

    Where a better level can be there, nothing does. It is carried on like any quote, also while the book is not known,
    until a quote with a higher id comes.
    """
    prices, lost = boundaries.best.copy(), is_lost & boundaries.both & boundaries.certain
    # A quote that was on its way at midnight may be here by now.
    lost[0] = before is not None and not found.is_equal[0]
    if before is not None:
        prices[0] = before
    known = np.maximum.accumulate(np.where(found.is_compared, np.arange(len(lost)), 0))[ended]
    fills = lost[known] & (found.newest[1:] <= boundaries.id[known])
    return fills, np.where(fills[:, None], prices[known], 0)
