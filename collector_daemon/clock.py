"""Time, as an argument. Nothing else in this package asks the system what time it is.

`now_us` stamps what was received and decides days and windows; it may be stepped by the system or run faster than
life in a demonstration. Liveness, flushing and backoff go by `monotonic` and `sleep`, which nobody can set.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Protocol

from crypto_lake import clock
from crypto_lake.config import Config

# Both clocks are looked at before each read of a socket, thousands of times a second: a look so soon after another
# tells nothing new, and what passed is too short to measure a pace by.
_LOOK_SEC = 0.05
# Two calls that ask the time lie closer together, and so do the ticks of a coarse clock (16 ms); a second lies above.
_TOLERANCE_SEC = 0.25
# A pace that differs by less from that of a machine's own clock is its own.
_ODD_PACE = 0.1
# The first of two looks may have begun before the new pace did, by up to three fifths of its length.
_ALIKE = 2.5
# A machine's own clock that seems to run fast is believed after so many looks: it may be set again and again.
_TRIAL = 6
# The loop looks five times a second. If it did not for so long, bytes may have waited in the socket meanwhile.
_AWAY_SEC = 1.0
# After so long an absence it is told: a connection that was quiet already may have been dead for too long.
_LONG_AWAY_SEC = 10.0
# So long after an absence what is read may still have waited: a full socket buffer is read in a fraction of it.
SETTLE_SEC = 1.0
_SECOND_US = 1_000_000


class Clock(Protocol):
    """A clock, as the daemon wants it."""

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
    What is off by less than a quarter second is no step; two looks that are off by the same pace have a new one.
    `trusted` is False where the wall time since the look before is no measure of what passed.
    """

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None
        self._pace: float | None = None
        self._odd_rate: float | None = None
        self._on_trial = 0
        self.trusted = True

    def is_off(self, now_us: int, monotonic: float) -> bool:
        """Return whether the wall clock moved unlike the monotonic one since the last look; this is none."""
        return self._last is not None and self._beyond_pace(now_us, monotonic, self._last) != 0.0

    def is_soon(self, now_us: int, monotonic: float) -> bool:
        """Return whether a look tells nothing that the last one did not: it is that short ago, by both clocks."""
        if self._last is None or self._pace is None or monotonic - self._last[1] >= _LOOK_SEC:
            return False
        return self._beyond_pace(now_us, monotonic, self._last) == 0.0

    def step_us(self, now_us: int, monotonic: float) -> int:
        """By how much the wall clock stepped since the last call; 0 where it did not."""
        self.trusted = True
        if self._last is None:
            self._last = now_us, monotonic
            return 0
        off = self._beyond_pace(now_us, monotonic, self._last)
        passed = monotonic - self._last[1]
        self.trusted = not off
        if passed < _LOOK_SEC and (not off or self._pace is None):
            return 0
        # At the first look nobody knows whether the clock was set or is a fast one: that is not called a step.
        step = 0 if self._pace is None else int(off * _SECOND_US)
        rate = (now_us - self._last[0]) / _SECOND_US / passed if passed > 0 else None
        self._measure(rate, is_off=bool(off))
        self.trusted = self.trusted and not self._on_trial
        self._last = now_us, monotonic
        return step

    def _beyond_pace(self, now_us: int, monotonic: float, last: tuple[int, float]) -> float:
        """Return how many wall seconds passed too much; 0 for as many as one expects."""
        pace = 1.0 if self._pace is None else self._pace
        off = (now_us - last[0]) / _SECOND_US - (monotonic - last[1]) * pace
        return off if abs(off) > _TOLERANCE_SEC * max(1.0, pace) else 0.0

    def _measure(self, rate: float | None, *, is_off: bool) -> None:
        if rate is not None and rate >= 0:
            is_new = is_off and self._odd_rate is not None and _is_like(rate, self._odd_rate)
            # The machine's own pace is left for no small difference: a wrong one would hide the next step.
            if self._pace is None or is_new or (self._pace != 1.0 and not is_off):
                self._on_trial = _TRIAL if self._pace == 1.0 else max(0, self._on_trial - 1)
                self._pace = 1.0 if abs(rate - 1.0) < _ODD_PACE else rate
            if self._pace == 1.0:
                self._on_trial = 0
        self._odd_rate = rate if is_off else None


def _is_like(rate: float, other: float) -> bool:
    """Return whether two looks have the same pace, though the first of them may have begun before that did."""
    return other / _ALIKE <= rate <= other * _ALIKE


class Watch:
    """Looks at both clocks together, for everybody who says when something was heard.

    `now` (µs UTC) and `monotonic` (seconds) are those of the newest look. A clock that was set is told to `was_set`,
    with the step in µs (0: unknown), before the look returns: nothing that came after is counted to what was before.
    So is, to `was_away`, that nobody looked for long although the clock was not set. `before` is the look before.
    """

    def __init__(
        self, clock: Clock, was_set: Callable[[int], None], was_away: Callable[[], None] = lambda: None
    ) -> None:
        self._clock = clock
        self._was_set, self._was_away = was_set, was_away
        self._steps = StepDetector()
        self._back = -math.inf
        self.left, self.left_monotonic = 0, 0.0
        self.now, self.monotonic = clock.now_us(), clock.monotonic()
        self.before = self.now
        self._steps.step_us(self.now, self.monotonic)

    @property
    def settled(self) -> bool:
        """Return whether what is read now came just now; False soon after an absence, when it may have come by `left`.

        Absent is who was stopped, suspended or busy elsewhere; `left` is the last look before it, µs UTC.
        """
        return self.monotonic - self._back >= SETTLE_SEC

    def look(self) -> int:
        """Return what time it is, µs UTC."""
        now, monotonic = self._clock.now_us(), self._clock.monotonic()
        if self._steps.is_soon(now, monotonic):
            # As nearly all looks are in a busy market; it cannot be the end of an absence either.
            self.now, self.monotonic = now, monotonic
            return now
        if self._steps.is_off(now, monotonic):
            # Whoever is held up between the two calls sees a step that a second look does not confirm.
            now, monotonic = self._clock.now_us(), self._clock.monotonic()
        step = self._steps.step_us(now, monotonic)
        away_sec = monotonic - self.monotonic
        if away_sec > _AWAY_SEC:
            self._back, self.left, self.left_monotonic = monotonic, self.now, self.monotonic
        self.before, self.now, self.monotonic = self.now, now, monotonic
        if not self._steps.trusted:
            # Asleep looks the same: what is read next may have waited since before.
            self._back, self.left, self.left_monotonic = monotonic, now, monotonic
            self._was_set(step)
        elif away_sec > _LONG_AWAY_SEC:
            self._was_away()
        return now
