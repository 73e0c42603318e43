"""A finished day, served again: who records it has the same day, who asks has its numbers."""

import asyncio
import json
import re
import socket
import threading
import time
from functools import partial
from pathlib import Path

import duckdb
import httpx
import msgspec
import pytest

from collector_daemon.clock import SystemClock
from collector_daemon.daemon import run
from crypto_lake import config as configuration
from crypto_lake.completeness import candles as candle_files
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.exchanges.base import Candle
from crypto_lake.layout import MINUTE_US, Layout
from crypto_lake.operate.replay import files, rows, serve
from crypto_lake.raw.lines import TICKS
from crypto_lake.series import Series
from crypto_lake.simulator.binance import wire
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.tape import Page, Quote, Trade
from crypto_lake.simulator.server.exchange import running
from crypto_lake_tests import commands, processes
from crypto_lake_tests.made import Made
from crypto_lake_tests.operate.replay.days import GAP_SEC, LAST_SEC, MIDNIGHT, NEXT, SYMBOL, compact, recorded
from crypto_lake_tests.raw_lines import SECOND
from crypto_lake_tests.recorded_market import MARKET
from crypto_lake_tests.simulator.clients import Client, ask, holds_soon

_SPEED = 6
# By how much either side may be held up, and how late a quote may be for it, by the machine's clock.
_HELD_UP_SEC, _LATE_US = 0.03, 95_000
# A process that imports all of it takes so long to start on a slow machine.
_START_S = 90


class _Unhurried(MarketClock):
    """A clock that passes while both the exchange and the collector look at it: where either is held up, it waits."""

    def __init__(self, start_us: int) -> None:
        super().__init__(start_us, _SPEED)
        self._passed_us = start_us
        self._seen = 0.0
        self._looks = dict.fromkeys(("bundled-exchange", threading.main_thread().name), 0.0)
        self._lock = threading.Lock()

    def now_us(self) -> int:
        with self._lock:
            now = time.perf_counter()
            if (name := threading.current_thread().name) in self._looks:
                self._looks[name] = now
            if now - min(self._looks.values()) < _HELD_UP_SEC:
                self._passed_us += int((now - self._seen) * SECOND * _SPEED)
            self._seen = now
            return self._passed_us


class _Stamps(SystemClock):
    """The collector's clock, which passes as the market's does."""

    def __init__(self, market: MarketClock) -> None:
        self._market = market

    def now_us(self) -> int:
        return self._market.now_us()

    def monotonic(self) -> float:
        return self._market.now_us() / SECOND / _SPEED


@pytest.fixture
def day(made: Made, series: Series) -> Series:
    return made(series, recorded)


def _recording_of(replay: serve.Replay, folder: Path, until_us: int) -> Series:
    """The lake of a collector that was given the replay's address, and nothing else."""
    replay.exchange.clock = market = _Unhurried(replay.exchange.clock.now_us())
    folder.mkdir()

    async def listen(config: Config) -> None:
        stop = asyncio.Event()
        daemon = asyncio.create_task(run(config, clock=_Stamps(market), stop=stop))
        for _ in range(30_000):
            if market.now_us() > until_us or daemon.done():
                break
            await asyncio.sleep(0.002)
        stop.set()
        await daemon

    with running(replay.exchange) as address:
        source = {
            "name": "binance",
            "symbols": [SYMBOL],
            "rest_url": address.rest_url,
            "wss_url": address.ws_url,
            "streams": ["trade", "bookTicker", "depth"],
        }
        text = {"exchanges": [source], "collector": {"reconnect_backoff": 0.1}}
        (folder / "config.yml").write_bytes(msgspec.yaml.encode(text))
        config = configuration.load(folder / "config.yml")
        asyncio.run(listen(config))
    return Series(config, "binance", SYMBOL)


