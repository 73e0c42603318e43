"""Stretches of time in which somebody listened: from a record of the journal, and joined.

Which files there are is the catalog's. No I/O; all in microseconds.
"""

from typing import NamedTuple

from crypto_lake.raw import journal
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.offsets import DRIFT_US


class Stretch(NamedTuple):
    """A stretch of listening, on the local clock and on the exchange's."""

    local: Interval
    exchange: Interval


def heard(record: journal.Sealed, offset: int) -> list[Stretch]:
    """Return what a record says of listening.

    All trades between the first and the last of one stretch were listened to, if they lie no further outside of it
    than a clock may drift meanwhile: another one may have been heard by somebody who came later. But an event widens
    nothing where a line was received outside of the stretch: one that had waited may be of long before.
    """
    found = [Stretch((start, end), (start - offset, end - offset)) for start, end in record.listened]
    if len(found) == 1 and record.event_from is not None and record.event_to is not None:
        local, (start, end) = found[0]
        is_first = record.recv_from is not None and record.recv_from >= local[0]
        is_last = record.recv_to is not None and record.recv_to <= local[1]
        first = record.event_from if is_first and record.event_from >= start - DRIFT_US else start
        last = record.event_to if is_last and record.event_to <= end + DRIFT_US else end
        found = [Stretch(local, (min(start, first), max(end, last)))]
    return found


def without_a_hole(before: journal.Sealed, after: journal.Sealed) -> Interval | None:
    """The time between two files that no journal describes, if their trade ids prove that nothing is missing."""
    described = before.at or after.at
    if described or before.last_trade_id is None or after.first_trade_id != before.last_trade_id + 1:
        return None
    if before.recv_to is None or after.recv_from is None or after.recv_from < before.recv_to:
        return None
    return before.recv_to, after.recv_from


def joined(stretches: list[Stretch]) -> list[Interval]:
    """Stretches that touch on the local clock are one, though the offset changed a little from one to the next.

    If it changed much, or they overlap on the local clock alone, the clock was set: they may then lie hours apart.
    """
    found: list[Stretch] = []
    for stretch in sorted(stretches):
        last = found[-1] if found else None
        if last and _goes_on(last, stretch):
            found[-1] = Stretch(_hull(last.local, stretch.local), _hull(last.exchange, stretch.exchange))
        else:
            found.append(stretch)
    return [stretch.exchange for stretch in found]


def _goes_on(one: Stretch, other: Stretch) -> bool:
    """Return whether a stretch goes on with another that begins no earlier."""
    drift = DRIFT_US if other.local[0] == one.local[1] else 0
    begins, ends = other.exchange
    return (
        other.local[0] <= one.local[1]
        and begins <= one.exchange[1] + drift
        and ends + drift >= one.exchange[0]
    )


def _hull(one: Interval, other: Interval) -> Interval:
    return min(one[0], other[0]), max(one[1], other[1])
