"""The tickers of REST and of the streams: statistics of a span, the newest price, the newest quote.

Here belong their spans, fields and weights (rest-api.md, web-socket-streams.md). All of it is counted from the tape's
own trades; where nothing was traded, prices are 0 and ids -1, as the exchange has it.
"""

from __future__ import annotations

import json
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from crypto_lake.simulator.binance.query import (
    RequestError,
    illegal,
    invalid,
    is_in_status,
    known,
    symbol_of,
    symbols_asked,
)
from crypto_lake.simulator.market.intervals import Interval
from crypto_lake.simulator.market.statistics import MINUTE_US, statistics
from crypto_lake.simulator.market.tape import E8, Candle, from_e8

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crypto_lake.simulator.binance.query import Query
    from crypto_lake.simulator.market.statistics import Statistics
    from crypto_lake.simulator.market.tape import Tape
    from crypto_lake.simulator.server.exchange import SimulatedExchange

_DAY_US = 1440 * MINUTE_US
_AVERAGE_MINUTES = 5
_WINDOW = re.compile(r"([1-9]|[1-5]\d)m|([1-9]|1\d|2[0-3])h|[1-7]d")
_UNITS_US = {"m": MINUTE_US, "h": 60 * MINUTE_US, "d": _DAY_US}
_MOST_SYMBOLS, _FEW_SYMBOLS = 100, 20


def day(exchange: SimulatedExchange, query: Query) -> Any:  # noqa: ANN401 - a row or a list of rows, as all below
    """`ticker/24hr`."""
    is_full = _is_full(query)

    def row(symbol: str) -> dict[str, Any]:
        found = last_day(exchange.tape, symbol, query.now_us)
        if not is_full:
            return _mini_row(symbol, found, query.unit_us)
        return _day_row(exchange.tape, symbol, found, query)

    return _rows(exchange, query, row)


def rolling(exchange: SimulatedExchange, query: Query) -> Any:  # noqa: ANN401
    """`ticker`: the window asked for; it begins on a minute."""
    window = query.params.get("windowSize", "1d")
    if not _WINDOW.fullmatch(window):
        raise illegal("windowSize", "^([1-9]|[1-5][0-9])m|([1-9]|1[0-9]|2[0-3])h|[1-7]d$")

    def found(symbol: str) -> Statistics:
        return last_window(exchange.tape, symbol, window, query.now_us)

    return _windows(exchange, query, found)


def trading_day(exchange: SimulatedExchange, query: Query) -> Any:  # noqa: ANN401
    """`ticker/tradingDay`: the day of the zone asked for, until it ends."""
    today = Interval("1d", query.ahead_us()).at(query.now_us)

    def found(symbol: str) -> Statistics:
        return statistics(exchange.tape, symbol, *today, query.now_us)

    return _windows(exchange, query, found)


def price(exchange: SimulatedExchange, query: Query) -> Any:  # noqa: ANN401
    """`ticker/price`."""

    def row(symbol: str) -> dict[str, Any]:
        newest = exchange.tape.recent_trades(symbol, 1, query.now_us)
        return {"symbol": symbol, "price": from_e8(newest[0].price if newest else 0)}

    return _rows(exchange, query, row)


def book(exchange: SimulatedExchange, query: Query) -> Any:  # noqa: ANN401
    """`ticker/bookTicker`."""

    def row(symbol: str) -> dict[str, Any]:
        return {"symbol": symbol, **_best(exchange.tape, symbol, query.now_us)}

    return _rows(exchange, query, row)


def average_price(exchange: SimulatedExchange, query: Query) -> dict[str, Any]:
    """`avgPrice`: of the last minutes, or the newest price where nothing was traded in them."""
    symbol = symbol_of(exchange, query)
    found = _average(exchange.tape, symbol, query.now_us)
    return {
        "mins": _AVERAGE_MINUTES,
        "price": _average_text(found),
        "closeTime": found.last.ts_us // query.unit_us if found.last else 0,
    }


def weight_of_days(params: Mapping[str, str]) -> int:
    """The weight of `ticker/24hr`."""
    asked = _count(params)
    if asked is None or asked > _MOST_SYMBOLS:
        return 80
    return 2 if asked <= _FEW_SYMBOLS else 40


