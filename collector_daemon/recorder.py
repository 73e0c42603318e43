"""One exchange's recorder: session, landing, writer and feeds put together, and ended in order."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import random as system_random

import msgspec
from loguru import logger

from collector_daemon.anchors import Anchors
from collector_daemon.clock import Clock
from collector_daemon.connect.endpoints import Endpoints
from collector_daemon.connect.feed import Feed
from collector_daemon.connect.intake import Intake
from collector_daemon.connect.stream_group import StreamGroup, grouped
from collector_daemon.connect.turns import AttemptLimit
from collector_daemon.decide.listening import Listening
from collector_daemon.decide.session import Session
from collector_daemon.ending import Ending
from collector_daemon.land import depth_recovery
from collector_daemon.land.disk import CreateSegment, Disk
from collector_daemon.land.landing import Landing
from collector_daemon.land.rotation import rotation
from collector_daemon.land.writer import BUDGET_BYTES, Writer
from crypto_lake.config import Config, Exchange
from crypto_lake.exchanges import registry
from crypto_lake.raw import journal
from crypto_lake.raw.lines import DEPTH
from crypto_lake.raw.segments import OpenSegment
from crypto_lake.showing import without_secrets

_TICK_SEC = 0.2


def free_bytes(folder: Path) -> int:
    """Return how much free disk there is for a folder."""
    return shutil.disk_usage(folder).free


@dataclass(frozen=True)
class Edges:
    """The edges at which the daemon touches the world, besides clock and network: what a test may replace.

    `create_segment` opens a segment; `free_bytes` measures a disk; `random` gives numbers in [0, 1); `budget` is how
    many bytes may wait for the disk; `ending` ends the process for who does not wait for the disk. What the exchange
    lists is looked at each `look_sec`.
    """

    create_segment: CreateSegment = OpenSegment.create
    free_bytes: Callable[[Path], int] = free_bytes
    random: Callable[[], float] = system_random
    budget: int = BUDGET_BYTES
    ending: Ending = field(default_factory=Ending)
    look_sec: float = 3600.0


class Recorder:
    """See the module. `exchange` is its section of the configuration; the parts are public for the status.

    `anchors` are the snapshots of order books, None where no book is recorded.
    """

    def __init__(
        self, config: Config, exchange: Exchange, clock: Clock, edges: Edges, limit: AttemptLimit
    ) -> None:
        settings = config.collector
        known = registry.exchange(exchange.name).recording(exchange.streams)
        self.exchange = exchange
        self._clock = clock
        asked = exchange.wss_url, *exchange.fallback_wss_urls, exchange.rest_url

        def quoted(text: str) -> str:
            return without_secrets(text, *asked)

        self.session = Session(known.wire, exchange.symbols, known.streams, quoted)
        self.landing = Landing(rotation(settings), clock, self.session.clock_was_set)
        self.disk = Disk(config.collector_layout, exchange.name, edges.create_segment)
        self.writer = Writer(self.landing, self.disk, clock, settings.flush_interval_sec, edges.budget)
        self.intake = Intake(
            name=exchange.name,
            settings=settings,
            exchange=known,
            session=self.session,
            landing=self.landing,
            writer=self.writer,
            clock=clock,
            random=edges.random,
            limit=limit,
        )
        self.anchors: Anchors | None = None
        if DEPTH.name in exchange.streams:
            levels, writer = settings.depth_snapshot_levels, self.writer
            self.anchors = Anchors(exchange, levels, self.session, self.landing, clock, lambda: writer.full)
        self._go_on(exchange.symbols)
        self._group: asyncio.TaskGroup | None = None
        self._stop = asyncio.Event()
        self._feeds: dict[StreamGroup, list[asyncio.Task[None]]] = {}
        for some in grouped(exchange.symbols, known):
            stream_group = StreamGroup(some, known, self.session, clock)
            self._feeds[stream_group] = []
            self.landing.expect(stream_group.symbols, stream_group.listening)

    @property
    def segments(self) -> int:
        """Return how many segments are open at a time: of each symbol one of ticks, and one of its book."""
        families = {stream.family for stream in self.intake.exchange.streams}
        return len(self.exchange.symbols) * len(families)

    @property
    def stream_groups(self) -> list[StreamGroup]:
        """The groups of symbols that travel over the same connections."""
        return list(self._feeds)

    @property
    def connected_since(self) -> int | None:
        """Since when somebody has listened to every symbol, µs UTC; None while nobody does."""
        since = [stream_group.connected_since for stream_group in self.stream_groups]
        known_since = [at for at in since if at is not None]
        return max(known_since, default=None) if len(known_since) == len(since) else None

    @property
    def live(self) -> int:
        """Return how many connections are subscribed."""
        return sum(stream_group.live for stream_group in self.stream_groups)

    @property
    def last_frame(self) -> int | None:
        """Return when the newest frame came, µs UTC; None before the first."""
        return max((stream_group.listening.last for stream_group in self.stream_groups), default=0) or None

    async def listen(self, stop: asyncio.Event) -> None:
        """Keep all connections until `stop` is set.

        Raises:
            ExceptionGroup: of `ExchangeError`: it could not be reached at all, or refuses what is asked.
        """
        async with asyncio.TaskGroup() as group:
            if self.anchors:
                stop = self._after_the_last(self.anchors, stop, group)
            self._group, self._stop = group, stop
            # It goes on without a single symbol: others may come.
            group.create_task(stop.wait())
            for stream_group in self.stream_groups:
                self._start_feeds(stream_group)

    def _after_the_last(
        self, anchors: Anchors, stop: asyncio.Event, group: asyncio.TaskGroup
    ) -> asyncio.Event:
        """Return an event that is set after `stop` is, once each book had the time for a last snapshot."""
        done = asyncio.Event()

        async def wait() -> None:
            await stop.wait()
            try:
                if self.live:
                    await anchors.last()
            finally:
                done.set()

        group.create_task(wait())
        return done

    def _go_on(self, symbols: Sequence[str]) -> None:
        """Let the chains of depth events go on from where the recording before ended."""
        for symbol in symbols if self.anchors else ():
            last = depth_recovery.last_id(self.disk.layout, self.exchange.name, symbol)
            if last is not None and (chain := self.session.chain(symbol)):
                chain.go_on_from(last)

    async def change(self, symbols: Sequence[str]) -> None:
        """Record these symbols from now on, without a break for those that stay."""
        before, after = {*self.exchange.symbols}, {*symbols}
        gone = [symbol for symbol in self.exchange.symbols if symbol not in after]
        self.exchange = msgspec.structs.replace(self.exchange, symbols=list(symbols))
        if gone:
            await self._remove(gone)
        if new := [symbol for symbol in symbols if symbol not in before]:
            await self._add(new)

    async def _add(self, symbols: list[str]) -> None:
        self.landing.expect(symbols, Listening())
        self.session.expect(symbols)
        self._go_on(symbols)
        for stream_group in self.stream_groups:
            some, symbols = symbols[: stream_group.room()], symbols[stream_group.room() :]
            if carried := await self._carried(stream_group, some):
                self.landing.expect_with(carried, stream_group.listening)
        for some in grouped(symbols, self.intake.exchange):
            stream_group = StreamGroup(some, self.intake.exchange, self.session, self._clock)
            # It is known that there is an exchange: connections that are begun later and fail do not end the others.
            stream_group.succeeded.set()
            self._feeds[stream_group] = []
            self.landing.expect_with(some, stream_group.listening)
            self._start_feeds(stream_group)

    async def _carried(self, stream_group: StreamGroup, symbols: list[str]) -> list[str]:
        """Ask a group's connections for symbols as well; those that the exchange refuses are left out, and told."""
        refused = await stream_group.change(symbols, [])
        if refused is None:
            return symbols
        if len(symbols) > 1:
            # One of them may be to blame.
            half = len(symbols) // 2
            carried = await self._carried(stream_group, symbols[:half])
            return carried + await self._carried(stream_group, symbols[half:])
        name, (symbol,) = self.exchange.name, symbols
        logger.warning(
            "{}: {} is left out, since the exchange refuses its streams: {}", name, symbol, refused
        )
        rest = [one for one in self.exchange.symbols if one != symbol]
        self.exchange = msgspec.structs.replace(self.exchange, symbols=rest)
        self._forget(symbols)
        return []

    async def _remove(self, symbols: list[str]) -> None:
        for stream_group in self.stream_groups:
            await stream_group.change([], [symbol for symbol in symbols if symbol in stream_group.symbols])
            if not stream_group.symbols:
                for task in self._feeds.pop(stream_group):
                    task.cancel()
        self._forget(symbols)

    def _forget(self, symbols: list[str]) -> None:
        self.session.forget(symbols, self._clock.now_us())
        self.intake.pass_on()
        self.landing.forget(symbols)

    def _start_feeds(self, stream_group: StreamGroup) -> None:
        if self._group is None or self._stop.is_set():
            return
        urls = [
            self.intake.exchange.wire.url(url)
            for url in (self.exchange.wss_url, *self.exchange.fallback_wss_urls)
        ]
        for place in range(self.intake.settings.connections):
            feed = Feed(self.intake, stream_group, Endpoints(urls), place)
            self._feeds[stream_group].append(self._group.create_task(feed.run(self._stop)))

    async def tick(self) -> None:
        """Let time pass, until cancelled: windows end and silence is noticed although no frame comes."""
        while True:
            await self._clock.sleep(_TICK_SEC)
            self.landing.tick()
            self.session.tick(self._clock.now_us(), self._clock.monotonic())
            self.intake.pass_on()

    async def finish(self, reason: str) -> None:
        """After the last frame: seal everything, and say so in the journal.

        Raises:
            LakeError: the disk refused for good; what did not land is in the log.
        """
        self.session.finish(self._clock.now_us())
        self.intake.pass_on()
        self.landing.close()
        stopped = journal.Stopped(at=self._clock.now_us(), reason=reason)
        # First: recovery takes the record's word for it that nothing is left to look at.
        await self.writer.flush()
        self.landing.note(stopped)
        await self.writer.flush()
