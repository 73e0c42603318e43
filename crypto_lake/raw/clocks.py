"""The clocks of a journal: a collector's clock that was set, or whose machine slept, is another one from there on.

Here belongs which records were written on one clock, and how far it was off. No I/O; all in microseconds.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from crypto_lake.layout import MINUTE_US
from crypto_lake.raw import journal
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.offsets import Measured, believed


class Clock(NamedTuple):
    """What was written on one clock, and from when to when that was by it.

    `began_by`, `ended_by`: what set it; None where that was a start of the collector, or an end.
    """

    begin: float
    end: float
    written: list[journal.AnyRecord]
    began_by: journal.Away | None = None
    ended_by: journal.Away | None = None

    def holds(self, start: int, end: int) -> bool:
        """Return whether a stretch of local time may have been on this clock."""
        return self.begin <= start and end <= self.end

    def offsets(self) -> dict[int, int]:
        """Return how far it was off by minute, as far as the trades received by it tell."""
        return believed(
            {
                one.minute: Measured(one.offset_us, one.trades - one.set_aside)
                for one in journal.of_kind(self.written, journal.ClockOffset)
            }
        )


class Told(NamedTuple):
    """A clock, and how far it was off by minute; empty where that is not known."""

    clock: Clock
    offsets: dict[int, int]

    def offset_at(self, us: int) -> int | None:
        """Return how far it was off by the last minute known by then, else by the first."""
        earlier = [minute for minute in self.offsets if minute <= us]
        return self.offsets.get(max(earlier) if earlier else min(self.offsets, default=0))

    @property
    def was_set(self) -> bool:
        """Return whether it was set when it began, or when it ended."""
        return bool(self.clock.began_by or self.clock.ended_by)


def split(written: Sequence[journal.AnyRecord]) -> list[Clock]:
    """Return the clocks that records were written on, in order."""
    clocks = [Clock(written[0].at, math.inf, [])] if written else []
    for record in written:
        # None as well: whether it was set is not known, so nothing may be put across it.
        if isinstance(record, journal.Away) and record.step_us != 0:
            clocks[-1] = clocks[-1]._replace(end=record.left, ended_by=record)
            clocks.append(Clock(record.at, math.inf, [], record))
        elif (
            isinstance(record, journal.ClockOffset) and clocks[-1].began_by and record.at == clocks[-1].begin
        ):
            # The minute that was cut off there.
            clocks[-2].written.append(record)
        else:
            clocks[-1].written.append(record)
    return clocks


def told(written: Sequence[journal.AnyRecord]) -> list[Told]:
    """Return the clocks of a journal, which begin anew with each start of the collector, and how far each was off."""
    starts = [place for place, one in enumerate(written) if place and isinstance(one, journal.Started)]
    clocks: list[Clock] = []
    for begin, end in pairwise([0, *starts, len(written)]):
        if clocks and written[begin].at >= written[begin - 1].at:
            # Else the machine came up with a clock that lies before the end of the run before.
            clocks[-1] = clocks[-1]._replace(end=written[begin].at)
        clocks += split(written[begin:end])
    found: list[Told] = []
    for clock in reversed(clocks):
        offsets, step = clock.offsets(), clock.ended_by.step_us if clock.ended_by else None
        after = found[-1].offset_at(0) if found else None
        if not offsets and after is not None and step is not None and step < 0:
            # Nothing but setting it makes a clock go back, so it was ahead by as much more.
            offsets = {int(clock.begin): after - step}
        found.append(Told(clock, offsets))
    return found[::-1]


def of_each(
    sealed: Iterable[journal.Sealed], clocks: Sequence[Told]
) -> Iterator[tuple[journal.Sealed, Told]]:
    """Yield records, in the order in which they were written, each with its clock, unless there is none that fits."""
    place, until = 0, 0
    for record in sealed:
        start, end = _span(record)
        # Two records may overlap by seconds; one that begins a minute earlier is of a clock that went back.
        if start < until - MINUTE_US:
            place, until = place + 1, 0
        fitting = (at for at in range(place, len(clocks)) if clocks[at].clock.holds(start, end))
        found = next(fitting, None)
        if found is None:
            continue
        until = max(until, end) if found == place else end
        place = found
        yield record, clocks[place]
        if place + 1 < len(clocks) and record.at == clocks[place + 1].clock.begin:
            # It was sealed because the clock was set.
            place, until = place + 1, 0


def _span(record: journal.Sealed) -> Interval:
    """Return the local time that a record tells of."""
    times = [at for at in (record.recv_from, record.recv_to) if at is not None]
    times += [at for stretch in record.listened for at in stretch]
    return min(times, default=0), max(times, default=0)
