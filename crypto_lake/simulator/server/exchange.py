"""The bundled exchange: a tape, a clock and faults behind real sockets on loopback.

Here belong the ASGI application, the HTTP side of REST (status, headers, limits, delay) and running it all in a thread.
What is answered comes from `rest`, what is streamed from `session`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from crypto_lake.simulator.binance import archive, wire
from crypto_lake.simulator.binance.limits import WeightLimit
from crypto_lake.simulator.binance.query import Query, RequestError
from crypto_lake.simulator.binance.rest import ENDPOINTS
from crypto_lake.simulator.server.faults import TRADING, Faults
from crypto_lake.simulator.server.line import Line
from crypto_lake.simulator.server.program import Program
from crypto_lake.simulator.server.session import Session, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from crypto_lake.simulator.binance.limits import Verdict
    from crypto_lake.simulator.clock import MarketClock
    from crypto_lake.simulator.market.tape import Tape
    from crypto_lake.simulator.server.openings import Openings

HOST = "127.0.0.1"
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_OK, _BAD_REQUEST, _NOT_FOUND, _BANNED, _SERVER_ERROR = 200, 400, 404, 418, 500


class SimulatedExchange:
    """An exchange that speaks Binance spot's market data, and does what it is told to do wrong.

    Args:
        tape: what happens on the market.
        clock: what time it is there; a waiting clock starts with the first subscription.
        faults: what goes wrong; `exchange.faults` may be replaced at any time.
        latency_ms: how long each event (market time) and each REST answer (real time) is on its way.
        weight_limit: request weight a minute, across all clients.
        incoming_limit: frames a second a client may send on a WebSocket; None for any number.
        ping_interval_s: real seconds between the exchange's pings.
        ping_timeout_s: real seconds without a pong after which the exchange closes a connection.
        openings: when connections are served; None: always.
        tells_losses: who listens to a symbol is told what the tape lacks of it, in the stream `solusdt@gap`.
        questions_begin: a waiting clock starts with the first question over REST about the market, too.
    """

    def __init__(  # noqa: PLR0913 - each with a default that is the real exchange's
        self,
        tape: Tape,
        clock: MarketClock,
        faults: Faults | None = None,
        *,
        latency_ms: int = 0,
        weight_limit: int = 6000,
        incoming_limit: int | None = 5,
        ping_interval_s: float = 20.0,
        ping_timeout_s: float = 60.0,
        openings: Openings | None = None,
        questions_begin: bool = False,
        tells_losses: bool = False,
    ) -> None:
        self.tape = tape
        self.clock = clock
        self.program = Program(tape, clock.speed, lambda: self.trading)
        self.faults = faults or Faults()
        self.latency_us = latency_ms * 1000
        self.limit = WeightLimit(weight_limit)
        self.incoming_limit = incoming_limit
        self.ping_interval_s = ping_interval_s
        self.ping_timeout_s = ping_timeout_s
        self.openings = openings
        self.questions_begin = questions_begin
        self.tells_losses = tells_losses
        self.sessions: set[Session] = set()
        self.accepted = 0
        self._requests = 0
        self._opened_s = time.monotonic()

    @property
    def finished(self) -> bool:
        """Return whether the tape has an end and somebody connected has been handed everything up to it."""
        end_us = self.tape.end_us
        return end_us is not None and any(session.sent_until_us > end_us for session in tuple(self.sessions))

    def status(self, symbol: str) -> str | None:
        """The exchange's word for how a symbol is; None for one that is not listed."""
        if symbol not in self.tape.symbols:
            return None
        return self.faults.status(symbol, time.monotonic() - self._opened_s)

    @property
    def listed(self) -> tuple[str, ...]:
        """The symbols that are listed, whether they trade or not."""
        return tuple(symbol for symbol in self.tape.symbols if self.status(symbol))

    @property
    def trading(self) -> tuple[str, ...]:
        """The symbols that trade."""
        faults = self.faults
        if not (faults.listed or faults.delisted or faults.renamed):
            return self.tape.symbols
        return tuple(symbol for symbol in self.tape.symbols if self.status(symbol) == TRADING)

    def app(self) -> Starlette:
        """The ASGI application; only `running` serves it with all faults at hand."""
        routes = [
            Route("/api/v3/{endpoint:path}", self._rest),
            Route("/data/spot/daily/klines/{path:path}", self._archive),
            WebSocketRoute("/ws", self._stream),
            WebSocketRoute("/ws/{streams:path}", self._stream),
            WebSocketRoute("/stream", self._stream),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        for session in tuple(self.sessions):
            session.line.transport.abort()
        await asyncio.sleep(0)

    async def _stream(self, websocket: WebSocket) -> None:
        await serve(self, websocket)

    async def _rest(self, request: Request) -> Response:
        await asyncio.sleep(self.latency_us / 1e6)
        endpoint = ENDPOINTS.get(request.path_params["endpoint"])
        verdict = self.limit.ask(endpoint.cost(request.query_params) if endpoint else 1, time.time())
        headers = {
            "X-MBX-USED-WEIGHT": str(verdict.used_weight),
            "X-MBX-USED-WEIGHT-1M": str(verdict.used_weight),
        }
        self._requests += 1
        if verdict.status != _OK:
            headers["Retry-After"] = str(verdict.retry_after_s)
            return _json(verdict.status, _refusal(verdict, self.limit.weight), headers)
        if self.faults.rest_error_every and self._requests % self.faults.rest_error_every == 0:
            return _json(_SERVER_ERROR, {"code": -1000, "msg": "An unknown error occurred."}, headers)
        if endpoint is None:
            return Response("<html><body>404 Not found</body></html>", _NOT_FOUND, headers, "text/html")
        is_us = request.headers.get("X-MBX-TIME-UNIT", "").upper() == "MICROSECOND"
        unit_us = wire.MICROSECOND_US if is_us and not self.faults.milliseconds else wire.MILLISECOND_US
        if self.questions_begin and endpoint.is_of_market:
            self.clock.start()
        query = Query(request.query_params, unit_us, self.clock.now_us())
        try:
            if endpoint.due_us:
                due_us = await run_in_threadpool(endpoint.due_us, self, query)
                await asyncio.sleep(max(due_us - self.clock.now_us(), 0) / 1e6 / self.clock.speed)
                query = query._replace(now_us=due_us)
            return _json(_OK, await run_in_threadpool(endpoint.answer, self, query), headers)
        except RequestError as error:
            return _json(_BAD_REQUEST, error.body, headers)

    async def _archive(self, request: Request) -> Response:
        await asyncio.sleep(self.latency_us / 1e6)
        content = await run_in_threadpool(archive.file, self, request.path_params["path"])
        return Response(content or b"", _OK if content else _NOT_FOUND)


def _json(status: int, body: Any, headers: dict[str, str]) -> Response:  # noqa: ANN401 - whatever JSON holds
    return Response(msgspec.json.encode(body), status, headers, "application/json;charset=UTF-8")


def _refusal(verdict: Verdict, weight: int) -> dict[str, Any]:
    if verdict.status == _BANNED:
        until_ms = verdict.banned_until_s * 1000
        return {"code": -1003, "msg": f"Way too much request weight used; IP banned until {until_ms}."}
    return {
        "code": -1003,
        "msg": f"Too much request weight used; current limit is {weight} request weight per 1 MINUTE.",
    }


@dataclass(frozen=True, slots=True)
class Address:
    """The addresses at which a running exchange listens."""

    port: int

    @property
    def ws_url(self) -> str:
        """For `wss_url` in a configuration."""
        return f"ws://{HOST}:{self.port}/ws"

    @property
    def archive_url(self) -> str:
        """For `backfill.archive_url` in a configuration."""
        return f"http://{HOST}:{self.port}"

    @property
    def rest_url(self) -> str:
        """For `rest_url` in a configuration."""
        return f"http://{HOST}:{self.port}/api/v3"


@contextlib.contextmanager
def running(exchange: SimulatedExchange, port: int = 0) -> Iterator[Address]:
    """Serve the exchange on loopback, in a thread, while the block runs; stopping takes a few seconds at most.

    Args:
        exchange: may be run again once it has stopped.
        port: 0 for any free one.

    Raises:
        OSError: the port is taken.
        RuntimeError: the server did not start.
    """
    with socket.create_server((HOST, port)) as listener:
        # Or an event waits for the client's system to acknowledge the one before, which may take 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = uvicorn.Server(_config(exchange))
        thread = threading.Thread(target=server.run, args=([listener],), name="bundled-exchange", daemon=True)
        thread.start()
        try:
            _await_start(server, thread)
            yield Address(listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(_STOP_TIMEOUT_S)


def _config(exchange: SimulatedExchange) -> uvicorn.Config:
    """The same server on every system: no optional event loop, parser or compression."""
    return uvicorn.Config(
        exchange.app(),
        loop="asyncio",
        http="h11",
        ws=Line,
        ws_ping_interval=exchange.ping_interval_s,
        ws_ping_timeout=exchange.ping_timeout_s,
        ws_per_message_deflate=False,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline_s:
            raise RuntimeError("the bundled exchange did not start")
        time.sleep(0.002)
