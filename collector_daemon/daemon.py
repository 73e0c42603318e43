"""The daemon as a function: from a configuration to a lake that grows, until told to stop.

Order of the end, whatever its cause: stop reading, let what was received land, seal, say so in the journal and the
status, let go of the lake. One `LakeError` comes out where the work could not be done; never a group of errors.
"""

import asyncio
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import msgspec
from loguru import logger

from collector_daemon import startup
from collector_daemon.clock import Clock, SystemClock
from collector_daemon.connect.turns import AttemptLimit
from collector_daemon.follow import Follow
from collector_daemon.land import handles, recovery
from collector_daemon.recorder import Edges, Recorder
from collector_daemon.tell import metrics
from collector_daemon.tell.report import Reporter
from collector_daemon.universe import Universe
from collector_daemon.version import VERSION
from collector_daemon.waiting import unless
from crypto_lake.config import Config
from crypto_lake.errors import DiskFullError, LakeError
from crypto_lake.exchanges import registry
from crypto_lake.raw import journal
from crypto_lake.raw.collector_status import Status, StatusFile
from crypto_lake.share import Share

# Of thousands of symbols the status is a megabyte, which is not written each second. Who reads it waits for five.
_STATUS_SYMBOLS_A_SEC = 500
_SELDOMEST_STATUS_SEC = 3.0
_MINUTE_SEC = 60.0
_DISK_CHECK_SEC = 5.0


async def run(
    config: Config,
    *,
    clock: Clock | None = None,
    duration: float | None = None,
    stop: asyncio.Event | None = None,
    edges: Edges | None = None,
    follow: Follow | None = None,
) -> None:
    """Record until `stop` is set, or for `duration` seconds (of the monotonic clock).

    With `follow`, symbols that are added to the configuration file or taken from it are so while it runs.

    Installs no signal handlers and no log sinks, so it runs in any thread's event loop.

    Raises:
        LakeError: it could not start, or had to stop; everything received until then is sealed, or named in the log.
    """
    daemon = _Daemon(config, clock or SystemClock(), stop or asyncio.Event(), edges or Edges(), follow)
    with startup.holding(config.collector_layout):
        try:
            await daemon.run(duration)
        except LakeError as error:
            logger.bind(told=True).error("{}", error)
            raise


