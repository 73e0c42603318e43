"""The choice among an exchange's addresses: the first, until it keeps failing. No I/O."""

from collections.abc import Sequence

HEALTHY_AFTER_SEC = 30.0
# So many connections in a row that came to nothing are the address's fault.
MOVE_ON_AFTER = 3


class Endpoints:
    """The addresses in order, round and round. `url` is the one to use now."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = list(urls)
        self._moves = 0
        self._failures = 0

    @property
    def url(self) -> str:
        """Return where the next connection goes."""
        return self._urls[self._moves % len(self._urls)]

    @property
    def all_failed(self) -> bool:
        """Return whether each address was given up at least once."""
        return self._moves >= len(self._urls)

    def failed(self, lived_sec: float, *, hopeless: bool = False) -> None:
        """A connection ended that should not have, after so many seconds (0 for one that never came about)."""
        self._failures = 1 if lived_sec >= HEALTHY_AFTER_SEC else self._failures + 1
        if hopeless or self._failures >= MOVE_ON_AFTER:
            self._moves += 1
            self._failures = 0
