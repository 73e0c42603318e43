"""A server on loopback that says, byte for byte, what a script gives it: what no well-behaved library would send."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from crypto_lake.exchanges.binance.http import BinanceHttp
from crypto_lake.exchanges.binance.rest import BinanceRest

_T = TypeVar("_T")
Script = Callable[[], AsyncIterator[bytes]]


def whole(body: bytes, *headers: str) -> Script:
    """An answer of HTTP 200 with its length told."""

    async def say() -> AsyncIterator[bytes]:
        yield head(f"Content-Length: {len(body)}", *headers) + body

    return say


def head(*headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *headers, "", ""]).encode()


def drip(first: bytes) -> Script:
    """After the first bytes one a moment, for ever: each read brings something, and none the end."""

    async def say() -> AsyncIterator[bytes]:
        yield first
        while True:
            await asyncio.sleep(0.02)
            yield b" "

    return say


async def _no_wait(_: float) -> None:
    return


def asked(question: Callable[[BinanceRest], Awaitable[_T]], say: Script, answer_sec: float = 5) -> _T:
    """What a client makes of such a server."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            async for piece in say():
                writer.write(piece)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def main() -> _T:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            http = BinanceHttp(f"http://127.0.0.1:{port}", answer_sec=answer_sec, sleep=_no_wait)
            client = BinanceRest(http)
            try:
                async with asyncio.timeout(20):
                    return await question(client)
            finally:
                await client.aclose()

    return asyncio.run(main())
