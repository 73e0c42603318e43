"""A stand-in exchange on loopback: Binance spot's wire over real sockets, fed by a seeded market or a capture.

Here belongs what an exchange does, faults included. It knows nothing of the lake, so that it can prove it wrong.
"""
