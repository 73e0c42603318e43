"""One client's WebSocket connection, from the handshake to its end.

Here belongs the life of a connection: answering control frames, pushing events when they are due, ending as the faults
or the client will it. What is due is written at once, some hundred events at a time and only as fast as the client
takes them, so a slow client costs time, not memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from crypto_lake.simulator.binance import wire
from crypto_lake.simulator.binance.control import Subscriptions
from crypto_lake.simulator.binance.streams import GAPS
from crypto_lake.simulator.market.tape import DepthEvent
from crypto_lake.simulator.server import openings
from crypto_lake.simulator.server.faults import Mangler

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crypto_lake.simulator.server.exchange import SimulatedExchange
    from crypto_lake.simulator.server.faults import Faults
    from crypto_lake.simulator.server.line import Line
    from crypto_lake.simulator.server.openings import Stretch
    from crypto_lake.simulator.server.program import Planned

_POLL_S = 0.005
_NO_FAULT_POLL_S = 0.05  # how long a fault that is switched on may take to be noticed
_LONGEST_STEP_US = 1_000_000
_EVENTS_A_WRITE = 200  # before other connections get their turn
_TOGETHER = ("trade", "bookTicker")  # made of each symbol at once
_NORMAL, _GOING_AWAY, _GONE, _POLICY_VIOLATION = 1000, 1001, 1006, 1008  # close codes
_UNAVAILABLE = 503
_TIME_UNITS = {"MILLISECOND": wire.MILLISECOND_US, "MICROSECOND": wire.MICROSECOND_US}


class Session:
    """One accepted connection. `faults` are its own, in place of the exchange's; None for those."""

    def __init__(
        self, exchange: SimulatedExchange, websocket: WebSocket, subscriptions: Subscriptions, unit_us: int
    ) -> None:
        self._exchange = exchange
        self._websocket = websocket
        self._subscriptions = subscriptions
        self._unit_us = unit_us
        self._mangler = Mangler()
        self.faults: Faults | None = None
        self._loop = asyncio.get_running_loop()
        self._accepted_s = self._loop.time()
        self._is_stalled = False
        self._is_closed = False
        exchange.accepted += 1
        self._is_behind = exchange.accepted % 2 == 0
        self.line: Line = websocket.state.line
        self.line.incoming_limit = exchange.incoming_limit
        self._program = exchange.program
        self._planned: Sequence[Planned] = ()
        self._planned_for: tuple[int, int, int, tuple[str, ...]] | None = None
        self._told: Sequence[str] = ()
        self._next = 0
        self._ahead: Iterator[None] = iter(())
        self._ahead_a_poll = 1
        self.sent_until_us = exchange.clock.now_us()
        """All events before this market time have been handed over."""
        self._stretch: Stretch | None = None
        self._stretch_for = -1
        self._is_answering = False

    @property
    def age_s(self) -> float:
        """Real seconds since it was accepted."""
        return self._loop.time() - self._accepted_s

    @property
    def _faults(self) -> Faults:
        return self.faults or self._exchange.faults

    @property
    def _latency_us(self) -> int:
        """Return how late its events are sent."""
        lag_s = (self._faults.lag_s or 0.0) if self._is_behind else 0.0
        return self._exchange.latency_us + int(lag_s * 1e6)

    async def run(self) -> None:
        """Serve the client until one side has had enough."""
        lives = (self._hear(), self._push(), self._go_wrong(), self._refuse_flood())
        tasks = [asyncio.create_task(life) for life in lives]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
                raise result

    async def _send(self, text: str) -> None:
        if not self._is_closed:
            await self._websocket.send({"type": "websocket.send", "text": text})

    async def _close(self, code: int = _NORMAL, reason: str = "") -> None:
        self._is_closed = True
        await self._websocket.close(code, reason)

    async def _hear(self) -> None:
        self._wake_market()
        while True:
            text = await self._websocket.receive_text()
            self._is_answering = True
            answer = self._subscriptions.answer(text)
            if self._exchange.openings:
                # Who asks while nobody is served is answered once that changes, and not before.
                self._wake_market()
                await self._until_served()
            await self._send(answer)
            self._is_answering = False
            self._wake_market()

    def _wake_market(self) -> None:
        if self._subscriptions.streams:
            self._exchange.clock.start()

    async def _until_served(self) -> None:
        while not self._is_served():
            await asyncio.sleep(_POLL_S)
            if self.line.transport.is_closing():
                raise WebSocketDisconnect(_GONE)

    def _is_served(self) -> bool:
        """Return whether what this client asks for is told now; since when, and until when, is then known."""
        subscriptions, exchange = self._subscriptions, self._exchange
        if not (exchange.openings and subscriptions.streams):
            return True
        if self._stretch_for != subscriptions.changes:
            now_us = exchange.clock.now_us()
            symbols = {_parts(stream)[0].upper() for stream in subscriptions.streams}
            found = openings.at(exchange.openings.of(symbols), now_us)
            if found and found.open_us <= now_us:
                if self.sent_until_us < found.open_us:
                    self.sent_until_us = found.first_us
                self._stretch, self._stretch_for = found, subscriptions.changes
        # Who is served, and asks for more that is not, goes on as before.
        return self._stretch is not None

    async def _push(self) -> None:
        while True:
            await self._until_served()
            if self._is_answering:
                await asyncio.sleep(_POLL_S)
                continue
            now_us = self._exchange.clock.now_us() - self._latency_us
            until_us = min(now_us, self.sent_until_us + _LONGEST_STEP_US)
            if self._stretch:
                until_us = min(until_us, self._stretch.close_us)
            while self.sent_until_us < until_us:
                await self._push_until(until_us)
            if self._stretch and until_us == self._stretch.close_us:
                return await self._close(_GOING_AWAY)
            # The next stretch bit by bit, or all connections would wait for hundreds of symbols at its beginning.
            for _ in islice(self._ahead, self._ahead_a_poll):
                pass
            await asyncio.sleep(0 if until_us < now_us else self._pause_s())

    def _pause_s(self) -> float:
        """Return how long to wait: where a recorder may run as fast as the market, not beyond the next event."""
        if self._stretch is None or self._next >= len(self._planned):
            return _POLL_S
        due_us = self._planned[self._next].sent_us + self._latency_us - self._exchange.clock.now_us()
        return min(_POLL_S, max(due_us / 1e6 / self._exchange.clock.speed, 0.0))

    async def _push_until(self, until_us: int) -> None:
        """Send what is due before `until_us`, of one stretch of the program."""
        until_us = min(until_us, self._plan())
        end = bisect_left(self._planned, until_us, lo=self._next, key=_sent)
        for start in range(self._next, end, _EVENTS_A_WRITE):
            await self._send_planned(self._planned[start : min(end, start + _EVENTS_A_WRITE)])
        self._next, self.sent_until_us = end, until_us

    def _plan(self) -> int:
        """Know what is to be sent of the stretch in which the next event lies; when that ends, is returned."""
        program, subscriptions = self._program, self._subscriptions
        unit_us = wire.MILLISECOND_US if self._faults.milliseconds else self._unit_us
        stretch = program.stretch_of(self.sent_until_us)
        traded = self._exchange.trading
        if self._planned_for != (stretch, unit_us, subscriptions.changes, traded):
            self._planned_for = stretch, unit_us, subscriptions.changes, traded
            names = {name[0].upper() for name in map(_parts, subscriptions.streams) if name[2] in _TOGETHER}
            symbols = [symbol for symbol in traded if symbol in names]
            others = [
                stream
                for stream in subscriptions.streams
                if (name := _parts(stream))[2] not in _TOGETHER
                and (stream.startswith("!") or name[0].upper() in traded)
            ]
            self._told = self._losses() if self._exchange.tells_losses else ()
            others += (stream for stream in self._told if stream not in others)
            self._planned = program.planned(symbols, stretch, unit_us, others)
            self._next = bisect_left(self._planned, self.sent_until_us, key=_sent)
            self._ahead = program.ahead(symbols, stretch + 1, unit_us, others)
            polls = program.stretch_us / self._exchange.clock.speed / 1e6 / _POLL_S
            self._ahead_a_poll = 1 + int(2 * (len(symbols) + len(others)) / polls)
        return (stretch + 1) * program.stretch_us

    def _losses(self) -> Sequence[str]:
        """The streams that tell what the recording lacks of what this client is subscribed to."""
        names = dict.fromkeys(_parts(stream)[0] for stream in self._subscriptions.streams)
        return [f"{name}@{GAPS}" for name in names if name.upper() in self._exchange.tape.symbols]

    async def _send_planned(self, due: Sequence[Planned]) -> None:
        if not (self._is_stalled or self._is_closed):
            await self.line.send_texts(self._frames(due))
        # Another connection's turn, also where nothing is to be sent.
        await asyncio.sleep(0)

    def _frames(self, due: Sequence[Planned]) -> list[str]:
        """The frames of events, as this client is subscribed now and the faults will it."""
        streams, combined, faults = self._subscriptions.streams, self._subscriptions.combined, self._faults
        found: list[str] = []
        for one in due:
            if one.stream in streams or one.stream in self._told:
                text = one.text
                if faults.overlap_depth_every and isinstance(one.event, DepthEvent):
                    text = self._mangler.overlapping(faults.overlap_depth_every, one.stream, one.event, text)
                text = wire.wrapped(one.stream, text) if combined else text
                found += self._mangler.frames(faults, one.event, text)
        return found

    async def _go_wrong(self) -> None:
        """Return once a fault has ended the connection."""
        while True:
            faults = self._faults
            if self._is_older_than(faults.stall_after_s) and not self._is_stalled:
                self._is_stalled = True
                self.line.mute()
            if self._is_older_than(faults.server_shutdown_after_s):
                now_us = self._exchange.clock.now_us()
                await self._send(
                    wire.server_shutdown(now_us, self._unit_us, combined=self._subscriptions.combined)
                )
                return await self._close()
            if self._is_older_than(faults.disconnect_after_s):
                return self.line.reset() if faults.abort else await self._close()
            times = faults.stall_after_s, faults.server_shutdown_after_s, faults.disconnect_after_s
            await asyncio.sleep(_NO_FAULT_POLL_S if times == (None, None, None) else _POLL_S)

    def _is_older_than(self, seconds: float | None) -> bool:
        return seconds is not None and self.age_s >= seconds

    async def _refuse_flood(self) -> None:
        await self.line.flooded.wait()
        await self._close(_POLICY_VIOLATION, "Too many requests")


