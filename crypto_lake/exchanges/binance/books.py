"""Binance spot, answers of `depth`: bytes in, a checked book out; nothing is asked.

Rules are those of binance-spot-api-docs, `rest-api.md` ("Order book", 2026-07-17).
"""

from decimal import Decimal
from itertools import pairwise

import msgspec
from msgspec import Struct

from crypto_lake.errors import NOT_JSON, ExchangeError
from crypto_lake.exchanges.base import Book
from crypto_lake.exchanges.binance.wire import are_levels
from crypto_lake.raw.lines import Level

# What an answer of so many levels at most weighs, of 6,000 a minute.
_WEIGHTS = ((100, 5), (500, 25), (1000, 50))
_MOST_WEIGHT = 250
_ID_LIMIT = 1 << 63


class _Answer(Struct):
    lastUpdateId: int  # noqa: N815 - the exchange's spelling
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


_decode = msgspec.json.Decoder(_Answer).decode


def weight(levels: int) -> int:
    """Return what it costs to ask for so many levels a side."""
    return next((cost for most, cost in _WEIGHTS if levels <= most), _MOST_WEIGHT)


def book(body: bytes, symbol: str, levels: int) -> Book:
    """The book of an answer to a question for so many levels.

    Raises:
        ExchangeError: it is none, or more than was asked for, or its levels are not in order, or hold nothing, or its
            sides meet.
    """
    where = f"depth of {symbol}"
    try:
        said = _decode(body)
    except NOT_JSON as error:
        raise ExchangeError(f"{where}: expected a book: {error}") from None
    if not 0 <= said.lastUpdateId < _ID_LIMIT:
        raise ExchangeError(f"{where}: expected an id below 2^63")
    for side, best in ((said.bids, -1), (said.asks, 1)):
        if len(side) > levels or not are_levels(side) or not all(qty.strip("0.") for _, qty in side):
            raise ExchangeError(f"{where}: expected {levels} levels of a market at most on each side")
        prices = [best * Decimal(price) for price, _ in side]
        if not all(one < other for one, other in pairwise(prices)):
            raise ExchangeError(f"{where}: expected each side from the best price on")
    # A market that trades has no such book: bids and asks that meet are a trade. What begins from it would be wrong.
    if said.bids and said.asks and Decimal(said.bids[0][0]) >= Decimal(said.asks[0][0]):
        raise ExchangeError(f"{where}: expected the best bid below the best ask")
    return Book(said.lastUpdateId, said.bids, said.asks)
