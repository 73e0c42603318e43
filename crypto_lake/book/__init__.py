"""Rebuild an order book from a snapshot and the events that follow it.

Here belongs the exchange's rule of how a book is carried on, and what is known of it when something is missing. Nothing
here reads or writes a file. Prices and quantities are integers of 10⁻⁸; they are never floats.
"""
