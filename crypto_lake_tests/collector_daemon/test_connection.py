"""Messages are handed over a read at a time, whole and in order."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.http11 import Request, Response

from collector_daemon.clock import Watch
from collector_daemon.connect.connection import NoticedConnection, abort, open_connection
from collector_daemon.decide.listening import Hearing
from crypto_lake_tests.collector_daemon.fakes import T0, FakeClock, hang_up


def watch() -> Watch:
    return Watch(FakeClock(), lambda _step: None)


Script = Callable[[ServerConnection], Awaitable[None]]
Reads = list[tuple[list[bytes], int]]


def reads(script: Script, *, wait: float = 0.0) -> Reads:
    """What is handed over of what a script sends, if asked for it `wait` seconds after the connection was made."""

    async def listen() -> Reads:
        taken: Reads = []
        async with serve(script, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            connection = await open_connection(f"ws://127.0.0.1:{port}", 5, watch(), Hearing())
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


class Deaf:
    """A peer that puts bytes on the wire as they are and hears no answer, not even that we have gone.

    After `first` comes `then`, again and again for `seconds`; `outlasted` is whether the connection still was there.
    """

    def __init__(self, first: bytes, then: bytes = b"", seconds: float = 3.0) -> None:
        self._first, self._then, self._times = first, then, int(100 * seconds)
        self.outlasted = False

    async def __call__(self, connection: ServerConnection) -> None:
        transport = connection.transport
        transport.pause_reading()
        transport.write(self._first)
        for _ in range(self._times):
            await asyncio.sleep(0.01)
            if transport.is_closing():
                return
            transport.write(self._then)
        self.outlasted = True
        transport.abort()


def ended(script: Script) -> NoticedConnection:
    """The connection to a peer that follows a script, once it has ended."""

    async def listen() -> NoticedConnection:
        async with serve(script, "127.0.0.1", 0, close_timeout=0.1) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            connection = await open_connection(
                f"ws://127.0.0.1:{port}", 5, Watch(FakeClock(), lambda _step: None), Hearing()
            )
            connection.hand_over_to(lambda _messages, _now: None)
            with pytest.raises(ConnectionClosed):
                await connection.recv()
        return connection

    return asyncio.run(listen())


def test_a_message_of_endless_empty_fragments_is_refused() -> None:
    connection = ended(Deaf(b"\x01\x00", then=b"\x00\x00" * 100))
    assert connection.refused == "a message came in more than 1024 fragments"


def test_a_flood_of_pings_is_not_answered_for_ever() -> None:
    connection = ended(Deaf(b"", then=b"\x89\x00" * 10))
    assert connection.refused == "more than 50 control frames came within 10 s"


def test_a_few_pings_at_once_are_no_flood() -> None:
    assert ended(Deaf(b"\x89\x00" * 49, seconds=0.1)).refused is None


def test_bytes_of_a_frame_that_never_ends_are_no_sign_of_life() -> None:
    connection = ended(Deaf(b"\x81\x7e\x10\x00", then=b"x", seconds=0.2))
    assert connection.reads == 1  # the answer to the handshake


def test_a_peer_that_says_goodbye_and_never_hangs_up_is_left() -> None:
    peer = Deaf(b"\x88\x02\x03\xe8", then=b"x")
    assert (ended(peer).close_code, peer.outlasted) == (1000, False)


def test_a_peer_that_breaks_the_protocol_and_never_hangs_up_is_left() -> None:
    peer = Deaf(b"\x83\x00", then=b"x")
    ended(peer)
    assert not peer.outlasted


def test_a_redirect_is_not_followed() -> None:
    paths = []

    def elsewhere(connection: ServerConnection, request: Request) -> Response:
        paths.append(request.path)
        answer = connection.respond(302, "")
        answer.headers["Location"] = "/elsewhere"
        return answer

    async def connect() -> None:
        async with serve(hang_up, "127.0.0.1", 0, process_request=elsewhere) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            await open_connection(
                f"ws://127.0.0.1:{port}/ws", 5, Watch(FakeClock(), lambda _step: None), Hearing()
            )

    with pytest.raises(InvalidStatus, match="302"):
        asyncio.run(connect())
    assert paths == ["/ws"]


@pytest.mark.parametrize(
    ("line", "error"), [(b"x", TimeoutError), (b"X-A: b\r\n" * 10, InvalidMessage)], ids=["drip", "no end"]
)
def test_a_handshake_comes_to_an_end(line: bytes, error: type[Exception]) -> None:
    async def connect() -> None:
        left = asyncio.Event()

        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\n")
            while not writer.is_closing():
                writer.write(line)
                await asyncio.sleep(0.01)
            left.set()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            try:
                await open_connection(
                    f"ws://127.0.0.1:{port}", 0.5, Watch(FakeClock(), lambda _step: None), Hearing()
                )
            finally:
                await left.wait()

    with pytest.raises(error):
        asyncio.run(connect())
