"""Connections by a journal: when one that carried certain streams was subscribed. No I/O.

It is asked about the minute in which a collector died, which has no `sealed` record that would say it.
"""

import math
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from msgspec.structs import replace

from crypto_lake.raw import journal
from crypto_lake.raw.intervals import Interval, clipped, union


def connected(
    written: Iterable[journal.AnyRecord], streams: AbstractSet[str]
) -> list[tuple[int, float]] | None:
    """Return the stretches in which a connection was subscribed to any of `streams`, µs of the collector's clock.

    One that never ended in the journal is without end, or ends where the next collector started. None: the journal
    names no subscription to these streams, and so does not tell.
    """
    alive: dict[int, int] = {}
    found: list[tuple[int, float]] = []
    for record in written:
        if isinstance(record, journal.Started):
            # Its connections are counted from 1 again; those before died with their process.
            found += [(since, record.at) for since in alive.values()]
            alive = {}
        elif isinstance(record, journal.Subscribed) and not streams.isdisjoint(record.streams):
            alive.setdefault(record.connection, record.at)
        elif isinstance(record, journal.Subscribed) and record.connection in alive:
            # A record has all streams of its connection: these were given up, and may come back.
            found.append((alive.pop(record.connection), record.at))
        elif isinstance(record, journal.Disconnected) and record.connection in alive:
            since = alive.pop(record.connection)
            # Nobody has listened on it since its last frame, whenever that was noticed.
            found.append((since, max(since, record.last_frame or since)))
    found += [(since, math.inf) for since in alive.values()]
    return found or None


class _Clock(NamedTuple):
    """What was written while the local clock was not set, and from when to when that was by this clock."""

    begin: float
    end: float
    written: list[journal.AnyRecord]


def listened(
    written: Sequence[journal.AnyRecord], streams: AbstractSet[str], start: int, received: Interval
) -> list[Interval]:
    """Return what of [start, the end of `received`) a connection carried any of `streams`, all of it if nothing tells.

    `received` is when lines came: they lie on one clock. Of two clocks that both may be theirs, since one was set back,
    each must say so.
    """
    whole = [(start, received[1])] if start < received[1] else []
    if connected(written, streams) is None:
        return whole
    clocks = [one for one in _clocks(written) if one.begin <= received[0] and received[1] <= one.end]
    found = whole if clocks else []
    for clock in clocks:
        carried = within(connected(clock.written, streams) or (), start, received[1])
        found = [piece for since, until in carried for piece in clipped(found, since, until)]
    return found


def _clocks(written: Sequence[journal.AnyRecord]) -> list[_Clock]:
    """Return records by the clock that they were written on; where nobody looked, connections end and begin anew."""
    alive: dict[int, journal.Subscribed] = {}
    clocks = [_Clock(written[0].at, math.inf, [])]
    for record in written:
        told = clocks[-1].written
        if isinstance(record, journal.Away):
            told += (
                journal.Disconnected(at=record.left, connection=one, reason="", last_frame=record.last_frame)
                for one in alive
            )
            if record.step_us != 0:
                clocks[-1] = clocks[-1]._replace(end=record.left)
                clocks.append(_Clock(record.at, math.inf, []))
            alive = {one: replace(subscribed, at=record.at) for one, subscribed in alive.items()}
            clocks[-1].written.extend(alive.values())
            continue
        if isinstance(record, journal.Subscribed):
            alive[record.connection] = record
        elif isinstance(record, journal.Disconnected):
            alive.pop(record.connection, None)
        elif isinstance(record, journal.Started):
            alive = {}
        told.append(record)
    return clocks


def within(stretches: Iterable[tuple[int, float]], start: int, end: int) -> list[Interval]:
    """Return what of stretches lies in [start, end), as few as possible, in order."""
    bounded = ((since, int(min(end, until))) for since, until in stretches)
    return union((since, until) for since, until in clipped(bounded, start, end) if since < until)
