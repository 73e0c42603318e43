"""Turns to connect: the budget of attempts, spread over time, and connections kept apart. No I/O.

All times are monotonic seconds. Everybody who wants to connect holds a `Turn` and asks it until it says 0.
"""

import math

from collector_daemon.connect.stream_group import StreamGroup, Subscriber
from crypto_lake.exchanges.base import Limits

# One in so many attempts may follow another at once. The rest of the budget comes evenly, so that nobody waits long: of
# 200 in five minutes, two connections that die every 2.5 s are both replaced before the other dies.
_AT_ONCE = 10
_ROUNDING_SEC = 1e-6


class AttemptLimit:
    """Never more attempts than an exchange's limits allow in any `attempts_within_sec`, over all connections to it.

    A bucket of `burst` attempts that fills by one each `interval_sec`.
    """

    def __init__(self, limits: Limits) -> None:
        self.burst = max(1, limits.attempts // _AT_ONCE)
        self.interval_sec = limits.attempts_within_sec / max(1, limits.attempts - self.burst)
        # The last of a burst are for those without whom nobody would listen.
        self.reserve = self.burst // 2
        self._full_at = -math.inf
        self._queue: dict[object, bool] = {}

    def wait_sec(self, who: object, now: float, *, urgent: bool) -> float:
        """Return how long `who` has to wait, behind those of the same urgency that queue already."""
        queue = {**self._queue, who: urgent}
        ahead = sorted(queue, key=lambda one: not queue[one]).index(who)
        free = self.burst if urgent else self.burst - self.reserve
        wait = self._full_at + (1 + ahead - free) * self.interval_sec - now
        return wait if wait > _ROUNDING_SEC else 0.0

    def queue(self, who: object, *, urgent: bool) -> None:
        """Hold a place in the queue, or change its urgency."""
        self._queue[who] = urgent

    def leave(self, who: object) -> None:
        """Give up a place in the queue, if there is one."""
        self._queue.pop(who, None)

    def enter(self, now: float) -> None:
        """An attempt begins."""
        self._full_at = max(self._full_at, now) + self.interval_sec


class Turn:
    """One attempt's right to begin, not before `earliest`, apart from others of its stream group, within the limit."""

    def __init__(
        self, limit: AttemptLimit, stream_group: StreamGroup, link: Subscriber, earliest: float
    ) -> None:
        self._limit = limit
        self._stream_group = stream_group
        self._link = link
        self._earliest = earliest

    def wait_sec(self, now: float) -> float:
        """Return 0 if the attempt begins now, which is then entered; else how long it has to wait as things stand.

        While nobody listens and nobody is about to, the attempt is urgent: it may take what is left of the limit.
        """
        own = max(0.0, self._earliest - now, self._stream_group.apart_sec(now))
        urgent = self._stream_group.is_deserted
        if own == 0.0:
            self._limit.queue(self, urgent=urgent)
        wait = max(own, self._limit.wait_sec(self, now, urgent=urgent))
        if wait == 0.0:
            self.give_up()
            self._limit.enter(now)
            self._stream_group.opening(self._link, now)
        return wait

    def give_up(self) -> None:
        """Stand in nobody's way any more."""
        self._limit.leave(self)
