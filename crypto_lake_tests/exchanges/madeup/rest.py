"""The made-up exchange's request interface."""

from collections.abc import Sequence
from typing import TypeVar

import httpx
import msgspec
from msgspec import Raw, Struct

from crypto_lake import web
from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import Candle, Page, Refused, ServerTime, State, Usage
from crypto_lake.layout import MINUTE_US
from crypto_lake.raw.instruments import Instrument

from .wire import Trade, trade_line

_T = TypeVar("_T")


class _Deals(Struct):
    deals: list[Trade]
    # All deals before it are told.
    until: int


class MadeUpRest:
    """See `base.Client` and `base.TimedTrades`."""

    candles_at_once = 60

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.AsyncClient(trust_env=False)
        self._asked = 0

    @property
    def usage(self) -> Usage:
        """A request weighs one."""
        return Usage(self._asked, self._asked)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _get(self, path: str, kind: type[_T], **params: str | int) -> _T:
        self._asked += 1
        request = self._http.build_request("GET", f"{self._url}/{path}", params=params)
        try:
            answer = await web.ask(self._http, request, answer_sec=5, most_bytes=1 << 20)
            return msgspec.json.decode(answer.body, type=kind)
        except (web.NoAnswerError, msgspec.MsgspecError) as error:
            raise ExchangeError(f"{self._url}/{path}: {error}") from None

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        """All pairs in one answer."""
        return frozenset(symbols) & frozenset(await self._get("pairs", list[str]))

    async def instruments(self) -> dict[str, Instrument]:
        """What is listed trades; nothing else is told of it."""
        pairs = await self._get("pairs", list[str])
        return {pair: Instrument(pair, "open", trading=True) for pair in pairs}

    async def states(self, symbols: Sequence[str]) -> dict[str, State]:
        """What is listed trades."""
        return dict.fromkeys(await self.listed(symbols), State("open", trades=True))

    async def time(self) -> ServerTime:
        """In microseconds."""
        return ServerTime(await self._get("time", int), in_microseconds=True, answered_by=None)

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        """Rows of minute, open, high, low, close, volume, value and number of trades."""
        rows = await self._get("candles", list[list[Raw]], pair=symbol, start=start_us, end=end_us)
        return [_candle(row) for row in rows]

    async def trades_between(self, symbol: str, start_us: int, end_us: int, ts_recv: int) -> Page:
        """Deals since a time, ten an answer."""
        found = await self._get("deals", _Deals, pair=symbol, start=start_us, end=end_us)
        said = [trade_line(deal, symbol, ts_recv) for deal in found.deals]
        lines = [line for line in said if not isinstance(line, Refused)]
        if len(lines) < len(said):
            raise ExchangeError(f"deals of {symbol}: one is no trade")
        return Page(lines, found.until)


def _candle(row: list[Raw]) -> Candle:
    start, high, low, end, base, value = (bytes(number).decode() for number in row[1:7])
    minute, count = int(bytes(row[0])), int(bytes(row[7]))
    return Candle(minute, start, high, low, end, base, minute + MINUTE_US - 1, value, count, None, None)
