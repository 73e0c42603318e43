"""The collector on a crowd of symbols: what it takes at the pace of an ordinary day, and what a burst does to it.

    python -m benchmarks.crowd

A server on loopback, in a process of its own, says what the exchange says of 2,000 symbols: 12,000 frames a second for
a minute, then 250,000 a second for ten seconds. The collector is a process of its own with the shipped settings, but
one connection a stream. Afterwards every frame must be a line on the disk. Linux only.
"""

import asyncio
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import click
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from benchmarks.collector import FIRST_US, on_the_wire

_STEP_SEC = 0.01
_TICKS = os.sysconf("SC_CLK_TCK")


def names(count: int) -> list[str]:
    """So many symbols."""
    return [f"S{number:05}USDT" for number in range(count)]


class Frames:
    """What happens to some symbols, one after the other: three trades in ten, the rest quotes; ids without holes."""

    def __init__(self, symbols: list[str]) -> None:
        self._symbols = symbols
        self._said = 0

    def next(self, count: int) -> bytes:
        """So many frames more, as they are on the wire."""
        first, self._said = self._said, self._said + count
        return b"".join([on_the_wire(self._frame(number)) for number in range(first, first + count)])

    def _frame(self, number: int) -> bytes:
        turn, place = divmod(number, len(self._symbols))
        symbol, at = self._symbols[place], FIRST_US + number * 37
        if turn % 10 < 3:  # noqa: PLR2004 - three trades in ten
            trade = turn // 10 * 3 + turn % 10
            return (
                f'{{"e":"trade","E":{at + 40},"s":"{symbol}","t":{10_000_000 + trade},"p":"190.{number % 97:02}000000",'
                f'"q":"16.{number % 991:03}00000","T":{at},"m":{"true" if number % 2 else "false"},"M":true}}'
            ).encode()
        return (
            f'{{"u":{50_000_000 + number},"s":"{symbol}","b":"190.{number % 89:02}000000","B":"8.58900000",'
            f'"a":"190.{number % 89 + 1:02}000000","A":"239.90500000"}}'
        ).encode()


class Crowd:
    """The exchange. It says nothing until it is told a pace, and then so many frames a second, over all connections."""

    def __init__(self, told: Connection, symbols: list[str]) -> None:
        self._told = told
        self._symbols = symbols
        self._asked: dict[ServerConnection, set[str]] = {}

    async def run(self) -> None:
        """Serve until the process is ended; tell the port, and after each pace how many seconds it took."""
        async with serve(self._talk, "127.0.0.1", 0, process_request=self._rest, compression=None) as server:
            self._told.send(next(iter(server.sockets)).getsockname()[1])
            while sum(map(len, self._asked.values())) < 2 * len(self._symbols):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
            speakers = {
                connection: Frames([name for name in self._symbols if f"{name.lower()}@trade" in asked])
                for connection, asked in self._asked.items()
            }
            self._told.send("subscribed")
            while True:
                rate, seconds = await asyncio.to_thread(self._told.recv)
                # Made beforehand, or making them would be what limits the pace.
                steps = round(seconds / _STEP_SEC)
                share = round(rate * _STEP_SEC / len(speakers))
                said = {one: [frames.next(share) for _ in range(steps)] for one, frames in speakers.items()}
                self._told.send(steps * share * len(speakers))
                await asyncio.to_thread(self._told.recv)
                began = time.perf_counter()
                await asyncio.gather(*(self._say(one, chunks) for one, chunks in said.items()))
                self._told.send(time.perf_counter() - began)

    async def _say(self, connection: ServerConnection, chunks: list[bytes]) -> None:
        began = time.perf_counter()
        for number, chunk in enumerate(chunks):
            connection.transport.write(chunk)
            while connection.transport.get_write_buffer_size() > 1 << 20:  # noqa: ASYNC110 - a transport has no event
                await asyncio.sleep(0.001)
            await asyncio.sleep(max(0.0, began + (number + 1) * _STEP_SEC - time.perf_counter()))

    async def _talk(self, connection: ServerConnection) -> None:
        asked = self._asked[connection] = set()
        async for text in connection:
            request = json.loads(text)
            asked.update(request["params"])
            await connection.send(f'{{"result":null,"id":{request["id"]}}}')

    def _rest(self, connection: ServerConnection, request: Request) -> Response | None:
        listed = json.dumps(
            {"symbols": [{"symbol": symbol, "status": "TRADING"} for symbol in self._symbols]}
        )
        return connection.respond(200, listed) if request.path.startswith("/api") else None


