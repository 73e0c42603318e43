"""One connection, from its opening to its end: subscribe, stamp, hand over, notice death and old age.

It never connects again; that is the feed's business. Ended on request it closes in good order: what the exchange sent
before it answers is kept.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from functools import partial

from loguru import logger
from websockets.exceptions import ConnectionClosed

from collector_daemon.connect.connection import NoticedConnection, abort, open_connection
from collector_daemon.connect.faults import described
from collector_daemon.connect.intake import Intake
from collector_daemon.connect.stream_group import APART_SEC, StreamGroup
from collector_daemon.decide.connection_state import CONFIRM_SEC, Change, ConnectionState, Dead, Denied
from collector_daemon.decide.listening import Hearing
from collector_daemon.decide.session import Farewell
from collector_daemon.waiting import unless
from crypto_lake.errors import ExchangeError
from crypto_lake.raw import journal
from crypto_lake.showing import address

_WATCH_SEC = 0.25
# Requests that wait to be sent, beyond those for all streams of a connection.
_LONGEST_OUTBOX = 64
# Up to so much earlier than asked, connections are renewed, so that they do not go all at once.
_AGE_JITTER = 0.05


class Link:
    """See the module. `number` is unique; `lived` for how many seconds it was subscribed, once it has ended.

    `delivers` is set once market data comes (or none is there to come), `wants_successor` when the end is near: it is
    too old, or the exchange said so, which `farewell` tells.
    """

    def __init__(self, intake: Intake, stream_group: StreamGroup, url: str) -> None:
        self.number = intake.next_number()
        self.delivers = asyncio.Event()
        self.wants_successor = asyncio.Event()
        self.lived = 0.0
        self._intake = intake
        self._stream_group = stream_group
        self._url = url
        self._clock = intake.clock
        self._idle_sec = intake.settings.idle_timeout_sec
        self.hearing = Hearing(self._idle_sec)
        oldest_sec = intake.settings.max_connection_age_sec or intake.exchange.limits.renew_sec
        self._leave = asyncio.Event()
        limits = intake.exchange.limits
        requests = math.ceil(limits.streams_a_connection / limits.streams_a_request)
        self._outbox: asyncio.Queue[str] = asyncio.Queue(_LONGEST_OUTBOX + requests)
        # Where many requests are sent at a slow pace, their answers come as slowly.
        self._confirm_sec = max(CONFIRM_SEC, 2 * requests * limits.request_pace_sec)
        renew_sec = oldest_sec * (1 - _AGE_JITTER * intake.random())
        self._state = ConnectionState(self._idle_sec, renew_sec, self._confirm_sec)
        self._settled = asyncio.Event()
        self._is_full = asyncio.Event()
        self._error: Exception | None = None

    @property
    def left(self) -> bool:
        """Return whether it was asked to leave by `leave`."""
        return self._state.left

    @property
    def farewell(self) -> bool:
        """Return whether the exchange said that it is about to end."""
        return self._state.farewell

    def leave(self, reason: str) -> None:
        """Close it in good order."""
        self._state.leave(reason)
        self._leave.set()

    async def change(self, added: Sequence[str], removed: Sequence[str]) -> str | None:
        """Ask for other streams as well, and for some no more; return once the exchange answered, or the link ended.

        Why it refused is returned. One that does not answer in time is left for another.
        """
        self._state.denied = None
        self._put(added, self._intake.exchange.wire.subscribe)
        self._put(removed, self._intake.exchange.wire.unsubscribe)
        try:
            async with asyncio.timeout(self._confirm_sec):
                await self._settled.wait()
        except TimeoutError:
            self.leave("the exchange did not agree to a change of streams")
            # Until it has gone it is heard, and who asks would take that for the streams that it did not agree to.
            await self._settled.wait()
        refused = self._state.denied
        if self._state.is_subscribed and self._state.is_settled and refused is None:
            self._tell_subscribed(self._clock.now_us())
        return refused

    async def run(self, stop: asyncio.Event, timeout_sec: float) -> str:
        """Listen until the end, whose reason is returned.

        Raises:
            OSError, WebSocketException: it did not come about.
            ExchangeError: the subscription was refused.
        """
        landing = self._intake.landing
        connection = await unless(stop, open_connection(self._url, timeout_sec, landing.watch, self.hearing))
        if connection is None:
            return "stopped"
        try:
            now = self._clock.now_us()
            self._intake.note(journal.Connected(at=now, connection=self.number, url=address(self._url)))
            return await self._listen(connection, stop)
        finally:
            abort(connection)
            self._settled.set()
            self.lived = self._state.lived_sec(self._clock.monotonic())

    async def _listen(self, connection: NoticedConnection, stop: asyncio.Event) -> str:
        """Take frames until the end, with guards beside it that ask, notice death and age, and close."""
        self._put(self._stream_group.opened(self), self._intake.exchange.wire.subscribe)
        self._state.opened(self._clock.monotonic(), connection.reads)
        guards = [asyncio.ensure_future(self._watch(connection))]
        guards.append(asyncio.ensure_future(self._close_when(connection, stop)))
        guards.append(asyncio.ensure_future(self._ask(connection)))
        guards.append(asyncio.ensure_future(self._resume_when_there_is_room(connection)))
        try:
            await self._receive(connection)
        except ConnectionClosed as error:
            if self._error is not None:
                raise self._error from None
            refused, stopped = connection.refused, stop.is_set()
            return self._state.why(
                refused=refused, stopped=stopped, closed=described(error, self._intake.session.quoted)
            )
        finally:
            for guard in guards:
                guard.cancel()
            await asyncio.gather(*guards, return_exceptions=True)
        return "ended"

    async def _receive(self, connection: NoticedConnection) -> None:
        connection.hand_over_to(partial(self._take, connection))
        await connection.recv()

    def _take(self, connection: NoticedConnection, frames: list[bytes], now: int) -> None:
        """The hot path: all frames of one read. The library only logs what is raised here, so `_listen` raises it."""
        try:
            self._make_lines(frames, now)
        except Exception as error:  # noqa: BLE001 - see above
            self._error = self._error or error
            abort(connection)
        if self._intake.writer.crowded:
            self._intake.writer.hurry()
        if self._intake.writer.full:
            connection.transport.pause_reading()
            self._is_full.set()

    def _make_lines(self, frames: list[bytes], now: int) -> None:
        session, landing = self._intake.session, self._intake.landing
        lines = session.receive(frames, now, self.number)
        if lines:
            if not self._state.has_data:
                self._data_came(now)
            landing.add(lines, now)
        if session.depth:
            landing.add_depth(session.take_depth(), now)
        if session.events:
            self._heed(now)
        elif not self._state.has_data:
            self._data_came(now)

    async def _resume_when_there_is_room(self, connection: NoticedConnection) -> None:
        while True:
            await self._is_full.wait()
            await self._intake.writer.room()
            self._is_full.clear()
            self.hearing.resume(self._intake.landing.watch)
            connection.transport.resume_reading()

    async def _watch(self, connection: NoticedConnection) -> None:
        """Let time pass for the connection, and hang up on it once it is dead."""
        while True:
            await self._clock.sleep(min(_WATCH_SEC, self._idle_sec / 4))
            now = self._clock.monotonic()
            for one in self._state.tick(now, connection.reads, paused=self._is_full.is_set()):
                if isinstance(one, Dead):
                    abort(connection)
                    return
                self._follow(one, self._clock.now_us())

    async def _close_when(self, connection: NoticedConnection, stop: asyncio.Event) -> None:
        await unless(stop, self._leave.wait())
        await connection.close()

    def _put(self, streams: Sequence[str], request: Callable[[Sequence[str], int], str]) -> None:
        """Make frames that ask for streams, or for them no more; they count as unanswered from here on."""
        at_once = self._intake.exchange.limits.streams_a_request
        for start in range(0, len(streams), at_once):
            number = self._state.asked()
            self._settled.clear()
            self._outbox.put_nowait(request(streams[start : start + at_once], number))

    async def _ask(self, connection: NoticedConnection) -> None:
        while True:
            await connection.send(await self._outbox.get())
            await self._clock.sleep(self._intake.exchange.limits.request_pace_sec)

    def _heed(self, now: int) -> None:
        for said in self._intake.pass_on():
            if isinstance(said, Farewell):
                changes: Sequence[Change | Denied] = self._state.said_farewell()
            else:
                changes = self._state.answered(said.request_id, said.error, self._clock.monotonic())
            for one in changes:
                if isinstance(one, Denied):
                    raise ExchangeError(f"{address(self._url)}: the subscription was refused: {one.error}")
                self._follow(one, now)

    def _data_came(self, now: int) -> None:
        for one in self._state.data(self._clock.monotonic()):
            self._follow(one, now)

    def _follow(self, change: Change, now: int) -> None:
        """Do what follows from a change of the state."""
        match change:
            case Change.SETTLED:
                self._settled.set()
            case Change.SUBSCRIBED:
                self._subscribed(now)
            case Change.DELIVERS:
                self.delivers.set()
            case Change.WANTS_SUCCESSOR:
                self.wants_successor.set()

    def _subscribed(self, now: int) -> None:
        self._stream_group.subscribed(self, now)
        if self._stream_group.in_step(self):
            self._state.renew_after(APART_SEC)
        self._tell_subscribed(now)
        logger.info(
            "{}: connection {} listens to {} streams",
            self._intake.name,
            self.number,
            len(self._stream_group.streams),
        )

    def _tell_subscribed(self, now: int) -> None:
        streams = list(self._stream_group.streams)
        self._intake.note(journal.Subscribed(at=now, connection=self.number, streams=streams))
