"""Frames cut by us mean what the library's own parser says they mean, however they are spread over reads."""

import asyncio
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from collector_daemon.clock import Watch
from collector_daemon.connect.connection import NoticedConnection
from collector_daemon.decide.listening import Hearing
from crypto_lake_tests.collector_daemon.fakes import FakeClock

ADDRESS = parse_uri("ws://127.0.0.1/ws")


class Wire(asyncio.Transport):
    """Takes what is written, and knows whether it was closed."""

    closed = False

    def write(self, _data: object) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def set_write_buffer_limits(self, _high: int | None = None, _low: int | None = None) -> None:
        pass


def answer_to(protocol: ClientProtocol) -> bytes:
    """The handshake, from the other side."""
    request = protocol.connect()
    protocol.send_request(request)
    server = ServerProtocol()
    server.receive_data(b"".join(protocol.data_to_send()))
    (event,) = server.events_received()
    server.send_response(server.accept(event))  # type: ignore[arg-type]
    return b"".join(server.data_to_send())


def by_the_library(sent: bytes) -> list[bytes]:
    protocol = ClientProtocol(ADDRESS)
    protocol.receive_data(answer_to(protocol) + sent)
    messages: list[bytes] = []
    for event in protocol.events_received():
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            if event.opcode is Opcode.CONT:
                messages[-1] += bytes(event.data)
            else:
                messages.append(bytes(event.data))
    return messages if protocol.state is State.OPEN else [*messages, b"(ended)"]


def by_us(sent: bytes, cuts: list[int], *, into_buffers: bool) -> list[bytes]:
    async def listen() -> list[bytes]:
        protocol = ClientProtocol(ADDRESS)
        connection = NoticedConnection(protocol)
        connection.watch, connection.hearing = Watch(FakeClock(), lambda _step: None), Hearing()
        connection.connection_made(Wire())
        messages: list[bytes] = []
        connection.hand_over_to(lambda some, _now: messages.extend(some))
        data = answer_to(protocol) + sent
        for start, end in pairwise(sorted({0, *(cut % len(data) for cut in cuts), len(data)})):
            while into_buffers and start < end:
                room = connection.get_buffer(-1)
                some = data[start : min(end, start + len(room))]
                room[: len(some)] = some
                connection.buffer_updated(len(some))
                start += len(some)  # noqa: PLW2901 - the rest of it
            if not into_buffers:
                connection.data_received(data[start:end])
        return messages if protocol.state is State.OPEN else [*messages, b"(ended)"]

    return asyncio.run(listen())


def frame(opcode: Opcode, content: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, content, fin).serialize(mask=False)


LENGTHS = st.sampled_from([0, 1, 125, 126, 127, 300, 65_535, 65_536])
WHOLE = st.builds(
    lambda size, op: [frame(op, b"x" * size)], LENGTHS, st.sampled_from([Opcode.TEXT, Opcode.BINARY])
)
CONTROL = st.builds(
    lambda content, op: [frame(op, content)],
    st.binary(max_size=9),
    st.sampled_from([Opcode.PING, Opcode.PONG]),
)
FRAGMENTS = st.builds(
    lambda parts: [
        frame(Opcode.CONT if n else Opcode.TEXT, part, fin=n == len(parts) - 1)
        for n, part in enumerate(parts)
    ],
    st.lists(st.binary(max_size=5), min_size=2, max_size=4),
)
ODD = st.sampled_from(
    [
        [frame(Opcode.CLOSE, b"\x03\xe8")],
        [b"\x81\x81aaaaa"],
        [b"\xc1\x01a"],
        [b"\x83\x00"],
        [b"\x89\x7e\0\x80"],
    ]
)
SENT = st.lists(st.one_of(WHOLE, WHOLE, CONTROL, FRAGMENTS, ODD), max_size=12)


@given(SENT, st.lists(st.integers(0, 200_000), max_size=12), st.booleans())
def test_frames_mean_what_they_mean_to_the_library(
    sent: list[list[bytes]], cuts: list[int], into_buffers: bool
) -> None:
    data = b"".join(part for parts in sent for part in parts)
    found = by_us(data, cuts, into_buffers=into_buffers)
    assert found == by_the_library(data)
