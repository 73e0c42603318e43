"""Snapshots of order books, asked of the exchange: what a book begins from, and what it is held against.

One is fetched when a symbol's first event came, after each break of its chain, at midnight UTC, and at an end in good
order, while connections still bring what happens meanwhile. One after the other, spread over time, through the
exchange's paced client: a snapshot is never worth a ban, and none that fails stops the recording.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from collector_daemon.clock import Clock
from collector_daemon.decide.session import Session
from collector_daemon.land.landing import Landing
from crypto_lake.config import Exchange
from crypto_lake.errors import ExchangeError, LeftAloneError, UnansweredError
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.base import Book, BookClient
from crypto_lake.layout import day_of
from crypto_lake.raw.lines import DepthSnapshotLine

_LOOK_SEC = 0.2
# Between two questions: of 1,000 levels each they then cost half of what an address may ask of Binance.
_SPREAD_SEC = 1.0
# Between two snapshots of one symbol, however often its chain breaks.
_APART_SEC = 5.0
_FIRST_WAIT_SEC, _LONGEST_WAIT_SEC = 1.0, 300.0
# For more questions the exchange's own limit is asked for first: without, a low one holds.
_MANY = 20
# A book is so many ids ahead of its events at most; they come within a second, and a busy one has some thousand in it.
_AHEAD = 1_000_000
# All that an end waits for.
_LAST_SEC = 5.0
_CATCH_UP_SEC = 0.05


@dataclass(slots=True)
class _Wish:
    """A snapshot that is wanted, not `before` (monotonic seconds), after so many that failed; midnight's can wait."""

    before: float = 0.0
    is_urgent: bool = True
    failures: int = 0


