"""Binance spot, answers of `historicalTrades`: rows to raw lines, each checked. No I/O.

Rules are those of binance-spot-api-docs, `rest-api.md` (2026-07-17). A row does not name its symbol; whoever asks
checks that the times fit those of the trades around.
"""

from typing import Any

import msgspec
from msgspec import Struct

from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import Refused
from crypto_lake.exchanges.binance.wire import Trade, trade_line
from crypto_lake.raw.lines import TradeLine

# So many digits of an id that is none are shown.
_SHOWN = 40


class _Row(Struct, rename="camel"):
    """The fields of a row that are wanted; the rest is skipped."""

    id: int
    price: str
    qty: str
    time: int
    is_buyer_maker: bool


def historical_trades(answer: Any, symbol: str, from_id: int, ts_recv: int) -> list[TradeLine]:  # noqa: ANN401 - it is JSON
    """The rows of an answer about trades from an id on, as raw lines received at `ts_recv`.

    Raises:
        ExchangeError: a row is no trade, or its id is not above those before it, or it was not asked for.
    """
    where = f"historicalTrades of {symbol} from {from_id}"
    try:
        rows = msgspec.convert(answer, list[_Row])
    except msgspec.ValidationError as error:
        raise ExchangeError(f"{where}: expected a list of trades: {error}") from None
    lines: list[TradeLine] = []
    for row in rows:
        line = trade_line(Trade(symbol, row.id, row.time, row.price, row.qty, row.is_buyer_maker), ts_recv)
        if isinstance(line, Refused):
            raise ExchangeError(f"{where}: {line.reason}: id {str(row.id)[:_SHOWN]}")
        if row.id < (lines[-1].id + 1 if lines else from_id):
            raise ExchangeError(f"{where}: expected ids from there on, rising, got {row.id}")
        lines.append(line)
    return lines
