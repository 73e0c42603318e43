"""Healing where past trades are asked for by time: all trades of each stretch that nobody listened to.

No id can prove that an answer is whole up to where it says. But one that lacks a trade that was received is not
believed, and more than the stretch is asked for, so that there are such trades. A stretch counts as healed as far as
its trades have landed (`raw/asked.py`), so a killed run goes on from there.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb
from loguru import logger

from crypto_lake.completeness import holes
from crypto_lake.completeness.healed import Healed, land
from crypto_lake.errors import ExchangeError, RawDataError
from crypto_lake.exchanges.base import Page, TimedTrades
from crypto_lake.layout import SECOND_US, day_of
from crypto_lake.raw import asked
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import TRADE
from crypto_lake.raw.sources import lines_of
from crypto_lake.series import Series

# Where a stretch begins and ends is known as well as the clock's offset: what lies beside it is asked for as well.
_BESIDE_US = SECOND_US
# Requests may tell times in milliseconds where streams tell microseconds.
_ROUNDED_US = 1_000


@dataclass
class TimeHealer:
    """One symbol's day while it is healed; `done` is what came of it so far."""

    client: TimedTrades
    connection: duckdb.DuckDBPyConnection
    series: Series
    now_us: Callable[[], int]
    done: Healed

    async def heal(self, stretches: Sequence[Interval]) -> None:
        """Fetch and land what the exchange has of stretches that nobody listened to.

        Raises:
            ExchangeError: no usable answer, or one that is not true; what was checked before has landed.
            OSError: the disk refused.
        """
        for stretch in stretches:
            if not self.done.too_many:
                await self._fetch(stretch)
        if stretches:
            logger.info(
                "{} {}: {} trades fetched of {} stretches that nobody listened to, {} requests",
                self.done.symbol,
                self.done.day,
                self.done.fetched,
                len(stretches),
                self.done.requests,
            )

    async def _fetch(self, stretch: Interval) -> None:
        series, day = self.series, self.done.day
        limit = series.config.heal.max_trades
        at, stop = stretch[0] - _BESIDE_US, stretch[1] + _BESIDE_US
        there = self._received(at, stop)
        while at < stop:
            page = await self._page(at, stop)
            self._must_have(page, there, at)
            new = {line.id: line for line in page.lines if line.id not in there}
            self.done.missing += len(new)
            if self.done.missing > limit:
                self.done.too_many = True
                logger.warning(
                    "{} {}: more trades are missing than heal.max_trades ({}): no more fetched",
                    self.done.symbol,
                    day,
                    limit,
                )
                return
            land(series, [line for line in new.values() if self._is_wanted(line.ts_event)], self.done)
            at = page.until_us
            if at > stretch[0]:
                healed = stretch[0], min(at, stretch[1])
                asked.enter(series.layout, series.exchange, series.symbol, day, healed)

    def _is_wanted(self, us: int) -> bool:
        """Return whether a trade is of this day, or of one whose raw files are there: alone it would spoil its bars."""
        day = day_of(us)
        return day == self.done.day or not holes.is_pruned(self.series, day)

    def _must_have(self, page: Page, there: dict[int, int], start: int) -> None:
        """Raise where an answer of trades from `start` on lacks one that was received."""
        told = {line.id for line in page.lines}
        for number, us in there.items():
            if start + _ROUNDED_US <= us < page.until_us - _ROUNDED_US and number not in told:
                raise ExchangeError(
                    f"{self.done.symbol}: an answer of trades from {start} to {page.until_us} lacks trade {number} at "
                    f"{us}, which was received; expected all"
                )

    def _received(self, start: int, stop: int) -> dict[int, int]:
        """The trades of [start, stop) that are there: when each happened, by id."""
        sources = Recording(self.connection, self.series).around(self.done.day).between(start, stop)
        query = f"""SELECT id, ts_event FROM {lines_of(sources)}
                    WHERE stream = '{TRADE.name}' AND ts_event >= {start} AND ts_event < {stop}"""
        try:
            return dict(self.connection.execute(query).fetchall())
        except duckdb.Error as error:
            raise RawDataError(
                f"{self.done.symbol} {self.done.day}: {' '.join(str(error).split())}"
            ) from None

    async def _page(self, start: int, stop: int) -> Page:
        """One answer, whose trades happened when they were asked for, in order of time.

        Before the first one the exchange is asked for the symbol, and thereby says how much it may be asked.

        Raises:
            ExchangeError: they did not, or the answer does not go on.
        """
        symbol = self.done.symbol
        if not self.done.requests and not await self.client.listed([symbol]):
            raise ExchangeError(f"{symbol}: not listed by the exchange any more")
        self.done.requests += 1
        page = await self.client.trades_between(symbol, start, stop, self.now_us())
        if not start < page.until_us <= stop:
            raise ExchangeError(
                f"{symbol}: an answer of trades from {start} on goes to {page.until_us}; expected later, and "
                f"{stop} at most"
            )
        before = start
        for line in page.lines:
            if line.symbol != symbol or not before <= line.ts_event < page.until_us:
                raise ExchangeError(
                    f"{symbol}: trade {line.id} of the answer happened at {line.ts_event}; expected one of "
                    f"{symbol} in [{before}, {page.until_us}), in order of time"
                )
            before = line.ts_event
        return page
