"""When somebody was listening: stretches of local time in which a connection was subscribed and alive. No I/O.

A stretch begins when the subscription is confirmed. It is only as long as frames prove it: pings count, and so does
the exchange's answer to our closing the connection; on a half-open socket nothing comes, and nothing is claimed.
"""

Stretch = tuple[int, int]


class Listening:
    """One connection's stretches. All times are µs UTC of the local clock.

    `last` is the newest frame of any kind; the feed sets it, frame by frame.
    """

    __slots__ = ("_closed", "_from", "last")

    def __init__(self) -> None:
        self.last = 0
        self._from: int | None = None
        self._closed: list[Stretch] = []

    @property
    def active(self) -> bool:
        """Whether a stretch is running."""
        return self._from is not None

    def begin(self, at: int) -> None:
        """The exchange confirmed the streams."""
        if self._from is None:
            self._from = self.last = at

    def end(self) -> None:
        """The connection is gone; the stretch ended with its last frame."""
        if self._from is not None and self._from < self.last:
            self._closed.append((self._from, self.last))
        self._from = None

    def step(self, at: int) -> None:
        """The local clock was set to `at`: what was heard before and after are two stretches."""
        if self._from is not None:
            self.end()
            self.begin(at)

    def take(self, border: int) -> list[Stretch]:
        """Everything up to `border`, given once. A running stretch goes on exactly where what was given ends."""
        if self._from is not None:
            upto = min(self.last, border)
            if self._from < upto:
                self._closed.append((self._from, upto))
                self._from = upto
        closed, self._closed = self._closed, []
        return closed
