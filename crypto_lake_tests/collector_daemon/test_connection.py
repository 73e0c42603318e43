"""Messages are handed over a read at a time, whole and in order."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from collector_daemon.connection import abort, open_connection
from collector_daemon.listening import Hearing
from crypto_lake_tests.collector_daemon.fakes import T0, FakeClock

Script = Callable[[ServerConnection], Awaitable[None]]
Reads = list[tuple[list[bytes], int]]


def reads(script: Script, *, wait: float = 0.0) -> Reads:
    """What is handed over of what a script sends, if asked for it `wait` seconds after the connection was made."""

    async def listen() -> Reads:
        taken: Reads = []
        async with serve(script, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            connection = await open_connection(f"ws://127.0.0.1:{port}", 5, FakeClock(), Hearing())
            await asyncio.sleep(wait)
            connection.hand_over_to(lambda messages, now: taken.append((messages, now)))
            with pytest.raises(ConnectionClosed):
                await connection.recv()
            abort(connection)
        return taken

    return asyncio.run(listen())


def messages(taken: Reads) -> list[bytes]:
    return [message for some, _ in taken for message in some]


def test_messages_that_come_together_are_handed_over_together_with_the_time_of_the_read() -> None:
    async def burst(connection: ServerConnection) -> None:
        connection.transport.write(b"".join(b"\x81\x01%d" % digit for digit in range(10)))

    taken = reads(burst)
    assert messages(taken) == [b"%d" % digit for digit in range(10)]
    assert (max(len(some) for some, _ in taken), {now for _, now in taken}) == (10, {T0})


def test_a_message_in_fragments_is_handed_over_whole() -> None:
    async def fragments(connection: ServerConnection) -> None:
        await connection.send(["ab", "cd", "ef"])
        await connection.send("whole")

    assert messages(reads(fragments)) == [b"abcdef", b"whole"]


def test_messages_that_came_before_anybody_asked_are_kept() -> None:
    async def hurry(connection: ServerConnection) -> None:
        await connection.send("early")

    assert messages(reads(hurry, wait=0.2)) == [b"early"]
