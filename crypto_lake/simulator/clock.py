"""The market's clock: what time it is at the bundled exchange.

Here belongs the passage of market time, nothing about markets. The same clock's `now_us` can be handed to a collector
in the same process, so that its receive times are market times even when the market runs faster than the wall clock.
"""

from __future__ import annotations

import time


class MarketClock:
    """Market time: where it started plus `speed` times the monotonic time since.

    Args:
        start_us: market time at the start, microseconds since the epoch, UTC; None starts at the wall clock's now.
        speed: market seconds in a real second, above 0.
        waiting: stand still at the start until `start` is called.

    Raises:
        ValueError: a speed that is not above 0.
    """

    def __init__(self, start_us: int | None = None, speed: float = 1.0, *, waiting: bool = False) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self._start_us = time.time_ns() // 1000 if start_us is None else start_us
        self._started_ns = None if waiting else time.perf_counter_ns()

    def now_us(self) -> int:
        """Market time in microseconds since the epoch, UTC; never goes back."""
        if self._started_ns is None:
            return self._start_us
        return self._start_us + int((time.perf_counter_ns() - self._started_ns) * self.speed) // 1000

    def start(self) -> None:
        """Let a waiting clock run; nothing happens to one that runs already."""
        if self._started_ns is None:
            self._started_ns = time.perf_counter_ns()
