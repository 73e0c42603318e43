"""One place in which a connection is to be at all times: connect, connect again, make before break.

Before the first success a few quick attempts must do, so that a wrong address is told at once; after it there is
no giving up.
"""

import asyncio
import math

from loguru import logger
from websockets.exceptions import WebSocketException

from collector_daemon.connect.backoff import Backoff
from collector_daemon.connect.endpoints import Endpoints
from collector_daemon.connect.faults import described, is_hopeless
from collector_daemon.connect.intake import Intake
from collector_daemon.connect.link import Link
from collector_daemon.connect.stream_group import StreamGroup
from collector_daemon.connect.turns import Turn
from collector_daemon.waiting import done_or, unless
from crypto_lake.errors import ExchangeError
from crypto_lake.raw import journal
from crypto_lake.showing import address

_FIRST_TIMEOUT_SEC = 5.0
_TIMEOUT_SEC = 10.0
# Both connections are heard for so long, since streams of one subscription need not begin at the same instant.
_OVERLAP_SEC = 1.0
# Whoever waits looks so often whether its turn came sooner, because another connection died.
_LOOK_SEC = 0.2
_SHORTEST_SEC = 0.001
# A wait that grew by so much since it was told is told again.
_WORTH_TELLING_SEC = 0.5


class Feed:
    """See the module. `place` counts from 0 among those that carry the same streams."""

    def __init__(
        self, intake: Intake, stream_group: StreamGroup, endpoints: Endpoints, place: int = 0
    ) -> None:
        self._intake = intake
        self._stream_group = stream_group
        self._endpoints = endpoints
        self._place = place
        self._clock = intake.clock
        self._backoff = Backoff(intake.settings.reconnect_backoff, intake.random)
        self._last_end: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set; any but the first place begins after the first one's success.

        Raises:
            ExchangeError: it could not be reached at all, or refuses what is asked.
        """
        if self._place:
            await unless(stop, self._stream_group.succeeded.wait())
        pause = 0.0
        while not stop.is_set():
            last = await self._live(stop, pause)
            pause = self._pause_sec(last)

    def _pause_sec(self, last: Link) -> float:
        """Return how long to wait after a connection, whatever else there is to wait for."""
        return self._backoff.wait_sec(
            last.lived, delivered=last.delivers.is_set(), asked_to_leave=last.farewell
        )

    async def _live(self, stop: asyncio.Event, pause: float) -> Link:
        """One connection and those that succeed it, until one ends before its successor delivers; that one."""
        link, task = self._begin(stop, pause)
        pause = 0.0
        successor, its_task = link, task
        try:
            while True:
                await done_or(task, link.wants_successor.wait())
                if task.done() or stop.is_set():
                    await task
                    return link
                successor, its_task = self._begin(stop, pause)
                await done_or(its_task, successor.delivers.wait())
                if its_task.done():
                    its_task.result()
                    pause = self._pause_sec(successor)
                    continue
                await done_or(task, self._clock.sleep(_OVERLAP_SEC))
                link.leave("its successor delivers")
                await task
                link, task, pause, self._last_end = successor, its_task, 0.0, None
        finally:
            for one in (task, its_task):
                one.cancel()
            await asyncio.gather(task, its_task, return_exceptions=True)

    def _begin(self, stop: asyncio.Event, pause: float) -> "tuple[Link, asyncio.Task[None]]":
        link = Link(self._intake, self._stream_group, self._endpoints.url)
        turn = Turn(self._intake.limit, self._stream_group, link, self._clock.monotonic() + pause)
        return link, asyncio.ensure_future(self._attempt(link, turn, stop))

    async def _wait_for(self, turn: Turn) -> None:
        """Wait until it is this one's turn, and tell for how long that really is."""
        told = -math.inf
        try:
            while True:
                now = self._clock.monotonic()
                wait = turn.wait_sec(now)
                if self._last_end and now + wait >= told + _WORTH_TELLING_SEC:
                    told = now + wait
                    logger.warning(
                        "{}: {}; next attempt in {:.1f} s", self._intake.name, self._last_end, wait
                    )
                if wait == 0.0:
                    return
                # What rounding leaves of a wait is too short for any clock to see it pass.
                await self._clock.sleep(max(_SHORTEST_SEC, min(wait, _LOOK_SEC)))
        finally:
            turn.give_up()

    async def _attempt(self, link: Link, turn: Turn, stop: asyncio.Event) -> None:
        """One connection, from its beginning to its end, which is entered in the journal."""
        try:
            await unless(stop, self._wait_for(turn))
            if not stop.is_set():
                await self._connect(link, stop)
        finally:
            self._stream_group.ended(link)

    async def _connect(self, link: Link, stop: asyncio.Event) -> None:
        succeeded = self._stream_group.succeeded.is_set()
        try:
            reason = await link.run(stop, _TIMEOUT_SEC if succeeded else _FIRST_TIMEOUT_SEC)
        except (OSError, WebSocketException, ExchangeError) as error:
            reason = described(error, self._intake.session.quoted)
            self._failed(link, reason, error)
        else:
            if not (stop.is_set() or link.left):
                self._failed(link, reason, None)
        self._intake.last_end = reason
        self._last_end = reason if succeeded and not link.left else None
        last_frame = link.hearing.last or None
        self._intake.note(
            journal.Disconnected(
                at=self._clock.now_us(), connection=link.number, reason=reason, last_frame=last_frame
            )
        )

    def _failed(self, link: Link, reason: str, error: Exception | None) -> None:
        """A connection ended that nobody wanted to end: perhaps another address does better.

        Raises:
            ExchangeError: none has ever worked, and all were tried; or the exchange refuses what is asked.
        """
        url = self._endpoints.url
        hopeless = error is not None and is_hopeless(error)
        self._endpoints.failed(link.lived, hopeless=hopeless)
        if self._endpoints.url != url:
            logger.warning(
                "{}: {} keeps failing: on to {}",
                self._intake.name,
                address(url),
                address(self._endpoints.url),
            )
        if self._stream_group.succeeded.is_set():
            return
        if isinstance(error, ExchangeError):
            raise error
        if self._endpoints.all_failed:
            raise ExchangeError(f"{address(url)}: {reason}") from None
