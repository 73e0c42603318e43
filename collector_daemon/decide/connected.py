"""Connections by a journal: when one that carried certain streams was subscribed. No I/O.

It is asked about the minute in which a collector died, which has no `sealed` record that would say it.
"""

import math
from collections.abc import Iterable
from collections.abc import Set as AbstractSet

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


def within(stretches: Iterable[tuple[int, float]], start: int, end: int) -> list[Interval]:
    """Return what of stretches lies in [start, end), as few as possible, in order."""
    bounded = ((since, int(min(end, until))) for since, until in stretches)
    return union((since, until) for since, until in clipped(bounded, start, end) if since < until)
