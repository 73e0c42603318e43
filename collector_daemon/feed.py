"""One exchange's connection: connect, subscribe, stamp, hand over, notice death, connect again.

Before the first success a few quick attempts must do, so that a wrong address is told at once; after it there is
no giving up. Stopping closes the connection in good order: what the exchange sent before it answers is kept.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit, urlunsplit

from loguru import logger
from websockets.exceptions import ConnectionClosed, WebSocketException

from collector_daemon.backoff import AttemptLimit, Backoff
from collector_daemon.clock import Clock
from collector_daemon.connection import NoticedConnection, abort, open_connection
from collector_daemon.faults import described, is_hopeless
from collector_daemon.landing import Landing
from collector_daemon.listening import Listening
from collector_daemon.refusals import RefusalLog
from collector_daemon.session import Event, Refused, Session
from collector_daemon.waiting import unless
from collector_daemon.writer import Writer
from crypto_lake import journal
from crypto_lake.config import Collector, Exchange
from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import Reply, WireFormat
from crypto_lake.layout import day_of

_FIRST_ATTEMPTS = 3
_FIRST_TIMEOUT_SEC = 5.0
_TIMEOUT_SEC = 10.0
_CONFIRM_SEC = 10.0
_WATCH_SEC = 0.25


class Feed:
    """See the module. `connected_since` is µs UTC, None while nothing is subscribed; `connection` counts attempts."""

    def __init__(  # noqa: PLR0913 - the parts of one exchange, each made elsewhere
        self,
        exchange: Exchange,
        settings: Collector,
        *,
        wire: WireFormat,
        session: Session,
        landing: Landing,
        listening: Listening,
        writer: Writer,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._name = exchange.name
        self._url = wire.url(exchange.wss_url)
        self._streams = [name for symbol in exchange.symbols for name in wire.streams(symbol)]
        self._idle_sec = settings.idle_timeout_sec
        self._wire = wire
        self._session = session
        self._landing = landing
        self._listening = listening
        self._writer = writer
        self._clock = clock
        self._backoff = Backoff(settings.reconnect_backoff, random)
        self._limit = AttemptLimit()
        self._refusals = RefusalLog(exchange.name, clock)
        self._waits_for_room = False
        self._succeeded = False
        self._subscribed_at = 0.0
        self.connection = 0
        self.connected_since: int | None = None
        self.last_end: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set.

        Raises:
            ExchangeError: it could not be reached at all, or refuses what is asked.
        """
        while not stop.is_set():
            lived = await self._attempt(stop)
            if stop.is_set():
                break
            wait = self._backoff.wait_sec(lived, asked_to_leave=self._session.closing)
            wait = max(wait, self._limit.wait_sec(self._clock.monotonic()))
            if self._succeeded:
                logger.warning("{}: {}; next attempt in {:.1f} s", self._name, self.last_end, wait)
            await unless(stop, self._clock.sleep(wait))

    def pass_on(self) -> Reply | None:
        """Hand what happened to the journal and to the file of refused frames; an answer to us is returned."""
        answer = None
        for event in self._session.take_events():
            if isinstance(event, Reply):
                answer = event
            elif isinstance(event, Refused):
                self._refusals.saw(event)
                self._landing.refuse(event)
            else:
                self._tell(event)
        return answer

    def _tell(self, event: Event) -> None:
        if isinstance(event, journal.ClockOffset):
            self._landing.note(event, day_of(event.minute))
        elif isinstance(event, journal.Record):
            if isinstance(event, journal.Silent):
                logger.warning("{}: nothing on {} for {} s", self._name, event.stream, event.seconds)
            if isinstance(event, journal.Notice):
                logger.info("{}: the exchange sent a notice; it is in the journal", self._name)
            self._landing.note(event)

    async def _attempt(self, stop: asyncio.Event) -> float:
        """One connection, from its beginning to its end; for how many seconds it was subscribed is returned."""
        self.connection += 1
        self._session.connected(self.connection)
        self._limit.attempted(self._clock.monotonic())
        self._listening.last = 0
        try:
            reason = await self._connect_and_listen(stop)
        except (OSError, WebSocketException, ExchangeError) as error:
            reason = described(error)
            self._give_up_at_first(error)
        else:
            self._give_up_unless_heard(stop, reason)
        finally:
            lived = self._disconnected()
        self.last_end = reason
        last_frame = self._listening.last or None
        self._landing.note(
            journal.Disconnected(
                at=self._clock.now_us(), connection=self.connection, reason=reason, last_frame=last_frame
            )
        )
        return lived

    async def _connect_and_listen(self, stop: asyncio.Event) -> str:
        timeout = _TIMEOUT_SEC if self._succeeded else _FIRST_TIMEOUT_SEC
        opening = open_connection(self._url, timeout, self._clock, self._listening)
        connection = await unless(stop, opening)
        if connection is None:
            return "stopped"
        try:
            self._landing.note(
                journal.Connected(at=self._clock.now_us(), connection=self.connection, url=shown(self._url))
            )
            await connection.send(self._wire.subscribe(self._streams, self.connection))
            return await self._listen(connection, stop)
        finally:
            abort(connection)

    async def _listen(self, connection: NoticedConnection, stop: asyncio.Event) -> str:
        """Take frames until the end, with one guard that notices death and one that closes; the reason is returned.

        Raises:
            ExchangeError: the subscription was refused.
        """
        leave = asyncio.Event()
        watch = asyncio.ensure_future(self._watch(connection))
        close = asyncio.ensure_future(_close_when(connection, stop, leave))
        try:
            await self._receive(connection, leave)
        except ConnectionClosed as error:
            if watch.done():
                return watch.result()
            if leave.is_set():
                return "the exchange asked us to leave"
            return "stopped" if stop.is_set() else described(error)
        finally:
            watch.cancel()
            close.cancel()
            await asyncio.gather(watch, close, return_exceptions=True)
        return "ended"

    async def _receive(self, connection: NoticedConnection, leave: asyncio.Event) -> None:
        """The hot loop: nothing here but what every frame needs."""
        recv, now_us, receive = connection.recv, self._clock.now_us, self._session.receive
        session, landing, listening, budget = (
            self._session,
            self._landing,
            self._listening,
            self._writer.budget,
        )
        while True:
            frame = await recv(decode=False)
            now = now_us()
            line = receive(frame, now)
            if line is not None:
                if self.connected_since is None:
                    self._subscribed(now)
                landing.add(line)
            listening.last = now
            if session.events:
                self._heed(self.pass_on(), now)
                if session.closing:
                    leave.set()
            if landing.held > budget:
                await self._wait_for_room()

    async def _wait_for_room(self) -> None:
        self._waits_for_room = True
        await self._writer.room()
        self._waits_for_room = False

    async def _watch(self, connection: NoticedConnection) -> str:
        """Hang up on a connection that is dead, or that never confirms what was asked; why is returned."""
        frames, heard = connection.frames, self._clock.monotonic()
        opened = heard
        while True:
            await self._clock.sleep(min(_WATCH_SEC, self._idle_sec / 4))
            now = self._clock.monotonic()
            if connection.frames != frames or self._waits_for_room:
                frames, heard = connection.frames, now
            if now - heard >= self._idle_sec:
                abort(connection)
                return f"no frame for {self._idle_sec:g} s"
            if self.connected_since is None and now - opened >= _CONFIRM_SEC:
                abort(connection)
                return f"the subscription was not confirmed within {_CONFIRM_SEC:g} s"

    def _heed(self, answer: Reply | None, now: int) -> None:
        if answer is None:
            return
        if answer.error is not None:
            raise ExchangeError(f"{shown(self._url)}: the subscription was refused: {answer.error}")
        if self.connected_since is None:
            self._subscribed(now)

    def _subscribed(self, now: int) -> None:
        """The exchange confirmed the streams, or sent the first data of one."""
        self._succeeded = True
        self.connected_since = now
        self._subscribed_at = self._clock.monotonic()
        self._session.subscribed(self._subscribed_at)
        self._listening.begin(now)
        self._landing.note(journal.Subscribed(at=now, connection=self.connection, streams=self._streams))
        logger.info("{}: listening to {} streams", self._name, len(self._streams))

    def _disconnected(self) -> float:
        lived = self._clock.monotonic() - self._subscribed_at if self.connected_since is not None else 0.0
        self.connected_since = None
        self._session.disconnected()
        self._listening.end()
        return lived

    def _give_up_at_first(self, error: Exception) -> None:
        if self._succeeded:
            return
        if isinstance(error, ExchangeError):
            raise error
        if is_hopeless(error) or self.connection >= _FIRST_ATTEMPTS:
            raise ExchangeError(f"{shown(self._url)}: {described(error)}") from None

    def _give_up_unless_heard(self, stop: asyncio.Event, reason: str) -> None:
        if not self._succeeded and not stop.is_set() and self.connection >= _FIRST_ATTEMPTS:
            raise ExchangeError(f"{shown(self._url)}: {reason}")


async def _close_when(connection: NoticedConnection, stop: asyncio.Event, leave: asyncio.Event) -> None:
    await unless(stop, leave.wait())
    await connection.close()


def shown(url: str) -> str:
    """An address as it may be logged: without a password or a key that it might carry."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
