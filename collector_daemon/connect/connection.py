"""One WebSocket connection, whose messages are handed over a read at a time and whose every sign of life is noticed.

The library's own `recv` would cost a message three times what becoming a line does, for a queue and a wakeup of which
a recorder has no need: it is never behind by more than the read it was just given.
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
from collector_daemon.decide.listening import Hearing

_LARGEST_MESSAGE = 1 << 20
# The library bounds the bytes of a message, not how many fragments it comes in: empty ones would go on for ever.
_MOST_FRAGMENTS = 1024
# Each ping is answered, and the exchange allows five messages a second.
_MOST_CONTROL_FRAMES = 50
_WITHIN_SEC = 10.0
_CLOSE_TIMEOUT_SEC = 2.0

Take = Callable[[list[bytes], int], None]


class NoticedConnection(ClientConnection):
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
        super().connection_made(transport)

    def hand_over_to(self, take: Take) -> None:
        """From now on messages go there, beginning with those that wait."""
        self._take = take
        self._deliver(self._read_at)

    def data_received(self, data: bytes) -> None:
        """See the library; it is handed bytes as they come."""
        self._read_at = now = self.watch.look()
        super().data_received(data)
        if self._messages or self._is_control:
            self._is_control = False
            self.reads += 1
            self.hearing.hear(self.watch)
        self._deliver(now)
        if self.protocol.state is not State.OPEN and self._is_over():
            # The library would discard what comes until the peer hangs up, and a peer need not do so.
            self.transport.close()

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
