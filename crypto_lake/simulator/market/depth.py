"""Depth events and snapshots of the synthetic market, cut from its book at moments.

Here belongs where an event begins and ends, and the units; what the book is at an update id is the ladder's. An event
tells all levels that were touched in its window, so a snapshot from within the window can be carried over it, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crypto_lake.simulator.market.tape import Book, DepthEvent
from crypto_lake.simulator.market.waves import SECOND_US

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from crypto_lake.simulator.market.ladder import Ladder, Tops
    from crypto_lake.simulator.market.tape import Instrument, Levels

_AT_ONCE_US = 2 * SECOND_US  # the levels of so long a time are held at a time


class Depth:
    """The depth of one symbol.

    Args:
        ids_at: the newest update id at each of rising times, microseconds since the epoch.
        tops: best bid and ask at each id from the newest at one time to the newest at another.
        ladder: the levels behind them.
        instrument: what ticks and steps are worth.
        phase_us: a time at which windows begin; not all symbols' should end at once.
        delay_us: from the end of a window to the wire.
    """

    def __init__(
        self,
        ids_at: Callable[[NDArray[np.int64]], NDArray[np.int64]],
        tops: Callable[[int, int], Tops],
        ladder: Ladder,
        instrument: Instrument,
        phase_us: int,
        delay_us: int,
    ) -> None:
        self._ids_at = ids_at
        self._tops = tops
        self._ladder = ladder
        self._tick, self._step = instrument.tick, instrument.step
        self._phase_us = phase_us % SECOND_US // 1000 * 1000  # whole milliseconds, so that E is not cut short
        self._delay_us = delay_us

    def book(self, now_us: int, limit: int) -> Book:
        """The best `limit` levels a side after all changes up to now."""
        tops = self._tops(now_us, now_us)
        bids, asks = self._ladder.levels(tops)
        return Book(int(tops.ids[0]), self._levels(bids, best=-1)[:limit], self._levels(asks, best=1)[:limit])

    def events(self, start_us: int, end_us: int, window_us: int) -> Iterator[DepthEvent]:
        """The events sent in `[start_us, end_us)`; a window without a change has none."""
        first, stop = (
            -(-(time_us - self._delay_us - self._phase_us) // window_us) for time_us in (start_us, end_us)
        )
        at_once = _AT_ONCE_US // window_us
        for number in range(first, stop, at_once):
            ends = self._phase_us + window_us * np.arange(number - 1, min(number + at_once, stop))
            yield from self._of_windows(ends)

    def _of_windows(self, ends_us: NDArray[np.int64]) -> Iterator[DepthEvent]:
        """The events of windows that end at these times, the first of which is the end of the one before."""
        ids = self._ids_at(ends_us - 1).tolist()
        if ids[0] == ids[-1]:
            return
        tops = self._tops(int(ends_us[0]) - 1, int(ends_us[-1]) - 1)
        touched = self._ladder.changes(tops, [last - ids[0] for last in ids[1:]])
        for before, last, end_us, (bids, asks) in zip(
            ids, ids[1:], ends_us[1:].tolist(), touched, strict=False
        ):
            if last > before:
                sides = self._levels(bids, best=-1), self._levels(asks, best=1)
                yield DepthEvent(before + 1, last, end_us, end_us + self._delay_us, *sides)

    def _levels(self, side: dict[int, int], best: int) -> Levels:
        """Prices and quantities in 1e-8, the best first: the highest where `best` is negative."""
        pairs = sorted(side.items(), reverse=best < 0)
        return tuple((price * self._tick, qty * self._step) for price, qty in pairs)
