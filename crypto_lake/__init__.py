"""Crypto Data Lake: every trade and best bid/ask of a few spot symbols, kept for good and proved complete."""

from loguru import logger

logger.disable("crypto_lake")
