"""The TCP side of one WebSocket connection: what an ASGI application cannot reach and a faulty exchange needs.

Here belong a reset instead of a close, a silence that still holds the socket, and the count of frames that come in,
control frames included. Built on uvicorn's own WebSocket protocol class, by what asyncio and its constructor promise
where possible.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from starlette.websockets import WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from websockets.frames import Frame

# struct linger, on and 0 seconds: two shorts on Windows, two ints elsewhere.
_RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)

_TEXT, _SHORT, _LONG = 0x81, 126, 1 << 16  # a whole text frame; lengths (RFC 6455, 5.2)
_GONE = 1006


def _framed(content: bytes) -> bytes:
    if len(content) < _SHORT:
        return bytes((_TEXT, len(content))) + content
    if len(content) >= _LONG:
        return struct.pack("!BBQ", _TEXT, _SHORT + 1, len(content)) + content
    return struct.pack("!BBH", _TEXT, _SHORT, len(content)) + content


class Line(WebSocketsSansIOProtocol):
    """One connection; the application finds it as `line` in the state of its scope.

    `incoming_limit` is how many frames a client may send within a second, None for any number; `flooded` is set once it
    sent more.
    """

    def __init__(self, *, app_state: dict[str, Any], **others: Any) -> None:  # noqa: ANN401 - uvicorn's to know
        super().__init__(app_state={**app_state, "line": self}, **others)
        self.incoming_limit: int | None = None
        self.flooded = asyncio.Event()
        self._arrivals: deque[float] = deque()
        self._is_mute = False

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client, unless mute."""
        if not self._is_mute:
            super().data_received(data)

    def handle_text(self, event: Frame) -> None:
        """Count a text frame, and pass it on."""
        self._note_arrival()
        super().handle_text(event)

    def handle_ping(self) -> None:
        """Count a ping, and answer it."""
        self._note_arrival()
        super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Count a pong, and take it as a sign of life."""
        self._note_arrival()
        super().handle_pong(event)

    async def send_texts(self, texts: list[str]) -> None:
        """Write text frames together, once the client takes them.

        Past uvicorn and the library, which make one write of each; a server's frames are not masked, and have no state.

        Raises:
            WebSocketDisconnect: the connection is no more.
        """
        await self.writable.wait()
        if self.close_sent or self.transport.is_closing():
            raise WebSocketDisconnect(_GONE)
        self.transport.write(b"".join([_framed(text.encode()) for text in texts]))

    def mute(self) -> None:
        """Hold the socket, and neither hear nor say anything from here on."""
        self._is_mute = True
        self.stop_keepalive()

    def reset(self) -> None:
        """Cut the connection by a TCP reset, with no close frame and nothing that was still to be sent."""
        raw: socket.socket | None = self.transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()
        if sys.platform == "win32" and raw is not None:
            # The transport of Windows' event loop shuts down an open socket before it closes it, and the client would
            # read an end, not a reset.
            raw._sock.close()  # noqa: SLF001 - asyncio's TransportSocket has no close

    def _note_arrival(self) -> None:
        now = self.loop.time()
        self._arrivals.append(now)
        while now - self._arrivals[0] > 1:
            self._arrivals.popleft()
        if self.incoming_limit is not None and len(self._arrivals) > self.incoming_limit:
            self.flooded.set()
