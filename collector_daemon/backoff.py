"""How long to wait before the next connection attempt. No I/O; randomness and time are arguments.

The wait doubles up to the configured largest one, with full jitter, and begins anew only after a connection was
healthy for a while: an exchange that accepts and then drops is not asked a thousand times a second.
"""

from collections import deque
from collections.abc import Callable

HEALTHY_AFTER_SEC = 30.0
FIRST_WAIT_SEC = 0.5
# The exchange allows 300 attempts in 5 minutes for each address, which others may share.
ATTEMPTS = 100
ATTEMPTS_WITHIN_SEC = 300.0
_MANY_DOUBLINGS = 20


class Backoff:
    """Waits between attempts, in seconds. `random` gives numbers in [0, 1)."""

    def __init__(self, largest_sec: float, random: Callable[[], float]) -> None:
        self._largest = largest_sec
        self._random = random
        self._failures = 0

    def wait_sec(self, lived_sec: float, *, asked_to_leave: bool = False) -> float:
        """After a connection that lived so long (0 for one that never came about).

        An exchange that asked us to leave is called again at once, but not over and over.
        """
        if lived_sec >= HEALTHY_AFTER_SEC:
            self._failures = 0
        doublings = min(self._failures, _MANY_DOUBLINGS)
        self._failures += 1
        if asked_to_leave and doublings == 0:
            return 0.0
        return self._random() * min(self._largest, FIRST_WAIT_SEC * 2.0**doublings)


class AttemptLimit:
    """Never more than `ATTEMPTS` in any five minutes, over all connections of the process.

    `now` is monotonic seconds.
    """

    def __init__(self) -> None:
        self._attempts: deque[float] = deque(maxlen=ATTEMPTS)

    def book(self, now: float) -> float:
        """Enter an attempt; how many seconds from now it has to wait is returned."""
        at = now
        if len(self._attempts) == ATTEMPTS:
            at = max(now, self._attempts[0] + ATTEMPTS_WITHIN_SEC)
        self._attempts.append(at)
        return at - now
