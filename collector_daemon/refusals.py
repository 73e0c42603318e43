"""Refused frames in the log: some of them, never a flood. All of them are counted, and kept verbatim elsewhere."""

from loguru import logger

from collector_daemon.clock import Clock
from collector_daemon.session import Refused

_EVERY_SEC = 10.0
_SHOWN_BYTES = 200


class RefusalLog:
    """One line in ten seconds at most, with how many there were; the frame itself only at DEBUG."""

    def __init__(self, exchange: str, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock
        self._count = 0
        self._next = clock.monotonic()

    def saw(self, refused: Refused) -> None:
        """Count one, and say so if it is time."""
        self._count += 1
        if self._clock.monotonic() < self._next:
            return
        logger.warning("{}: {} frames refused; the last: {}", self._exchange, self._count, refused.reason)
        logger.debug("{}: {!r}", self._exchange, refused.frame[:_SHOWN_BYTES])
        self._count, self._next = 0, self._clock.monotonic() + _EVERY_SEC
