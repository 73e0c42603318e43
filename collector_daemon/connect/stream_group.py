"""The symbols that travel over the same connections, and which of those connections are alive. No I/O."""

import asyncio
import math
from typing import TYPE_CHECKING, Protocol

from collector_daemon.decide.listening import Hearing, Listening

if TYPE_CHECKING:
    from collections.abc import Sequence

    from collector_daemon.clock import Clock
    from collector_daemon.decide.session import Session
    from crypto_lake.exchanges.base import Exchange


# Connections to the same streams begin so far apart, since those that begin together are ended together: by an age
# that the exchange allows them, or by ours.
APART_SEC = 1.0


class Subscriber(Protocol):
    """A connection, as its stream group wants to know it."""

    hearing: Hearing

    async def change(self, added: "Sequence[str]", removed: "Sequence[str]") -> str | None:
        """Ask for other streams as well, and for some no more; return once the exchange answered, or the link ended.

        Why it refused is returned.
        """


class StreamGroup:
    """See the module. `connected_since` is µs UTC, None while nothing is subscribed; `succeeded` stays set.

    `live` is how many connections are subscribed.
    """

    def __init__(
        self, symbols: "Sequence[str]", exchange: "Exchange", session: "Session", clock: "Clock"
    ) -> None:
        self.symbols = list(symbols)
        self.streams = [name for symbol in symbols for name in exchange.names(symbol)]
        self.listening = Listening()
        self.succeeded = asyncio.Event()
        self.connected_since: int | None = None
        self._session = session
        self._clock = clock
        self._exchange = exchange
        self._live: list[Subscriber] = []
        self._open: list[Subscriber] = []
        # Monotonic seconds at which each attempt began, or was accepted.
        self._begun: dict[Subscriber, float] = {}

    @property
    def live(self) -> int:
        """Return how many connections are subscribed."""
        return len(self._live)

    @property
    def is_deserted(self) -> bool:
        """Return whether no connection is there or about to be opened."""
        return not self._begun

    def apart_sec(self, now: float) -> float:
        """Return how long a new connection has to wait to begin apart from the youngest of the others."""
        return max(0.0, max(self._begun.values(), default=-math.inf) + APART_SEC - now)

    def in_step(self, link: Subscriber) -> bool:
        """Return whether the exchange accepted a connection together with another, although they were begun apart."""
        at = self._begun[link]
        others = [self._begun[other] for other in self._live if other is not link]
        return any(abs(at - other) < APART_SEC / 2 for other in others)

    def opening(self, link: Subscriber, now: float) -> None:
        """A connection is about to be opened; `ended` must follow, whatever becomes of it."""
        self._begun[link] = now
        if not self._live:
            self._session.begin_anew(self.symbols)

    def opened(self, link: Subscriber) -> "Sequence[str]":
        """A connection is there; the streams that it is to ask for. It hears of what changes afterwards."""
        self._begun[link] = self._clock.monotonic()
        self._session.settle(self.symbols, self._begun[link])
        self._open.append(link)
        return list(self.streams)

    def room(self) -> int:
        """Return how many symbols more its connections may carry."""
        a_symbol = max(1, len(self.streams) // max(1, len(self.symbols)))
        return self._exchange.limits.streams_a_connection // a_symbol - len(self.symbols)

    async def change(self, added: "Sequence[str]", removed: "Sequence[str]") -> str | None:
        """Carry other symbols, on every connection that is open; those to come will ask for the right ones.

        They are asked one after the other: where the exchange does not answer, or hangs up, one at a time is replaced.
        Where the exchange refuses any that are added, all of them are taken back, and why it did is returned.
        """
        if not (added or removed):
            return None
        self.symbols = [symbol for symbol in (*self.symbols, *added) if symbol not in removed]
        self.streams = self._names(self.symbols)
        wanted, unwanted = self._names(added), self._names(removed)
        for link in list(self._open):
            refused = await link.change(wanted, unwanted) if link in self._open else None
            if refused is not None and added:
                await self.change([], added)
                return refused
        if self._live:
            self._session.subscribed(added, self._clock.monotonic())
        return None

    def _names(self, symbols: "Sequence[str]") -> list[str]:
        return [name for symbol in symbols for name in self._exchange.names(symbol)]

    def subscribed(self, link: Subscriber, now: int) -> None:
        """The exchange confirmed a connection's streams at `now` (µs UTC)."""
        self.succeeded.set()
        if not self._live:
            self.connected_since = now
            self._session.subscribed(self.symbols, self._clock.monotonic())
        self._live.append(link)
        self.listening.begin(link.hearing, now)

    def ended(self, link: Subscriber) -> None:
        """A connection is gone, subscribed or not, or did not come about."""
        self._begun.pop(link, None)
        self.listening.end(link.hearing)
        if link in self._open:
            self._open.remove(link)
        if link in self._live:
            self._live.remove(link)
            if not self._live:
                self.connected_since = None
                self._session.disconnected(self.symbols)


def grouped(symbols: "Sequence[str]", exchange: "Exchange") -> "list[list[str]]":
    """The symbols in as few groups as the exchange's limit of streams a connection allows."""
    if not symbols:
        return []
    a_symbol = max(1, len(exchange.names(symbols[0])))
    size = max(1, exchange.limits.streams_a_connection // a_symbol)
    return [list(symbols[start : start + size]) for start in range(0, len(symbols), size)]
