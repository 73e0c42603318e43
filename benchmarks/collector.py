"""How fast the collector is, against a floor and a peer that are measured in the same run.

    python benchmarks/collector.py

A blast server on loopback, in a process of its own, sends the same frames to a bare `websockets` receive loop and to
the daemon, which is timed from the first frame to the last line in its file. The handler alone (frames to bytes) is
compared with the same work by the standard library's json. At 1,000 messages/s that come one by one, the daemon's CPU
is compared with that of the receive loop at the same pace; and what it takes in a process of its own, with and without
the order book of the three symbols among the messages.
"""

import asyncio
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

import click
import msgspec
import psutil
from loguru import logger
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from collector_daemon.clock import SystemClock
from collector_daemon.daemon import run
from collector_daemon.decide.listening import Hearing, Listening
from collector_daemon.decide.session import Session
from collector_daemon.land.landing import Landing
from collector_daemon.land.rotation import Rotation
from crypto_lake.config import Collector, Config, Exchange, General
from crypto_lake.exchanges.binance.wire import WIRE
from crypto_lake.schema import RAW_LINE, names

SYMBOLS = ("SOLUSDT", "SUIUSDT", "ADAUSDT")
FIRST_US = 1_760_918_400_000_000
_CHUNK = 1 << 16
_FRAMES_A_FLUSH = 5000
_FRAMES_A_READ = 500  # 64 KB
_SHORT, _MEDIUM = 126, 65536  # lengths of frames (RFC 6455, 5.2)
# Of 1,000 messages a second these are the events of three books, ten a second each, as busy as the busiest.
_DEPTH_EVERY, _LEVELS = 33, 46
_WARM_SEC = 4.0


def frames(count: int) -> list[bytes]:
    """Three trades in ten, the rest quotes, of three symbols in turn; ids rise without holes."""
    return [_frame(number) for number in range(count)]


def _frame(number: int) -> bytes:
    symbol, at = SYMBOLS[number % 3], FIRST_US + number * 37
    if number // 3 % 10 < 3:  # noqa: PLR2004 - three trades in ten
        trade = number // 30 * 3 + number // 3 % 10
        text = (
            f'{{"e":"trade","E":{at + 40},"s":"{symbol}","t":{10_000_000 + trade},"p":"190.{number % 97:02}000000",'
            f'"q":"16.{number % 991:03}00000","T":{at},"m":{"true" if number % 2 else "false"},"M":true}}'
        )
    else:
        text = (
            f'{{"u":{50_000_000 + number},"s":"{symbol}","b":"190.{number % 89:02}000000","B":"8.58900000",'
            f'"a":"190.{number % 89 + 1:02}000000","A":"239.90500000"}}'
        )
    return text.encode()


def with_depth(some: list[bytes]) -> list[bytes]:
    """The same with each 33rd replaced by an event of the order book, of three symbols in turn."""
    return [_event(number) if number % _DEPTH_EVERY == 0 else one for number, one in enumerate(some)]


