"""Time, as an argument. Nothing else in this package asks the system what time it is.

`now_us` stamps what was received and decides days and windows; it may be stepped by the system or run faster than
life in a demonstration. Liveness, flushing and backoff go by `monotonic` and `sleep`, which nobody can set.
"""

import asyncio
import time
from typing import Protocol

from crypto_lake import clock
from crypto_lake.config import Config

_LOOK_SEC = 0.05
_TOLERANCE_SEC = 5.0
_SECOND_US = 1_000_000


class Clock(Protocol):
    """What the daemon wants from a clock."""

    def now_us(self) -> int:
        """The wall clock, in microseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds from some start; never steps."""

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of `monotonic`."""


class SystemClock:
    """See `Clock`."""

    def now_us(self) -> int:
        """The system's wall clock."""
        return clock.wall_us()

    def monotonic(self) -> float:
        """The system's finest monotonic clock: on Windows `time.monotonic` may advance in steps of 15.6 ms."""
        return time.perf_counter()

    async def sleep(self, seconds: float) -> None:
        """The event loop's own sleep."""
        await asyncio.sleep(seconds)


class LakeClock(SystemClock):
    """Stamps are the lake's time, as its configuration has it; waiting is real."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def now_us(self) -> int:
        """See `crypto_lake.clock`."""
        return clock.now_us(self._config)


class StepDetector:
    """Notices when the wall clock was set, or the machine slept: it then moved unlike the monotonic one.

    How many wall seconds usually pass in a monotonic one (the pace) is measured, since a market clock may run fast.
    What is off by less than five seconds of that pace is no step; what is off twice in a row is a new pace.
    """

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None
        self._pace: float | None = None
        self._stepped = False

    def step_us(self, now_us: int, monotonic: float) -> int:
        """By how much the wall clock stepped since the last call; 0 where it did not."""
        if self._last is None:
            self._last = now_us, monotonic
            return 0
        wall, passed = (now_us - self._last[0]) / _SECOND_US, monotonic - self._last[1]
        step = self._beyond_pace(wall, passed)
        if step or passed >= _LOOK_SEC:
            self._last = now_us, monotonic
        if passed >= _LOOK_SEC:
            if not step or self._stepped:
                self._pace = max(1.0, wall / passed)
            self._stepped = bool(step)
        return int(step * _SECOND_US)

    def _beyond_pace(self, wall: float, passed: float) -> float:
        """How many wall seconds passed too much; 0 for as many as one expects, or where nothing is known yet."""
        if self._pace is None:
            return 0.0
        off = wall - passed * self._pace
        return off if abs(off) > _TOLERANCE_SEC * self._pace else 0.0
