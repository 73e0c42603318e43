"""One client's WebSocket connection, from the handshake to its end.

Here belongs the life of a connection: answering control frames, pushing events when they are due, ending as the faults
or the client will it. Events are pulled from the tape in small steps and only as fast as the client takes them, so a
slow client costs time, not memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from crypto_lake.simulator.binance import wire
from crypto_lake.simulator.binance.control import Subscriptions
from crypto_lake.simulator.market.tape import Quote, Trade
from crypto_lake.simulator.server.faults import Mangler

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crypto_lake.simulator.server.exchange import SimulatedExchange
    from crypto_lake.simulator.server.faults import Faults
    from crypto_lake.simulator.server.line import Line

_POLL_S = 0.005
_LONGEST_STEP_US = 1_000_000
_EVENTS_A_TURN = 100  # before other connections get their turn
_NORMAL, _POLICY_VIOLATION = 1000, 1008  # close codes
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
        self.sent_until_us = exchange.clock.now_us()
        """All events before this market time have been handed over."""

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
            answer = self._subscriptions.answer(text)
            await self._send(answer)
            self._wake_market()

    def _wake_market(self) -> None:
        if self._subscriptions.streams:
            self._exchange.clock.start()

    async def _push(self) -> None:
        count = 0
        while True:
            until_us = self._exchange.clock.now_us() - self._latency_us
            until_us = min(until_us, self.sent_until_us + _LONGEST_STEP_US)
            for symbol, event in self._due(until_us):
                await self._push_event(symbol, event)
                count += 1
                if count % _EVENTS_A_TURN == 0:
                    await asyncio.sleep(0)
            is_behind = until_us == self.sent_until_us + _LONGEST_STEP_US
            self.sent_until_us = max(self.sent_until_us, until_us)
            await asyncio.sleep(0 if is_behind else _POLL_S)

    def _due(self, until_us: int) -> Iterator[tuple[str, Trade | Quote]]:
        """Events of the symbols subscribed to, sent before `until_us` and not pushed yet, in order."""
        names = {stream.partition("@")[0].upper() for stream in self._subscriptions.streams}
        symbols = [symbol for symbol in self._exchange.trading if symbol in names]
        return heapq.merge(*(self._events(symbol, until_us) for symbol in symbols), key=_sent)

    def _events(self, symbol: str, until_us: int) -> Iterator[tuple[str, Trade | Quote]]:
        return ((symbol, event) for event in self._exchange.tape.events(symbol, self.sent_until_us, until_us))

    async def _push_event(self, symbol: str, event: Trade | Quote) -> None:
        stream = f"{symbol.lower()}@{'trade' if isinstance(event, Trade) else 'bookTicker'}"
        if self._is_stalled or stream not in self._subscriptions.streams:
            return
        unit_us = wire.MILLISECOND_US if self._faults.milliseconds else self._unit_us
        frame = wire.payload(symbol, event, unit_us)
        if self._subscriptions.combined:
            frame = wire.wrapped(stream, frame)
        for text in self._mangler.frames(self._faults, event, frame):
            await self._send(text)

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
            await asyncio.sleep(_POLL_S)

    def _is_older_than(self, seconds: float | None) -> bool:
        return seconds is not None and self.age_s >= seconds

    async def _refuse_flood(self) -> None:
        await self.line.flooded.wait()
        await self._close(_POLICY_VIOLATION, "Too many requests")


async def serve(exchange: SimulatedExchange, websocket: WebSocket) -> None:
    """Accept or refuse a handshake on `/ws...` or `/stream...`, and serve the connection."""
    unit = websocket.query_params.get("timeUnit", "MILLISECOND").upper()
    status = exchange.faults.refuse_connections or (None if unit in _TIME_UNITS else 400)
    if status is not None:
        await websocket.send_denial_response(Response("Connection refused", status))
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


def _sent(pair: tuple[str, Trade | Quote]) -> int:
    return pair[1].sent_us
