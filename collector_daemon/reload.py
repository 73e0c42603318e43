"""A configuration file that changes while the daemon runs: noticed by its content, refused in one line if broken."""

from pathlib import Path

from loguru import logger

from crypto_lake import config as configuration
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError


class ConfigFile:
    """The file a configuration was read from. Blocking; small enough to be read in the event loop's thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = self._read()

    def changed(self, *, again: bool = False) -> Config | None:
        """The configuration, if the file says something new, or `again`; None if it does not, or is broken."""
        content = self._read()
        if content is None or (content == self._content and not again):
            return None
        self._content = content
        try:
            return configuration.load(self._path)
        except ConfigError as error:
            logger.warning("the changed configuration is ignored: {}", " ".join(str(error).split()))
            return None

    def _read(self) -> bytes | None:
        """None while the file is away or being replaced: no reason to say anything."""
        try:
            return self._path.read_bytes()
        except OSError:
            return None
