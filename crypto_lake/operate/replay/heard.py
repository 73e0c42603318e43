"""When somebody was listening on a day, as stretches in which the exchange serves clients.

A recorder of the replay is to claim the same whole seconds: it hears a connection begin and end in the same second as
the recorder before it did, at the end of it where that leaves most time for what is late.
"""

from collections.abc import Iterable, Sequence

from crypto_lake.layout import SECOND_US
from crypto_lake.raw.intervals import Interval, union, without
from crypto_lake.simulator.server.openings import Stretch

# Within its second: when a connection is confirmed of which that second is not wholly heard, and when one is ended.
_OPENS_US, _CLOSES_US = 30_000, 100_000
# Where both lie in one second: so long after the end somebody is heard again.
_REOPENS_US = 1_000
# So long after the day's end, or that of the last that is heard of it, what is late has come.
_LINGERS_US = 2 * SECOND_US


def stretches(listened: Iterable[Interval], start_us: int, end_us: int, lead_us: int) -> list[Stretch]:
    """Return the stretches of one symbol in `[start_us, end_us)`.

    What is heard at `start_us` already is served for `lead_us` before, and what goes on at `end_us` for a while.
    """
    found: list[Stretch] = []
    for first, last in union((max(one, start_us), min(other, end_us)) for one, other in listened):
        if first >= last:
            continue
        second = -(-first // SECOND_US) * SECOND_US - SECOND_US
        begin = Stretch(second, second + _OPENS_US, 0)
        if first == start_us:
            begin = Stretch(start_us - lead_us, start_us - lead_us, 0)
        close = end_us + _LINGERS_US
        if last < end_us:
            whole = last // SECOND_US * SECOND_US
            close = min(max(last + 1, whole + _CLOSES_US), whole + SECOND_US - 1)
        if found and begin.open_us <= found[-1].close_us:
            begin = Stretch(found[-1].close_us, found[-1].close_us + _REOPENS_US, 0)
        if begin.open_us < close:
            found.append(begin._replace(close_us=close))
    return found


def lost(listened: Sequence[Interval], start_us: int, end_us: int) -> list[Interval]:
    """Return when nobody was listening in between, and up to the end."""
    return without(listened, min((first for first, _ in listened), default=start_us), end_us)
