"""Say what happens on the market as Binance says it: frames, requests, answers, its archive, its limits.

What happens is decided in `market`, sockets and faults are `server`'s.
"""