async def serve(exchange: SimulatedExchange, websocket: WebSocket) -> None:
    """Accept or refuse a handshake on `/ws...` or `/stream...`, and serve the connection."""
    unit = websocket.query_params.get("timeUnit", "MILLISECOND").upper()
    status = exchange.faults.refuse_connections or (None if unit in _TIME_UNITS else 400)
    if exchange.openings and openings.at(exchange.openings.of(()), exchange.clock.now_us()) is None:
        status = _UNAVAILABLE
    if status is not None:
        await websocket.send_denial_response(Response("Connection refused", status))
        # Or uvicorn takes it for forgotten, complains, and answers once more.
        websocket.state.line.handshake_complete = True
        return
    combined = websocket.url.path.startswith("/stream")
    names = (
        websocket.query_params.get("streams", "") if combined else websocket.path_params.get("streams", "")
    )
    streams = dict.fromkeys(name for name in names.split("/") if name)
    await websocket.accept()
    session = Session(exchange, websocket, Subscriptions(combined, streams), _TIME_UNITS[unit])
    exchange.sessions.add(session)
    try:
        with contextlib.suppress(WebSocketDisconnect):
            await session.run()
    finally:
        exchange.sessions.discard(session)


def _parts(stream: str) -> tuple[str, str, str]:
    return stream.partition("@")


def _sent(planned: Planned) -> int:
    return planned.sent_us
