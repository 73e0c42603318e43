"""What the doctor says of the exchange's streams."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from crypto_lake.config import Exchange
from crypto_lake.operate.doctor import streams
from crypto_lake.operate.doctor.streams import Heard
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import SimulatedExchange, running
from crypto_lake.simulator.server.faults import Faults

SYMBOL = "SOLUSDT"
TRADES, QUOTES = (SYMBOL, "trade"), (SYMBOL, "bookTicker")


@pytest.fixture
def simulated() -> SimulatedExchange:
    return SimulatedExchange(SyntheticMarket(7, [SYMBOL]), MarketClock(speed=20))


@pytest.fixture
def section(simulated: SimulatedExchange) -> Iterator[Exchange]:
    with running(simulated) as address:
        yield Exchange("binance", [SYMBOL], address.rest_url, address.ws_url)


def test_each_address_is_connected_to_and_asked(section: Exchange) -> None:
    both = msgspec.structs.replace(section, fallback_wss_urls=["ws://127.0.0.1:1/ws"])
    first, second = asyncio.run(streams.reach(both, [SYMBOL]))
    assert (first.outcome, second.outcome) == ("ok", "warning")
    assert "connection refused" in second.text


def test_a_first_address_that_refuses_fails(simulated: SimulatedExchange, section: Exchange) -> None:
    simulated.faults = Faults(refuse_connections=451)
    (found,) = asyncio.run(streams.reach(section, [SYMBOL]))
    assert (found.outcome, "HTTP 451" in found.text) == ("failed", True)


@pytest.mark.parametrize("address", ["ws://127.0.0.1:x/ws", "ws://:/ws", "ws://no such host/ws"])
def test_an_address_that_is_none_fails_with_a_line(address: str) -> None:
    (found,) = asyncio.run(streams.reach(Exchange("binance", [SYMBOL], "http://h", address), [SYMBOL]))
    assert found.outcome == "failed"


def test_an_address_with_a_password_is_shown_without_it() -> None:
    url = "ws://user:canary@127.0.0.1:1/ws?key=canary"
    (found,) = asyncio.run(streams.reach(Exchange("binance", [SYMBOL], "http://h", url), [SYMBOL]))
    assert "canary" not in found.line


def test_a_connection_asks_for_what_is_recorded_and_remembers_what_came_until_it_is_stopped(
    simulated: SimulatedExchange, section: Exchange
) -> None:
    with_book = msgspec.structs.replace(section, streams=[*section.streams, "depth"])
    asked: set[str] = set()

    async def listen() -> Heard:
        stop = asyncio.Event()

        def end() -> None:
            asked.update(name for one in simulated.sessions for name in one._subscriptions.streams)
            stop.set()

        asyncio.get_running_loop().call_later(1.0, end)
        return await streams.listen(with_book, [SYMBOL], stop)

    heard = asyncio.run(listen())
    assert asked == {"solusdt@trade", "solusdt@bookTicker", "solusdt@depth@100ms"}
    assert heard.ids.keys() == {TRADES, QUOTES}
    assert (heard.end, heard.refused) == (None, 0)


def test_a_connection_that_ends_says_why(simulated: SimulatedExchange, section: Exchange) -> None:
    simulated.faults = Faults(disconnect_after_s=0.3)
    heard = asyncio.run(streams.listen(section, [SYMBOL], asyncio.Event()))
    assert heard.end == "closed by the exchange"


def told(one: Heard, other: Heard) -> list[tuple[str, str]]:
    return [(found.about, found.outcome) for found in streams.compare(one, other)]


def test_two_connections_that_brought_the_same_are_ok_though_one_began_earlier() -> None:
    one, other = Heard({TRADES: {1, 2, 3, 4}}), Heard({TRADES: {2, 3, 4, 5}})
    assert told(one, other) == [("connections", "ok")]


def test_a_message_that_one_connection_lacks_is_worth_a_warning() -> None:
    one, other = Heard({QUOTES: {10, 20, 30}}), Heard({QUOTES: {10, 30}})
    (found,) = streams.compare(one, other)
    assert (found.outcome, "SOLUSDT bookTicker 20" in found.text) == ("warning", True)


def test_a_stream_that_came_over_one_connection_only_is_worth_a_warning() -> None:
    one, other = Heard({TRADES: {1, 2}, QUOTES: {1, 2, 3}}), Heard({TRADES: {1, 2}})
    assert told(one, other) == [("connections", "warning")]


def test_silence_on_both_fails() -> None:
    assert told(Heard(), Heard()) == [("connections", "failed")]


def test_silence_at_the_end_is_worth_a_warning() -> None:
    silent = Heard({TRADES: {1, 2}}, silent_sec=60)
    assert told(silent, silent) == [("connections", "warning"), ("connections", "ok")]


def test_frames_that_cannot_be_understood_fail() -> None:
    one = Heard({TRADES: {1, 2}}, refused=3, refusal="not JSON")
    assert told(one, Heard({TRADES: {1, 2}})) == [("frames", "failed"), ("connections", "ok")]