class Anchors:
    """See the module. `section` is the exchange's of the configuration; while `is_full` no memory is to be used."""

    def __init__(
        self,
        section: Exchange,
        levels: int,
        session: Session,
        landing: Landing,
        clock: Clock,
        is_full: Callable[[], bool],
    ) -> None:
        self._section = section
        self._levels = levels
        self._session = session
        self._landing = landing
        self._clock = clock
        self._is_full = is_full
        self._day = day_of(clock.now_us())
        self._wishes: dict[str, _Wish] = {}
        # When the last one of each symbol came; until when nothing is asked; how often it failed since one came.
        self._fetched: dict[str, float] = {}
        self._quiet_until = -math.inf
        self._failures = 0

    async def run(self) -> None:
        """Fetch what is wanted, until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_SEC)
            self._look()
            if (symbol := self._next()) is not None:
                try:
                    client = self._client()
                except ExchangeError as error:
                    self._failed(symbol, error)
                    continue
                try:
                    await self._fetch_due(client)
                finally:
                    await client.aclose()

    async def last(self) -> None:
        """Fetch one of each book before the end, as many as a few seconds bring; connections still live."""
        begun = [symbol for symbol in self._session.symbols if self._has_begun(symbol)]
        if not begun or self._is_full() or self._clock.monotonic() < self._quiet_until:
            return
        try:
            async with asyncio.timeout(_LAST_SEC):
                await self._last_of_each(begun)
        except (TimeoutError, ExchangeError) as error:
            reason = str(error) or f"they did not come within {_LAST_SEC:g} s"
            logger.warning("{}: ended without a last snapshot of each book: {}", self._section.name, reason)

    async def _last_of_each(self, symbols: list[str]) -> None:
        client = self._client()
        try:
            each = (self._last_of(client, symbol) for symbol in symbols)
            found = await asyncio.gather(*each, return_exceptions=True)
        finally:
            await client.aclose()
        for error in found:
            if error is not None:
                raise error

    async def _last_of(self, client: BookClient, symbol: str) -> None:
        book = await client.book(symbol, self._levels)
        if self._take(symbol, book):
            # Only a book up to which all events came can be held against it.
            while (chain := self._session.chain(symbol)) and chain.last < book.id:
                await self._clock.sleep(_CATCH_UP_SEC)

    def _client(self) -> BookClient:
        """A new one each time: one that has met many failures in its life gives up for good."""
        return registry.book_client(self._section.name, self._section.rest_url)

    def _has_begun(self, symbol: str) -> bool:
        chain = self._session.chain(symbol)
        return chain is not None and chain.first >= 0

    def _look(self) -> None:
        """Take note of what is wanted now."""
        unanchored = self._session.unanchored
        for symbol in unanchored:
            wish = _Wish(self._fetched.get(symbol, -math.inf) + _APART_SEC)
            self._wishes.setdefault(symbol, wish).is_urgent = True
        unanchored.clear()
        day = day_of(self._clock.now_us())
        if day != self._day:
            self._day = day
            for symbol in filter(self._has_begun, self._session.symbols):
                self._wishes.setdefault(symbol, _Wish(is_urgent=False))
        for symbol in self._wishes.keys() - self._session.symbols.keys():
            del self._wishes[symbol]

    def _next(self) -> str | None:
        """Return the symbol whose turn it is."""
        now = self._clock.monotonic()
        if not self._wishes or now < self._quiet_until or self._is_full():
            return None
        due = [symbol for symbol, wish in self._wishes.items() if wish.before <= now]
        return min(due, key=lambda symbol: not self._wishes[symbol].is_urgent, default=None)

    async def _fetch_due(self, client: BookClient) -> None:
        is_known = len(self._wishes) <= _MANY
        while (symbol := self._next()) is not None:
            try:
                if not is_known:
                    # The answer tells how much may be asked.
                    await client.listed([symbol])
                    is_known = True
                self._came(symbol, await client.book(symbol, self._levels))
            except ExchangeError as error:
                self._failed(symbol, error)
            await self._clock.sleep(_SPREAD_SEC)
            self._look()

    def _came(self, symbol: str, book: Book) -> None:
        was_taken = self._take(symbol, book)
        if self._failures:
            logger.info("{}: snapshots of order books come again", self._section.name)
        self._failures = 0
        if was_taken:
            self._wishes.pop(symbol, None)
        else:
            self._wait_with(symbol)

    def _take(self, symbol: str, book: Book) -> bool:
        """Record a snapshot, unless it is of a time before the chain's beginning, and nothing leads on from it.

        Raises:
            ExchangeError: its id is of no time about now.
        """
        chain, state = self._session.chain(symbol), self._session.symbols.get(symbol)
        if chain is None or state is None:
            return True
        if book.id < chain.first - 1:
            return False
        if book.id > chain.last + _AHEAD:
            raise ExchangeError(f"depth of {symbol}: expected an id near {chain.last}, and found {book.id}")
        now = self._landing.watch.look()
        line = DepthSnapshotLine(symbol, None, now, None, book.id, book.bids, book.asks)
        self._landing.add_depth([line], now)
        state.anchored = now
        self._fetched[symbol] = self._clock.monotonic()
        return True

    def _failed(self, symbol: str, error: ExchangeError) -> None:
        """Try again later; that it failed is told once, until one comes again."""
        if not self._failures:
            logger.warning("{}; the recording goes on, and a snapshot of its book is asked for again", error)
        self._failures += 1
        wait = self._wait_with(symbol)
        if isinstance(error, LeftAloneError):
            wait = error.quiet_sec
        if isinstance(error, LeftAloneError | UnansweredError):
            self._quiet_until = self._clock.monotonic() + wait

    def _wait_with(self, symbol: str) -> float:
        """Let a symbol wait, the longer the more often it failed; for how long is returned."""
        wish = self._wishes.setdefault(symbol, _Wish())
        wait = min(_FIRST_WAIT_SEC * 2.0 ** min(wish.failures, 20), _LONGEST_WAIT_SEC)
        wish.failures += 1
        wish.before = self._clock.monotonic() + wait
        return wait
