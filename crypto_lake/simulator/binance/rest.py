"""The exchange's REST answers: parameters in, rows out.

Here belong the endpoints under `/api/v3`, their weights and their error codes (rest-api.md, errors.md); counting the
weights is `limits`' business, carrying the answers over HTTP is `exchange`'s.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from crypto_lake.simulator.binance import wire
from crypto_lake.simulator.market.tape import Book, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crypto_lake.simulator.server.exchange import SimulatedExchange

_MINUTE_US = 60_000_000
INTERVALS_US = {
    "1s": 1_000_000,
    "1m": _MINUTE_US,
    "5m": 5 * _MINUTE_US,
    "15m": 15 * _MINUTE_US,
    "1h": 60 * _MINUTE_US,
    "1d": 1440 * _MINUTE_US,
}
_DEFAULT_LIMIT, _MOST = 500, 1000
_MOST_LEVELS = 5000
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))
_NUMBER = re.compile(r"[0-9]{1,20}")
_FIRST_MICROSECONDS = 10**14  # as milliseconds the year 5138: the exchange, too, takes either unit


class RequestError(Exception):
    """A request the exchange refuses, with its own code and message; HTTP 400."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.body = {"code": code, "msg": message}


class Query(NamedTuple):
    """A request: its parameters as sent, the unit times are answered in, the market's time."""

    params: Mapping[str, str]
    unit_us: int
    now_us: int

    def mandatory(self, name: str) -> str:
        """The parameter's text; -1102 where there is none."""
        text = self.params.get(name, "")
        if not text:
            raise RequestError(
                -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            )
        return text

    def number(self, name: str) -> int | None:
        """The parameter as a number; None where it was not sent; -1100 for anything else."""
        text = self.params.get(name)
        if text is None:
            return None
        if not _NUMBER.fullmatch(text):
            raise _illegal(name, "^[0-9]{1,20}$")
        return int(text)

    def limit(self, default: int = _DEFAULT_LIMIT, most: int = _MOST) -> int:
        """Return how many rows; more than the most is the most."""
        limit = self.number("limit")
        if limit == 0:
            raise RequestError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(limit or default, most)

    def time_us(self, name: str) -> int | None:
        """A time sent in milliseconds or microseconds, as microseconds."""
        value = self.number(name)
        if value is None:
            return None
        return value if value >= _FIRST_MICROSECONDS else value * 1000


class Endpoint(NamedTuple):
    """An endpoint: what its answer costs, and who gives it; `weigh` where the cost depends on what is asked."""

    weight: int
    answer: Callable[[SimulatedExchange, Query], Any]
    weigh: Callable[[Mapping[str, str]], int] | None = None

    def cost(self, params: Mapping[str, str]) -> int:
        """The weight of a request."""
        return self.weigh(params) if self.weigh else self.weight


def _illegal(name: str, legal: str) -> RequestError:
    return RequestError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")


def _symbol(exchange: SimulatedExchange, query: Query) -> str:
    return _known(exchange, query.mandatory("symbol"))


def _known(exchange: SimulatedExchange, symbol: str) -> str:
    if exchange.status(symbol) is None:
        raise RequestError(-1121, "Invalid symbol.")
    return symbol


def _ping(_: SimulatedExchange, __: Query) -> dict[str, Any]:
    return {}


def _time(_: SimulatedExchange, query: Query) -> dict[str, Any]:
    return {"serverTime": query.now_us // query.unit_us}


def _exchange_info(exchange: SimulatedExchange, query: Query) -> dict[str, Any]:
    symbols = [_known(exchange, symbol) for symbol in _symbols_asked(query) or exchange.listed]
    limit = {
        "rateLimitType": "REQUEST_WEIGHT",
        "interval": "MINUTE",
        "intervalNum": 1,
        "limit": exchange.limit.weight,
    }
    return {
        "timezone": "UTC",
        "serverTime": query.now_us // query.unit_us,
        "rateLimits": [limit],
        "exchangeFilters": [],
        "symbols": [
            wire.symbol_row(symbol, exchange.tape.instrument(symbol), exchange.status(symbol) or "")
            for symbol in symbols
        ],
    }


def _symbols_asked(query: Query) -> list[str]:
    one, several = query.params.get("symbol"), query.params.get("symbols")
    if one and several:
        raise RequestError(-1128, "Combination of optional parameters invalid.")
    if several is None:
        return [one] if one else []
    try:
        symbols = json.loads(several)
    except json.JSONDecodeError:
        symbols = None
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise _illegal("symbols", '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$')
    return symbols


def _klines(exchange: SimulatedExchange, query: Query) -> list[list[Any]]:
    symbol = _symbol(exchange, query)
    interval_us = INTERVALS_US.get(query.mandatory("interval"))
    if interval_us is None:
        raise RequestError(-1120, "Invalid interval.")
    page = Page(interval_us, query.time_us("startTime"), query.time_us("endTime"), query.limit())
    candles = exchange.tape.candles(symbol, page, query.now_us)
    is_halted = exchange.faults.is_halted
    return [wire.candle_row(it, interval_us, query.unit_us) for it in candles if not is_halted(it.open_us)]


def _trades(exchange: SimulatedExchange, query: Query) -> list[dict[str, Any]]:
    trades = exchange.tape.recent_trades(_symbol(exchange, query), query.limit(), query.now_us)
    return [wire.trade_row(trade, query.unit_us) for trade in trades]


def _historical_trades(exchange: SimulatedExchange, query: Query) -> list[dict[str, Any]]:
    from_id = query.number("fromId")
    if from_id is None:
        return _trades(exchange, query)
    trades = exchange.tape.trades_from(_symbol(exchange, query), from_id, query.limit(), query.now_us)
    return [wire.trade_row(trade, query.unit_us) for trade in trades]


def _depth(exchange: SimulatedExchange, query: Query) -> dict[str, Any]:
    symbol, limit = _symbol(exchange, query), query.limit(100, _MOST_LEVELS)
    faults = exchange.faults
    now_us = query.now_us - int((faults.snapshot_stale_s or 0) * 1e6)
    book = exchange.tape.book(symbol, limit, now_us) or Book(0, (), ())
    if every := faults.snapshot_lacks_every:
        bids, asks = (
            tuple(level for number, level in enumerate(side, 1) if number % every)
            for side in (book.bids, book.asks)
        )
        book = Book(book.update_id, bids, asks)
    return wire.book_row(book)


def _depth_weight(params: Mapping[str, str]) -> int:
    text = params.get("limit", "100")
    limit = int(text) if _NUMBER.fullmatch(text) else 0
    return next((weight for most, weight in _DEPTH_WEIGHTS if limit <= most), 250)


ENDPOINTS = {
    "ping": Endpoint(1, _ping),
    "time": Endpoint(1, _time),
    "exchangeInfo": Endpoint(20, _exchange_info),
    "klines": Endpoint(2, _klines),
    "trades": Endpoint(25, _trades),
    "historicalTrades": Endpoint(25, _historical_trades),
    "depth": Endpoint(5, _depth, _depth_weight),
}