def weight_of_windows(params: Mapping[str, str]) -> int:
    """The weight of `ticker` and `ticker/tradingDay`."""
    return min(4 * (_count(params) or 1), 200)


def weight_of_newest(params: Mapping[str, str]) -> int:
    """The weight of `ticker/price` and `ticker/bookTicker`."""
    return 2 if params.get("symbol") and "symbols" not in params else 4


def last_day(tape: Tape, symbol: str, now_us: int) -> Statistics:
    """The 24 hours up to the last whole millisecond; both its first and its last millisecond count."""
    end_us = _latest_us(tape, symbol, now_us)
    return statistics(tape, symbol, end_us - _DAY_US - 1000, end_us, now_us)


def last_window(tape: Tape, symbol: str, window: str, now_us: int) -> Statistics:
    """A window such as `4h`, from a whole minute on."""
    end_us = _latest_us(tape, symbol, now_us)
    length_us = int(window[:-1]) * _UNITS_US[window[-1]]
    start_us = (end_us - length_us) // MINUTE_US * MINUTE_US
    return statistics(tape, symbol, start_us, end_us, now_us)


def ticker_payload(tape: Tape, symbol: str, now_us: int, unit_us: int) -> str:
    """The JSON text of one `@ticker` event."""
    found = last_day(tape, symbol, now_us)
    best = _best(tape, symbol, now_us)
    row = _row(symbol, found, unit_us)
    extra = {
        "x": from_e8(found.previous.price if found.previous else 0),
        "Q": from_e8(found.last.qty if found.last else 0),
        "b": best["bidPrice"], "B": best["bidQty"], "a": best["askPrice"], "A": best["askQty"],
    }  # fmt: skip
    return _text({**_head("24hrTicker", symbol, now_us, unit_us), **_letters(row), **extra})


def window_payload(tape: Tape, symbol: str, window: str, now_us: int, unit_us: int) -> str:
    """The JSON text of one `@ticker_<window>` event."""
    row = _row(symbol, last_window(tape, symbol, window, now_us), unit_us)
    return _text({**_head(f"{window}Ticker", symbol, now_us, unit_us), **_letters(row)})


def mini_payload(tape: Tape, symbol: str, now_us: int, unit_us: int) -> str:
    """The JSON text of one `@miniTicker` event."""
    letters = _letters(_row(symbol, last_day(tape, symbol, now_us), unit_us))
    body = {letter: letters[letter] for letter in "cohlvq"}
    return _text({**_head("24hrMiniTicker", symbol, now_us, unit_us), **body})


def average_payload(tape: Tape, symbol: str, now_us: int, unit_us: int) -> str:
    """The JSON text of one `@avgPrice` event."""
    found = _average(tape, symbol, now_us)
    body = {
        "i": f"{_AVERAGE_MINUTES}m",
        "w": _average_text(found),
        "T": found.last.ts_us // unit_us if found.last else 0,
    }
    return _text({**_head("avgPrice", symbol, now_us, unit_us), **body})


_LETTERS = {
    "priceChange": "p", "priceChangePercent": "P", "weightedAvgPrice": "w", "openPrice": "o", "highPrice": "h",
    "lowPrice": "l", "lastPrice": "c", "volume": "v", "quoteVolume": "q", "openTime": "O", "closeTime": "C",
    "firstId": "F", "lastId": "L", "count": "n",
}  # fmt: skip
_CHANGES = ("priceChange", "priceChangePercent", "weightedAvgPrice")


def _letters(row: dict[str, Any]) -> dict[str, Any]:
    return {letter: row[name] for name, letter in _LETTERS.items()}


