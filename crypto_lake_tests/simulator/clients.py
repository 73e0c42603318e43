"""What a client does, in the fewest words: connect, ask, listen; all bounded in time."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Self, TypeAlias

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crypto_lake import web
from crypto_lake.simulator.server.exchange import Address

PATIENCE_S = 10
Json: TypeAlias = Any  # what came out of json.loads, or is to go into json.dumps
TRADES = "solusdt@trade"
QUOTES = "solusdt@bookTicker"
BOTH = f"{TRADES}/{QUOTES}"


class Client:
    """One WebSocket connection; `path` follows the server's address, e.g. `/ws`."""

    def __init__(self, address: Address, path: str = "/ws") -> None:
        self._connecting = connect(
            address.ws_url.removesuffix("/ws") + path,
            compression=None,
            max_queue=None,
            ping_interval=None,
            close_timeout=1,
        )
        self.connection: ClientConnection

    async def __aenter__(self) -> Self:
        self.connection = await self._connecting
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()

    async def text(self) -> str:
        frame = await asyncio.wait_for(self.connection.recv(), PATIENCE_S)
        assert isinstance(frame, str)
        return frame

    async def next(self) -> Json:
        return json.loads(await self.text())

    async def many(self, count: int) -> list[Json]:
        return [await self.next() for _ in range(count)]

    async def until_closed(self) -> tuple[list[str], ConnectionClosed]:
        """What came until the connection ended, and how it ended."""
        frames: list[str] = []
        for _ in range(100_000):
            try:
                frames.append(await self.text())
            except ConnectionClosed as closed:
                return frames, closed
        raise AssertionError("the connection did not end")

    async def until_silent(self, seconds: float) -> None:
        """Return once nothing has come for so long."""
        with contextlib.suppress(TimeoutError):
            for _ in range(100_000):
                await asyncio.wait_for(self.connection.recv(), seconds)
            raise AssertionError("the connection did not fall silent")

    async def say(self, **request: Json) -> None:
        await self.connection.send(json.dumps(request))

    async def ask(self, **request: Json) -> Json:
        """Send a request; the next frame that is not an event."""
        await self.say(**request)
        for _ in range(10_000):
            frame = await self.next()
            if not {"stream", "e", "u"} & frame.keys():
                return frame
        raise AssertionError("no answer among 10,000 frames")


def listen(address: Address, path: str, count: int) -> list[Json]:
    """The first frames of a connection."""

    async def run() -> list[Json]:
        async with Client(address, path) as client:
            return await client.many(count)

    return asyncio.run(run())


def ask(address: Address, path: str, **params: Json) -> httpx.Response:
    return httpx.get(
        f"{address.rest_url}/{path}", params=params, timeout=PATIENCE_S, verify=web.certificates()
    )


def holds_soon(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Whether the condition comes true while one can still wait for it."""

    async def run() -> bool:
        for _ in range(1000):
            if condition():
                return True
            await asyncio.sleep(patience_s / 1000)
        return False

    return asyncio.run(run())
