"""Crypto Data Lake: every trade and best bid/ask of a few spot symbols, kept for good and proved complete."""
