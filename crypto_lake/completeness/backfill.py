"""The exchange's own 1-minute candles of past days, one file a symbol and day, fetched with few requests at a time.

A finished day is fetched once and kept. A day that still ran when it was fetched says so in its footer
(`complete` false) and is fetched again. What does not add up is not written, waits for the next run, and keeps no
other symbol or day from being fetched.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

from loguru import logger

from crypto_lake import patterns, universe
from crypto_lake.completeness import candles, halts
from crypto_lake.completeness.interrupts import interruptible
from crypto_lake.completeness.silence import Silence
from crypto_lake.config import Config, Exchange
from crypto_lake.disk import parquet
from crypto_lake.errors import ExchangeError, LakeError, LeftAloneError, UnansweredError, UnreachableError
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.base import BulkClient, Candle, RestClient, Usage, holes
from crypto_lake.layout import DAY_US, MINUTE_US, day_of, day_start_us, iso
from crypto_lake.raw.intervals import union
from crypto_lake.series import Series

# The local clock may be ahead of the exchange's, whose last candles are then not there, or not closed yet. So a day is
# over once the exchange shows that its next one has begun, by a candle that opens so long after midnight, ...
_SHOWN_US = MINUTE_US
# ... for which it is asked so far beyond the day (few enough minutes to come with the day's last ones) ...
_BEYOND_US = 20 * MINUTE_US
# ... or, since an exchange may be halted after midnight, once it ended so long ago: no clock is ahead that much.
_SETTLED_US = DAY_US
# Somewhat more than a client sends at once, so that it has the next question while an answer is being looked at.
_WORKERS = 8
# So many answers are asked for that no day wants yet. Without a bound all candles of a run come to lie in memory, a
# megabyte for a symbol's day, where the exchange is faster than what writes the days.
_AHEAD = 32


@dataclass(frozen=True)
class Backfilled:
    """The result of a run for one symbol's day. `fetched` is False where the file was there and complete already.

    `missing` counts the minutes that the exchange itself has no candle for.
    """

    symbol: str
    day: date
    path: Path
    rows: int
    missing: int
    fetched: bool


class Day(NamedTuple):
    """A day that is done. `usage` is what was asked since the day before was done: requests span days."""

    day: date
    files: list[Backfilled]
    usage: Usage


def backfill_days(
    config: Config, days: Iterable[date], now_us: Callable[[], int], series: Sequence[Series] | None = None
) -> Iterator[Day]:
    """Make sure of the candles of symbols (None: all configured), over one set of connections, many requests at once.

    Yields each day, oldest first, when all its symbols are done; what was yielded stays done whatever comes after. A
    symbol's day that cannot be had, or written, does not keep the others from it, unless the exchange cannot be asked
    any more. A symbol that it answers nothing about is not asked about again.

    Raises:
        UnknownSymbolError: the exchange does not list a symbol that lacks days.
        LeftAloneError, UnreachableError: the exchange cannot be asked any more.
        ExchangeError, LakeError: as `backfill_day`, the first, when all was tried.
    """
    with asyncio.Runner() as runner:
        some = with_candles(config) if series is None else series
        work = _Backfill(config, some, sorted(set(days)), now_us())
        try:
            with interruptible():
                runner.run(work.start())
            for day in work.days:
                before = len(work.errors)
                with interruptible():
                    done = runner.run(work.finish(day))
                if len(work.errors) == before:
                    yield done
            logger.info("candles of {} days: {} requests of weight {}", len(work.days), *work.used)
            if work.errors:
                raise work.errors[0]
        finally:
            runner.run(work.aclose())


def finished_days(
    config: Config, days: Iterable[date], now_us: int, series: Sequence[Series] | None = None
) -> dict[date, list[Backfilled]]:
    """Those of the days of which all symbols (None: all configured) have their candles for good, and these."""
    some = with_candles(config) if series is None else series
    places = [_Place(config, one.exchange, one.symbol, now_us) for one in some]
    found: dict[date, list[Backfilled]] = {}
    for day in days:
        files = [place.finished(day) for place in places]
        if files and all(files):
            found[day] = [file for file in files if file]
    return found


def with_candles(config: Config) -> list[Series]:
    """The symbols that the configuration means, of exchanges that have candles at all.

    Raises:
        LakeError: nobody knows yet what a pattern means.
    """
    found = []
    for exchange in config.exchanges:
        if registry.exchange(exchange.name).capabilities.candles == "none":
            continue
        symbols = universe.meant(config.layout, exchange)
        if not symbols and patterns.has_patterns(exchange.symbols):
            raise LakeError(
                f"exchanges.symbols: what {', '.join(exchange.symbols)} means is not known here yet; expected a "
                "collector to have run on this lake"
            )
        found += [Series(config, exchange.name, symbol) for symbol in symbols]
    return found


async def backfill_day(
    client: RestClient, config: Config, exchange: str, symbol: str, day: date, now_us: int
) -> Backfilled:
    """Make sure that a symbol's candles of a day are there.

    Raises:
        ExchangeError: no usable answer, or one that contradicts itself; nothing has been written.
        LakeError: the disk refused.
    """
    here = _Place(config, exchange, symbol, now_us)
    if there := here.finished(day):
        return there
    return here.land(day, await client.candles_1m(symbol, day_start_us(day), here.until_us(day)))


@dataclass(frozen=True, eq=False)
class _Place:
    """The files of one symbol's days, as things stand at `now_us`."""

    config: Config
    exchange: str
    symbol: str
    now_us: int

    def end_us(self, day: date) -> int:
        """Return how far a day has come."""
        start = day_start_us(day)
        return max(start, min(start + DAY_US, self.now_us))

    def until_us(self, day: date) -> int:
        """Return up to where candles are asked for: beyond a day of which the exchange has to show that it is over.

        A minute that has not begun is not asked for, as long as the local clock is right to the minute: whatever an
        answer lacks would be asked for again.
        """
        end = self.end_us(day)
        if self._is_settled(day):
            return end
        return max(end, min(day_start_us(day) + DAY_US + _BEYOND_US, self.now_us - MINUTE_US))

    def _is_settled(self, day: date) -> bool:
        return self.now_us >= day_start_us(day) + DAY_US + _SETTLED_US

    def finished(self, day: date) -> Backfilled | None:
        """The day, if nothing needs to be asked about it any more."""
        path = self.config.layout.candles(self.exchange, self.symbol, day)
        if footer := candles.finished(path):
            return Backfilled(self.symbol, day, path, footer.rows, footer.missing, fetched=False)
        return None

    def land(self, day: date, found: list[Candle]) -> Backfilled:
        """Write a day's candles, but for the one that is still open, and enter its halts.

        `found` may hold others, of the same answers: these show whether the day is over.
        """
        start, end = day_start_us(day), self.end_us(day)
        path = self.config.layout.candles(self.exchange, self.symbol, day)
        newest = max((candle.open_time for candle in found), default=0)
        is_over = newest >= start + DAY_US + _SHOWN_US or self._is_settled(day)
        # Until then the newest one may still be open, whatever the local clock says.
        until = end if is_over else newest
        closed = [c for c in found if start <= c.open_time < until and c.close_time < end]
        if is_over and not closed:
            # Rather a mistake of the exchange than a halt, so it is asked again.
            logger.warning(
                "{} {}: the exchange has not one candle; the next run asks again", self.symbol, day
            )
            is_over = False
        missing = (end - start) // MINUTE_US - len(closed)
        footer = {"complete": is_over, "rows": len(closed), "missing": missing}
        table = candles.table(self.symbol, closed)
        parquet.write_table(table, path, self.config.transformer.parquet_compression, footer=footer)
        if is_over:
            lacking = holes(closed, start, end) if missing else []
            halts.enter(self.config.layout, self.exchange, self.symbol, day, lacking)
            for first, last in lacking:
                logger.warning(
                    "{} {}: the exchange has no candles from {} to {}",
                    self.symbol,
                    day,
                    iso(first),
                    iso(last),
                )
        logger.info("{} {}: {} candles fetched", self.symbol, day, len(closed))
        return Backfilled(self.symbol, day, path, len(closed), missing, fetched=True)


