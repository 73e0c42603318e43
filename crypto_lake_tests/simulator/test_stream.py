import asyncio
import socket
from itertools import pairwise

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange, running

from . import oracle
from .clients import BOTH, QUOTES, TRADES, Client, Json, ask, holds_soon, listen
from .conftest import NOON_US


def as_row(frame: Json) -> dict[str, Json]:
    """A streamed trade with the names that REST has for the same values."""
    return {
        "id": frame["t"],
        "price": frame["p"],
        "qty": frame["q"],
        "time": frame["T"],
        "isBuyerMaker": frame["m"],
    }


def test_a_trade_looks_like_the_exchanges(address: Address) -> None:
    (trade,) = listen(address, f"/ws/{TRADES}", 1)
    assert list(trade) == ["e", "E", "s", "t", "p", "q", "T", "m", "M"]
    assert (trade["e"], trade["s"], trade["M"]) == ("trade", "SOLUSDT", True)
    assert len(str(trade["T"])) == len(str(trade["E"])) == 13
    assert len(trade["p"].partition(".")[2]) == 8


def test_a_quote_looks_like_the_exchanges(address: Address) -> None:
    (quote,) = listen(address, f"/ws/{QUOTES}", 1)
    assert list(quote) == ["u", "s", "b", "B", "a", "A"]
    assert float(quote["b"]) < float(quote["a"])


def test_combined_streams_come_wrapped(address: Address) -> None:
    # A second of the market: fewer frames, sent late by a busy machine, may be all quotes.
    frames = listen(address, f"/stream?streams={BOTH}", 400)
    assert {frame["stream"] for frame in frames} == {TRADES, QUOTES}
    assert all(frame["data"]["s"] == "SOLUSDT" for frame in frames)


@pytest.mark.parametrize("unit", ["MICROSECOND", "microsecond"])
def test_times_come_in_microseconds_on_request(address: Address, unit: str) -> None:
    frames = listen(address, f"/stream?streams={TRADES}&timeUnit={unit}", 20)
    assert all(len(str(frame["data"][key])) == 16 for frame in frames for key in "TE")
    assert any(frame["data"]["T"] % 1000 for frame in frames)


def test_trade_ids_follow_each_other_and_update_ids_rise(address: Address) -> None:
    frames = listen(address, f"/ws/{BOTH}", 400)
    ids = [frame["t"] for frame in frames if "t" in frame]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert all(a < b for a, b in pairwise(frame["u"] for frame in frames if "u" in frame))


def test_streamed_trades_are_those_rest_answers(address: Address) -> None:
    frames = listen(address, f"/ws/{TRADES}", 100)
    rows = ask(address, "historicalTrades", symbol="SOLUSDT", fromId=frames[0]["t"], limit=100).json()
    assert [as_row(frame) for frame in frames] == [
        {key: row[key] for key in as_row(frames[0])} for row in rows
    ]


def test_klines_equal_candles_made_again_from_the_stream() -> None:
    market = SyntheticMarket(7, ["SOLUSDT"], rate=8)
    with running(SimulatedExchange(market, MarketClock(NOON_US, speed=1000))) as address:
        frames = listen(address, f"/ws/{TRADES}", 5_000)
        for interval, length_ms in (("1s", 1000), ("1m", 60_000)):
            expected = oracle.candles(map(as_row, frames), length_ms)
            whole = list(expected)[1:-1]
            params = {"startTime": whole[0], "endTime": whole[-1], "limit": 1000}
            klines = ask(address, "klines", symbol="SOLUSDT", interval=interval, **params).json()
            assert {row[0]: oracle.of_kline(row) for row in klines if row[8]} == {
                at: expected[at] for at in whole
            }


def test_subscribing_and_leaving_work_on_an_open_connection(address: Address) -> None:
    async def run() -> tuple[Json, Json, Json]:
        async with Client(address, "/stream") as client:
            acknowledged = await client.ask(method="SUBSCRIBE", params=[TRADES, "nope@trade"], id=1)
            first = await client.next()
            left = await client.ask(method="UNSUBSCRIBE", params=[TRADES], id=2)
            return acknowledged, first, left

    acknowledged, first, left = asyncio.run(run())
    assert (acknowledged, left) == ({"result": None, "id": 1}, {"result": None, "id": 2})
    assert first["stream"] == TRADES


def test_wrapping_switches_while_events_come(address: Address) -> None:
    async def run() -> Json:
        async with Client(address, f"/ws/{TRADES}") as client:
            assert "t" in await client.next()
            await client.ask(method="SET_PROPERTY", params=["combined", True], id=1)
            return await client.next()

    assert asyncio.run(run())["stream"] == TRADES


def test_a_wrong_name_stays_silent(address: Address) -> None:
    async def run() -> None:
        async with Client(address, "/ws/nope@trade/SOLUSDT@trade/solusdt@kline_7m") as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.connection.recv(), 0.2)

    asyncio.run(run())


