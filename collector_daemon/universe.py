"""Which symbols of one exchange are recorded: what the configuration means of what the exchange lists, hour by hour.

New symbols are taken up and those that trade no more end in order, while all others go on. A list that cannot be had,
or believed, ends nothing. Each look leaves the day's table of instruments (`raw.instruments`).
"""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from loguru import logger

from collector_daemon import startup
from collector_daemon.clock import Clock
from collector_daemon.decide import listing
from collector_daemon.recorder import Recorder
from crypto_lake import patterns
from crypto_lake.config import Exchange
from crypto_lake.errors import ExchangeError, LeftAloneError, NoListError, UnknownSymbolError
from crypto_lake.exchanges import registry
from crypto_lake.layout import HOUR_US, Layout, day_of
from crypto_lake.raw import instruments, journal
from crypto_lake.raw.instruments import Table
from crypto_lake.share import Share
from crypto_lake.showing import printable, some

# After a look that failed; the client has asked several times by then.
_AGAIN_SEC = 300.0
_STEP_SEC = 1.0
# By an older table nothing is judged at a start: what traded weeks ago says little of today.
_OLDEST = timedelta(days=1)
_LONGEST_NAME = 40


class Universe:
    """See the module. `section` is the exchange's of the configuration; each `look_sec` its list is looked at.

    Of several collectors this one records its `share`, which may be nothing yet.
    """

    def __init__(
        self, layout: Layout, section: Exchange, clock: Clock, look_sec: float, share: Share | None = None
    ) -> None:
        self.section = section
        self._share = share
        self._layout = layout
        self._clock = clock
        self._look_sec = look_sec
        # What the last list that was believed says, which symbols were in it, and what the newest file holds.
        self._table: Table = {}
        self._listed: set[str] = set()
        self._written: tuple[date, Table] | None = None
        self._names_gone: set[str] = set()
        self._told: set[str] = set()
        self._looked_us: int | None = None
        self._next_look = 0.0
        self._not_before = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> list[str]:
        """Return the symbols to record from the start.

        Where the exchange's list cannot be had, patterns mean what the newest table says.

        Raises:
            ConfigError: it does not list one that is named, or nothing of what is meant, or has no list for a pattern.
            ExchangeError: no answer, and no table.
        """
        self._written = await asyncio.to_thread(instruments.newest, self._layout, self.section.name)
        self._table = self._written[1] if self._written else {}
        self._listed = {*self._table}
        try:
            wanted = await self.choose(self.section)
        except ExchangeError as error:
            wanted = self._meant(self.section)
            if not (self._written and patterns.has_patterns(self.section.symbols) and wanted):
                raise
            logger.warning("{}; recording what traded on {}", error, self._written[0])
        self._tell_unmatched()
        return self._mine(wanted)

    async def choose(self, section: Exchange) -> list[str]:
        """Ask the exchange which symbols a section of the configuration means, if it takes the list to know.

        Raises:
            ConfigError: it does not list one that is named, or nothing of what is meant, or has no list for a pattern.
            ExchangeError: no answer, or it wants to be left alone.
        """
        names = patterns.chosen(section.symbols, section.exclude, ())
        async with self._one_at_a_time:
            if patterns.has_patterns(section.symbols):
                await self._look()
                registry.check_among(self._listed, section.name, names)
            elif names:
                with self._heeding():
                    await startup.check_symbols(section, names)
            self._names_gone -= {*names}
        wanted = self._meant(section)
        if not wanted:
            words = ", ".join(section.symbols)
            raise UnknownSymbolError(
                f"{section.name}: exchanges.symbols ({words}) and exclude leave nothing that it trades"
            )
        return wanted

    async def take(self, section: Exchange, recorder: Recorder) -> None:
        """Record what a changed section means from now on; `choose` has asked about it."""
        async with self._one_at_a_time:
            if section == self.section:
                await self._follow(recorder)
                return
            self.section = section
            wanted = self._mine(self._meant(section))
            if wanted != recorder.exchange.symbols:
                await recorder.change(wanted)
                logger.info("{}: recording {} from now on", section.name, some(wanted))

    async def run(self, recorder: Recorder) -> None:
        """Look at the exchange's list each hour, and when a day begins, until cancelled."""
        while True:
            if self._is_due():
                try:
                    await self._look_again(recorder)
                except NoListError:
                    return
            await self._clock.sleep(min(_STEP_SEC, self._look_sec))

    def _is_due(self) -> bool:
        """Return whether it is time for a look: an hour of this machine, or of the lake, whose time may run fast."""
        now, looked = self._clock.now_us(), self._looked_us
        if self._clock.monotonic() < self._not_before:
            return False
        if looked is None or self._clock.monotonic() >= self._next_look:
            return True
        return abs(now - looked) >= HOUR_US or day_of(now) != day_of(looked)

    async def _look_again(self, recorder: Recorder) -> None:
        async with self._one_at_a_time:
            before = self._table
            try:
                await self._look()
            except ExchangeError as error:
                logger.warning("{}; what is recorded goes on, and the list is asked for again", error)
                return
            named = {word for word in self.section.symbols if not patterns.is_pattern(word)}
            # A name is recorded until it is seen to go: one that was in no list was asked about at the start.
            self._names_gone |= {name for name in named if name in before} - self._listed
            self._names_gone -= self._listed
            await self._follow(recorder)

    async def _look(self) -> None:
        """Ask for the list, and enter it in the day's table.

        Raises:
            NoListError: the exchange has none.
            ExchangeError: no answer.
        """
        self._looked_us = now = self._clock.now_us()
        self._next_look = self._clock.monotonic() + min(_AGAIN_SEC, self._look_sec)
        with self._heeding():
            listed: Table = await startup.listed(self.section)
        self._next_look = self._clock.monotonic() + self._look_sec
        is_old = self._is_old(day_of(now)) and instruments.trading(listed)
        if not (is_old or listing.is_plausible(self._table, listed)):
            logger.warning(
                "{} lists {} symbols that trade, of {} before: that is not believed, and ends no recording",
                self.section.name,
                len(instruments.trading(listed)),
                len(instruments.trading(self._table)),
            )
            self._table = listing.with_new(self._table, listed)
            self._listed |= {*listed}
            return
        self._listed = {*listed}
        await self._enter(listed, day_of(now))

    @contextlib.contextmanager
    def _heeding(self) -> Iterator[None]:
        """Let the exchange be asked unless it wants to be left alone, and remember that it does.

        Raises:
            LeftAloneError: it does, as it said now or before.
        """
        left_sec = self._not_before - self._clock.monotonic()
        if left_sec > 0:
            raise LeftAloneError(self.section.name, left_sec)
        try:
            yield
        except LeftAloneError as error:
            self._not_before = self._clock.monotonic() + error.quiet_sec
            raise

    def _is_old(self, day: date) -> bool:
        return self._written is not None and day - self._written[0] > _OLDEST

    async def _enter(self, listed: Table, day: date) -> None:
        of_day = self._written[1] if self._written and self._written[0] == day else {}
        self._table = instruments.entered(listed, day, self._table, of_day)
        if self._written == (day, self._table):
            return
        try:
            await asyncio.to_thread(instruments.write, self._layout, self.section.name, day, self._table)
        except OSError as error:
            logger.warning("{}: the table of instruments cannot be written: {}", self.section.name, error)
        else:
            self._written = day, self._table

    def _meant(self, section: Exchange) -> list[str]:
        words, exclude = section.symbols, section.exclude
        wanted = patterns.chosen(words, exclude, instruments.trading(self._table))
        return [symbol for symbol in wanted if symbol not in self._names_gone]

    def _mine(self, symbols: list[str]) -> list[str]:
        return [symbol for symbol in symbols if self._share is None or self._share.has(symbol)]

    async def _follow(self, recorder: Recorder) -> None:
        """Record what is meant now, and say what came and went."""
        self._tell_unfit()
        wanted, recorded = self._mine(self._meant(self.section)), recorder.exchange.symbols
        new, gone = _without(wanted, recorded), _without(recorded, wanted)
        if not (new or gone):
            return
        name, now = self.section.name, self._clock.now_us()
        if gone:
            recorder.landing.note(journal.Delisted(at=now, symbols=gone))
            told = [f"{symbol} ({self._status(symbol)})" for symbol in gone]
            logger.warning("{}: trading no more, and recorded no more: {}", name, some(told))
        await recorder.change(wanted)
        # Not those that the exchange refuses; they are asked for again at the next look.
        if taken := [symbol for symbol in new if symbol in {*recorder.exchange.symbols}]:
            recorder.landing.note(journal.Listed(at=now, symbols=taken))
            logger.info("{}: newly listed, and recorded from now on: {}", name, some(taken))

    def _status(self, symbol: str) -> str:
        one = self._table.get(symbol)
        return one.status if one and symbol in self._listed else "not listed"

    def _tell_unmatched(self) -> None:
        self._tell_unfit()
        trading = instruments.trading(self._table)
        for word in self.section.symbols:
            if patterns.is_pattern(word) and not patterns.matching(word, trading):
                logger.warning(
                    "{} trades nothing that matches {}; see exchanges.symbols", self.section.name, word
                )

    def _tell_unfit(self) -> None:
        """Say once which symbols are left out for their names."""
        if not patterns.has_patterns(self.section.symbols):
            return
        words, exclude = self.section.symbols, self.section.exclude
        unfit = patterns.unfit(words, exclude, instruments.trading(self._table)) - self._told
        if unfit:
            self._told |= unfit
            told = [printable(name, _LONGEST_NAME) for name in sorted(unfit)]
            logger.warning("{}: not recorded, since no folder is named so: {}", self.section.name, some(told))


def _without(symbols: Sequence[str], others: Sequence[str]) -> list[str]:
    left_out = {*others}
    return [symbol for symbol in symbols if symbol not in left_out]
