"""Binance spot: its streams, its request interface, its archive."""