def _event(number: int) -> bytes:
    turn = number // _DEPTH_EVERY
    symbol, first = SYMBOLS[turn % 3], 50_000_000 + turn // 3 * 200
    levels = [
        f'["{190 - level % 7}.{level:02}000000","{turn % 991}.{level:02}400000"]' for level in range(_LEVELS)
    ]
    bids, asks = ",".join(levels[: _LEVELS // 2]), ",".join(levels[_LEVELS // 2 :])
    text = (
        f'{{"e":"depthUpdate","E":{FIRST_US + number * 1000},"s":"{symbol}","U":{first},"u":{first + 199},'
        f'"b":[{bids}],"a":[{asks}]}}'
    )
    return text.encode()


def _book() -> str:
    bids, asks = (
        [[f"{190 + best * level}.00000000", "1.00000000"] for level in range(150)] for best in (-1, 1)
    )
    return json.dumps({"lastUpdateId": 50_000_100, "bids": bids, "asks": asks})


def on_the_wire(payload: bytes) -> bytes:
    """A whole text frame, as a server sends it."""
    if len(payload) < _SHORT:
        return bytes([0x81, len(payload)]) + payload
    if len(payload) >= _MEDIUM:
        raise ValueError("a frame too long for this benchmark")
    return bytes([0x81, 126]) + len(payload).to_bytes(2, "big") + payload


def blast(told: Connection, count: int, rate: float | None, depth: bool = False) -> None:
    """Serve REST and the frames until the process is ended; `rate` messages a second, or as fast as they are taken."""
    wire = [on_the_wire(payload) for payload in (with_depth(frames(count)) if depth else frames(count))]
    listed = json.dumps({"symbols": [{"symbol": symbol} for symbol in SYMBOLS]})

    def rest(connection: ServerConnection, request: Request) -> Response | None:
        if request.path.startswith("/api/v3/depth"):
            return connection.respond(200, _book())
        return connection.respond(200, listed) if request.path.startswith("/api") else None

    async def talk(connection: ServerConnection) -> None:
        try:
            request = json.loads(await connection.recv())
            await connection.send(f'{{"result":null,"id":{request["id"]}}}')
            await (_paced(connection, wire, rate) if rate else _at_once(connection, wire))
            await connection.wait_closed()
        except (
            ConnectionClosed,
            RuntimeError,
        ):  # the other side has left, and `write` says so in its own way
            return

    async def forever() -> None:
        async with serve(talk, "127.0.0.1", 0, process_request=rest, compression=None) as server:
            told.send(next(iter(server.sockets)).getsockname()[1])
            await asyncio.Event().wait()

    asyncio.run(forever())


async def _at_once(connection: ServerConnection, wire: list[bytes]) -> None:
    everything = b"".join(wire)
    for start in range(0, len(everything), _CHUNK):
        connection.transport.write(everything[start : start + _CHUNK])
        while connection.transport.get_write_buffer_size() > 4 * _CHUNK:  # noqa: ASYNC110 - a transport has no event
            await asyncio.sleep(0)


async def _paced(connection: ServerConnection, wire: list[bytes], rate: float) -> None:
    """One by one: what comes together would be read together."""
    began = time.perf_counter()
    for sent, one in enumerate(wire):
        connection.transport.write(one)
        await asyncio.sleep(max(0.0, began + (sent + 1) / rate - time.perf_counter()))


@contextmanager
def blasting(count: int, rate: float | None = None, *, depth: bool = False) -> Iterator[int]:
    """The port of a blast server in another process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=blast, args=(theirs, count, rate, depth), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()


async def bare_loop(port: int, count: int) -> float:
    """Seconds from the first frame to the last, when nothing is done with them."""
    async with connect(f"ws://127.0.0.1:{port}/ws", compression=None, max_queue=(1024, 256)) as connection:
        await connection.send(WIRE.subscribe(["x"], 1))
        await connection.recv()
        began = time.perf_counter()
        for _ in range(count):
            await connection.recv(decode=False)
        return time.perf_counter() - began


def _config(base: Path, port: int) -> Config:
    exchange = Exchange(
        name="binance",
        symbols=list(SYMBOLS),
        rest_url=f"http://127.0.0.1:{port}/api/v3",
        wss_url=f"ws://127.0.0.1:{port}/ws",
    )
    settings = Collector(connections=1, min_free_disk_gb=0, write_interval_sec=3600, flush_interval_sec=0.1)
    return Config(exchanges=[exchange], general=General(base_path=str(base)), collector=settings)


def _bytes_on_disk(base: Path) -> int:
    return sum(path.stat().st_size for path in base.rglob("part_*"))


async def whole_way(port: int, count: int) -> float:
    """Seconds from the confirmed subscription to the last line in its file."""
    encode = msgspec.json.Encoder().encode
    stamp = time.time_ns() // 1000
    expected = sum(len(encode(WIRE.decode(frame, stamp))) + 1 for frame in frames(count))
    with tempfile.TemporaryDirectory() as name:
        base, stop = Path(name), asyncio.Event()
        daemon = asyncio.create_task(run(_config(base, port), stop=stop))
        while not (base / "raw").exists() or not _confirmed(base):  # noqa: ASYNC110 - files have no events
            await asyncio.sleep(0.001)
        began = time.perf_counter()
        while (found := _bytes_on_disk(base)) < expected:  # noqa: ASYNC110 - files have no events
            await asyncio.sleep(0.03)
        took = time.perf_counter() - began
        stop.set()
        await daemon
    if found != expected:
        raise RuntimeError(f"{found} bytes on disk, {expected} expected")
    return took


def _confirmed(base: Path) -> bool:
    return any(b'"subscribed"' in path.read_bytes() for path in base.glob("raw/*/_journal/*"))


def with_handler(some: list[bytes]) -> float:
    """Seconds for frames to become the bytes of lines, the collector's way: ids, tallies, latencies and all."""
    clock = SystemClock()
    session, landing, listening, hearing = (
        Session(WIRE, SYMBOLS),
        Landing(Rotation(3600 * 1_000_000), clock),
        Listening(),
        Hearing(),
    )
    landing.expect(SYMBOLS, listening)
    receive, add, watch = session.receive, landing.add, landing.watch
    began = time.perf_counter()
    for flush in range(0, len(some), _FRAMES_A_FLUSH):
        for read in range(flush, min(flush + _FRAMES_A_FLUSH, len(some)), _FRAMES_A_READ):
            now = watch.look()
            hearing.hear(watch)
            add(receive(some[read : read + _FRAMES_A_READ], now, 1), now)
        landing.take()
    return time.perf_counter() - began


def with_json(some: list[bytes]) -> float:
    """The same by the standard library's json, spared the tallies and latencies."""
    trades = dict.fromkeys(SYMBOLS, -1)
    quotes = dict.fromkeys(SYMBOLS, -1)
    buffers = {symbol: bytearray() for symbol in SYMBOLS}
    keys = names(RAW_LINE)
    began = time.perf_counter()
    for frame in some:
        now = time.time_ns() // 1000
        said = json.loads(frame)
        symbol = said["s"]
        values: tuple[object, ...]
        if said.get("e") == "trade":
            if not (said["t"] > trades[symbol] and float(said["p"]) > 0 < float(said["q"])):
                continue
            trades[symbol] = said["t"]
            side = "sell" if said["m"] else "buy"
            values = (
                "trade",
                symbol,
                said["T"],
                now,
                said["t"],
                said["p"],
                said["q"],
                side,
                None,
                None,
                None,
                None,
            )
        else:
            if not (said["u"] > quotes[symbol] and float(said["b"]) >= 0 <= float(said["a"])):
                continue
            quotes[symbol] = said["u"]
            book = said["b"], said["B"], said["a"], said["A"]
            values = ("bookTicker", symbol, None, now, said["u"], None, None, None, *book)
        line = dict(zip(keys, values, strict=True))
        buffers[symbol] += json.dumps(line, separators=(",", ":")).encode() + b"\n"
    return time.perf_counter() - began


async def share_of_collector(rate: float, seconds: float) -> float:
    """CPU seconds a second that the daemon takes at so many messages a second, with the shipped intervals."""
    with blasting(int(rate * (seconds + 5)), rate) as port, tempfile.TemporaryDirectory() as name:
        stop = asyncio.Event()
        config = _config(Path(name), port)
        settings = msgspec.structs.replace(config.collector, write_interval_sec=60, flush_interval_sec=1)
        daemon = asyncio.create_task(run(msgspec.structs.replace(config, collector=settings), stop=stop))
        await asyncio.sleep(2)
        share = await _share(asyncio.sleep(seconds))
        stop.set()
        await daemon
    return share


async def share_of_bare_loop(rate: float, seconds: float) -> float:
    """The same of a receive loop that does nothing with what comes."""
    with blasting(int(rate * (seconds + 5)), rate) as port:
        async with connect(
            f"ws://127.0.0.1:{port}/ws", compression=None, max_queue=(1024, 256)
        ) as connection:
            await connection.send(WIRE.subscribe(["x"], 1))
            await connection.recv()
            return await _share(_receive(connection, seconds))


async def _receive(connection: ClientConnection, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        await connection.recv(decode=False)


async def _share(work: Awaitable[None]) -> float:
    began, used = time.perf_counter(), time.process_time()
    await work
    return (time.process_time() - used) / (time.perf_counter() - began)


def at_a_pace(rounds: int) -> None:
    """Print what 1,000 messages a second cost: the collector in the loop it runs in, and the bare loop in asyncio's."""
    pairs = [
        (asyncio.run(share_of_collector(1000, 5)), asyncio.run(share_of_bare_loop(1000, 5)))
        for _ in range(rounds)
    ]
    ours, bare = (100 * median(shares) for shares in zip(*pairs, strict=True))
    ratios = [one / floor for one, floor in pairs]
    click.echo(
        f"CPU at 1,000 messages/s, one by one: {ours:.1f} % of a core, bare websockets loop: {bare:.1f} %"
    )
    click.echo(f"ratio: {median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")


def by_itself(rate: float, seconds: float, *, depth: bool) -> tuple[float, float]:
    """CPU seconds a second of a collector in a process of its own, and its memory at the end, in 10⁶ bytes."""
    count = int(rate * (seconds + 2 * _WARM_SEC))
    with blasting(count, rate, depth=depth) as port, tempfile.TemporaryDirectory() as name:
        config = Path(name) / "config.yml"
        section = {
            "name": "binance",
            "symbols": list(SYMBOLS),
            "streams": ["trade", "bookTicker", *(["depth"] if depth else [])],
            "rest_url": f"http://127.0.0.1:{port}/api/v3",
            "wss_url": f"ws://127.0.0.1:{port}/ws",
        }
        settings = {"exchanges": [section], "collector": {"connections": 1, "min_free_disk_gb": 0}}
        config.write_text(json.dumps(settings), encoding="utf-8")
        words = [sys.executable, "-m", "collector_daemon", "--config", str(config)]
        with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
            there = psutil.Process(process.pid)
            time.sleep(_WARM_SEC)
            began, before = time.perf_counter(), there.cpu_times()
            time.sleep(seconds)
            took, after = time.perf_counter() - began, there.cpu_times()
            memory = there.memory_info().rss / 1e6
            process.terminate()
        if depth and not any(Path(name).rglob("depth_*.jsonl")):
            raise RuntimeError("no order book was recorded")
    return (after.user + after.system - before.user - before.system) / took, memory


def the_book(rounds: int) -> None:
    """Print what 1,000 messages a second take of a process without the order book of three symbols, and with it."""
    pairs = [(by_itself(1000, 10, depth=False), by_itself(1000, 10, depth=True)) for _ in range(rounds)]
    for number, what in enumerate(("without the order book", "with that of three symbols")):
        share, memory = (median(pair[number][place] for pair in pairs) for place in (0, 1))
        click.echo(f"at 1,000 messages/s, {what}: {100 * share:.1f} % of a core, {memory:.0f} MB")


@click.command()
@click.option("--count", type=int, default=300_000, show_default=True, help="Frames a round.")
@click.option("--rounds", type=int, default=5, show_default=True)
@click.option("--book", is_flag=True, help="Only what the order book takes.")
def main(*, count: int, rounds: int, book: bool) -> None:
    """Measure, and print rates and ratios."""
    logger.remove()
    if book:
        the_book(rounds)
        return
    bare, whole = [], []
    for _ in range(rounds):
        with blasting(count) as port:
            bare.append(count / asyncio.run(bare_loop(port, count)))
            whole.append(count / asyncio.run(whole_way(port, count)))
    ratios = [one / floor for one, floor in zip(whole, bare, strict=True)]
    click.echo(f"bare websockets loop: {median(bare):,.0f} messages/s (median of {rounds})")
    click.echo(f"collector, frame in to line in file: {median(whole):,.0f} messages/s")
    click.echo(f"ratio: {median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})")
    some = frames(count)
    ours, theirs = (min(one(some) for _ in range(rounds)) for one in (with_handler, with_json))
    click.echo(f"handler alone: {count / ours:,.0f} messages/s, with json: {count / theirs:,.0f} messages/s")
    click.echo(f"ratio: {theirs / ours:.1f}")
    at_a_pace(rounds)
    the_book(rounds)


if __name__ == "__main__":
    main()
