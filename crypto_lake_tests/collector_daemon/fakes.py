"""Fakes at the edges: an exchange that follows a script, clocks that obey, disks that refuse."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import date
from pathlib import Path

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from crypto_lake.config import Collector, Config, General
from crypto_lake.config import Exchange as ExchangeSection
from crypto_lake.layout import Layout
from crypto_lake.raw import journal, segments
from crypto_lake.raw.lines import RawLine, decode
from crypto_lake.raw.segments import OpenSegment

T0 = 1_760_918_400_000_000  # 2025-10-20T00:00:00Z
SYMBOLS = ["SOLUSDT", "ADAUSDT"]
# So many attempts to connect may follow each other at once, and then one comes in so many seconds.
BURST, INTERVAL_SEC = 20, 300 / 180


def trade(number: int, event: int = T0, symbol: str = "SOLUSDT") -> bytes:
    frame = {
        "e": "trade",
        "E": event,
        "s": symbol,
        "t": number,
        "p": "190.12",
        "q": "1.5",
        "T": event,
        "m": True,
    }
    return json.dumps(frame).encode()


def quote(number: int, symbol: str = "SOLUSDT") -> bytes:
    return json.dumps({"u": number, "s": symbol, "b": "1.0", "B": "2.0", "a": "1.1", "A": "3.0"}).encode()


def depth(first: int, last: int, event: int = T0, symbol: str = "SOLUSDT", levels: int = 1) -> bytes:
    bids = [[f"{1 + number}.0", "2.0"] for number in range(levels)]
    frame = {"e": "depthUpdate", "E": event, "s": symbol, "U": first, "u": last, "b": bids, "a": []}
    return json.dumps(frame, separators=(",", ":")).encode()


class FakeClock:
    """Stands still until told; `sleep` moves it and lets others run."""

    def __init__(self, wall: int = T0, pace: float = 1.0) -> None:
        self.wall, self.mono, self.pace = wall, 0.0, pace

    def now_us(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.mono

    async def sleep(self, seconds: float) -> None:
        self.pass_by(seconds)
        await asyncio.sleep(0)

    def pass_by(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += int(seconds * self.pace * 1_000_000)


class MarketClock:
    """Runs in real time, but its wall starts at `start` and runs `pace` times as fast."""

    def __init__(self, start: int = T0, pace: float = 1.0) -> None:
        self.shift, self.pace = start, pace
        self._loop_start: float | None = None

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def now_us(self) -> int:
        if self._loop_start is None:
            self._loop_start = self.monotonic()
        return self.shift + int((self.monotonic() - self._loop_start) * self.pace * 1_000_000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Swift(MarketClock):
    """Lives twenty times as fast as the machine it runs on, in all it does; `seconds` is for how long it has lived."""

    RATE = 20
    _began: float | None = None
    _last = 0.0

    def monotonic(self) -> float:
        self._last = super().monotonic() * self.RATE
        self._began = self._began or self._last
        return self._last

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.RATE)

    @property
    def seconds(self) -> float:
        return self._last - (self._began or 0.0)


class Hasty(MarketClock):
    """Sleeps a tenth of what it is told, so that pauses and checks come sooner."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 10)


Script = Callable[[ServerConnection], Awaitable[None]]


async def silence(connection: ServerConnection) -> None:
    """Say nothing until the collector leaves."""
    await connection.wait_closed()


class Exchange:
    """Follows `script` on each connection once its SUBSCRIBE is answered; `scripts` takes precedence, in order.

    While `open` is not set, connections wait for the answer to their handshake; `waiting` counts them.
    """

    def __init__(self, script: Script = silence, *, scripts: list[Script] | None = None) -> None:
        self.script, self.scripts = script, list(scripts or [])
        self.answer = '{"result":null,"id":%d}'
        self.listed = [*SYMBOLS, "SUIUSDT"]
        self.status: dict[str, str] = {}
        self.fails_to_list = self.wants_to_be_left_alone = False
        self.item_only_if_asked: set[str] = set()
        self.refuses: str | None = None
        self.lists_asked = 0
        self.connections = 0
        self.subscribed: list[list[str]] = []
        self.asked: dict[str, set[str]] = {"SUBSCRIBE": set(), "UNSUBSCRIBE": set()}
        self.server: Server | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.waiting = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Exchange"]:
        async with serve(
            self._talk, "127.0.0.1", 0, process_request=self._rest, ping_interval=None, close_timeout=1
        ) as self.server:
            yield self

    @property
    def port(self) -> int:
        assert self.server is not None
        port: int = next(iter(self.server.sockets)).getsockname()[1]
        return port

    async def _rest(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path.startswith("/api"):
            self.lists_asked += 1
            if self.wants_to_be_left_alone:
                answer = connection.respond(429, "no")
                answer.headers["Retry-After"] = "3600"
                return answer
            if self.fails_to_list:
                return connection.respond(400, "no")
            hidden = set() if "symbols=" in request.path else self.item_only_if_asked
            shown = [self._item(name) for name in self.listed if name not in hidden]
            return connection.respond(200, json.dumps({"symbols": shown}))
        self.waiting += 1
        await self.open.wait()
        self.waiting -= 1
        return None

    def _item(self, name: str) -> dict[str, object]:
        return {
            "symbol": name,
            "status": self.status.get(name, "TRADING"),
            "baseAsset": name[:3],
            "quoteAsset": name[3:],
            "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01"}],
        }

    async def _talk(self, connection: ServerConnection) -> None:
        self.connections += 1
        script = self.scripts.pop(0) if self.scripts else self.script
        with contextlib.suppress(ConnectionClosed):
            await self._answer(connection)
            others = asyncio.ensure_future(self._answer_all(connection))
            try:
                await script(connection)
            finally:
                others.cancel()
                await asyncio.gather(others, return_exceptions=True)

    async def _answer_all(self, connection: ServerConnection) -> None:
        while True:
            await self._answer(connection)

    async def _answer(self, connection: ServerConnection) -> None:
        request = json.loads(await connection.recv())
        if self.refuses in request["params"] and request["method"] == "SUBSCRIBE":
            error = {"error": {"code": 2, "msg": "Invalid request"}, "id": request["id"]}
            await connection.send(json.dumps(error))
            return
        self.subscribed.append(request["params"])
        self.asked[request["method"]].update(request["params"])
        if request["method"] == "SUBSCRIBE":
            self.asked["UNSUBSCRIBE"].difference_update(request["params"])
        if self.answer:
            await connection.send(self.answer % request["id"] if "%d" in self.answer else self.answer)