def crowd(told: Connection, count: int) -> None:
    """The exchange's process."""
    asyncio.run(Crowd(told, names(count)).run())


@contextmanager
def talking(count: int) -> Iterator[tuple[Connection, int]]:
    """The exchange in a process of its own: what it is told by, and its port."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=crowd, args=(theirs, count), daemon=True)
    process.start()
    try:
        yield ours, ours.recv()
    finally:
        process.kill()
        process.join()


@contextmanager
def recording(base: Path, port: int, count: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The collector in a process of its own, which is asked to stop in the end."""
    settings = {
        "general": {"base_path": str(base / "lake")},
        "collector": {"connections": 1, "min_free_disk_gb": 0},
        "exchanges": [
            {
                "name": "binance",
                "symbols": names(count),
                "rest_url": f"http://127.0.0.1:{port}/api/v3",
                "wss_url": f"ws://127.0.0.1:{port}/ws",
            }
        ],
    }
    config = base / "config.yml"
    config.write_text(json.dumps(settings), encoding="utf-8")
    words = [sys.executable, "-m", "collector_daemon", "--config", str(config)]
    with (base / "log").open("wb") as log, subprocess.Popen(words, stdout=log, stderr=log) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


def cpu_sec(pid: int) -> float:
    """CPU seconds that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(pid: int, key: str) -> float:
    """Resident memory now (`VmRSS`), or the most there ever was (`VmHWM`), in 10⁶ bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{key}:")[2].split()[0]) * 1024 / 1e6


def lines_on_disk(base: Path) -> int:
    """How many lines of the symbols there are."""
    return sum(path.read_bytes().count(b"\n") for path in (base / "lake" / "raw").rglob("part_*"))


def at_a_pace(told: Connection, pid: int, rate: int, seconds: float) -> int:
    """Let the exchange speak, and print what that took; how many frames it said is returned."""
    told.send((rate, seconds))
    count: int = told.recv()
    used = cpu_sec(pid)
    told.send("go")
    took = told.recv()
    share = (cpu_sec(pid) - used) / took
    click.echo(
        f"{count:,} frames in {took:.1f} s ({count / took:,.0f} a second): {100 * share:.0f} % of a core, "
        f"resident {memory_mb(pid, 'VmRSS'):.0f} MB, at most {memory_mb(pid, 'VmHWM'):.0f} MB"
    )
    return count


@click.command()
@click.option("--symbols", type=int, default=2000, show_default=True)
@click.option("--minutes", type=float, default=1.0, show_default=True, help="At 12,000 frames a second.")
def main(*, symbols: int, minutes: float) -> None:
    """Measure, and print; exit code 1 if a frame was lost."""
    base = Path(tempfile.mkdtemp())
    try:
        with talking(symbols) as (told, port), recording(base, port, symbols) as process:
            told.recv()
            time.sleep(5)
            click.echo(
                f"{symbols:,} symbols, nothing said: resident {memory_mb(process.pid, 'VmRSS'):.0f} MB"
            )
            said = at_a_pace(told, process.pid, 12_000, 60 * minutes)
            said += at_a_pace(told, process.pid, 250_000, 10)
            time.sleep(5)
            click.echo(f"five seconds later: resident {memory_mb(process.pid, 'VmRSS'):.0f} MB")
        found = lines_on_disk(base)
        click.echo(f"{said:,} frames said, {found:,} lines on the disk, {said - found:,} lost")
        sys.exit(found != said)
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    main()
