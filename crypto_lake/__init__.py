"""Crypto Data Lake: every trade and best bid/ask of a few spot symbols, kept for good and proved complete."""

from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from crypto_lake.ask.lake import open_lake

__all__ = ["open_lake"]

logger.disable("crypto_lake")


def __getattr__(name: str) -> object:
    """`open_lake`, imported by whoever asks for it: the collector is in this package too, and must stay light."""
    if name == "open_lake":
        from crypto_lake.ask.lake import open_lake  # noqa: PLC0415

        return open_lake
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
