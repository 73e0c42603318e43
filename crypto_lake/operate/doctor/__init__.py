"""`crypto-lake doctor`: look at this machine and at the exchange before an hour of market is lost to either.

Each module looks at one thing and yields a `Finding` for each question; none of them changes the lake. What has to be
written is written into a temporary folder and removed.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from loguru import logger

from crypto_lake import patterns
from crypto_lake.config import Config
from crypto_lake.operate.doctor import machine, recording, requests, streams
from crypto_lake.operate.doctor.finding import Finding
from crypto_lake.showing import some

__all__ = ["Finding", "examine"]


def examine(config: Config, path: Path, seconds: float) -> Iterator[Finding]:
    """Yield what is found, question by question; the last ones listen to the exchange for `seconds`.

    `path` is the file that `config` was read from. Nothing is left behind, whatever happens.
    """
    # The findings say what matters of a recording that is thrown away.
    logger.disable("collector_daemon")
    yield Finding.ok("configuration", f"{path}: {_contents(config)}")
    yield from machine.disk(config)
    yield from machine.ports(config)
    yield from machine.clock_steps()
    yield from machine.proxies()
    for exchange in config.exchanges:
        found = asyncio.run(requests.ask(config, exchange))
        yield from found.findings
        yield from asyncio.run(streams.reach(exchange, found.trading[:1]))
        if found.trading:
            yield from recording.compare(config, exchange, found, seconds)


def _contents(config: Config) -> str:
    return "; ".join(f"{_symbols(exchange.symbols)} of {exchange.name}" for exchange in config.exchanges)


def _symbols(words: list[str]) -> str:
    return f"symbols {some(words)}" if patterns.has_patterns(words) else f"{len(words)} symbols"
