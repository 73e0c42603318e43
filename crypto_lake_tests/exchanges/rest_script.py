"""A scripted exchange behind `httpx`, whose clock moves only by waiting."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar, cast

import httpx

from crypto_lake.exchanges.base import Candle
from crypto_lake.exchanges.binance.http import BinanceHttp
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.layout import MINUTE_US

URL = "http://exchange.test/api/v3"
START_US = 1_760_918_400_000_000
Answer = httpx.Response | type[httpx.TransportError]
_T = TypeVar("_T")


def row(minute: int = 0, /, **changes: object) -> list[Any]:
    """A kline as the exchange sends it, in microseconds; changes go by the names of `Candle`."""
    start = START_US + minute * MINUTE_US
    candle = Candle(start, "1.0", "2.0", "0.5", "1.5", "10.0", start + MINUTE_US - 1, "15.0", 3, "4.0", "6.0")
    return [*candle._replace(**cast("dict[str, Any]", changes)), "0"]


def says(body: object) -> httpx.Response:
    return httpx.Response(200, content=json.dumps(body))


def klines(*rows: object) -> httpx.Response:
    return says(rows)


def refusal(status: int, retry_after: str | None = None) -> httpx.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx.Response(status, headers=headers, json={"code": -1003, "msg": "Too many requests."})


class Exchange:
    """Gives the answers of a script, the last one over and over; remembers what was asked, and how it was waited."""

    def __init__(self, *script: Answer) -> None:
        self._script = list(script)
        self.asked: list[httpx.Request] = []
        self.waits: list[float] = []
        self.now = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        raise answer("the line is dead", request=request)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def ask(self, question: Callable[[BinanceRest], Awaitable[_T]], url: str = URL) -> _T:
        """What a client of this exchange makes of a question."""

        async def asked() -> _T:
            transport = httpx.MockTransport(self)
            client = BinanceRest(
                BinanceHttp(url, sleep=self.sleep, clock=lambda: self.now, transport=transport)
            )
            try:
                return await question(client)
            finally:
                await client.aclose()

        return asyncio.run(asked())

    def candles(self, minutes: int = 1) -> list[Candle]:
        """The first so many minutes of candles."""
        return self.ask(lambda client: client.candles_1m("SOLUSDT", START_US, START_US + minutes * MINUTE_US))

    def symbols(self, *asked: str) -> frozenset[str]:
        """Those of the symbols that it lists."""
        return self.ask(lambda client: client.listed(asked or ("SOLUSDT", "ADAUSDT")))


class Paged(Exchange):
    """Has candles for some minutes and hands out so many at a time."""

    def __init__(self, minutes: Iterable[int], page: int = 1000) -> None:
        super().__init__()
        self._minutes, self._page = list(minutes), page

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        first, last = (int(request.url.params[key]) for key in ("startTime", "endTime"))
        rows = [one for one in map(row, self._minutes) if first <= one[0] <= last]
        return klines(*rows[: min(self._page, int(request.url.params["limit"]))])
