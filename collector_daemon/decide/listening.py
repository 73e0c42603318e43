"""Listening: stretches of local time in which a connection was subscribed and alive. No I/O.

A connection's stretch begins when the subscription is confirmed. It is only as long as frames prove it: pings count,
and so does the exchange's answer to our closing the connection; on a half-open socket nothing comes, and nothing is
claimed. It ends where the clock was set, or the machine slept. What several connections with the same streams heard is
the union of their stretches.
"""

from collector_daemon.clock import SETTLE_SEC, Watch
from crypto_lake.raw.intervals import Interval, union


class Hearing:
    """One connection. `last` is up to when frames prove that it is alive, µs UTC of the local clock, 0 for never.

    `since` is from when on its stretch has not been given away yet, None while nothing is subscribed; `before` are the
    stretches that ended before it. Between two frames may lie `silence_sec` at most: the exchange pings every 20
    seconds, so a longer silence (`idle_timeout_sec`) is that of a dead socket, or of a machine that slept with both
    its clocks running, and proves nothing.
    """

    __slots__ = ("_deaf_until", "_proved", "_silence_sec", "before", "last", "since")

    def __init__(self, silence_sec: float = 30.0) -> None:
        self.last = 0
        self.since: int | None = None
        self.before: list[Interval] = []
        self._silence_sec = silence_sec
        self._proved = 0.0
        self._deaf_until = 0.0

    def hear(self, watch: Watch) -> None:
        """Count in that something came, at the watch's newest look.

        What waited while this process was away may have come just before that, and the connection have died since: it
        proves no more. A frame that comes later proves all of it, since a connection loses nothing in between.
        """
        is_dead = watch.monotonic - self._proved > self._silence_sec
        if self.since is not None and not is_dead:
            if watch.monotonic < self._deaf_until:
                return
            if not watch.settled:
                if watch.left > self.last:
                    self.last, self._proved = watch.left, watch.left_monotonic
                return
        elif is_dead:
            self.cut(watch.now)
        self.last, self._proved = watch.now, watch.monotonic

    def resume(self, watch: Watch) -> None:
        """Count in that it was not read for a while: what comes next may have waited."""
        self._deaf_until = watch.monotonic + SETTLE_SEC

    def cut(self, at: int) -> None:
        """End the stretch where frames prove it to, and let another begin."""
        if self.since is None:
            return
        if self.since < self.last:
            self.before.append((self.since, self.last))
        self.since = self.last = at


class Listening:
    """The stretches of all connections that carry the same streams. All times are µs UTC of the local clock."""

    def __init__(self) -> None:
        self._running: list[Hearing] = []
        self._closed: list[Interval] = []
        self._last = 0

    @property
    def active(self) -> bool:
        """Return whether a stretch is running."""
        return bool(self._running)

    @property
    def last(self) -> int:
        """The newest frame of any connection that was subscribed; 0 for none."""
        return max([self._last, *(hearing.last for hearing in self._running)])

    def begin(self, hearing: Hearing, at: int) -> None:
        """The exchange confirmed a connection's streams."""
        if hearing.since is None:
            hearing.since = hearing.last = at
            self._running.append(hearing)

    def end(self, hearing: Hearing) -> None:
        """A connection is gone; its stretch ended with its last frame."""
        if hearing.since is None:
            return
        self._last = max(self._last, hearing.last)
        hearing.cut(hearing.last)
        self._closed += hearing.before
        hearing.since, hearing.before = None, []
        self._running.remove(hearing)

    def end_all(self) -> None:
        """Nobody listens any more."""
        for hearing in tuple(self._running):
            self.end(hearing)

    def step(self, at: int) -> list[Interval]:
        """The local clock was set to `at`: return all that was heard before, and let everybody begin anew.

        What lies at the same local time before and after is not the same, so neither takes anything from the other.
        """
        self._last = at
        for hearing in self._running:
            hearing.cut(at)
        return self._ended()

    def take(self, border: int) -> list[Interval]:
        """Everything up to `border`, given once. A running stretch goes on exactly where what was given ends."""
        found = self._ended()
        for hearing in self._running:
            since = hearing.since
            if since is not None and since < min(hearing.last, border):
                hearing.since = min(hearing.last, border)
                found.append((since, hearing.since))
        given = union(found)
        for hearing in self._running:
            hearing.since = _beyond(hearing.since, given)
        return given

    def _ended(self) -> list[Interval]:
        """The stretches that go on no more, given once."""
        found, self._closed = self._closed, []
        for hearing in self._running:
            found += hearing.before
            hearing.before = []
        return union(found)


def _beyond(since: int | None, given: list[Interval]) -> int | None:
    """Return where to go on: what one connection proved needs no second proof by another."""
    return next((end for start, end in given if since is not None and start <= since <= end), since)
