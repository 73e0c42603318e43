"""The made-up exchange on loopback, and its market: what it says over both interfaces is told by one tape."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

PAIR = "MOONUSD"
# 2025-10-20T11:59:58Z
START = 1_760_961_598_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
_PAGE = 10
_MANY = 40
# A float in between would lose the zero at the end; the small one is how some serializers write it.
_PRICES = ("100.10", "100.125", "99.9", "100")
_SIZES = ("0.1", "1e-7", "3", "2.50000001")
_AWAY_US = 1_500_000


@dataclass(frozen=True)
class Deal:
    """A trade as the market made it; `px` and `sz` as it spells them."""

    id: int
    us: int
    px: str
    sz: str
    taker: str

    @property
    def json(self) -> str:
        return f'{{"id":{self.id},"ns":{self.us}123,"px":{self.px},"sz":{self.sz},"taker":"{self.taker}"}}'


def tape(seconds: float) -> list[Deal]:
    """A trade each 20 ms; ids rise, and skip."""
    return [
        Deal(
            7_000 + 3 * n + n % 2,
            START + n * 20_000 + n % 7,
            _PRICES[n % 4],
            _SIZES[n * 3 % 4],
            "bs"[n % 3 == 0],
        )
        for n in range(int(seconds * 50))
    ]


class MarketClock:
    """The time of the market, for the collector as well: it begins at `START`."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def monotonic(self) -> float:
        return time.monotonic()

    def now_us(self) -> int:
        return START + int((time.monotonic() - self._began) * SECOND)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class MadeUpExchange:
    """Says each trade when it happens, four in a message, but hangs up after 40 and then lets nobody in for 1.5 s."""

    deals: list[Deal]
    away_from: int = 0
    clock: MarketClock = field(default_factory=MarketClock)
    said: set[int] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    lie: str | None = None

    def is_away(self) -> bool:
        if not self.away_from and len(self.said) > _MANY:
            self.away_from = self.clock.now_us()
        return bool(self.away_from) and self.clock.now_us() < self.away_from + _AWAY_US

    def has_said_enough(self) -> bool:
        """Whether as many trades were said again since it came back."""
        return len(self.said) > 2 * _MANY and not self.is_away()

    def nothing_else_happened(self) -> None:
        """Let the market have begun with the first trade that was said, and ended with the last."""
        self.deals = [deal for deal in self.deals if min(self.said) <= deal.id <= max(self.said)]

    async def talk(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(2):
                request = json.loads(await connection.recv())
                await connection.send('{"ch":"alive"}')
                await connection.send(json.dumps({"ack": request["req"]}))
            told = sum(deal.us <= self.clock.now_us() for deal in self.deals)
            while not self.is_away():
                due = sum(deal.us <= self.clock.now_us() for deal in self.deals)
                for start in range(told, due, 4):
                    some = self.deals[start : min(start + 4, due)]
                    words = ",".join(deal.json for deal in some)
                    await connection.send(f'{{"ch":"deals","pair":"{PAIR}","trades":[{words}]}}')
                    self.said |= {deal.id for deal in some}
                told = due
                await connection.send(
                    f'{{"ch":"top","pair":"{PAIR}","n":{due},"bid":[1.5,2],"ask":[1.6,1e1]}}'
                )
                await asyncio.sleep(0.02)
            connection.transport.abort()

    async def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if not parts.path.startswith("/api/"):
            while self.is_away():  # noqa: ASYNC110 - there is no event of it
                await asyncio.sleep(0.01)
            return None
        self.asked.append(parts.path.removeprefix("/api/"))
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        match self.asked[-1]:
            case "pairs":
                return connection.respond(200, json.dumps([PAIR]))
            case "time":
                return connection.respond(200, str(self.clock.now_us()))
            case "candles":
                return connection.respond(200, self._candles(int(asked["start"]), int(asked["end"])))
        return connection.respond(200, self._page(int(asked["start"]), int(asked["end"])))

    def between(self, start: int, end: int) -> list[Deal]:
        return [deal for deal in self.deals if start <= deal.us < end]

    def _page(self, start: int, end: int) -> str:
        found = self.between(start, end)
        until = found[_PAGE].us if len(found) > _PAGE else end
        if self.lie == "stands still":
            until = start
        page = [deal for deal in found[:_PAGE] if deal.us < until]
        if self.lie == "another time":
            page = self.deals[:1]
        if self.lie == "nothing happened":
            page, until = [], end
        return f'{{"deals":[{",".join(deal.json for deal in page)}],"until":{until}}}'

    def _candles(self, start: int, end: int) -> str:
        minutes = sorted({deal.us // MINUTE * MINUTE for deal in self.between(start, end)})
        return f"[{','.join(map(self._candle, minutes))}]"

    def _candle(self, minute: int) -> str:
        some = self.between(minute, minute + MINUTE)
        prices = [Decimal(deal.px) for deal in some]
        base = sum(Decimal(deal.sz) for deal in some)
        value = sum(Decimal(deal.px) * Decimal(deal.sz) for deal in some)
        numbers: tuple[Decimal | int, ...] = (prices[0], max(prices), min(prices), prices[-1], base, value)
        if self.lie == "another candle":
            numbers = (*numbers[:4], base * 2, value * 2)
        return f"[{minute},{','.join(format(one, 'f') for one in numbers)},{len(some)}]"


@contextlib.contextmanager
def running(exchange: MadeUpExchange) -> Iterator[int]:
    """The port at which an exchange listens, in a thread of its own."""
    ready, ports = threading.Event(), list[int]()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def forever() -> None:
        async with serve(
            exchange.talk,
            "127.0.0.1",
            0,
            process_request=exchange.answer,
            ping_interval=None,
            close_timeout=1,
        ) as server:
            ports.append(next(iter(server.sockets)).getsockname()[1])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(forever()), daemon=True)
    thread.start()
    try:
        if not ready.wait(10):
            raise TimeoutError("the exchange did not begin to listen")
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