def test_a_recording_of_the_replay_has_the_same_daily_files_and_ticks(
    duck: duckdb.DuckDBPyConnection, day: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "_LATE_US", _LATE_US)
    replay = serve.prepared(day.config, serve.Wish(NEXT, [], speed=_SPEED, begin_in=0.0))
    again = _recording_of(replay, tmp_path / "again", MIDNIGHT + int((LAST_SEC + 0.05) * SECOND))
    compact(duck, again)
    where = "binance", SYMBOL
    for file in (day.layout.daily, day.layout.minutes):
        ours, theirs = (file(*where, NEXT).relative_to(day.layout.base), file(*where, NEXT))
        assert (again.layout.base / ours).read_bytes() == theirs.read_bytes(), ours
    # A snapshot is taken when a recorder asks for one, a quote's time is that of its receipt.
    for path, own, which in (
        (_depth, "ts_recv", "NOT is_snapshot"),
        (partial(_ticks, "trades"), "ts_recv", "true"),
        (partial(_ticks, "quotes"), "ts_recv, ts_event", "true"),
    ):
        one, other = (
            f"(SELECT * EXCLUDE ({own}) FROM '{path(lake.layout).as_posix()}' WHERE {which})"
            for lake in (day, again)
        )
        assert duck.execute(f"{one} EXCEPT ALL {other}").fetchall() == []
        assert duck.execute(f"{other} EXCEPT ALL {one}").fetchall() == []


def _depth(layout: Layout) -> Path:
    return layout.depth("binance", SYMBOL, NEXT)


def _ticks(table: str, layout: Layout) -> Path:
    return layout.ticks("binance", SYMBOL, table, NEXT)


