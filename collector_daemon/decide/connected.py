"""Connections by a journal: when one that carried certain streams was subscribed. No I/O.

It is asked about the minute in which a collector died, which has no `sealed` record that would say it.
"""

import math
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from crypto_lake.raw import clocks, journal
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
    fitting = [clock for clock in clocks.split(_parted(written)) if clock.holds(*received)]
    found = whole if fitting else []
    for clock in fitting:
        carried = within(connected(clock.written, streams) or (), start, received[1])
        found = [piece for since, until in carried for piece in clipped(found, since, until)]
    return found


def _parted(written: Iterable[journal.AnyRecord]) -> list[journal.AnyRecord]:
    """Return the same records, and where nobody looked, the end of each connection and its beginning anew."""
    alive: dict[int, journal.Subscribed] = {}
    found: list[journal.AnyRecord] = []
    for record in written:
        if isinstance(record, journal.Away):
            at, last = record.left, record.last_frame
            found += (
                journal.Disconnected(at=at, connection=one, reason="", last_frame=last) for one in alive
            )
            alive = {one: replace(subscribed, at=record.at) for one, subscribed in alive.items()}
            found += (record, *alive.values())
            continue
        if isinstance(record, journal.Subscribed):
            alive[record.connection] = record
        elif isinstance(record, journal.Disconnected):
            alive.pop(record.connection, None)
        elif isinstance(record, journal.Started):
            alive = {}
        found.append(record)
    return found


def within(stretches: Iterable[tuple[int, float]], start: int, end: int) -> list[Interval]:
    """Return what of stretches lies in [start, end), as few as possible, in order."""
    bounded = ((since, int(min(end, until))) for since, until in stretches)
    return union((since, until) for since, until in clipped(bounded, start, end) if since < until)