def _head(kind: str, symbol: str, now_us: int, unit_us: int) -> dict[str, Any]:
    return {"e": kind, "E": now_us // unit_us, "s": symbol}


def _text(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"))


def _latest_us(tape: Tape, symbol: str, now_us: int) -> int:
    """The end of the last whole millisecond; later where a recorder with a slow clock heard a trade before its time."""
    latest_us = now_us // 1000 * 1000
    newest = tape.recent_trades(symbol, 1, now_us)
    if newest and newest[0].ts_us > now_us:
        latest_us = newest[0].ts_us // 1000 * 1000 + 1000
    return latest_us


def _average(tape: Tape, symbol: str, now_us: int) -> Statistics:
    end_us = _latest_us(tape, symbol, now_us)
    return statistics(tape, symbol, end_us - _AVERAGE_MINUTES * MINUTE_US, end_us, now_us)


def _average_text(found: Statistics) -> str:
    if found.candle:
        return from_e8(_weighted(found.candle))
    return from_e8(found.last.price if found.last else 0)


def _weighted(candle: Candle) -> int:
    """Quote volume a base volume, 1e-8, rounded."""
    return (2 * candle.quote_volume + candle.volume) // (2 * candle.volume)


def _is_full(query: Query) -> bool:
    kind = query.params.get("type", "FULL")
    if kind not in ("FULL", "MINI"):
        raise RequestError(-1139, "Invalid ticker type.")
    return kind == "FULL"


def _rows(exchange: SimulatedExchange, query: Query, row: Callable[[str], dict[str, Any]]) -> Any:  # noqa: ANN401
    """One row for `symbol`, else a list."""
    asked = symbols_asked(query.params)
    if asked is not None and "symbols" not in query.params:
        return row(symbol_of(exchange, query))
    symbols = exchange.listed if asked is None else [known(exchange, symbol) for symbol in asked]
    return [row(symbol) for symbol in symbols if is_in_status(exchange, query, symbol)]


def _windows(exchange: SimulatedExchange, query: Query, found: Callable[[str], Statistics]) -> Any:  # noqa: ANN401
    asked = symbols_asked(query.params)
    if not asked:
        raise RequestError(-1102, "Param 'symbol' or 'symbols' must be sent, but both were empty/null!")
    if len(asked) > _MOST_SYMBOLS:
        raise invalid("symbols")
    spell = _row if _is_full(query) else _mini_row
    return _rows(exchange, query, lambda symbol: spell(symbol, found(symbol), query.unit_us))


def _count(params: Mapping[str, str]) -> int | None:
    try:
        asked = symbols_asked(params)
    except RequestError:  # is refused all the same
        return 1
    return None if asked is None else len(asked)


def _mini_row(symbol: str, found: Statistics, unit_us: int) -> dict[str, Any]:
    row = _row(symbol, found, unit_us)
    return {name: value for name, value in row.items() if name not in _CHANGES}


def _day_row(tape: Tape, symbol: str, found: Statistics, query: Query) -> dict[str, Any]:
    row = _row(symbol, found, query.unit_us)
    first = {name: row.pop(name) for name in ("symbol", *_CHANGES)}
    return {
        **first,
        "prevClosePrice": from_e8(found.previous.price if found.previous else 0),
        "lastPrice": row.pop("lastPrice"),
        "lastQty": from_e8(found.last.qty if found.last else 0),
        **_best(tape, symbol, query.now_us),
        **row,
    }


def _row(symbol: str, found: Statistics, unit_us: int) -> dict[str, Any]:
    candle = found.candle or Candle(found.start_us, *9 * (0,))
    change = candle.close - candle.open
    percent = Decimal(100 * change) / candle.open if candle.open else Decimal(0)
    last = found.last.price if found.last else 0
    return {
        "symbol": symbol,
        "priceChange": f"{'-' if change < 0 else ''}{from_e8(abs(change))}",
        "priceChangePercent": str(percent.quantize(Decimal("0.001"), ROUND_HALF_UP)),
        "weightedAvgPrice": from_e8(_weighted(candle)) if candle.volume else from_e8(0),
        "openPrice": from_e8(candle.open),
        "highPrice": from_e8(candle.high),
        "lowPrice": from_e8(candle.low),
        "lastPrice": from_e8(last),
        "volume": from_e8(candle.volume),
        "quoteVolume": from_e8(candle.quote_volume // E8),
        "openTime": found.start_us // unit_us,
        "closeTime": (found.end_us - 1) // unit_us,
        "firstId": found.first_id,
        "lastId": found.last_id,
        "count": candle.trades,
    }


def _best(tape: Tape, symbol: str, now_us: int) -> dict[str, str]:
    quote = tape.quote(symbol, now_us)
    prices = quote[2:] if quote else (0, 0, 0, 0)
    return dict(zip(("bidPrice", "bidQty", "askPrice", "askQty"), map(from_e8, prices), strict=True))
