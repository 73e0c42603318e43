"""One WebSocket connection whose every frame is noticed, pings included. The library answers pings by itself.

Our own pings would count against the exchange's limit of five messages a second, so there are none.
"""

from typing import TYPE_CHECKING

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidURI
from websockets.frames import Frame

from collector_daemon.clock import Clock
from collector_daemon.listening import Hearing

if TYPE_CHECKING:
    from websockets.protocol import Event

_LARGEST_MESSAGE = 1 << 20
_CLOSE_TIMEOUT_SEC = 2.0
# Frames that the library holds while we are busy; above that it stops reading from the socket.
_QUEUE = (1024, 256)
# Close, ping and pong (RFC 6455, 5.2).
_FIRST_CONTROL_OPCODE = 8


class NoticedConnection(ClientConnection):
    """A connection that counts its frames and tells its `Hearing` of each one that carries no data.

    Those with data are told by whoever takes them, with the very stamp they get.
    """

    clock: Clock
    hearing: Hearing
    frames: int = 0

    def process_event(self, event: "Event") -> None:
        """See the library; it hands over each frame, and before them the answer to the handshake."""
        self.frames += 1
        if isinstance(event, Frame) and event.opcode >= _FIRST_CONTROL_OPCODE:
            self.hearing.last = self.clock.now_us()
        super().process_event(event)


async def open_connection(url: str, timeout_sec: float, clock: Clock, hearing: Hearing) -> NoticedConnection:
    """Connect.

    Raises:
        OSError: nobody there, no route, a certificate that is not trusted, or no answer within `timeout_sec`.
        WebSocketException: somebody is there, but does not talk as expected; or the address is none.
    """

    class Bound(NoticedConnection):
        pass

    Bound.clock, Bound.hearing = clock, hearing
    try:
        connection = await connect(
            url,
            create_connection=Bound,
            open_timeout=timeout_sec,
            ping_interval=None,
            close_timeout=_CLOSE_TIMEOUT_SEC,
            compression=None,
            max_size=_LARGEST_MESSAGE,
            max_queue=_QUEUE,
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
