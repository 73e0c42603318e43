"""The wait before the next connection attempt. No I/O; randomness is an argument.

A connection that delivered is replaced at once. Waiting is for attempts that failed or brought nothing: the wait then
doubles up to the configured largest one, with full jitter, so that an exchange that accepts, or even confirms, and then
drops is not asked a thousand times a second.
"""

from collections.abc import Callable

FIRST_WAIT_SEC = 0.5
_MANY_DOUBLINGS = 20


class Backoff:
    """Waits between attempts, in seconds. `random` gives numbers in [0, 1)."""

    def __init__(self, largest_sec: float, random: Callable[[], float]) -> None:
        self._largest = largest_sec
        self._random = random
        self._failures = 0

    def wait_sec(self, lived_sec: float, *, delivered: bool, asked_to_leave: bool = False) -> float:
        """Return the wait after a connection that was subscribed so long (0 for one that never was).

        An exchange that asked us to leave before it delivered is called again at once, but not over and over.
        """
        if delivered:
            self._failures = 0
            # An exchange that drops after its first frame is not called in a burst either.
            return max(0.0, min(self._largest, FIRST_WAIT_SEC) - lived_sec)
        doublings = min(self._failures, _MANY_DOUBLINGS)
        self._failures += 1
        if asked_to_leave and doublings == 0:
            return 0.0
        return self._random() * min(self._largest, FIRST_WAIT_SEC * 2.0**doublings)
