import asyncio
import csv
import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from crypto_lake.simulator.binance import wire
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.replay import Replay
from crypto_lake.simulator.market.tape import Page, Quote
from crypto_lake.simulator.server.exchange import SimulatedExchange, running

from . import oracle
from .clients import Client, Json, ask, holds_soon, listen

FIRST_ID, LAST_ID = 3735683259, 3735703162
FRAMES = [
    (
        '{"stream":"btcusdt@trade","data":{"e":"trade","E":1001,"s":"BTCUSDT","t":7,"p":"1.50000000","q":"2.00000000",'
        '"b":11,"a":12,"T":1000,"m":true,"M":true}}'
    ),
    '{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate"}}',
    '{"lastUpdateId":5,"bids":[],"asks":[]}',
    '{"stream":"btcusdt@bookTicker","data":{"u":9,"s":"BTCUSDT","b":"1.4","B":"1","a":"1.5","A":"3"}}',
]


def capture(folder: Path, *frames: str, name: str = "capture") -> Path:
    path = folder / name
    path.write_text("".join(f"{(second + 1) * 10**9} {frame}\n" for second, frame in enumerate(frames)))
    return path


def candles(replay: Replay, seconds: int) -> list[list[Json]]:
    page = Page(seconds * 1_000_000, None, None, 1000)
    rows = replay.candles("BTCUSDT", page, replay.end_us)
    return [wire.candle_row(row, page.interval_us, 1) for row in rows]


@pytest.mark.parametrize(("seconds", "name"), [(60, "1m"), (1, "1s")])
def test_candles_of_the_capture_equal_the_golden_bars(
    replay: Replay, data: Path, seconds: int, name: str
) -> None:
    with (data / f"golden/BTCUSDT-{name}-2024-08-08_09.csv").open() as lines:
        golden = {
            int(row["open_time_us"]): [Decimal(value) for value in list(row.values())[1:10]]
            for row in csv.DictReader(lines)
        }
    traded = {row[0]: oracle.of_kline(row) for row in candles(replay, seconds) if row[8]}
    assert traded == golden


def test_whole_minutes_of_the_capture_equal_the_exchanges_own_candles(replay: Replay, data: Path) -> None:
    own: dict[int, list[Json]] = {}
    for day in ("08", "09"):
        with (data / f"candles/BTCUSDT-1m-2024-08-{day}.csv").open() as lines:
            own |= {int(row[0]) * 1000: oracle.of_kline(list(row)) for row in csv.reader(lines)}
    whole = candles(replay, 60)[1:-1]
    assert len(whole) == 10
    assert all(oracle.of_kline(row) == own[row[0]] for row in whole)


def test_every_trade_of_the_capture_arrives_over_a_websocket_in_order(replay: Replay) -> None:
    exchange = SimulatedExchange(replay, replay.clock(speed=5000))
    with running(exchange) as address:
        frames = listen(address, "/ws/btcusdt@trade", LAST_ID - FIRST_ID + 1)
    assert [frame["t"] for frame in frames] == list(range(FIRST_ID, LAST_ID + 1))


def test_a_payload_equals_the_captured_one_but_for_the_unit_of_its_times(replay: Replay, data: Path) -> None:
    with gzip.open(data / "capture/btcusdt_20240808.gz", "rt") as lines:
        texts = (line.split(" ", 1)[1].strip() for line in lines)
        recorded = [text for text in texts if "@trade" in text or "@bookTicker" in text][:200]
    sent = []
    for event in replay.events("BTCUSDT", replay.start_us, replay.start_us + 60_000_000):
        name = "bookTicker" if isinstance(event, Quote) else "trade"
        sent.append(wire.wrapped(f"btcusdt@{name}", wire.payload("BTCUSDT", event, wire.MILLISECOND_US)))
    assert sent[:200] == recorded


def test_nothing_is_sent_before_a_client_has_subscribed(tmp_path: Path) -> None:
    replay = Replay(capture(tmp_path, *FRAMES))
    exchange = SimulatedExchange(replay, replay.clock(speed=1000))

    async def run() -> tuple[list[Json], int]:
        async with Client(address) as client:
            await client.ask(method="LIST_SUBSCRIPTIONS", id=1)
            waited_at_us = exchange.clock.now_us()
            await client.say(method="SUBSCRIBE", params=["btcusdt@trade", "btcusdt@bookTicker"], id=2)
            return await client.many(3), waited_at_us

    with running(exchange) as address:
        frames, waited_at_us = asyncio.run(run())
    assert waited_at_us == replay.start_us == 1_000_000
    assert frames[1:] == [
        {
            "e": "trade",
            "E": 1001,
            "s": "BTCUSDT",
            "t": 7,
            "p": "1.50000000",
            "q": "2.00000000",
            "T": 1000,
            "m": True,
            "M": True,
        },
        {"u": 9, "s": "BTCUSDT", "b": "1.40000000", "B": "1.00000000", "a": "1.50000000", "A": "3.00000000"},
    ]


def test_the_end_is_known_and_the_connection_stays(tmp_path: Path) -> None:
    replay = Replay(capture(tmp_path, *FRAMES))
    exchange = SimulatedExchange(replay, replay.clock(speed=1000))

    async def run() -> Json:
        async with Client(address, "/ws/btcusdt@trade") as client:
            await client.next()
            assert await asyncio.to_thread(holds_soon, lambda: exchange.finished)
            return await client.ask(method="LIST_SUBSCRIPTIONS", id=3)

    with running(exchange) as address:
        assert not exchange.finished
        assert asyncio.run(run()) == {"result": ["btcusdt@trade"], "id": 3}


def test_a_capture_in_microseconds_is_read_as_declared(tmp_path: Path) -> None:
    path = capture(tmp_path, FRAMES[0])
    assert next(Replay(path).events("BTCUSDT", 0, 10**9)).sent_us == 1_000_000
    (in_ms,) = Replay(path).recent_trades("BTCUSDT", 1, 10**9)
    (in_us,) = Replay(path, time_unit="us").recent_trades("BTCUSDT", 1, 10**9)
    assert (in_ms.ts_us, in_us.ts_us) == (1_000_000, 1_000)


def test_rest_knows_no_trade_before_it_is_sent(replay: Replay) -> None:
    early = replay.start_us + 10_000_000
    known = replay.trades_from("BTCUSDT", FIRST_ID, 1000, early)
    assert known
    assert all(trade.sent_us <= early for trade in known)
    assert replay.recent_trades("BTCUSDT", 1, early) == [known[-1]]


def test_rest_answers_from_the_capture(replay: Replay) -> None:
    with running(SimulatedExchange(replay, MarketClock(replay.end_us))) as address:
        (symbol,) = ask(address, "exchangeInfo").json()["symbols"]
        (trade,) = ask(address, "historicalTrades", symbol="BTCUSDT", limit=1).json()
    assert (symbol["baseAsset"], symbol["filters"][0]["tickSize"]) == ("BTC", "0.01000000")
    assert trade["id"] == LAST_ID


@pytest.mark.parametrize(
    "line", ["not a capture", "1 {", "x {}", '1 {"stream":"btcusdt@trade","data":{"t":1}}']
)
def test_a_line_that_is_none_of_a_capture_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"bad:1: not a line of a capture"):
        Replay(path)


def test_a_capture_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no trade and no quote"):
        Replay(capture(tmp_path, FRAMES[1]))


def test_a_compressed_capture_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.gz"
    path.write_bytes(gzip.compress(f"1 {FRAMES[0]}\n".encode())[:-9])
    with pytest.raises(ValueError, match="cut short"):
        Replay(path)
