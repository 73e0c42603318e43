"""One symbol of one exchange in one lake: what the rooms above are handed to work on, and which of them there are.

Who calls decides which: all, a share of them, one. No function of the core lists any by itself. What is done with the
files of a series belongs into the rooms above.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from crypto_lake.config import Config, Exchange
from crypto_lake.layout import Layout


@dataclass(frozen=True)
class Series:
    """One symbol's bars in one lake: what is worked on, and with which settings."""

    config: Config
    exchange: str
    symbol: str

    @property
    def layout(self) -> Layout:
        """The lake's paths."""
        return self.config.layout

    @property
    def source(self) -> Exchange:
        """Its exchange, as the configuration describes it."""
        return next(one for one in self.config.exchanges if one.name == self.exchange)

    @property
    def shard(self) -> int | None:
        """Which share of the symbols it belongs to, from 0; None where there is one for all (`cluster.shards`)."""
        count = self.config.cluster.shards
        return None if count == 1 else zlib.crc32(self.symbol.encode()) % count

    @classmethod
    def recorded(cls, config: Config) -> list[Self]:
        """Return every symbol that has raw files or bars, whether it is still configured or not."""
        return cls._listed(config, config.layout.raw_symbols, config.layout.bars_symbols)

    @classmethod
    def known(cls, config: Config) -> list[Self]:
        """Return every symbol of which there are files of any kind; of some only candles were backfilled."""
        layout = config.layout
        return cls._listed(
            config,
            layout.raw_symbols,
            layout.bars_symbols,
            layout.ticks_symbols,
            layout.depth_symbols,
            layout.candle_symbols,
        )

    @classmethod
    def _listed(cls, config: Config, *listings: Callable[[str], list[str]]) -> list[Self]:
        return [
            cls(config, exchange.name, symbol)
            for exchange in config.exchanges
            for symbol in sorted({symbol for listing in listings for symbol in listing(exchange.name)})
        ]
