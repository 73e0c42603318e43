"""The recordings that an hour is read from: of several recorders the first that lacks nothing, else all.

A second recording is to cost storage, and CPU only where it is needed. `First` is by name, so which one is read depends
on the files alone, and not on the order in which they came.

Where one hour is read from other recorders than the next, a quote that lies at the border by one clock may lie beyond
it by another. So an hour is read with what the hour before it was read from, around its start: a quote that the hour
before has is not its own. No hour depends on what comes after it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from crypto_lake.layout import HOUR_US, HOURS_OF_A_DAY
from crypto_lake.raw.catalog import Catalog
from crypto_lake.raw.intervals import Interval, without
from crypto_lake.raw.offsets import DRIFT_US
from crypto_lake.raw.sources import Source, recorders_of

# Two recorders' times of one quote lie no further apart than this: twice what a clock's offset may be wrong by.
MARGIN_US = 2 * DRIFT_US


class Chosen(NamedTuple):
    """The sources of an hour, and whose they are: those it is read from, and those that the hour before was.

    Both are empty where one recorder's clock serves for all.
    """

    sources: list[Source]
    here: list[str]
    before: list[str]


@dataclass(frozen=True)
class Choice:
    """The choice for the hours of a day, which begins at `start`. `proves`: trade ids tell what is missing."""

    catalog: Catalog
    start: int
    proves: bool

    @cached_property
    def is_free(self) -> bool:
        """Return whether there is a choice at all: more than one recorder has something."""
        return len(self._names) > 1

    @cached_property
    def _names(self) -> list[str]:
        """Those who received or heard anything, and those for whose segments ticks stand, sorted."""
        names = {name for name, one in self.catalog.recorded.items() if not one.is_empty}
        return sorted(names.union(recorders_of(one for one in self.catalog.sources if one.is_ticks)))

    def of(self, start: int, until: int) -> Chosen:
        """The sources of the hour that begins at `start`, and that is made up to `until`."""
        if not self.is_free:
            return Chosen(self.catalog.between(start, start + HOUR_US), [], [])
        here, before = self._recorders(start, until), self._recorders(start - HOUR_US, start)
        sources = [one for one in self._hours[start] if _is_read(one, here)]
        if here != before or len(here) > 1:
            known = {one.name for one in sources}
            sources += [one for one in self._at_border(start, {*here, *before}) if one.name not in known]
        received = [one for one in sources if one.received is not None]
        if not received or len(recorders_of(sources)) == 1:
            # What the others have around its start is nothing.
            return Chosen([one for one in self._hours[start] if _is_read(one, here)], [], [])
        return Chosen(sorted(sources, key=lambda one: one.name), here, before)

    @cached_property
    def _hours(self) -> dict[int, list[Source]]:
        """The sources that may hold an event of an hour, for the hours of the day and the one before."""
        found: dict[int, list[Source]] = defaultdict(list)
        first, last = self.start - HOUR_US, self.start + (HOURS_OF_A_DAY - 1) * HOUR_US
        for source in self.catalog.sources:
            hours = {
                hour
                for begin, end in source.spans
                for hour in range(max(first, begin - begin % HOUR_US), min(last, end) + 1, HOUR_US)
            }
            for hour in hours:
                found[hour].append(source)
        return found

    def _at_border(self, border: int, recorders: set[str]) -> list[Source]:
        near = [*self._hours[border - HOUR_US], *self._hours[border]]
        return [
            one
            for one in {one.name: one for one in near}.values()
            if one.received is not None
            and not recorders.isdisjoint(one.recorders)
            and any(first < border + MARGIN_US and last >= border - MARGIN_US for first, last in one.spans)
        ]

    def _recorders(self, start: int, until: int) -> list[str]:
        """The recorder that an hour is read from, if there is one that lacks nothing, else all of them.

        Whoever landed files by hand without a name is one of them in any case.
        """
        if any(source.is_ticks for source in self.catalog.sources):
            # They stand for what was chosen when they were made; what came since is read beside them.
            return self._names
        found = next(([name] for name in self._names if self._is_whole(name, start, until)), self._names)
        is_landed = any(_is_by_hand(one) for one in self._hours[start])
        return sorted({"", *found}) if is_landed else found

    def _is_whole(self, name: str, start: int, until: int) -> bool:
        """Return whether a recorder listened throughout [start, until), and nothing of that is missing."""
        one = self.catalog.recorded[name]
        broken = [*one.lost, *(one.gaps if self.proves else [])]
        if without(one.listened, start, until) or any(a < until and b >= start for a, b in broken):
            return False
        return not self.proves or self._has_all_ids(name, start, until)

    def _has_all_ids(self, name: str, start: int, until: int) -> bool:
        """Return whether a recorder's trade ids follow each other from before an hour to after it.

        What comes at its end may still have been on its way when the recorder died: where no later trade tells, it must
        have what the others have.
        """
        traded = [one for one in self._hours[start] if one.has_trades and one.received is not None]
        own = [one for one in traded if name in one.recorders]
        ids = _in_a_row(own)
        if ids is None:
            return False
        if until < start + HOUR_US or not traded:
            return True
        others = [one.trade_ids for one in traded if name not in one.recorders]
        if not ids:
            return not others
        firsts, lasts = self._ends[name]
        begins = ids[0] - 1 in lasts or all(one and one[0] >= ids[0] for one in others)
        ends = ids[1] + 1 in firsts or all(one and one[1] <= ids[1] for one in others)
        return begins and ends

    @cached_property
    def _ends(self) -> dict[str, tuple[set[int], set[int]]]:
        """The first and the last trade ids of each recorder's sources."""
        found = {}
        for name, one in self.catalog.recorded.items():
            ids = [source.trade_ids for source in one.sources if source.trade_ids]
            found[name] = {first for first, _ in ids}, {last for _, last in ids}
        return found


def _in_a_row(sources: Sequence[Source]) -> Interval | tuple[()] | None:
    """The first and the last trade id of sources that follow each other; (): no trade; None: it is not known."""
    ids = sorted(one.trade_ids for one in sources if one.trade_ids)
    if len(ids) < len(sources) or any(after[0] != one[1] + 1 for one, after in pairwise(ids)):
        return None
    return (ids[0][0], ids[-1][1]) if ids else ()


def _is_read(source: Source, recorders: Sequence[str]) -> bool:
    """Return whether a source is read for an hour; what was fetched, or landed by hand, always is."""
    return source.received is None or _is_by_hand(source) or not {*recorders}.isdisjoint(source.recorders)


def _is_by_hand(source: Source) -> bool:
    return source.received is not None and source.recorders == ("",) and not source.is_described
