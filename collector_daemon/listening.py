"""When somebody was listening: stretches of local time in which a connection was subscribed and alive. No I/O.

A connection's stretch begins when the subscription is confirmed. It is only as long as frames prove it: pings count,
and so does the exchange's answer to our closing the connection; on a half-open socket nothing comes, and nothing is
claimed. What several connections with the same streams heard is the union of their stretches.
"""

Stretch = tuple[int, int]


class Hearing:
    """One connection. `last` is its newest frame of any kind, µs UTC of the local clock, 0 for none; the link sets it.

    `since` is from when on its stretch has not been given away yet; None while nothing is subscribed.
    """

    __slots__ = ("last", "since")

    def __init__(self) -> None:
        self.last = 0
        self.since: int | None = None


class Listening:
    """The stretches of all connections that carry the same streams. All times are µs UTC of the local clock."""

    def __init__(self) -> None:
        self._running: list[Hearing] = []
        self._closed: list[Stretch] = []
        self._last = 0

    @property
    def active(self) -> bool:
        """Whether a stretch is running."""
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
        if hearing.since < hearing.last:
            self._closed.append((hearing.since, hearing.last))
        hearing.since = None
        self._last = max(self._last, hearing.last)
        self._running.remove(hearing)

    def end_all(self) -> None:
        """Nobody listens any more."""
        for hearing in tuple(self._running):
            self.end(hearing)

    def step(self, at: int) -> None:
        """The local clock was set to `at`: what was heard before and after are two stretches."""
        running = tuple(self._running)
        self.end_all()
        self._last = at
        for hearing in running:
            self.begin(hearing, at)

    def take(self, border: int) -> list[Stretch]:
        """Everything up to `border`, given once. A running stretch goes on exactly where what was given ends."""
        found, self._closed = self._closed, []
        for hearing in self._running:
            since = hearing.since
            if since is not None and since < min(hearing.last, border):
                hearing.since = min(hearing.last, border)
                found.append((since, hearing.since))
        given = union(found)
        for hearing in self._running:
            hearing.since = _beyond(hearing.since, given)
        return given


def _beyond(since: int | None, given: list[Stretch]) -> int | None:
    """Where to go on: what one connection proved needs no second proof by another."""
    return next((end for start, end in given if since is not None and start <= since <= end), since)


def union(stretches: list[Stretch]) -> list[Stretch]:
    """As few stretches as possible that cover the same, in order."""
    found: list[Stretch] = []
    for start, end in sorted(stretches):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found
