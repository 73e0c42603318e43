"""One symbol of one exchange in one lake: what the rooms above are handed to work on.

What is done with its files belongs into those rooms.
"""

from dataclasses import dataclass
from typing import Self

from crypto_lake.config import Config
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

    @classmethod
    def recorded(cls, config: Config) -> list[Self]:
        """Every symbol that has raw files or bars, whether it is still configured or not."""
        return [
            cls(config, exchange.name, symbol)
            for exchange in config.exchanges
            for symbol in sorted(
                {*config.layout.raw_symbols(exchange.name), *config.layout.bars_symbols(exchange.name)}
            )
        ]