@dataclass
class _Chunk:
    """A stretch of one symbol's time that one question asks for, and the answer when it is there."""

    client: BulkClient
    place: _Place
    start_us: int
    end_us: int
    answer: "asyncio.Future[list[Candle]]" = field(default_factory=asyncio.Future)


class _Backfill:
    """Workers that fetch chunks in order of time, while finished days are written behind them."""

    def __init__(self, config: Config, series: Sequence[Series], days: list[date], now_us: int) -> None:
        self.days = days
        self._config = config
        self._places = [_Place(config, one.exchange, one.symbol, now_us) for one in series]
        self._clients = {exchange.name: _client(config, exchange) for exchange in config.exchanges}
        self._chunks: dict[_Place, list[_Chunk]] = {}
        self._workers: list[asyncio.Task[None]] = []
        # Up to where the day that is being finished wants answers, how many beyond it were asked for, and that either
        # has changed.
        self._wanted_us = 0
        self._ahead = 0
        self._changed = asyncio.Condition()
        self.used = Usage(0, 0)
        self.errors: list[LakeError] = []
        self._silence = Silence(len(self._places))

    async def start(self) -> None:
        """Find out what is lacking, whether the exchange knows the symbols, and begin to ask."""
        lacking = {place: [day for day in self.days if not place.finished(day)] for place in self._places}
        for exchange in self._config.exchanges:
            if any(days for place, days in lacking.items() if place.exchange == exchange.name):
                await self._check_listed(exchange)
        self._chunks = {place: self._cut(place, days) for place, days in lacking.items()}
        self._silence = Silence(sum(bool(chunks) for chunks in self._chunks.values()))
        waiting = deque(sorted(itertools.chain(*self._chunks.values()), key=lambda chunk: chunk.start_us))
        self._workers = [asyncio.create_task(self._fetch(waiting)) for _ in range(_WORKERS)]

    async def _check_listed(self, exchange: Exchange) -> None:
        """Ask about the symbols that are named: what a pattern means was listed when it was last looked.

        One is asked about in any case, since the answer tells how much more may be asked.
        """
        client = self._clients[exchange.name]
        here = [place.symbol for place in self._places if place.exchange == exchange.name]
        named = [name for name in patterns.chosen(exchange.symbols, exchange.exclude, ()) if name in here]
        if named:
            await registry.check_listed(client, exchange.name, named)
        else:
            await client.listed(here[:1])

    def _cut(self, place: _Place, days: list[date]) -> list[_Chunk]:
        """Days that follow each other, cut into what one request brings, whatever the days' borders.

        What shows that the last one is over belongs to the last request, whose answer has that day's last minutes: from
        another answer, which may have come later, it would say nothing of these.
        """
        client = self._clients[place.exchange]
        length = client.candles_at_once * MINUTE_US
        return [
            _Chunk(client, place, first, last)
            for start, end in union((day_start_us(day), place.end_us(day)) for day in days)
            for first, last in itertools.pairwise(
                [*range(start, end, length), place.until_us(day_of(end - 1))]
            )
        ]

    async def finish(self, day: date) -> Day:
        """Wait for a day's candles of each symbol, and write them; what could not be had, or written, is in `errors`.

        Raises:
            LeftAloneError, UnreachableError: the exchange cannot be asked any more.
        """
        chunks = [self._taken(place, day) for place in self._places]
        async with self._changed:
            self._wanted_us = day_start_us(day) + DAY_US
            self._changed.notify_all()
        tried = await asyncio.gather(
            *(self._try(*one, day) for one in zip(self._places, chunks, strict=True))
        )
        files = [file for file in tried if file]
        used = [client.usage for client in self._clients.values()]
        total = Usage(sum(one.requests for one in used), sum(one.weight for one in used))
        since = Usage(total.requests - self.used.requests, total.weight - self.used.weight)
        self.used = total
        return Day(day, files, since)

    def _taken(self, place: _Place, day: date) -> list[_Chunk]:
        """Return the chunks that a day has a part of, and forget those that no later day has."""
        start, end = day_start_us(day), place.end_us(day)
        chunks = self._chunks[place]
        self._chunks[place] = [chunk for chunk in chunks if chunk.end_us > end]
        self._ahead -= len(chunks) - len(self._chunks[place])
        return [chunk for chunk in chunks if chunk.start_us < end and start < chunk.end_us]

    async def _try(self, place: _Place, chunks: list[_Chunk], day: date) -> Backfilled | None:
        try:
            return await self._finish(place, chunks, day)
        except (LeftAloneError, UnreachableError):
            raise
        except LakeError as error:
            logger.error("{} {}: no candles: {}", place.symbol, day, error)
            self.errors.append(error)
        return None

    async def _finish(self, place: _Place, chunks: list[_Chunk], day: date) -> Backfilled:
        if there := place.finished(day):
            return there
        start, end = day_start_us(day), place.end_us(day)
        answers = [await self._of_day(chunk, start, end) for chunk in chunks]
        found = [candle for answer in answers for candle in answer]
        # In a thread, since the disk takes its time to say that a file is safe, and requests need not wait for it.
        return await asyncio.to_thread(place.land, day, found)

    async def _fetch(self, waiting: deque[_Chunk]) -> None:
        """Ask for one chunk after the other; what fails is told to whoever waits for it."""
        # Taken out, since each keeps its answer for as long as it is in a list.
        while waiting:
            await self._turn(chunk := waiting.popleft())
            try:
                found = await self._ask(chunk)
            except Exception as error:  # noqa: BLE001 - handed to whoever waits for the answer
                chunk.answer.set_exception(error)
                # Mark the exception as retrieved, or asyncio warns when nobody awaits it.
                chunk.answer.exception()
            else:
                chunk.answer.set_result(found)

    async def _turn(self, chunk: _Chunk) -> None:
        """Wait until the day that is being finished wants a chunk, or few others are ahead of what it wants.

        Chunks are taken in order of time, so that none which that day wants is behind one that waits.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: chunk.start_us < self._wanted_us or self._ahead < _AHEAD)
            self._ahead += 1

    async def _ask(self, chunk: _Chunk) -> list[Candle]:
        if silent := self._silence.of(chunk.place):
            raise UnansweredError(str(silent))
        try:
            found = await chunk.client.candles_1m(chunk.place.symbol, chunk.start_us, chunk.end_us)
        except UnansweredError as error:
            self._silence.note(chunk.place, error)
            raise UnansweredError(str(error)) from None
        self._silence.answered()
        return found

    async def _of_day(self, chunk: _Chunk, start_us: int, end_us: int) -> list[Candle]:
        """Return what a chunk has of a day. One refused may be so for the day beside it: then its own part is asked."""
        first, last = max(chunk.start_us, start_us), min(chunk.end_us, end_us)
        try:
            return await chunk.answer
        except (LeftAloneError, UnansweredError):
            raise
        except ExchangeError:
            if (first, last) == (chunk.start_us, chunk.end_us):
                raise
        return await self._ask(_Chunk(chunk.client, chunk.place, first, last))

    async def aclose(self) -> None:
        """Stop asking, and let go of the connections."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        for client in self._clients.values():
            await client.aclose()


def _client(config: Config, exchange: Exchange) -> BulkClient:
    return registry.candles_client(config, exchange.name, exchange.rest_url)
