"""Follow the configuration file while the daemon runs: symbols come and go, all else waits for the next start."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
from loguru import logger

from collector_daemon.clock import Clock
from collector_daemon.recorder import Recorder
from collector_daemon.reload import ConfigFile
from collector_daemon.universe import Universe
from collector_daemon.waiting import unless
from crypto_lake.config import Config
from crypto_lake.errors import LakeError

_LOOK_SEC = 2.0

Recorded = Sequence[tuple[Universe, Recorder]]


class Follow:
    """See the module. `hurry` asks for a look at the file at once, whether it has changed or not."""

    def __init__(self, path: Path, config: Config, hurry: asyncio.Event) -> None:
        self._file = ConfigFile(path)
        self._config = config
        self._hurry = hurry

    async def run(self, recorded: Recorded, clock: Clock) -> None:
        """Look at the file every two seconds, until cancelled."""
        while True:
            await unless(self._hurry, clock.sleep(_LOOK_SEC))
            config = self._file.changed(again=self._hurry.is_set())
            self._hurry.clear()
            if config:
                await self._take(config, recorded)

    async def _take(self, config: Config, recorded: Recorded) -> None:
        sections = {exchange.name: exchange for exchange in config.exchanges}
        known = [
            (universe, recorder, sections[universe.section.name])
            for universe, recorder in recorded
            if universe.section.name in sections
        ]
        try:
            for universe, _, section in known:
                await universe.choose(section)
        except LakeError as error:
            logger.warning("the changed configuration is ignored: {}", error)
            return
        for universe, recorder, section in known:
            await universe.take(section, recorder)
        if _without_symbols(config) != _without_symbols(self._config):
            logger.warning(
                "the configuration changed in more than its symbols: that waits for the next start"
            )
        self._config = config


def _without_symbols(config: Config) -> Config:
    exchanges = [msgspec.structs.replace(one, symbols=[], exclude=[]) for one in config.exchanges]
    return msgspec.structs.replace(config, exchanges=exchanges)
