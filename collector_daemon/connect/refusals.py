"""Refused frames, notices and silent streams in the log: some, never a flood. All are counted, and kept elsewhere."""

from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from collector_daemon.clock import Clock
    from collector_daemon.decide.session import RefusedFrame

_EVERY_SEC = 10.0
_SHOWN_BYTES = 200


class Seldom:
    """Says when to tell of things that come: once in ten seconds at most, with how many there were."""

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._count = 0
        self._next = clock.monotonic()

    def saw(self) -> int:
        """Count one; how many there are to tell of now is returned, 0 if it is not time yet."""
        self._count += 1
        if self._clock.monotonic() < self._next:
            return 0
        count, self._count = self._count, 0
        self._next = self._clock.monotonic() + _EVERY_SEC
        return count


class RefusalLog:
    """One line for many; the last frame itself only at DEBUG."""

    def __init__(self, exchange: str, clock: "Clock") -> None:
        self._exchange = exchange
        self._seldom = Seldom(clock)

    def saw(self, refused: "RefusedFrame") -> None:
        """Count one, and say so if it is time."""
        if count := self._seldom.saw():
            logger.warning("{}: {} frames refused; the last: {}", self._exchange, count, refused.reason)
            logger.debug("{}: {!r}", self._exchange, refused.frame[:_SHOWN_BYTES])


class NoticeLog:
    """One line for many; what they say is in the journal."""

    def __init__(self, exchange: str, clock: "Clock") -> None:
        self._exchange = exchange
        self._seldom = Seldom(clock)

    def saw(self) -> None:
        """Count one, and say so if it is time."""
        if count := self._seldom.saw():
            logger.info("{}: the exchange sent {} notices; see the journal", self._exchange, count)


class SilenceLog:
    """One line for many: of thousands of symbols some are always silent for minutes, in good health."""

    def __init__(self, exchange: str, clock: "Clock") -> None:
        self._exchange = exchange
        self._seldom = Seldom(clock)

    def saw(self, stream: str, seconds: int) -> None:
        """Count one, and say so if it is time."""
        if count := self._seldom.saw():
            others = f", nor on {count - 1} others" if count > 1 else ""
            logger.warning("{}: nothing on {} for {} s{}", self._exchange, stream, seconds, others)
