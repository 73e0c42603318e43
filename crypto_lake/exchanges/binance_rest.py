"""Binance spot, the request interface: exchangeInfo and klines, politely.

Rules are those of binance-spot-api-docs, `rest-api.md` (2026-07-17). Nothing about limits is assumed but what the
exchange says in its answers: 429 and 418 are obeyed to the second of their `Retry-After`.
"""

import asyncio
import itertools
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import httpx

from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import Candle
from crypto_lake.layout import MINUTE_US

_TRIES = 5
_FIRST_WAIT_SEC = 0.5
_LONGEST_OBEYED_SEC = 300
_UNSAID_SEC = 60
_PAGE = 1000
_ASKED_AT_ONCE = 100
_KLINE_FIELDS = 11
_is_decimal = re.compile(r"[0-9]+(?:\.[0-9]+)?").fullmatch
_HTTP_BAD_REQUEST = 400
# errors.md: the code of "Invalid symbol."
_INVALID_SYMBOL = "-1121"
_HTTP_BANNED = 418
_HTTP_TOO_MANY = 429
_HTTP_SERVER_ERROR = 500

Sleep = Callable[[float], Coroutine[Any, Any, None]]


class _InvalidSymbolError(ExchangeError):
    """The exchange does not know a symbol that was named."""


class BinanceRest:
    """See `base.RestClient`. `sleep` is how it waits, `transport` how requests travel (None: over the network)."""

    def __init__(
        self,
        rest_url: str,
        *,
        timeout_sec: float = 10,
        sleep: Sleep = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = rest_url.rstrip("/")
        self._sleep = sleep
        headers = {"X-MBX-TIME-UNIT": "MICROSECOND"}
        self._http = httpx.AsyncClient(timeout=timeout_sec, headers=headers, transport=transport)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        """By exchangeInfo, halted ones too: a halt ends, and its first trade is wanted.

        Only these symbols are asked for, since the whole answer is of many megabytes; a hundred at a time, since an
        address has its limits. One that is not listed spoils the question for all without being named; then each is
        asked for alone.
        """
        if len(symbols) > _ASKED_AT_ONCE:
            rest = await self.listed(symbols[_ASKED_AT_ONCE:])
            return rest | await self.listed(symbols[:_ASKED_AT_ONCE])
        try:
            info = await self._get(
                "exchangeInfo", {"symbols": "[" + ",".join(f'"{s}"' for s in symbols) + "]"}
            )
        except _InvalidSymbolError:
            if len(symbols) == 1:
                return frozenset()
            return frozenset().union(*[await self.listed([symbol]) for symbol in symbols])
        try:
            return frozenset(symbols) & {entry["symbol"] for entry in info["symbols"]}
        except (KeyError, TypeError):
            raise ExchangeError(
                f"{self._url}/exchangeInfo: expected a list of symbols in the answer"
            ) from None

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        """The 1-minute klines of [start, end), page by page, each row checked.

        A short page is not taken for the last one, since how many rows a page holds is the exchange's choice.
        """
        candles: list[Candle] = []
        while start_us < end_us:
            rows = await self._get(
                "klines",
                {
                    "symbol": symbol,
                    "interval": "1m",
                    "startTime": start_us,
                    "endTime": end_us - 1,
                    "limit": _PAGE,
                },
            )
            page = [self._candle(row, symbol, start_us, end_us) for row in _as_list(rows, symbol)]
            if not page:
                break
            _in_order(page, symbol)
            candles += page
            start_us = page[-1].open_time + MINUTE_US
        return candles

    def _candle(self, row: Any, symbol: str, start_us: int, end_us: int) -> Candle:  # noqa: ANN401 - it is JSON
        where = f"klines of {symbol}"
        if not isinstance(row, list) or len(row) < _KLINE_FIELDS:
            raise ExchangeError(f"{where}: expected rows of 12 values, got {str(row)[:80]}")
        candle = Candle(*row[:_KLINE_FIELDS])
        numbers: list[Any] = [
            *candle[1:6],
            candle.volume_quote,
            candle.taker_buy_base,
            candle.taker_buy_quote,
        ]
        times: list[Any] = [candle.open_time, candle.close_time, candle.trade_count]
        if not all(type(n) is int for n in times) or not all(
            isinstance(text, str) and _is_decimal(text) for text in numbers
        ):
            raise ExchangeError(f"{where}: a value of the wrong type in {str(row)[:120]}")
        if not start_us <= candle.open_time < end_us or candle.open_time % MINUTE_US:
            raise ExchangeError(
                f"{where}: open time {candle.open_time} is not a whole minute in [{start_us}, {end_us})"
            )
        return candle

    async def _get(self, endpoint: str, params: dict[str, str | int]) -> Any:  # noqa: ANN401 - it is JSON
        """One answer, tried again where that is worth it.

        Raises:
            ExchangeError: it refused, or `_TRIES` attempts did not bring an answer.
        """
        wait, mistake = 0.0, ""
        for attempt in range(_TRIES):
            if attempt:
                await self._sleep(wait)
            wait = _FIRST_WAIT_SEC * 2**attempt
            try:
                response = await self._http.get(f"{self._url}/{endpoint}", params=params)
            except httpx.InvalidURL as error:
                raise ExchangeError(f"{self._url}/{endpoint}: not an address: {error}") from None
            except httpx.HTTPError as error:
                mistake = f"{type(error).__name__} {error}".strip()
            else:
                if response.status_code < _HTTP_BAD_REQUEST:
                    return self._json(response, endpoint)
                mistake = _refusal(response)
                if response.status_code in {_HTTP_TOO_MANY, _HTTP_BANNED}:
                    wait = max(wait, self._retry_after(response, endpoint))
                elif response.status_code < _HTTP_SERVER_ERROR:
                    refused = _InvalidSymbolError if _INVALID_SYMBOL in response.text else ExchangeError
                    raise refused(f"{self._url}/{endpoint}: refused: {mistake}")
        raise ExchangeError(f"{self._url}/{endpoint}: no answer after {_TRIES} attempts; the last: {mistake}")

    def _json(self, response: httpx.Response, endpoint: str) -> Any:  # noqa: ANN401 - it is JSON
        try:
            return response.json()
        except ValueError:
            raise ExchangeError(
                f"{self._url}/{endpoint}: expected JSON, got {response.text[:80]!r}"
            ) from None

    def _retry_after(self, response: httpx.Response, endpoint: str) -> float:
        """How long the exchange wants to be left alone, in seconds; a minute where it does not say."""
        try:
            seconds = int(response.headers["Retry-After"])
        except (KeyError, ValueError):
            seconds = _UNSAID_SEC
        if seconds > _LONGEST_OBEYED_SEC:
            raise ExchangeError(
                f"{self._url}/{endpoint}: asks to be left alone for {seconds} s; try again then"
            )
        return seconds


def _refusal(response: httpx.Response) -> str:
    return " ".join([f"HTTP {response.status_code}", *response.text[:120].split()])


def _as_list(rows: Any, symbol: str) -> list[Any]:  # noqa: ANN401 - it is JSON
    if not isinstance(rows, list):
        raise ExchangeError(f"klines of {symbol}: expected a list, got {str(rows)[:80]}")
    return rows


def _in_order(candles: list[Candle], symbol: str) -> None:
    for before, after in itertools.pairwise(candles):
        if after.open_time <= before.open_time:
            raise ExchangeError(f"klines of {symbol}: {after.open_time} comes after {before.open_time}")