def says(*frames: bytes, then: Script = silence) -> Script:
    async def script(connection: ServerConnection) -> None:
        for frame in frames:
            await connection.send(frame.decode(errors="replace"))
        await then(connection)

    return script


class Tape:
    """Trades of one symbol that go on whoever listens, 500 a second; a connection gets those from its beginning on."""

    def __init__(self) -> None:
        self._start: float | None = None

    def newest(self) -> int:
        now = asyncio.get_running_loop().time()
        self._start = self._start or now
        return 1 + int((now - self._start) * 500)

    def plays(self, *first: bytes, lives: float = 1e9, then: Script = silence) -> Script:
        """Send `first`, then the trades for `lives` seconds."""

        async def script(connection: ServerConnection) -> None:
            loop = asyncio.get_running_loop()
            sent, end = self.newest() - 1, loop.time() + lives
            await says(*first, then=at_once)(connection)
            while loop.time() < end:
                for number in range(sent + 1, self.newest() + 1):
                    await connection.send(trade(number).decode())
                    sent = number
                await asyncio.sleep(0.002)
            await then(connection)

        return script


async def at_once(_connection: ServerConnection) -> None:
    """Go on."""


async def hang_up(connection: ServerConnection) -> None:
    # An abort takes back what is still to be sent: on Windows that may be all that was said just before.
    async with asyncio.timeout(10):
        while connection.transport.get_write_buffer_size():  # noqa: ASYNC110 - there is no event of it
            await asyncio.sleep(0.001)
    connection.transport.abort()


def configured(base: Path, port: int, symbols: Sequence[str] = SYMBOLS, **collector: float) -> Config:
    settings: dict[str, float] = {
        "flush_interval_sec": 0.05,
        "min_free_disk_gb": 0,
        "reconnect_backoff": 0.05,
        "connections": 1,
    }
    return Config(
        exchanges=[
            ExchangeSection(
                name="binance",
                symbols=list(symbols),
                rest_url=f"http://127.0.0.1:{port}/api/v3",
                wss_url=f"ws://127.0.0.1:{port}/ws",
            )
        ],
        general=General(base_path=str(base)),
        collector=msgspec.convert({**settings, **collector}, Collector),
    )


def lines_of(layout: Layout, symbol: str, day: date) -> list[RawLine]:
    """All sealed lines of a day, in order of segments; every one must be whole."""
    found = []
    for path in segments.sealed(layout.raw_day("binance", symbol, day)):
        content = path.read_bytes()
        assert content.endswith(b"\n")
        found += [decode(line) for line in content.splitlines()]
    return found


def open_files(layout: Layout) -> list[Path]:
    return sorted(layout.base.rglob("*.open"))


def shared(layout: Layout, day: date) -> list[journal.AnyRecord]:
    """What the journal says that all symbols share, in order."""
    return list(journal.read(layout.journal("binance", day)))


def own(layout: Layout, symbol: str, day: date) -> list[journal.AnyRecord]:
    """What a symbol's own journal says, in order."""
    return list(journal.read(layout.symbol_journal("binance", symbol, day)))


def records(layout: Layout, day: date, kind: type[journal.Record] | None = None) -> list[journal.AnyRecord]:
    """What all journals of a day say: what symbols share, then each symbol's own."""
    found = shared(layout, day)
    for symbol in layout.raw_symbols("binance"):
        found += own(layout, symbol, day)
    return [record for record in found if kind is None or isinstance(record, kind)]


async def until(condition: Callable[[], bool], what: str = "it") -> None:
    """Wait for a condition, for a bounded time."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


class Refusing(OpenSegment):
    """An open segment whose disk refuses while `refuse` says so."""

    refuse: Callable[[], bool]

    def append(self, lines: bytes) -> None:
        if type(self).refuse():
            raise OSError(28, "No space left on device")
        super().append(lines)
