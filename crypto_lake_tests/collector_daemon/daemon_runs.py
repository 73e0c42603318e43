"""A daemon that runs against a scripted exchange in the test's own process, and when it has gone far enough."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path

from websockets.asyncio.server import ServerConnection

from collector_daemon.daemon import run
from collector_daemon.recorder import Edges
from crypto_lake.config import Config
from crypto_lake.raw.collector_status import Status, read_status
from crypto_lake_tests.collector_daemon.fakes import (
    SYMBOLS,
    Exchange,
    MarketClock,
    Script,
    Swift,
    configured,
    says,
    until,
)

DAY = date(2025, 10, 20)


Then = Callable[[Config, asyncio.Event], Awaitable[None]]


def status_of(config: Config) -> Status | None:
    return read_status(config.layout.collector_status)


def record(
    base: Path,
    exchange: Exchange,
    then: Then,
    *,
    clock: MarketClock | None = None,
    edges: Edges | None = None,
    symbols: Sequence[str] = SYMBOLS,
    **collector: float,
) -> Config:
    """Run a daemon against an exchange until `then` is through; both end in good order."""

    async def together() -> Config:
        async with exchange.running():
            config = configured(base, exchange.port, symbols, **collector)
            stop = asyncio.Event()
            daemon = asyncio.create_task(run(config, clock=clock or MarketClock(), stop=stop, edges=edges))
            story = asyncio.ensure_future(then(config, stop))
            await asyncio.wait({daemon, story}, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            if story.done():
                story.result()
            story.cancel()
            await daemon
            return config

    return asyncio.run(together())


def until_landed(lines: int, symbol: str = "SOLUSDT") -> Then:
    """Wait until so many lines are on disk, sealed or not."""

    async def wait(config: Config, _stop: asyncio.Event) -> None:
        def count() -> int:
            files = config.layout.raw_symbol("binance", symbol).rglob("part_*.jsonl*")
            try:
                return sum(path.read_bytes().count(b"\n") for path in files)
            except (FileNotFoundError, PermissionError):
                return 0  # One is being sealed at this instant; Windows then refuses to open it.

        await until(lambda: count() >= lines, f"{lines} lines")

    return wait


def after_a_while(*frames: bytes, seconds: float = 0.6) -> Script:
    async def script(connection: ServerConnection) -> None:
        await asyncio.sleep(seconds)
        await says(*frames)(connection)

    return script


def forty_seconds(clock: Swift, so_far: Callable[[], bool] = lambda: True) -> Then:
    """Forty seconds by that clock, or as many more as a busy machine needs until something holds."""

    async def wait(_config: Config, _stop: asyncio.Event) -> None:
        await until(lambda: clock.seconds > 40 and so_far(), "forty seconds")

    return wait
