"""One WebSocket connection whose every sign of life is noticed, pings included. The library answers pings by itself.

Our own pings would count against the exchange's limit of five messages a second, so there are none.
"""

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidURI

from collector_daemon.clock import Clock
from collector_daemon.listening import Hearing

_LARGEST_MESSAGE = 1 << 20
_CLOSE_TIMEOUT_SEC = 2.0
# Frames that the library holds while we are busy; above that it stops reading from the socket.
_QUEUE = (1024, 256)


class NoticedConnection(ClientConnection):
    """A connection that counts its reads and tells its `Hearing` when the last was: whatever came, the peer is alive.

    A read holds many frames when there are many, so this costs the busy little.
    """

    clock: Clock
    hearing: Hearing
    reads: int = 0

    def data_received(self, data: bytes) -> None:
        """See the library; it is handed bytes as they come."""
        self.reads += 1
        self.hearing.last = self.clock.now_us()
        super().data_received(data)


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
