"""Binance spot, the request interface: which endpoint is asked for what, what it weighs, what its answer means.

Endpoints and weights are those of binance-spot-api-docs, `rest-api.md` (2026-07-17). How a question travels is
`binance_http`'s business.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from loguru import logger

from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges import base
from crypto_lake.exchanges.base import Book, Candle, ServerTime, State, Usage
from crypto_lake.exchanges.binance import books, klines, listing
from crypto_lake.exchanges.binance.http import BinanceHttp, InvalidSymbolError
from crypto_lake.exchanges.binance.trades import historical_trades
from crypto_lake.layout import MINUTE_US
from crypto_lake.raw.instruments import Instrument
from crypto_lake.raw.lines import TradeLine
from crypto_lake.showing import printable
from crypto_lake.web import Answer

_TIME_WEIGHT = 1
_INFO_WEIGHT = 20
_KLINES_WEIGHT = 2
_TRADES_WEIGHT = 25
_PAGE = 1000
_ASKED_AT_ONCE = 100
# Of the whole list; without what is not asked for it has six million.
_MOST_BYTES_LISTED = 32 << 20
# A time below this is in milliseconds: in microseconds it would lie in 1973.
_FIRST_MICROSECONDS = 10**14
# The year 2001 in milliseconds, 5138 in microseconds.
_FIRST_TIME, _NO_TIME = 10**12, 10**17
# Of what the exchange says of a symbol, or of who answered.
_LONGEST_WORD = 40
# In eight years of an exchange's life there were 35 halts. An answer with more holes than this is not about halts.
_MOST_HOLES = 50
# An answer brings a thousand minutes, or all up to a hole. Fewer than this an answer, on average, is a trickle.
_FEWEST_AN_ANSWER = 20


class BinanceRest:
    """See `base.RestClient`. `candles_at_once` minutes of candles cost one request.

    Until `listed` has been asked, the exchange's own limit is not known, and a low one holds (`limiter.UNTOLD_WEIGHT`).
    """

    candles_at_once = _PAGE

    def __init__(self, http: BinanceHttp) -> None:
        self._http = http

    @property
    def usage(self) -> Usage:
        """Return what was asked so far."""
        return self._http.usage

    async def time(self) -> ServerTime:
        """By `time`. Cloudfront, through which the exchange is reached, names the place that answered in a header."""
        told, place = await self._http.get("time", {}, _TIME_WEIGHT, self._json_and_place)
        match told:
            case {"serverTime": int(number)} if _FIRST_TIME <= number < _NO_TIME:
                in_microseconds = number >= _FIRST_MICROSECONDS
                return ServerTime(number if in_microseconds else number * 1000, in_microseconds, place)
        raise ExchangeError(f"{self._http.url}/time: expected a serverTime in the answer")

    def _json_and_place(self, answer: Answer) -> tuple[Any, str | None]:
        place = answer.headers.get("X-Amz-Cf-Pop")
        return self._http.json(answer), self._word(place) if place else None

    def _word(self, text: str) -> str:
        return printable(self._http.quoted(text), _LONGEST_WORD)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        """Those that `states` knows, halted ones too: a halt ends, and its first trade is wanted."""
        return frozenset(await self.states(symbols))

    async def instruments(self) -> dict[str, Instrument]:
        """By exchangeInfo, asked for everything but what accounts of which kind may do, which is most of it."""
        params: dict[str, str | int] = {"showPermissionSets": "false"}
        body = await self._http.get(
            "exchangeInfo",
            params,
            _INFO_WEIGHT,
            lambda answer: answer.body,
            rows=_PAGE,
            most_bytes=_MOST_BYTES_LISTED,
        )
        # A collector that records thousands of streams goes on reading meanwhile.
        found, limits = await asyncio.to_thread(listing.instruments, body, self._http.quoted)
        self._learn({"rateLimits": limits})
        return found

    async def states(self, symbols: Sequence[str]) -> dict[str, State]:
        """By exchangeInfo.

        Only these symbols are asked for, since the whole answer is of many megabytes; a hundred at a time, since an
        address has its limits. One that is not listed spoils the question for all without being named; then each is
        asked for alone.
        """
        if len(symbols) > _ASKED_AT_ONCE:
            rest = await self.states(symbols[_ASKED_AT_ONCE:])
            return await self.states(symbols[:_ASKED_AT_ONCE]) | rest
        names = "[" + ",".join(f'"{s}"' for s in symbols) + "]"
        try:
            info = await self._http.get("exchangeInfo", {"symbols": names}, _INFO_WEIGHT, rows=len(symbols))
        except InvalidSymbolError:
            if len(symbols) == 1:
                return {}
            alone = [await self.states([symbol]) for symbol in symbols]
            return {symbol: state for one in alone for symbol, state in one.items()}
        self._learn(info)
        try:
            words = {entry["symbol"]: self._word(str(entry.get("status"))) for entry in info["symbols"]}
        except (AttributeError, KeyError, TypeError):
            raise ExchangeError(
                f"{self._http.url}/exchangeInfo: expected a list of symbols in the answer"
            ) from None
        return {
            symbol: State(words[symbol], words[symbol] == listing.TRADING)
            for symbol in symbols
            if symbol in words
        }

    def _learn(self, info: Any) -> None:  # noqa: ANN401 - it is JSON
        """Keep the weight a minute that the exchange allows an address, where its answer says so."""
        limits = info.get("rateLimits") if isinstance(info, dict) else None
        for rule in limits if isinstance(limits, list) else []:
            match rule:
                case {
                    "rateLimitType": "REQUEST_WEIGHT",
                    "interval": "MINUTE",
                    "intervalNum": 1,
                    "limit": int(limit),
                }:
                    if not self._http.limiter.learn(limit):
                        logger.warning(
                            "{}/exchangeInfo: no limit to believe; {} holds",
                            self._http.url,
                            self._http.limiter.limit,
                        )

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        """The 1-minute klines of [start, end), each row checked.

        How many rows a page holds is the exchange's choice, and an answer may be cut short. So whatever an answer lacks
        is asked for again by itself, and is not there only if the exchange then has nothing to say.
        """
        found: list[Candle] = []
        minutes = (end_us - start_us) // MINUTE_US
        most = minutes // _FEWEST_AN_ANSWER + _MOST_HOLES + 1
        asked, answers = [(start_us, end_us)] if start_us < end_us else [], 0
        while asked:
            if answers == most:
                raise ExchangeError(
                    f"klines of {symbol}: {answers} answers brought {len(found)} of {minutes} minutes"
                )
            answers += 1
            first, last = asked.pop()
            page = await self._page(symbol, first, last)
            if not page:
                continue
            lacking = base.holes(page, first, last)
            if len(lacking) > _MOST_HOLES:
                raise ExchangeError(f"klines of {symbol}: {len(lacking)} holes between {first} and {last}")
            found += page
            asked += lacking
        return sorted(found)

    async def book(self, symbol: str, levels: int) -> Book:
        """By `depth`."""
        params: dict[str, str | int] = {"symbol": symbol, "limit": levels}
        body = await self._http.get(
            "depth", params, books.weight(levels), lambda answer: answer.body, rows=levels
        )
        return books.book(body, symbol, levels)

    async def trades_from(self, symbol: str, first_id: int, count: int, ts_recv: int) -> list[TradeLine]:
        """By historicalTrades. That an answer begins with `fromId` itself is not promised: if not, it is asked again.

        Of what lies beyond the ids asked for nothing is taken.
        """
        found = await self._trades(symbol, first_id, count, ts_recv)
        if first_id and found and found[0].id > first_id:
            found += await self._trades(symbol, first_id - 1, count, ts_recv)
        once = {line.id: line for line in found if first_id <= line.id < first_id + count}
        return [once[number] for number in sorted(once)]

    async def _trades(self, symbol: str, from_id: int, count: int, ts_recv: int) -> list[TradeLine]:
        params: dict[str, str | int] = {"symbol": symbol, "fromId": from_id, "limit": count}
        rows = await self._http.get("historicalTrades", params, _TRADES_WEIGHT, rows=count)
        return historical_trades(rows, symbol, from_id, ts_recv)

    async def _page(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        params: dict[str, str | int] = {
            "symbol": symbol,
            "interval": "1m",
            "startTime": start_us,
            "endTime": end_us - 1,
            "limit": _PAGE,
        }
        rows = await self._http.get("klines", params, _KLINES_WEIGHT, rows=_PAGE)
        return klines.candles(rows, symbol, start_us, end_us, self._http.quoted)