class _Daemon:
    def __init__(
        self, config: Config, clock: Clock, stop: asyncio.Event, edges: Edges, follow: Follow | None
    ) -> None:
        self._config = config
        self._clock = clock
        self._stop = stop
        self._edges = edges
        self._follow = follow
        self._failure: LakeError | None = None
        self._status = StatusFile(config.collector_layout.collector_status)
        self._status_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="status")
        share = Share.parse(config.collector.share) if config.collector.share else None
        self._universes = [
            Universe(config.collector_layout, section, clock, edges.look_sec, share)
            for section in config.exchanges
        ]
        self._symbols: list[list[str]] = []
        self._recorders: list[Recorder] = []
        self._reporter = Reporter([], 0)
        self._latest: Status | None = None
        edges.ending.unwritten = self.unwritten

    async def run(self, duration: float | None) -> None:
        """See the module's `run`; the lake is held."""
        try:
            await self._start()
            if self._stop.is_set():
                return
            with metrics.serving(self._config.collector.metrics_port, lambda: self._latest):
                recorders = self._recorders = self._made()
                try:
                    await self._record(recorders, duration)
                finally:
                    await self._end(recorders)
        finally:
            self._status_thread.shutdown()
        if self._failure:
            raise self._failure

    def unwritten(self) -> Counter[str]:
        """Return how many lines of each symbol were received and are not on disk yet."""
        return sum((recorder.writer.unwritten() for recorder in self._recorders), Counter())

    async def _start(self) -> None:
        """Seal what a collector before left open, whether the exchange is there or not; then look at what it lists."""
        try:
            startup.check_clock(self._clock.now_us())
            startup.check_disk(self._config, self._edges.free_bytes)
            for exchange in self._config.exchanges:
                now = self._clock.now_us()
                await asyncio.to_thread(recovery.recover, self._config.collector_layout, exchange.name, now)
            for universe in self._universes:
                self._symbols.append(await unless(self._stop, universe.start()) or [])
        except OSError as error:
            raise LakeError(f"{self._config.layout.base}: {error}") from None

    def _made(self) -> list[Recorder]:
        now = self._clock.now_us()
        recorders = [
            Recorder(
                self._config,
                msgspec.structs.replace(section, symbols=symbols),
                self._clock,
                self._edges,
                _attempts(section.name),
            )
            for section, symbols in zip(self._config.exchanges, self._symbols, strict=True)
        ]
        handles.allow(sum(recorder.segments for recorder in recorders))
        for recorder in recorders:
            recorder.landing.note(
                journal.Started(at=now, version=VERSION, pid=os.getpid(), symbols=recorder.exchange.symbols)
            )
        self._reporter = Reporter(recorders, now)
        return recorders

    async def _record(self, recorders: list[Recorder], duration: float | None) -> None:
        """Everything that runs side by side; ends when all feeds have ended."""
        try:
            async with asyncio.TaskGroup() as group:
                feeds = [group.create_task(recorder.listen(self._stop)) for recorder in recorders]
                others = [group.create_task(self._mind_disk()), group.create_task(self._tell())]
                others += [group.create_task(recorder.tick()) for recorder in recorders]
                others += [group.create_task(recorder.writer.run()) for recorder in recorders]
                others += [group.create_task(one.anchors.run()) for one in recorders if one.anchors]
                recorded = list(zip(self._universes, recorders, strict=True))
                others += [group.create_task(universe.run(recorder)) for universe, recorder in recorded]
                if self._follow:
                    others.append(group.create_task(self._follow.run(recorded, self._clock)))
                if duration is not None:
                    others.append(group.create_task(self._stop_after(duration)))
                await asyncio.wait(feeds)
                for task in others:
                    task.cancel()
        except* LakeError as errors:
            self._failure = self._failure or _first(errors)

    async def _end(self, recorders: list[Recorder]) -> None:
        reason = str(self._failure) if self._failure else "asked to stop"
        for recorder in recorders:
            try:
                await recorder.finish(reason)
            except LakeError as error:
                self._failure = self._failure or error
            finally:
                await recorder.writer.close()
        await self._write_status(str(self._failure) if self._failure else reason)
        if not self._failure:
            logger.info("stopped in good order")

    async def _stop_after(self, duration: float) -> None:
        await self._clock.sleep(duration)
        self._stop.set()

    async def _mind_disk(self) -> None:
        while True:
            await self._clock.sleep(_DISK_CHECK_SEC)
            try:
                startup.check_disk(self._config, self._edges.free_bytes)
            except DiskFullError as error:
                self._failure = error
                self._stop.set()
                return
            except OSError as error:
                logger.warning("free disk could not be measured: {}", error)

    async def _tell(self) -> None:
        next_minute = self._clock.monotonic() + _MINUTE_SEC
        while True:
            await self._write_status(None)
            symbols = sum(len(recorder.exchange.symbols) for recorder in self._recorders)
            await self._clock.sleep(min(max(symbols / _STATUS_SYMBOLS_A_SEC, 1.0), _SELDOMEST_STATUS_SEC))
            if self._clock.monotonic() >= next_minute:
                next_minute += _MINUTE_SEC
                self._reporter.minute()

    async def _write_status(self, reason: str | None) -> None:
        status = self._latest = self._reporter.status(self._clock.now_us(), reason)
        await asyncio.get_running_loop().run_in_executor(self._status_thread, self._status.write, status)


def _attempts(exchange: str) -> AttemptLimit:
    """Return the limit of attempts at one exchange, which counts an address's attempts at it, and no other's."""
    return AttemptLimit(registry.exchange(exchange).limits)


def _first(errors: BaseExceptionGroup[LakeError]) -> LakeError:
    """The first of a group's errors, however deep it lies."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, LakeError):
        raise TypeError(f"expected a LakeError, got {error!r}")
    return error
