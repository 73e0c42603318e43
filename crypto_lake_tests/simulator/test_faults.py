import asyncio
import json
import sys
import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from crypto_lake.simulator.binance.rest import INTERVALS_US
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange
from crypto_lake.simulator.server.faults import GARBAGE, Change, Faults, parse_faults

from .clients import BOTH, TRADES, Client, ask, holds_soon, listen
from .conftest import NOON_US


def ending(address: Address, path: str = f"/ws/{BOTH}") -> tuple[list[str], ConnectionClosed]:
    """What came until the connection ended, and how it ended."""

    async def run() -> tuple[list[str], ConnectionClosed]:
        async with Client(address, path) as client:
            return await client.until_closed()

    return asyncio.run(run())


def trade_ids(address: Address, count: int) -> list[int]:
    return [frame["t"] for frame in listen(address, f"/ws/{TRADES}", count)]


def test_a_connection_is_closed_after_its_time(exchange: SimulatedExchange, address: Address) -> None:
    # In a tenth of this a busy machine may say nothing yet.
    exchange.faults = Faults(disconnect_after_s=1)
    frames, closed = ending(address)
    assert frames
    assert closed.rcvd is not None
    assert closed.rcvd.code == 1000


def test_an_aborted_connection_ends_without_a_close_frame(
    exchange: SimulatedExchange, address: Address
) -> None:
    exchange.faults = Faults(disconnect_after_s=0.1, abort=True)
    _, closed = ending(address)
    assert closed.rcvd is None
    # Under Wine a reset is the end of the stream.
    assert isinstance(
        closed.__cause__, (ConnectionError, EOFError) if sys.platform == "win32" else ConnectionError
    )


def test_every_other_connection_may_be_behind(exchange: SimulatedExchange, address: Address) -> None:
    exchange.faults = Faults(lag_s=0.5)
    exchange.accepted = 0

    async def run() -> list[float]:
        found = []
        for _ in range(2):
            began = time.monotonic()
            async with Client(address, f"/ws/{BOTH}") as client:
                await client.next()
            found.append(time.monotonic() - began)
        return found

    _, behind = asyncio.run(run())
    assert behind >= 0.5


def test_faults_count_for_connections_that_are_open_already(
    exchange: SimulatedExchange, address: Address
) -> None:
    async def run() -> None:
        async with Client(address, f"/ws/{BOTH}") as client:
            await client.next()
            exchange.faults = Faults(disconnect_after_s=0)
            with pytest.raises(ConnectionClosed):
                await client.many(10_000)

    asyncio.run(run())


def test_a_stalled_connection_is_open_and_silent(exchange: SimulatedExchange, address: Address) -> None:
    async def run() -> None:
        async with Client(address, f"/ws/{BOTH}") as client:
            await client.next()
            exchange.faults = Faults(stall_after_s=0)
            await client.until_silent(0.15)
            pong = await client.connection.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(pong), 0.1)
            assert client.connection.close_code is None
            client.connection.transport.abort()

    asyncio.run(run())
    assert holds_soon(lambda: not exchange.sessions)


@pytest.mark.parametrize("path", ["/ws", "/stream"])
def test_a_shutdown_is_announced_and_then_happens(
    exchange: SimulatedExchange, address: Address, path: str
) -> None:
    exchange.faults = Faults(server_shutdown_after_s=0.05)
    frames, closed = ending(address, path)
    (frame,) = map(json.loads, frames)
    event = frame["data"] if path == "/stream" else frame
    assert frame.get("stream") == ("!serverShutdown" if path == "/stream" else None)
    assert event.keys() == {"e", "E"}
    assert event["e"] == "serverShutdown"
    assert closed.rcvd is not None


@pytest.mark.parametrize("status", [403, 503])
def test_a_handshake_is_refused(exchange: SimulatedExchange, address: Address, status: int) -> None:
    exchange.faults = Faults(refuse_connections=status)
    with pytest.raises(InvalidStatus) as refused:
        listen(address, f"/ws/{BOTH}", 1)
    assert refused.value.response.status_code == status


def test_each_nth_event_comes_twice(exchange: SimulatedExchange, address: Address) -> None:
    exchange.faults = Faults(duplicate_every=3)
    ids = trade_ids(address, 40)
    assert [id_ - ids[0] for id_ in ids[:8]] == [0, 1, 2, 2, 3, 4, 5, 5]


def test_each_nth_event_comes_after_the_one_that_follows_it(
    exchange: SimulatedExchange, address: Address
) -> None:
    exchange.faults = Faults(reorder_every=3)
    ids = trade_ids(address, 40)
    assert [id_ - ids[0] for id_ in ids[:7]] == [0, 1, 3, 2, 4, 6, 5]
    assert sorted(ids) == list(range(ids[0], ids[0] + 40))


def test_garbage_comes_in_between(exchange: SimulatedExchange, address: Address) -> None:
    async def run() -> list[str]:
        async with Client(address, f"/ws/{TRADES}") as client:
            return [await client.text() for _ in range(9)]

    exchange.faults = Faults(garbage_every=2)
    frames = asyncio.run(run())
    assert [frame == GARBAGE for frame in frames] == [False, False, True] * 3
    with pytest.raises(json.JSONDecodeError):
        json.loads(GARBAGE)


