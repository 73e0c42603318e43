"""One WebSocket connection, whose messages are handed over a read at a time and whose every sign of life is noticed.

The library's own `recv` would cost a message three times what becoming a line does, for a queue and a wakeup of which
a recorder has no need: it is never behind by more than the read it was just given. Nor does the library parse the
messages (`frames` does); it is given the handshake, control frames, and all of a connection that sends anything else.
Pings are answered by the library. Our own would count against the exchange's limit of five messages a second, so there
are none.
"""

import asyncio
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidURI
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import Event, State

from collector_daemon.clock import Watch
from collector_daemon.connect import frames
from collector_daemon.decide.listening import Hearing

_LARGEST_MESSAGE = 1 << 20
# The library bounds the bytes of a message, not how many fragments it comes in: empty ones would go on for ever.
_MOST_FRAGMENTS = 1024
# Each ping is answered, and the exchange allows five messages a second.
_MOST_CONTROL_FRAMES = 50
_WITHIN_SEC = 10.0
_CLOSE_TIMEOUT_SEC = 2.0

# As much as asyncio reads at a time; a frame that is not whole yet takes a quarter of it at most.
_BUFFER_SIZE = 4 * (frames.LARGEST + 1)
_END_OF_HEAD = b"\r\n\r\n"

Take = Callable[[list[bytes], int], None]


class NoticedConnection(ClientConnection, asyncio.BufferedProtocol):
    """A connection that tells its `Hearing` when something whole was last read: a message, a ping, any control frame.

    Bytes alone are no sign of life, or a peer that drips them would be listened to for ever. `reads` counts the reads
    that brought something whole; `refused` is why we hung up on a peer that does what no exchange does.
    Messages wait until `hand_over_to` says who takes them; those of one read come together, with the time of that read
    (µs UTC). Nothing is left for the library's `recv` but to raise `ConnectionClosed` at the end.
    """

    watch: Watch
    hearing: Hearing
    reads: int = 0
    refused: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See the library: the connection begins."""
        self._messages: list[bytes] = []
        self._fragments: list[bytes] = []
        self._take: Take | None = None
        self._is_control = False
        self._control_frames, self._counted_from = 0, self.watch.monotonic
        self._read_at = 0
        # Read into one buffer: a new one of this size for each read costs as much as the read.
        self._buffer = memoryview(bytearray(_BUFFER_SIZE))
        self._filled = 0
        self._tail = b""
        self._is_handshake, self._is_library_s = True, False
        super().connection_made(transport)

    def hand_over_to(self, take: Take) -> None:
        """From now on messages go there, beginning with those that wait."""
        self._take = take
        self._deliver(self._read_at)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """See asyncio: where to put what is read."""
        # Never empty, which asyncio takes for an error: what is not whole yet fills a quarter of it at most.
        return self._buffer[self._filled :]

    def data_received(self, data: bytes) -> None:
        """See asyncio: an event loop that puts nothing into buffers hands over bytes."""
        while data:
            some = data[: len(self._buffer) - self._filled]
            self._buffer[self._filled : self._filled + len(some)] = some
            self.buffer_updated(len(some))
            data = data[len(some) :]

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio: so many bytes were read."""
        self._read_at = now = self.watch.look()
        end = self._filled + nbytes
        at = self._consume(end)
        self._filled = end - at
        if self._filled:
            self._buffer[: self._filled] = self._buffer[at:end].tobytes()
        if self._messages or self._is_control:
            self._is_control = False
            self.reads += 1
            self.hearing.hear(self.watch)
        self._deliver(now)
        if self.protocol.state is not State.OPEN and self._is_over():
            # The library would discard what comes until the peer hangs up, and a peer need not do so.
            self.transport.close()

    def _consume(self, end: int) -> int:
        """Take what is whole of the buffer's first `end` bytes; return where the rest begins."""
        at = 0
        while at < end:
            if self._is_handshake:
                at = self._shake_hands(at, end)
            elif self._is_library_s:
                super().data_received(self._buffer[at:end].tobytes())
                at = end
            else:
                at = frames.cut(self._buffer, at, end, self._messages)
                size = frames.control_size(self._buffer, at, end) if at < end else 0
                if size == 0:
                    return at
                if size is not None:
                    super().data_received(self._buffer[at : at + size].tobytes())
                    at += size
                # After a goodbye, or where a message is in fragments, the library has to see all that follows.
                self._is_library_s = size is None or self._is_over()
        return at

    def _shake_hands(self, at: int, end: int) -> int:
        """Give the library the answer to the handshake, up to the end of its head; where that is, is returned."""
        data = self._buffer[at:end].tobytes()
        found = (self._tail + data).find(_END_OF_HEAD)
        size = len(data) if found < 0 else found + len(_END_OF_HEAD) - len(self._tail)
        self._tail = (self._tail + data)[1 - len(_END_OF_HEAD) :]
        super().data_received(data[:size])
        is_open = self.protocol.state is State.OPEN
        self._is_handshake = found < 0 and not is_open
        # Open before the end of the head, or not open after it: what follows is no frame that we know where to find.
        self._is_library_s = not self._is_handshake and not (is_open and found >= 0)
        return at + size

    def process_event(self, event: Event) -> None:
        """See the library; it is handed frames as they are whole."""
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            self._is_control = True
            self._count_control_frame()
            super().process_event(event)
        elif event.fin and not self._fragments:
            self._messages.append(bytes(event.data))
        else:
            self._fragments.append(bytes(event.data))
            if len(self._fragments) > _MOST_FRAGMENTS:
                self._fragments.clear()
                self._refuse(f"a message came in more than {_MOST_FRAGMENTS} fragments")
            elif event.fin:
                self._messages.append(b"".join(self._fragments))
                self._fragments = []

    def _is_over(self) -> bool:
        protocol = self.protocol
        return bool(protocol.handshake_exc or protocol.close_rcvd or protocol.parser_exc)

    def _count_control_frame(self) -> None:
        now = self.watch.monotonic
        if now - self._counted_from >= _WITHIN_SEC:
            self._control_frames, self._counted_from = 0, now
        self._control_frames += 1
        if self._control_frames > _MOST_CONTROL_FRAMES:
            self._refuse(f"more than {_MOST_CONTROL_FRAMES} control frames came within {_WITHIN_SEC:g} s")

    def _refuse(self, reason: str) -> None:
        self.refused = self.refused or reason
        abort(self)

    def _deliver(self, now: int) -> None:
        if self._take is not None and self._messages:
            messages, self._messages = self._messages, []
            self._take(messages, now)


