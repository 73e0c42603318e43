"""The symbols of the synthetic market: steps, price level, how busy they are.

Here belong numbers about symbols. They are like the real ones of a quiet day, thinned where a real one would only cost
time; a symbol that is not in the table gets numbers derived from its name.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import NamedTuple

from crypto_lake.simulator.market.tape import Instrument, to_e8

_QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY")


@dataclass(frozen=True, slots=True)
class Character:
    """The habits of a symbol's trading.

    `rate` multipliers apply to the two frequencies; `burst` is the share of trades that follow within milliseconds of
    the one before.
    """

    instrument: Instrument
    price: int  # ticks, around which the price moves
    qty: int  # steps, near the median of a trade
    trades_per_s: float
    quotes_per_s: float
    burst: float


def split_symbol(symbol: str) -> tuple[str, str]:
    """`"SOLUSDT"` as its base and quote asset; a symbol of unknown quote asset is cut in the middle."""
    for quote in _QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote), quote
    half = len(symbol) // 2
    return symbol[:half], symbol[half:]


class _Row(NamedTuple):
    """A symbol's numbers as people write them; see `Character`."""

    tick: str
    step: str
    price: str
    qty: str
    trades_per_s: float
    quotes_per_s: float
    burst: float


_KNOWN = {
    "BTCUSDT": _Row("0.01", "0.00001", "64000", "0.002", 6.0, 9.0, 0.7),
    "ETHUSDT": _Row("0.01", "0.0001", "3100", "0.03", 5.0, 8.0, 0.7),
    "SOLUSDT": _Row("0.01", "0.001", "155", "0.6", 4.0, 7.0, 0.7),
    "SUIUSDT": _Row("0.0001", "0.1", "2.4", "30", 2.0, 4.0, 0.7),
    "ADAUSDT": _Row("0.0001", "0.1", "0.65", "80", 0.4, 0.8, 0.75),
}


def _made_up(symbol: str) -> _Row:
    number = zlib.crc32(symbol.encode())
    trades_per_s = 0.5 + number % 5 / 2
    price = f"{1 + number % 89}.{number % 97:02d}"
    return _Row("0.001", "0.01", price, "4", trades_per_s, 2 * trades_per_s, 0.7)


def character(symbol: str) -> Character:
    """Return how the symbol trades; the same for the same name, always."""
    row = _KNOWN.get(symbol) or _made_up(symbol)
    instrument = Instrument(*split_symbol(symbol), to_e8(row.tick), to_e8(row.step))
    price, qty = to_e8(row.price) // instrument.tick, to_e8(row.qty) // instrument.step
    return Character(instrument, price, qty, row.trades_per_s, row.quotes_per_s, row.burst)
