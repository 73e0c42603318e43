"""When an exchange serves which symbols: a replayed recording is silent where nobody was listening.

Here belong the stretches of market time and what they mean for one client; ending its connection is the session's
business. A client is not served while any symbol that it asks for is not, so what it hears is what somebody heard.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Stretch(NamedTuple):
    """From when on a client is served, and until when its connection is ended; microseconds of market time.

    `first_us` is the time of the first event that may be sent: a little before, where the recording began earlier.
    """

    first_us: int
    open_us: int
    close_us: int


class Openings:
    """See the module.

    Args:
        stretches: of each symbol, in order, apart from each other; before its first and after its last one a symbol
            keeps nobody from hearing others.
    """

    def __init__(self, stretches: Mapping[str, Sequence[Stretch]]) -> None:
        self._stretches = {symbol: list(some) for symbol, some in stretches.items() if some}

    def of(self, symbols: Iterable[str]) -> list[Stretch]:
        """The stretches in which a client of these symbols is served, in order; of none known, those of any."""
        known = [self._stretches[one] for one in symbols if one in self._stretches]
        closed = sorted(gap for some in known for gap in pairwise(some) if gap[0].close_us < gap[1].open_us)
        everything = [one for some in self._stretches.values() for one in some]
        found = [
            Stretch(
                min(one.first_us for one in everything),
                min(one.open_us for one in everything),
                max(one.close_us for one in everything),
            )
        ]
        for before, after in closed:
            last = found[-1]
            if after.open_us <= last.open_us:
                continue
            if before.close_us > last.open_us:
                found[-1] = last._replace(close_us=before.close_us)
                found.append(Stretch(after.first_us, after.open_us, last.close_us))
            else:
                found[-1] = Stretch(after.first_us, after.open_us, last.close_us)
        return found


def at(stretches: Sequence[Stretch], time_us: int) -> Stretch | None:
    """The stretch that holds a time, else the next one; None after the last."""
    position = bisect_right(stretches, time_us, key=lambda one: one.close_us)
    return stretches[position] if position < len(stretches) else None
