"""A stand-in exchange on loopback: Binance spot's wire over real sockets, fed by a seeded market or a capture."""
