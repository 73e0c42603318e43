"""The market's clock: what time it is at the bundled exchange.

Here belongs the passage of market time, nothing about markets. The same clock's `now_us` can be handed to a collector
in the same process, so that its receive times are market times even when the market runs faster than the wall clock.
"""

from __future__ import annotations

import time

from crypto_lake.clock import market_us, wall_us


class MarketClock:
    """Market time: where it started plus `speed` times the monotonic time since.

    Args:
        start_us: market time at the start, microseconds since the epoch, UTC; None starts at the wall clock's now.
        speed: market seconds in a real second, above 0.
        began_us: this machine's time at which market time was `start_us`; market time then never overtakes this
            machine's. None: now, and it may.
        waiting: stand still at the start until `start` is called.

    Raises:
        ValueError: a speed that is not above 0.
    """

    def __init__(
        self,
        start_us: int | None = None,
        speed: float = 1.0,
        *,
        began_us: int | None = None,
        waiting: bool = False,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        self.speed = speed
        self._start_us = wall_us() if start_us is None else start_us
        self._began_us = began_us
        self._last_us = 0
        self._started_ns = None if waiting else time.perf_counter_ns()

    def now_us(self) -> int:
        """Market time in microseconds since the epoch, UTC; never goes back."""
        if self._began_us is not None:
            now_us = market_us(wall_us(), self._began_us, self._start_us, self.speed)
            self._last_us = max(self._last_us, now_us)
            return self._last_us
        if self._started_ns is None:
            return self._start_us
        return self._start_us + int((time.perf_counter_ns() - self._started_ns) * self.speed) // 1000

    def start(self) -> None:
        """Let a waiting clock run; nothing happens to one that runs already."""
        if self._started_ns is None:
            self._started_ns = time.perf_counter_ns()