def test_lost_trades_are_missing_on_the_stream_and_known_to_rest(
    exchange: SimulatedExchange, address: Address
) -> None:
    exchange.faults = Faults(lose_trades_every=5)
    ids = trade_ids(address, 40)
    rows = ask(
        address, "historicalTrades", symbol="SOLUSDT", fromId=ids[0], limit=ids[-1] - ids[0] + 1
    ).json()
    lost = {row["id"] for row in rows} - set(ids)
    assert lost == {row["id"] for row in rows if row["id"] % 5 == 0} != set()


def test_each_nth_rest_request_fails(exchange: SimulatedExchange, address: Address) -> None:
    exchange.faults = Faults(rest_error_every=3)
    statuses = [ask(address, "ping").status_code for _ in range(9)]
    assert sorted(statuses) == [200] * 6 + [500] * 3


def test_a_halted_minute_has_no_candle(exchange: SimulatedExchange, address: Address) -> None:
    minute_us = INTERVALS_US["1m"]
    start_us = NOON_US - 10 * minute_us
    exchange.faults = Faults(halted=((start_us + minute_us, start_us + 3 * minute_us),))
    rows = ask(address, "klines", symbol="SOLUSDT", interval="1m", startTime=start_us, limit=5).json()
    assert [(row[0] * 1000 - start_us) // minute_us for row in rows] == [0, 3, 4]


def test_faults_are_off_by_default(address: Address) -> None:
    ids = trade_ids(address, 100)
    assert ids == list(range(ids[0], ids[0] + 100))


def test_faults_are_read_from_words() -> None:
    words = [
        "stall_after_s=1.5",
        "abort=true",
        "duplicate_every=7",
        "halted=1970-01-01T00:01/1970-01-01T00:02Z",
    ]
    expected = Faults(stall_after_s=1.5, abort=True, duplicate_every=7, halted=((60_000_000, 120_000_000),))
    assert parse_faults(words) == expected


@pytest.mark.parametrize(
    "word",
    [
        "explode=1", "stall_after_s", "stall_after_s=soon", "stall_after_s=-1", "stall_after_s=nan",
        "duplicate_every=0", "duplicate_every=1.5", "abort=perhaps", "refuse_connections=200", "halted=yesterday",
    ],
)  # fmt: skip
def test_a_fault_that_cannot_be_meant_is_named_in_one_line(word: str) -> None:
    with pytest.raises(ValueError, match=word.partition("=")[0]) as refused:
        parse_faults([word])
    assert "\n" not in str(refused.value)


def test_times_come_in_milliseconds_whatever_was_asked_for(
    exchange: SimulatedExchange, address: Address
) -> None:
    exchange.faults = Faults(milliseconds=True)
    headers = {"X-MBX-TIME-UNIT": "MICROSECOND"}
    told = httpx.get(f"{address.rest_url}/time", headers=headers).json()["serverTime"]
    assert len(str(told)) == 13


def statuses(address: Address) -> dict[str, str]:
    answer = httpx.get(f"{address.rest_url}/exchangeInfo").json()
    return {row["symbol"]: row["status"] for row in answer["symbols"]}


def test_a_delisted_symbol_is_in_break_and_streams_nothing(
    exchange: SimulatedExchange, address: Address
) -> None:
    exchange.faults = Faults(delisted=(Change("SOLUSDT"),))
    assert statuses(address) == {"SOLUSDT": "BREAK", "ADAUSDT": "TRADING"}
    frames = listen(address, f"/ws/{TRADES}/adausdt@trade", 5)
    assert {frame["s"] for frame in frames} == {"ADAUSDT"}


def test_a_symbol_that_is_listed_later_is_unknown_until_then(
    exchange: SimulatedExchange, address: Address
) -> None:
    exchange.faults = Faults(listed=(Change("SOLUSDT", 1e9),))
    assert statuses(address) == {"ADAUSDT": "TRADING"}
    answer = httpx.get(f"{address.rest_url}/klines", params={"symbol": "SOLUSDT", "interval": "1m"})
    assert answer.json()["code"] == -1121
    exchange.faults = Faults(listed=(Change("SOLUSDT", 0),))
    assert statuses(address)["SOLUSDT"] == "TRADING"


@pytest.mark.parametrize(("after_s", "listed"), [(0, {"ADAUSDT"}), (1e9, {"SOLUSDT"})])
def test_a_renamed_symbol_is_one_name_before_and_another_after(
    exchange: SimulatedExchange, address: Address, after_s: float, listed: set[str]
) -> None:
    exchange.faults = Faults(renamed=(Change("SOLUSDT", after_s, "ADAUSDT"),))
    assert set(statuses(address)) == listed


def test_changes_of_what_is_listed_are_words_that_may_be_given_several_times() -> None:
    words = ["listed=NEWUSDT@60", "listed=ANDUSDT", "delisted=ADAUSDT@90.5", "renamed=SUIUSDT/SUXUSDT@120"]
    assert parse_faults(words) == Faults(
        listed=(Change("NEWUSDT", 60), Change("ANDUSDT")),
        delisted=(Change("ADAUSDT", 90.5),),
        renamed=(Change("SUIUSDT", 120, "SUXUSDT"),),
    )