class _Connect(connect):
    """The library's way to connect, but for redirects: each is one attempt more, to where nobody asked to go."""

    def process_redirect(self, exc: Exception) -> Exception:
        """See the library: what is returned is raised."""
        return exc


async def open_connection(url: str, timeout_sec: float, watch: Watch, hearing: Hearing) -> NoticedConnection:
    """Connect.

    Raises:
        OSError: nobody there, no route, a certificate that is not trusted, or no answer within `timeout_sec`.
        WebSocketException: somebody is there, but does not talk as expected; or the address is none.
    """

    class Bound(NoticedConnection):
        pass

    Bound.watch, Bound.hearing = watch, hearing
    try:
        connection = await _Connect(
            url,
            create_connection=Bound,
            open_timeout=timeout_sec,
            ping_interval=None,
            close_timeout=_CLOSE_TIMEOUT_SEC,
            compression=None,
            max_size=_LARGEST_MESSAGE,
            proxy=None,
        )
    except ValueError as error:
        # A port that is no number, a host name that is none: the library tells them so.
        raise InvalidURI(url, str(error)) from None
    if not isinstance(connection, NoticedConnection):
        raise TypeError("the library ignored create_connection")
    return connection


def abort(connection: ClientConnection) -> None:
    """Hang up on a peer that is dead: no closing handshake, nothing to wait for."""
    connection.transport.abort()
