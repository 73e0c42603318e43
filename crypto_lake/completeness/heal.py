"""Healing: exactly the trades that are missing are fetched, and landed as `heal_NNNN.jsonl` beside what was received.

A trade lands in the folder of the day it happened on. Every batch is checked before it lands and is a file of its own,
so what a killed run has landed stays, and the next one goes on from there. What the exchange does not have, or what is
more than `heal.max_trades`, is reported; a hole that it refuses, or answers with what cannot be true, waits for the
next run and keeps no other from being healed. A symbol of which two holes in a row are left without any answer is not
asked about again; two such symbols in a row are the exchange, and end the run. Bars and daily files follow by their
fingerprints.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any, NamedTuple, Self, cast

import duckdb
from loguru import logger

from crypto_lake.completeness import holes, unheard
from crypto_lake.completeness.heal_by_time import TimeHealer
from crypto_lake.completeness.healed import Healed, land
from crypto_lake.completeness.holes import Hole
from crypto_lake.completeness.interrupts import interruptible
from crypto_lake.completeness.silence import Silence
from crypto_lake.disk import locks
from crypto_lake.errors import (
    ExchangeError,
    LakeError,
    LeftAloneError,
    UnansweredError,
    UnreachableError,
)
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.base import Client, IdTrades, RestClient, TimedTrades
from crypto_lake.layout import DAY_US, day_of, day_start_us
from crypto_lake.raw import segments
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import TradeLine
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake.transform.bars import PartlyBuiltError
from crypto_lake.transform.every import of_every_symbol

Clock = Callable[[], int]
_BATCH = 10_000
# An answer brings a thousand trades. Fewer than this an answer, on average, is a trickle.
_FEWEST_AN_ANSWER = 100
_FREE_ANSWERS = 10
# A hole of more trades than these that reaches into another day is cut at midnight, which costs some 50 requests.
_FETCHED_WHOLE = 10_000


class Lack(NamedTuple):
    """The missing parts of a symbol's day: `holes` in its ids; where ids do not tell, `stretches` nobody listened to.

    `next_file` is the number that the day's next healed file would have had when that was looked for.
    """

    holes: list[Hole]
    stretches: list[Interval]
    next_file: int

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> Self:
        """Find what is missing, by the bars as they are.

        Raises:
            RawDataError: a raw file or a journal holds something else.
        """
        # Before the holes: what lands meanwhile is then noticed.
        next_file = _next_file(series, day)
        found = holes.find(connection, series, day, now_us)
        return cls(found, unheard.find(connection, series, day, now_us), next_file)

    @property
    def is_none(self) -> bool:
        """Return whether nothing is missing."""
        return not self.holes and not self.stretches


def _next_file(series: Series, day: date) -> int:
    return segments.next_number(series.layout.raw_day(series.exchange, series.symbol, day), "heal")


# By exchange, symbol and day; days that lack nothing are not there.
Found = dict[tuple[str, str, date], Lack]


@dataclass
class Round:
    """A round of healing that somebody waits for: what he found missing, and what came of healing it.

    Without `found` each day is looked at when its turn comes.
    """

    found: Found | None = None
    healed: list[Healed] = field(default_factory=list)


def heal_days(
    connection: duckdb.DuckDBPyConnection,
    series: Sequence[Series],
    days: Iterable[date],
    now_us: Clock,
    found: Found | None = None,
) -> Iterator[tuple[date, list[Healed]]]:
    """Fetch what is missing of some series, day by day, over one set of connections.

    With `found` this alone, as bars that are in line show it. Yields each day when it is done; what was
    yielded stays done whatever comes after. A symbol or a day that cannot be healed does not keep the others from it,
    unless the exchange cannot be asked any more.

    Raises:
        ExchangeError, LakeError: as `heal_day`, the first, when all was tried.
    """
    errors: list[LakeError] = []
    endings = (LeftAloneError, UnreachableError)
    silence = Silence(len(series))
    with asyncio.Runner() as runner, _clients(runner, series) as clients:

        def healed(day: date, one: Series) -> Healed | None:
            known = None if found is None else found.get((one.exchange, one.symbol, day))
            if found is not None and known is None:
                return None
            healing = heal_day(clients[one.exchange], connection, one, day, now_us, known)
            return _answered(runner, healing, one, silence)

        for day in days:
            try:
                done = of_every_symbol(series, day, partial(healed, day), "not healed: ", endings)
            except endings:
                raise
            except LakeError as error:
                errors.append(error)
            else:
                yield day, done
        if errors:
            raise errors[0]


@contextlib.contextmanager
def _clients(runner: asyncio.Runner, series: Iterable[Series]) -> Iterator[dict[str, Client]]:
    """Give the clients of the exchanges of some series, by name, and close them in the end."""
    sources = {one.exchange: one.source for one in series}
    clients = {name: registry.rest_client(name, source.rest_url) for name, source in sources.items()}
    try:
        yield clients
    finally:
        for client in clients.values():
            runner.run(client.aclose())


def _answered(
    runner: asyncio.Runner, healing: Coroutine[Any, Any, Healed], series: Series, silence: Silence
) -> Healed:
    """Heal one symbol's day, unless the exchange has left the symbol without answers before.

    Raises:
        UnansweredError: it does.
        UnreachableError: it is the exchange that does not answer.
    """
    if silent := silence.of(series.symbol):
        healing.close()
        raise silent
    try:
        with interruptible():
            healed = runner.run(healing)
    except UnreachableError as error:
        silence.note(series.symbol, error)
        raise UnansweredError(str(error)) from None
    if healed.requests:
        silence.answered()
    return healed


async def heal_day(
    client: RestClient,
    connection: duckdb.DuckDBPyConnection,
    series: Series,
    day: date,
    now_us: Clock,
    found: Lack | None = None,
) -> Healed:
    """Fetch and land what is missing of a symbol's day: what was `found`, else what is found now.

    For the latter its bars are brought in line before, and not after.

    Raises:
        ExchangeError: no usable answer about a hole, or one that is not true; the others' trades have landed.
        LeftAloneError, UnreachableError: the exchange cannot be asked any more; what was checked before has landed.
        LakeError: the disk refused, a raw file cannot be read, or another run has been at it for minutes.
    """
    with locks.hold(series.layout.heal_lock(series.exchange, series.symbol)):
        past = registry.exchange(series.exchange).capabilities.past_trades
        done = Healed(series.symbol, day)
        if past is None:
            return done
        # Healed since it was found missing, by another run or with a hole of the day before, it may be there.
        if found is None or found.next_file != _next_file(series, day):
            _bring_in_line(connection, series, day, now_us())
            found = Lack.of(connection, series, day, now_us())
        try:
            # Which of the two a client is, the exchange's capabilities say.
            if past.by == "time":
                healer = TimeHealer(cast("TimedTrades", client), connection, series, now_us, done)
                await healer.heal(found.stretches)
            else:
                id_healer = _Healer(cast("IdTrades", client), past.at_once, series, now_us, done)
                await id_healer.heal(found.holes)
        except OSError as error:
            raise LakeError(f"{series.symbol} {day}: healed trades cannot be written: {error}") from None
        return done


def _bring_in_line(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> None:
    """The day's bars, and those of the recorded days before and after it, which its holes may reach to."""
    days = segments.days(series.layout, series.exchange, series.symbol)
    for near in [*[d for d in days if d < day][-1:], day, *[d for d in days if d > day][:1]]:
        # What a damaged file lost, which is logged, is there to be fetched.
        with contextlib.suppress(PartlyBuiltError):
            bars.build_day(connection, series, near, now_us)


