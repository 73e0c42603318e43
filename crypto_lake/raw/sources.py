"""Sources: what a stretch of one symbol's recording is read from, a segment, or ticks that stand for segments.

Here belongs what is asked of sources once they are known; which there are is the catalog's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from crypto_lake.raw import scan, segments
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import TICKS
from crypto_lake.raw.scan import Window


@dataclass(frozen=True)
class Source:
    """A sealed segment, or the ticks of a day that stand for segments that are gone.

    `name` is its folder and file, as fingerprints spell it; `size` that of the lines; [start, end] its stretch.

    `received` is the same on the local clock, None where it was fetched; `trade_ids` the lowest and the highest, if the
    journal says so and so vouches for the rest. `strays` are the stretches in which its trades say that they happened,
    where some of these lie far from the rest. The `paths` of ticks are in the order of `lines.TICKS`. `has_late`:
    quotes that came late may be in it, as the journal says. `recorders` received its lines: one, several of ticks, none
    of what was fetched. `is_described`: the journal tells of it.
    """

    name: str
    paths: tuple[Path, ...]
    size: int
    start: int
    end: int
    received: Interval | None
    trade_ids: Interval | None
    has_trades: bool
    strays: tuple[Interval, ...] = ()
    is_ticks: bool = False
    has_late: bool = False
    recorders: tuple[str, ...] = ("",)
    is_described: bool = True

    @property
    def spans(self) -> list[Interval]:
        """All stretches in which one of its events may lie."""
        return [(self.start, self.end), *self.strays]

    @cached_property
    def is_healed(self) -> bool:
        """Return whether it was fetched rather than received."""
        return any(map(segments.is_healed, self.paths))


def paths_of(sources: Iterable[Source]) -> list[Path]:
    """The files of sources."""
    return [path for source in sources for path in source.paths]


def selects(sources: Sequence[Source], window: Window | None = None) -> list[str]:
    """The lines of sources as SELECT statements: segments whole, all in one; of ticks the window, if one is given."""
    ticks = [source for source in sources if source.is_ticks]
    landed = paths_of(source for source in sources if not source.is_ticks)
    return scan.of_segments(landed) + [
        scan.of_ticks(stream, path, window)
        for source in ticks
        for stream, path in zip(TICKS, source.paths, strict=True)
    ]


def lines_of(sources: Sequence[Source]) -> str:
    """The lines of sources as an SQL table, as `scan.table` has it."""
    return scan.table(selects(sources))


def recorders_of(sources: Iterable[Source]) -> list[str]:
    """Those who received the lines of sources, sorted."""
    return sorted({recorder for source in sources for recorder in source.recorders})


def has_late(sources: Iterable[Source]) -> bool:
    """Return whether quotes that came late may be in any of them."""
    return any(source.has_late for source in sources)


def once_only(sources: list[Source]) -> bool:
    """Return whether no line can lie in these sources twice.

    A collector takes each id once. Lines that were landed again, by a second recording of the same stretch or by hand,
    bring trade ids that were there, or come without a journal.
    """
    ranges = sorted(source.trade_ids for source in sources if source.trade_ids)
    return len(ranges) == len(sources) and all(one[1] < other[0] for one, other in pairwise(ranges))
