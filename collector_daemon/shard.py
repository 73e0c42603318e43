"""The symbols that travel over the same connections, and which of those connections are alive. No I/O."""

import asyncio
from typing import TYPE_CHECKING, Protocol

from collector_daemon.listening import Hearing, Listening

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector_daemon.clock import Clock
    from collector_daemon.session import Session
    from crypto_lake.exchanges.base import WireFormat


class Subscriber(Protocol):
    """What a shard wants to know of a connection."""

    hearing: Hearing


class Shard:
    """See the module. `connected_since` is µs UTC, None while nothing is subscribed; `succeeded` stays set.

    `live` is how many connections are subscribed.
    """

    def __init__(
        self, symbols: "Sequence[str]", wire: "WireFormat", session: "Session", clock: "Clock"
    ) -> None:
        self.symbols = list(symbols)
        self.streams = [name for symbol in symbols for name in wire.streams(symbol)]
        self.listening = Listening()
        self.succeeded = asyncio.Event()
        self.connected_since: int | None = None
        self._session = session
        self._clock = clock
        self._live: list[Subscriber] = []

    @property
    def live(self) -> int:
        """How many connections are subscribed."""
        return len(self._live)

    def opening(self) -> None:
        """A connection is about to be opened."""
        if not self._live:
            self._session.begin_anew(self.symbols)

    def subscribed(self, link: Subscriber, now: int) -> None:
        """The exchange confirmed a connection's streams at `now` (µs UTC)."""
        self.succeeded.set()
        if not self._live:
            self.connected_since = now
            self._session.subscribed(self.symbols, self._clock.monotonic())
        self._live.append(link)
        self.listening.begin(link.hearing, now)

    def ended(self, link: Subscriber) -> None:
        """A connection is gone, subscribed or not."""
        self.listening.end(link.hearing)
        if link in self._live:
            self._live.remove(link)
            if not self._live:
                self.connected_since = None
                self._session.disconnected(self.symbols)


def sharded(symbols: "Sequence[str]", wire: "WireFormat") -> "list[list[str]]":
    """The symbols in as few groups as the exchange's limit of streams a connection allows."""
    size = max(1, wire.max_streams // max(1, len(wire.streams(symbols[0]))))
    return [list(symbols[start : start + size]) for start in range(0, len(symbols), size)]
