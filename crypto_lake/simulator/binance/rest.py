"""The exchange's REST answers: parameters in, rows out.

Here belong the endpoints under `/api/v3` and their weights (rest-api.md); reading parameters is `query`'s business,
tickers are `tickers`', counting the weights is `limits`', carrying the answers over HTTP is `exchange`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from crypto_lake.simulator.binance import tickers, wire
from crypto_lake.simulator.binance.query import RequestError, known, symbol_of, symbols_asked
from crypto_lake.simulator.market import aggregates, intervals
from crypto_lake.simulator.market.intervals import FIXED_US as INTERVALS_US
from crypto_lake.simulator.market.intervals import Interval
from crypto_lake.simulator.market.tape import Book, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crypto_lake.simulator.binance.query import Query
    from crypto_lake.simulator.market.aggregates import Aggregate
    from crypto_lake.simulator.server.exchange import SimulatedExchange

__all__ = ["ENDPOINTS", "INTERVALS_US"]
_DEFAULT_LEVELS, _MOST_LEVELS = 100, 5000
_DEPTH_WEIGHTS = ((100, 5), (500, 25), (1000, 50))


class Endpoint(NamedTuple):
    """An endpoint: what its answer costs, and who gives it; `weigh` where the cost depends on what is asked.

    `is_of_market`: what it tells changes while the market goes on. `due_us`: when it is answered, where not at once.
    """

    weight: int
    answer: Callable[[SimulatedExchange, Query], Any]
    weigh: Callable[[Mapping[str, str]], int] | None = None
    is_of_market: bool = True
    due_us: Callable[[SimulatedExchange, Query], int] | None = None

    def cost(self, params: Mapping[str, str]) -> int:
        """The weight of a request."""
        return self.weigh(params) if self.weigh else self.weight


def _ping(_: SimulatedExchange, __: Query) -> dict[str, Any]:
    return {}


def _time(_: SimulatedExchange, query: Query) -> dict[str, Any]:
    return {"serverTime": query.now_us // query.unit_us}


def _exchange_info(exchange: SimulatedExchange, query: Query) -> dict[str, Any]:
    symbols = [known(exchange, symbol) for symbol in symbols_asked(query.params) or exchange.listed]
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


def _klines(exchange: SimulatedExchange, query: Query) -> list[list[Any]]:
    symbol = symbol_of(exchange, query)
    name = query.mandatory("interval")
    if name not in intervals.NAMES:
        raise RequestError(-1120, "Invalid interval.")
    page = Page(0, query.time_us("startTime"), query.time_us("endTime"), query.limit())
    found = Interval(name, query.ahead_us()).candles(exchange.tape, symbol, page, query.now_us)
    return [
        wire.candle_row(candle, close_us - open_us, query.unit_us)
        for (open_us, close_us), candle in found
        if not exchange.faults.is_halted(open_us)
    ]


def _trades(exchange: SimulatedExchange, query: Query) -> list[dict[str, Any]]:
    trades = exchange.tape.recent_trades(symbol_of(exchange, query), query.limit(), query.now_us)
    return [wire.trade_row(trade, query.unit_us) for trade in trades]


def _historical_trades(exchange: SimulatedExchange, query: Query) -> list[dict[str, Any]]:
    from_id = query.number("fromId")
    if from_id is None:
        return _trades(exchange, query)
    trades = exchange.tape.trades_from(symbol_of(exchange, query), from_id, query.limit(), query.now_us)
    return [wire.trade_row(trade, query.unit_us) for trade in trades]


def _agg_trades(exchange: SimulatedExchange, query: Query) -> list[dict[str, Any]]:
    symbol, limit = symbol_of(exchange, query), query.limit()
    start_us, end_us = query.time_us("startTime"), query.until_us("endTime")
    from_id = query.number("fromId")
    if from_id is not None and (start_us, end_us) != (None, None):
        raise RequestError(-1128, "Combination of optional parameters invalid.")
    tape, now_us = exchange.tape, query.now_us
    found: list[Aggregate]
    if start_us is not None:
        from_id = tape.last_trade_id(symbol, start_us - 1, now_us) + 1
    if from_id is not None:
        found = aggregates.from_id(tape, symbol, from_id, limit, now_us)
    else:
        last_us = max(now_us, *(trade.ts_us for trade in tape.recent_trades(symbol, 1, now_us)), 0)
        last_id = tape.last_trade_id(symbol, last_us if end_us is None else end_us, now_us)
        found = aggregates.up_to_id(tape, symbol, last_id, limit, now_us)
    return [
        wire.aggregate_row(it, query.unit_us) for it in found if end_us is None or it.first.ts_us <= end_us
    ]


def _depth(exchange: SimulatedExchange, query: Query) -> dict[str, Any]:
    symbol, limit = symbol_of(exchange, query), query.limit(_DEFAULT_LEVELS, _MOST_LEVELS)
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


def _depth_due_us(exchange: SimulatedExchange, query: Query) -> int:
    return exchange.tape.book_due_us(symbol_of(exchange, query), query.now_us)


def _depth_weight(params: Mapping[str, str]) -> int:
    text = params.get("limit", "")
    limit = int(text) if text.isdecimal() else _DEFAULT_LEVELS
    return next((weight for most, weight in _DEPTH_WEIGHTS if limit <= most), 250)


ENDPOINTS = {
    "ping": Endpoint(1, _ping, is_of_market=False),
    "time": Endpoint(1, _time, is_of_market=False),
    "exchangeInfo": Endpoint(20, _exchange_info, is_of_market=False),
    "klines": Endpoint(2, _klines),
    "uiKlines": Endpoint(2, _klines),
    "trades": Endpoint(25, _trades),
    "historicalTrades": Endpoint(25, _historical_trades),
    "aggTrades": Endpoint(4, _agg_trades),
    "depth": Endpoint(5, _depth, _depth_weight, due_us=_depth_due_us),
    "avgPrice": Endpoint(2, tickers.average_price),
    "ticker": Endpoint(4, tickers.rolling, tickers.weight_of_windows),
    "ticker/24hr": Endpoint(2, tickers.day, tickers.weight_of_days),
    "ticker/tradingDay": Endpoint(4, tickers.trading_day, tickers.weight_of_windows),
    "ticker/price": Endpoint(2, tickers.price, tickers.weight_of_newest),
    "ticker/bookTicker": Endpoint(2, tickers.book, tickers.weight_of_newest),
}