def test_questions_are_answered_with_the_days_own_numbers(
    day: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    now = MIDNIGHT + 5 * SECOND
    replay = serve.prepared(day.config, serve.Wish(NEXT, [SYMBOL]))
    replay.exchange.clock = MarketClock(now, 1e-6)
    trades, quotes = (day.layout.ticks("binance", SYMBOL, stream.table, NEXT).as_posix() for stream in TICKS)
    until = f"ts_event <= make_timestamptz({now})"
    first, last, count, high = duck.execute(
        f"SELECT min(id), max(id), count(*), max(price)::VARCHAR FROM '{trades}' WHERE {until}"
    ).fetchall()[0]
    best = duck.execute(
        f"SELECT bid::VARCHAR, ask::VARCHAR FROM '{quotes}' WHERE {until} ORDER BY ts_event DESC, id DESC LIMIT 1"
    ).fetchall()[0]
    # The book is known at the end of the last event.
    *_, event = MARKET.depth(SYMBOL, MIDNIGHT, now, 100_000)
    known = MARKET.book(SYMBOL, 5, event.event_us - 1)
    with running(replay.exchange) as address:
        recent = ask(address, "trades", symbol=SYMBOL, limit=2).json()
        candle = ask(address, "klines", symbol=SYMBOL, interval="1m", startTime=MIDNIGHT // 1000).json()[0]
        book = ask(address, "depth", symbol=SYMBOL, limit=5).json()
        ticker = ask(address, "ticker/24hr", symbol=SYMBOL).json()
        older = ask(address, "historicalTrades", symbol=SYMBOL, fromId=first - 1, limit=2).json()
    assert [row["id"] for row in recent] == [last - 1, last]
    assert (candle[2], candle[8]) == (high, count)
    assert known
    assert book == wire.book_row(known)
    # The day before is known from where it was heard.
    assert [row["id"] for row in older] == [first - 1, first]
    assert ticker["count"] == ticker["lastId"] - ticker["firstId"] + 1 > count
    assert (ticker["bidPrice"], ticker["askPrice"]) == best


def test_minutes_that_nobody_heard_have_no_candle_unless_the_exchange_told_them(day: Series) -> None:
    page = Page(MINUTE_US, MIDNIGHT, MIDNIGHT + 10 * MINUTE_US, 100)

    def opened() -> list[int]:
        tape = serve.prepared(day.config, serve.Wish(NEXT, [SYMBOL])).exchange.tape
        return [
            (it.open_us - MIDNIGHT) // MINUTE_US
            for it in tape.candles(SYMBOL, page, MIDNIGHT + 9 * MINUTE_US)
        ]

    assert opened() == [0]
    prices = "1.5", "2", "1", "1.5", "3"
    own = [
        Candle(at, *prices, at + MINUTE_US - 1, "4.5", 1, "0", "0")
        for at in (MIDNIGHT, MIDNIGHT + 4 * MINUTE_US)
    ]
    path = day.layout.candles("binance", SYMBOL, NEXT)
    parquet.write_table(candle_files.table(SYMBOL, own), path, "snappy", footer={})
    assert opened() == [0, 4]
    tape = serve.prepared(day.config, serve.Wish(NEXT, [SYMBOL])).exchange.tape
    assert tape.candles(SYMBOL, page, MIDNIGHT + 9 * MINUTE_US)[0].volume == 300_000_000


def test_what_the_lake_lacks_is_told_to_those_who_wished_so(day: Series) -> None:
    replay = serve.prepared(day.config, serve.Wish(NEXT, [SYMBOL], speed=20, begin_in=0.0, mark_gaps=True))

    async def heard() -> tuple[list[str], int]:
        async with Client(address, "/ws/solusdt@bookTicker") as client:
            frames, closed = await client.until_closed()
        return frames, closed.rcvd.code if closed.rcvd else 0

    with running(replay.exchange) as address:
        frames, code = asyncio.run(heard())
    (told,) = [frame for text in frames if (frame := json.loads(text)).get("e") == "gap"]
    assert (told["s"], told["to"] - told["from"], told["firstId"]) == (SYMBOL, int(GAP_SEC * 1000), None)
    assert code == 1001
    tape = replay.exchange.tape
    unheard, hole = tape.losses(SYMBOL, MIDNIGHT, MIDNIGHT + 20 * SECOND)
    assert (unheard.first_id, unheard.from_us // 1000) == (None, told["from"])
    before, after = tape.trades_from(SYMBOL, (hole.first_id or 0) - 1, 2, MIDNIGHT + 20 * SECOND)
    assert (before.id + 1, after.id - 1, after.ts_us) == (hole.first_id, hole.last_id, hole.sent_us)


def test_pieces_of_any_size_make_the_same_events(day: Series, monkeypatch: pytest.MonkeyPatch) -> None:
    def events() -> list[Trade | Quote]:
        tape = serve.prepared(day.config, serve.Wish(NEXT, [SYMBOL])).exchange.tape
        return list(tape.events(SYMBOL, MIDNIGHT, MIDNIGHT + 30 * SECOND))

    whole = events()
    assert len(whole) > 100
    monkeypatch.setattr(rows, "_FEWEST", 7)
    monkeypatch.setattr(files, "_ROWS", 60)
    assert events() == whole


def test_a_day_is_served_until_the_command_is_stopped(day: Series, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with processes.started(
        "crypto_lake", "replay", "--date", str(NEXT), "--port", "0", cwd=tmp_path, log=log
    ) as one:
        assert holds_soon(lambda: "Ctrl-C stops" in log.read_text(encoding="utf-8"), _START_S)
        url = re.findall(r"rest_url: (\S+)", log.read_text(encoding="utf-8"))[0]
        found = httpx.get(f"{url}/ticker/price", timeout=10).json()
        processes.interrupt(one)
        assert one.wait(processes.STOP_SEC) == 0
    assert [row["symbol"] for row in found] == [SYMBOL]
    assert log.read_text(encoding="utf-8").splitlines()[-1] == "Stopped."


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--date", "2025-10-22"], 1, "no ticks of any symbol of 2025-10-22"),
        (["--date", "2025-10-21", "--symbol", "ADAUSDT"], 1, "nothing of ADAUSDT; expected one of SOLUSDT"),
        (["--date", "2025-10-21", "--speed", "1000"], 2, "--speed"),
        (["--date", "2025-10-21", "--at", "25:00"], 2, "not a time of day"),
        (["--date", "2025-10-21", "--at", "14:30+05:00"], 2, "not a time of day, UTC"),
        (
            ["--date", "2025-10-21", "--at", "12:00"],
            1,
            "nobody listened on 2025-10-21 after 2025-10-21 12:00:00",
        ),
    ],
)
def test_a_wish_that_cannot_be_met_is_told_in_a_line(
    day: Series, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    found, _, error = commands.run("replay", "--port", "0", *words, cwd=tmp_path)
    assert (found, said in error) == (code, True), error


def test_a_port_that_is_taken_is_told_in_a_line(day: Series, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, error = commands.run("replay", "--date", str(NEXT), "--port", str(port), cwd=tmp_path)
    assert (code, f"port {port}" in error) == (1, True)