def test_a_wrong_request_leaves_the_connection_open(address: Address) -> None:
    async def run() -> Json:
        async with Client(address) as client:
            await client.connection.send("hello")
            assert (await client.next())["code"] == 3
            return await client.ask(method="LIST_SUBSCRIPTIONS", id=1)

    assert asyncio.run(run()) == {"result": [], "id": 1}


def test_an_unknown_time_unit_is_refused(address: Address) -> None:
    with pytest.raises(InvalidStatus, match="400"):
        listen(address, f"/ws/{TRADES}?timeUnit=fortnight", 1)


@pytest.mark.parametrize("kind", ["text", "ping", "pong"])
def test_more_than_five_frames_a_second_end_the_connection(market: SyntheticMarket, kind: str) -> None:
    async def run() -> ConnectionClosed:
        async with Client(address) as client:
            for _ in range(6):
                if kind == "text":
                    await client.say(method="LIST_SUBSCRIPTIONS", id=1)
                elif kind == "ping":
                    await client.connection.ping()
                else:
                    await client.connection.pong()
            with pytest.raises(ConnectionClosed) as closed:
                await client.many(20)
            return closed.value

    with running(SimulatedExchange(market, MarketClock(NOON_US))) as address:
        closed = asyncio.run(run())
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1008


def test_five_frames_a_second_are_fine(market: SyntheticMarket) -> None:
    async def run() -> list[Json]:
        async with Client(address) as client:
            for number in range(5):
                await client.say(method="LIST_SUBSCRIPTIONS", id=number)
            return await client.many(5)

    with running(SimulatedExchange(market, MarketClock(NOON_US))) as address:
        assert len(asyncio.run(run())) == 5


def test_a_client_that_does_not_answer_pings_is_cut(market: SyntheticMarket) -> None:
    async def run() -> None:
        async with Client(address) as client:
            client.connection.transport.pause_reading()
            assert await asyncio.to_thread(holds_soon, lambda: len(exchange.sessions) == 1)
            assert await asyncio.to_thread(holds_soon, lambda: not exchange.sessions)
            client.connection.transport.abort()

    exchange = SimulatedExchange(market, MarketClock(NOON_US), ping_interval_s=0.05, ping_timeout_s=0.05)
    with running(exchange) as address:
        asyncio.run(run())


def test_a_slow_client_is_waited_for_and_loses_nothing(market: SyntheticMarket) -> None:
    async def run() -> list[Json]:
        async with Client(address, f"/ws/{TRADES}") as client:
            client.connection.transport.pause_reading()
            await asyncio.sleep(0.3)
            (session,) = exchange.sessions
            assert session.sent_until_us < exchange.clock.now_us() - 60_000_000
            assert session.line.transport.get_write_buffer_size() < 1_000_000
            client.connection.transport.resume_reading()
            return await client.many(15_000)

    exchange = SimulatedExchange(market, MarketClock(NOON_US, speed=10_000))
    with running(exchange) as address:
        ids = [frame["t"] for frame in asyncio.run(run())]
    assert ids == list(range(ids[0], ids[0] + 15_000))


def test_latency_delays_what_is_sent(market: SyntheticMarket) -> None:
    exchange = SimulatedExchange(market, MarketClock(NOON_US), latency_ms=150)
    with running(exchange) as address:
        (trade,) = listen(address, f"/ws/{TRADES}?timeUnit=MICROSECOND", 1)
        assert exchange.clock.now_us() - trade["T"] >= 150_000


def test_stopping_says_goodbye_and_the_port_can_be_used_again(market: SyntheticMarket) -> None:
    async def run() -> ConnectionClosed:
        async with Client(address, f"/ws/{TRADES}") as client:
            await client.next()
            stopping = asyncio.create_task(asyncio.to_thread(server.__exit__, None, None, None))
            with pytest.raises(ConnectionClosed) as closed:
                await client.many(10_000)
            await stopping
            return closed.value

    exchange = SimulatedExchange(market, MarketClock(NOON_US))
    server = running(exchange)
    address = server.__enter__()
    closed = asyncio.run(run())
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1012
    with running(exchange, address.port) as again:
        assert ask(again, "ping").json() == {}


def test_a_taken_port_is_refused(exchange: SimulatedExchange, address: Address) -> None:
    with pytest.raises(OSError, match=str(address.port)), running(exchange, address.port):
        pass


def test_an_event_does_not_wait_until_the_one_before_was_acknowledged(
    exchange: SimulatedExchange, address: Address
) -> None:
    async def run() -> list[int]:
        async with Client(address, f"/ws/{TRADES}") as client:
            await client.next()
            lines = [session.line.transport.get_extra_info("socket") for session in exchange.sessions]
            return [line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for line in lines]

    assert all(asyncio.run(run()))
