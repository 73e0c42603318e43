"""Decide what happens on the simulated market: made up from a seed, or replayed from a capture.

Trades, quotes and candles as plain records, and the time. How an exchange spells them is in `simulator/binance`.
"""