@dataclass
class _Healer:
    """One symbol's day while it is healed. `waiting` are checked lines that have not landed yet."""

    client: IdTrades
    at_once: int
    series: Series
    now_us: Clock
    done: Healed
    waiting: list[TradeLine] = field(default_factory=list)
    pruned: dict[date, bool] = field(default_factory=dict)
    errors: list[ExchangeError] = field(default_factory=list)

    async def heal(self, found: list[Hole]) -> None:
        clipped: list[Hole] = []
        for hole in found:
            async with self._apart(hole):
                clipped.append(await self._of_the_day(hole))
        await self._heal(clipped)
        if self.errors:
            raise self.errors[0]

    @contextlib.asynccontextmanager
    async def _apart(self, hole: Hole) -> AsyncIterator[None]:
        """Put off what goes wrong with one hole until the others are healed, if the exchange still answers at all."""
        try:
            yield
        except (LeftAloneError, UnreachableError):
            raise
        except ExchangeError as error:
            where = f"{self.done.symbol} {self.done.day}: trades {hole.first_id} to {hole.last_id}"
            logger.error("{}: not healed: {}", where, error)
            self.errors.append(error)
            if isinstance(error, UnansweredError):
                await self._list()

    async def _list(self) -> bool:
        """Return whether the exchange lists the symbol.

        Raises:
            UnreachableError: it does not even answer this.
        """
        try:
            return bool(await self.client.listed([self.done.symbol]))
        except UnansweredError as error:
            raise UnreachableError(str(error)) from None

    async def _heal(self, clipped: list[Hole]) -> None:
        limit = self.series.config.heal.max_trades
        self.done.missing = sum(hole.size for hole in clipped)
        if self.done.missing > limit:
            self.done.too_many = True
            logger.warning(
                "{} {}: {} trades are missing, more than heal.max_trades ({}): none fetched",
                self.done.symbol,
                self.done.day,
                self.done.missing,
                limit,
            )
            return
        try:
            for hole in clipped:
                async with self._apart(hole):
                    await self._fetch(hole)
        finally:
            self._land()
        self._tell()

    def _tell(self) -> None:
        done = self.done
        if done.missing:
            logger.info(
                "{} {}: {} of {} missing trades fetched, {} requests",
                done.symbol,
                done.day,
                done.fetched,
                done.missing,
                done.requests,
            )
        if done.withheld:
            logger.warning(
                "{} {}: {} missing trades were not returned by the exchange",
                done.symbol,
                done.day,
                done.withheld,
            )

    async def _of_the_day(self, hole: Hole) -> Hole:
        """The part of a large hole that the day lacks, and the trades next to it, which prove that there is no more."""
        start = day_start_us(self.done.day)
        end = start + DAY_US
        if hole.size <= _FETCHED_WHOLE or (hole.after_us >= start and hole.before_us <= end):
            return hole
        first = await self._first_since(start, hole) if hole.after_us < start else hole.first_id
        after = await self._first_since(end, hole) if hole.before_us > end else hole.last_id + 1
        return Hole(max(first - 1, hole.first_id), min(after, hole.last_id), hole.after_us, hole.before_us)

    async def _first_since(self, instant: int, hole: Hole) -> int:
        """The first id of a hole whose trade is not before an instant; one above the hole's last if all are."""
        low, high = hole.first_id, hole.last_id + 1
        while low < high:
            middle = (low + high) // 2
            page = await self._page(middle, 1, hole)
            if not page:
                raise ExchangeError(f"{self.done.symbol}: the exchange does not return trade {middle}")
            low, high = (middle + 1, high) if page[0].ts_event < instant else (low, middle)
        return low

    async def _fetch(self, hole: Hole) -> None:
        wanted, page_count = hole.first_id, 0
        before, most = self.done.requests, hole.size // _FEWEST_AN_ANSWER + _FREE_ANSWERS
        while wanted <= hole.last_id:
            if self.done.requests - before == most:
                raise ExchangeError(
                    f"{self.done.symbol}: {most} answers brought {page_count} of {hole.size} missing trades"
                )
            page = await self._page(wanted, min(self.at_once, hole.last_id + 1 - wanted), hole)
            if not page:
                break
            page_count += len(page)
            self.waiting += [line for line in page if not self._is_pruned(day_of(line.ts_event))]
            wanted = page[-1].id + 1
            if len(self.waiting) >= _BATCH:
                self._land()
        self.done.withheld += hole.size - page_count

    async def _page(self, first_id: int, count: int, hole: Hole) -> list[TradeLine]:
        """One answer, whose trades must have happened when the trades around the hole allow.

        Before the first one the exchange is asked for the symbol, and thereby says how much it may be asked.

        Raises:
            ExchangeError: they did not, so they are not those that are missing.
        """
        if not self.done.requests and not await self._list():
            raise ExchangeError(f"{self.done.symbol}: not listed by the exchange any more")
        self.done.requests += 1
        page = await self.client.trades_from(self.done.symbol, first_id, count, self.now_us())
        for line in page:
            if not hole.after_us <= line.ts_event < hole.before_us:
                raise ExchangeError(
                    f"{self.done.symbol}: trade {line.id} of the answer happened at {line.ts_event}; expected "
                    f"a time in [{hole.after_us}, {hole.before_us}), between the trades around it"
                )
        return page

    def _is_pruned(self, day: date) -> bool:
        if day not in self.pruned:
            self.pruned[day] = holes.is_pruned(self.series, day)
        return self.pruned[day]

    def _land(self) -> None:
        lines, self.waiting = self.waiting, []
        land(self.series, lines, self.done)
