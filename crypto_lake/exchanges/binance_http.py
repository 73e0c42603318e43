"""One question to Binance's REST interface, asked politely: the sockets around a `Limiter`.

Rules are those of binance-spot-api-docs, `rest-api.md` ("LIMITS", 2026-07-17). Weights are paced by the exchange's own
counter, 429 and 418 are obeyed to the second of their `Retry-After` by every task of the client, and what is worth it
is tried again.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import msgspec

from crypto_lake.errors import ExchangeError, LeftAloneError
from crypto_lake.exchanges.base import Usage
from crypto_lake.exchanges.limiter import Limiter

_TRIES = 5
_FIRST_WAIT_SEC = 0.5
_LONGEST_OBEYED_SEC = 300
_UNSAID_SEC = 60
# Few enough that the exchange forgives it if all of them are too many. At 50 ms an answer they would ask for candles
# of 9,600 weight a minute, where 6,000 are allowed.
_AT_ONCE = 4
_USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
# errors.md: the code of "Invalid symbol."
_INVALID_SYMBOL = "-1121"
_BAD_REQUEST, _FIREWALL, _NOT_THERE, _BANNED, _TOO_MANY, _SERVER_ERROR = 400, 403, 404, 418, 429, 500

Sleep = Callable[[float], Coroutine[Any, Any, None]]


class InvalidSymbolError(ExchangeError):
    """The exchange does not know a symbol that was named."""


class NotThereError(ExchangeError):
    """There is nothing under that address."""


def json(response: httpx.Response) -> Any:  # noqa: ANN401 - it is JSON
    """A body of JSON; ValueError for any other."""
    try:
        return msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError(f"expected JSON, got {response.text[:80]!r}") from None


class BinanceHttp:
    """What the endpoints are asked through. `usage` is what was asked so far.

    `sleep` is how it waits, `clock` what it measures waits by (seconds, never back), `transport` how requests travel
    (None: over the network).
    """

    def __init__(
        self,
        rest_url: str,
        *,
        timeout_sec: float = 10,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = rest_url.rstrip("/")
        self.usage = Usage(0, 0)
        self.limiter = Limiter()
        self._sleep, self._clock = sleep, clock
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        headers = {"X-MBX-TIME-UNIT": "MICROSECOND"}
        self._http = httpx.AsyncClient(timeout=timeout_sec, headers=headers, transport=transport)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def get(
        self,
        endpoint: str,
        params: dict[str, str | int],
        weight: int,
        parse: Callable[[httpx.Response], Any] = json,
    ) -> Any:  # noqa: ANN401 - it is whatever `parse` makes of it
        """One answer, tried again where that is worth it. `weight` is what the exchange charges for it.

        Raises:
            InvalidSymbolError: it does not know the symbol.
            NotThereError: HTTP 404.
            LeftAloneError: it wants to be left alone for long; nothing more is sent before that is over.
            ExchangeError: it refused, or `_TRIES` attempts did not bring a whole answer.
        """
        mistake = ""
        for attempt in range(_TRIES):
            backoff = _FIRST_WAIT_SEC * 2**attempt
            try:
                response = await self._send(endpoint, params, weight)
            except httpx.HTTPError as error:
                mistake = f"{type(error).__name__} {error}".strip()
            else:
                if response.status_code in {_TOO_MANY, _BANNED}:
                    mistake = _refusal(response)
                    self.limiter.silence(max(backoff, _retry_after(response)), self._clock())
                    continue
                if response.status_code < _BAD_REQUEST:
                    try:
                        return parse(response)
                    except ValueError as error:
                        mistake = str(error)
                else:
                    mistake = self._worth_another_try(response, endpoint)
            if attempt < _TRIES - 1:
                await self._sleep(backoff)
        raise ExchangeError(f"{self.url}/{endpoint}: no answer after {_TRIES} attempts; the last: {mistake}")

    async def _send(self, endpoint: str, params: dict[str, str | int], weight: int) -> httpx.Response:
        """One attempt, as soon as the limiter lets it go."""
        async with self._at_once:
            while wait := self.limiter.wait(weight, self._clock()):
                if self.limiter.quiet(self._clock()) > _LONGEST_OBEYED_SEC:
                    raise LeftAloneError(f"{self.url}/{endpoint}", wait)
                await self._sleep(wait)
            booking = self.limiter.send(weight)
            self.usage = Usage(self.usage.requests + 1, self.usage.weight + weight)
            try:
                response = await self._http.get(f"{self.url}/{endpoint}", params=params)
            except BaseException as error:
                self.limiter.lost(booking, self._clock())
                if isinstance(error, httpx.InvalidURL):
                    raise ExchangeError(f"{self.url}/{endpoint}: not an address: {error}") from None
                raise
            self.limiter.answered(booking, _number(response.headers.get(_USED_WEIGHT)), self._clock())
            return response

    def _worth_another_try(self, response: httpx.Response, endpoint: str) -> str:
        """What the exchange's own trouble is; its refusals are raised."""
        mistake = _refusal(response)
        if response.status_code >= _SERVER_ERROR:
            return mistake
        if response.status_code == _FIREWALL:
            # Its firewall has met too much of us, or something it dislikes; whoever goes on makes it worse.
            self.limiter.silence(_retry_after(response), self._clock())
        refused = NotThereError if response.status_code == _NOT_THERE else ExchangeError
        if _INVALID_SYMBOL in response.text:
            refused = InvalidSymbolError
        raise refused(f"{self.url}/{endpoint}: refused: {mistake}")


def _refusal(response: httpx.Response) -> str:
    return " ".join([f"HTTP {response.status_code}", *response.text[:120].split()])


def _retry_after(response: httpx.Response) -> int:
    """How long the exchange wants to be left alone, in seconds; a minute where it does not say."""
    told = _number(response.headers.get("Retry-After"))
    return _UNSAID_SEC if told is None else told


def _number(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None
