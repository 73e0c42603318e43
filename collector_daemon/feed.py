"""One place in which a connection is to be at all times: connect, connect again, make before break.

Before the first success a few quick attempts must do, so that a wrong address is told at once; after it there is
no giving up.
"""

import asyncio

from loguru import logger
from websockets.exceptions import WebSocketException

from collector_daemon.backoff import Backoff
from collector_daemon.endpoints import Endpoints
from collector_daemon.faults import described, is_hopeless
from collector_daemon.intake import Intake
from collector_daemon.link import Link
from collector_daemon.shard import Shard
from collector_daemon.waiting import done_or, unless
from crypto_lake import journal
from crypto_lake.errors import ExchangeError
from crypto_lake.showing import address

_FIRST_TIMEOUT_SEC = 5.0
_TIMEOUT_SEC = 10.0
# Both connections are heard for so long, since streams of one subscription need not begin at the same instant.
_OVERLAP_SEC = 1.0
# Connections to the same streams are begun so far apart, and so do not end at the same time.
_APART_SEC = 1.0


class Feed:
    """See the module. `place` counts from 0 among those that carry the same streams."""

    def __init__(self, intake: Intake, shard: Shard, endpoints: Endpoints, place: int = 0) -> None:
        self._intake = intake
        self._shard = shard
        self._endpoints = endpoints
        self._place = place
        self._clock = intake.clock
        self._backoff = Backoff(intake.settings.reconnect_backoff, intake.random)

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set; any but the first place begins after the first one's success, and apart.

        Raises:
            ExchangeError: it could not be reached at all, or refuses what is asked.
        """
        if self._place:
            await unless(stop, self._wait_apart())
        while not stop.is_set():
            last = await self._live(stop)
            if stop.is_set():
                break
            wait = self._backoff.wait_sec(last.lived, asked_to_leave=last.farewell)
            if self._shard.succeeded.is_set():
                logger.warning(
                    "{}: {}; next attempt in {:.1f} s", self._intake.name, self._intake.last_end, wait
                )
            await unless(stop, self._clock.sleep(wait))

    async def _wait_apart(self) -> None:
        await self._shard.succeeded.wait()
        await self._clock.sleep(_APART_SEC * self._place)

    async def _live(self, stop: asyncio.Event) -> Link:
        """One connection and those that succeed it, until one ends before its successor delivers; that one."""
        link, task = self._begin(stop)
        successor, its_task = link, task
        try:
            while True:
                await done_or(task, link.wants_successor.wait())
                if task.done():
                    task.result()
                    return link
                successor, its_task = self._begin(stop)
                await done_or(its_task, successor.delivers.wait())
                if its_task.done():
                    its_task.result()
                    wait = self._backoff.wait_sec(successor.lived)
                    await done_or(task, self._clock.sleep(wait))
                    continue
                await done_or(task, self._clock.sleep(_OVERLAP_SEC))
                link.leave("its successor delivers")
                await task
                link, task = successor, its_task
        finally:
            for one in (task, its_task):
                one.cancel()
            await asyncio.gather(task, its_task, return_exceptions=True)

    def _begin(self, stop: asyncio.Event) -> "tuple[Link, asyncio.Task[None]]":
        link = Link(self._intake, self._shard, self._endpoints.url)
        return link, asyncio.ensure_future(self._attempt(link, stop))

    async def _attempt(self, link: Link, stop: asyncio.Event) -> None:
        """One connection, from its beginning to its end, which is entered in the journal."""
        await unless(stop, self._clock.sleep(self._intake.limit.book(self._clock.monotonic())))
        if stop.is_set():
            return
        succeeded = self._shard.succeeded.is_set()
        try:
            reason = await link.run(stop, _TIMEOUT_SEC if succeeded else _FIRST_TIMEOUT_SEC)
        except (OSError, WebSocketException, ExchangeError) as error:
            reason = described(error)
            self._failed(link, reason, error)
        else:
            if not (stop.is_set() or link.left):
                self._failed(link, reason, None)
        self._intake.last_end = reason
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
        if self._shard.succeeded.is_set():
            return
        if isinstance(error, ExchangeError):
            raise error
        if self._endpoints.all_failed:
            raise ExchangeError(f"{address(url)}: {reason}") from None
