"""Follow the configuration file while the daemon runs: symbols come and go, all else waits for the next start."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
from loguru import logger

from collector_daemon import startup
from collector_daemon.clock import Clock
from collector_daemon.recorder import Recorder
from collector_daemon.reload import ConfigFile
from collector_daemon.waiting import unless
from crypto_lake.config import Config
from crypto_lake.errors import LakeError

_LOOK_SEC = 2.0


class Follow:
    """See the module. `hurry` asks for a look at the file at once, whether it has changed or not."""

    def __init__(self, path: Path, config: Config, hurry: asyncio.Event) -> None:
        self._file = ConfigFile(path)
        self._config = config
        self._hurry = hurry

    async def run(self, recorders: Sequence[Recorder], clock: Clock) -> None:
        """Look at the file every two seconds, until cancelled."""
        while True:
            await unless(self._hurry, clock.sleep(_LOOK_SEC))
            config = self._file.changed(again=self._hurry.is_set())
            self._hurry.clear()
            if config:
                await self._take(config, recorders)

    async def _take(self, config: Config, recorders: Sequence[Recorder]) -> None:
        sections = {exchange.name: exchange for exchange in config.exchanges}
        try:
            for exchange in config.exchanges:
                await startup.check_symbols(exchange)
        except LakeError as error:
            logger.warning("the changed configuration is ignored: {}", error)
            return
        for recorder in recorders:
            section = sections.get(recorder.exchange.name)
            if section and section.symbols != recorder.exchange.symbols:
                await recorder.change(section.symbols)
                logger.info("{}: recording {} from now on", section.name, ", ".join(section.symbols))
        if _without_symbols(config) != _without_symbols(self._config):
            logger.warning(
                "the configuration changed in more than its symbols: that waits for the next start"
            )
        self._config = config


def _without_symbols(config: Config) -> Config:
    exchanges = [msgspec.structs.replace(exchange, symbols=[]) for exchange in config.exchanges]
    return msgspec.structs.replace(config, exchanges=exchanges)
