"""How a question travels: what is waited for, what is tried again, what is refused at once."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from loguru import logger

from crypto_lake.errors import ExchangeError, LeftAloneError
from crypto_lake.exchanges.base import Candle
from crypto_lake.exchanges.binance.http import BinanceHttp
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.layout import MINUTE_US
from crypto_lake_tests.exchanges.rest_script import START_US, URL, Answer, Exchange, klines, refusal, row


@pytest.fixture
def told() -> Iterator[list[str]]:
    """The log's lines."""
    lines: list[str] = []
    logger.enable("crypto_lake")
    sink = logger.add(lambda message: lines.append(str(message).strip()), format="{message}")
    yield lines
    logger.remove(sink)
    logger.disable("crypto_lake")


@pytest.mark.parametrize("status", [429, 418])
@pytest.mark.parametrize("seconds", [1, 7, 300])
def test_being_told_to_wait_is_obeyed_to_the_second(status: int, seconds: int) -> None:
    exchange = Exchange(refusal(status, str(seconds)), klines(row()))
    assert len(exchange.candles()) == 1
    assert exchange.waits == [seconds]


def test_each_wait_is_the_one_that_was_told() -> None:
    exchange = Exchange(refusal(429, "40"), refusal(429, "3"), refusal(418, "120"), klines(row()))
    assert len(exchange.candles()) == 1
    assert exchange.waits == [40, 3, 120]


@pytest.mark.parametrize("retry_after", [None, "", "soon", "Wed, 21 Oct 2025 07:28:00 GMT", "1.5", "²"])
def test_without_a_number_of_seconds_the_wait_is_a_minute(retry_after: str | None) -> None:
    answer = refusal(429)
    if retry_after is not None:
        answer.headers = httpx.Headers([(b"Retry-After", retry_after.encode())])
    exchange = Exchange(answer, klines(row()))
    exchange.candles()
    assert exchange.waits == [60]


@pytest.mark.parametrize("retry_after", ["0", "-5"])
def test_being_told_not_to_wait_is_no_leave_to_hammer(retry_after: str) -> None:
    exchange = Exchange(refusal(429, retry_after))
    with pytest.raises(ExchangeError, match="no answer after 5 attempts"):
        exchange.candles()
    assert exchange.waits == [0.5, 1, 2, 4]


def test_a_ban_longer_than_five_minutes_is_not_waited_for() -> None:
    exchange = Exchange(refusal(418, "86400"))
    with pytest.raises(ExchangeError, match="asks to be left alone for 86400 s") as caught:
        exchange.candles()
    assert (len(exchange.asked), exchange.waits, caught.value.exit_code) == (1, [], 1)


def test_an_exchange_that_is_never_content_is_left_alone_after_five_attempts() -> None:
    exchange = Exchange(refusal(429, "2"))
    with pytest.raises(
        ExchangeError, match=r"no answer after 5 attempts; the last: HTTP 429 .*Too many requests"
    ):
        exchange.candles()
    assert (len(exchange.asked), exchange.waits) == (5, [2, 2, 2, 4])


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        (httpx.Response(500, text="oops"), "HTTP 500 oops"),
        (httpx.Response(503), "HTTP 503"),
        (httpx.ConnectTimeout, "ConnectTimeout the line is dead"),
        (httpx.ReadTimeout, "ReadTimeout the line is dead"),
        (httpx.ConnectError, "ConnectError the line is dead"),
        (httpx.RemoteProtocolError, "RemoteProtocolError the line is dead"),
    ],
)
def test_trouble_on_the_way_is_tried_again_with_growing_waits_and_then_told_in_one_line(
    answer: Answer, last: str
) -> None:
    exchange = Exchange(answer)
    with pytest.raises(ExchangeError) as caught:
        exchange.candles()
    assert str(caught.value) == f"{URL}/klines: no answer after 5 attempts; the last: {last}"
    assert (len(exchange.asked), exchange.waits) == (5, [0.5, 1, 2, 4])


@pytest.mark.parametrize("answer", [httpx.Response(502), httpx.ReadTimeout])
def test_trouble_that_passes_is_not_told(answer: Answer) -> None:
    exchange = Exchange(answer, answer, klines(row()))
    assert len(exchange.candles()) == 1
    assert exchange.waits == [0.5, 1]


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_not_tried_again(status: int) -> None:
    exchange = Exchange(httpx.Response(status, json={"code": -1121, "msg": "Invalid symbol."}))
    with pytest.raises(ExchangeError, match=rf"/klines: refused: HTTP {status} .*Invalid symbol\."):
        exchange.candles()
    assert (len(exchange.asked), exchange.waits) == (1, [])


@pytest.mark.parametrize(
    "body", [b"<html>\n<body>Sorry</body></html>", b"", b'[[1760918400000000,"1.0"', b"\xff"]
)
def test_a_body_that_is_not_json_is_shown(body: bytes) -> None:
    exchange = Exchange(httpx.Response(200, content=body))
    with pytest.raises(ExchangeError, match=r"the last: expected JSON, got '") as caught:
        exchange.candles()
    assert "\n" not in str(caught.value)


def test_a_redirect_is_no_answer() -> None:
    exchange = Exchange(httpx.Response(302, headers={"Location": "http://elsewhere.test"}))
    with pytest.raises(ExchangeError, match="refused: HTTP 302, a redirect to"):
        exchange.candles()


def test_a_body_cut_short_on_the_way_is_fetched_again() -> None:
    """Over a real socket: a length is promised, less is sent, and the connection ends."""
    body = klines(row()).content
    served = asyncio.run(_served([body[:20], body], len(body)))
    assert [candle.open_time for candle in served] == [START_US]


async def _served(bodies: list[bytes], promised: int) -> list[Candle]:
    """What a client gets from a server on loopback that sends these bodies, one for each connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {promised}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + bodies.pop(0))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def no_wait(_: float) -> None:
        return

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = BinanceRest(BinanceHttp(f"http://127.0.0.1:{port}", sleep=no_wait))
        try:
            return await client.candles_1m("SOLUSDT", START_US, START_US + MINUTE_US)
        finally:
            await client.aclose()


def test_an_address_that_is_none_is_told_at_once() -> None:
    exchange = Exchange(klines())
    with pytest.raises(ExchangeError, match="exchangeInfo: not an address: "):
        exchange.ask(lambda client: client.listed(["SOLUSDT"]), "http://exchange.test:port")
    assert exchange.waits == []


def test_a_body_cut_in_json_is_fetched_again() -> None:
    exchange = Exchange(httpx.Response(200, content=b'[[1760918400000000,"1.0"'), klines(row()))
    assert len(exchange.candles()) == 1


class Impatient(Exchange):
    """Refuses the third request for `seconds`, and notes when it was asked in spite of that."""

    def __init__(self, status: int, seconds: int) -> None:
        super().__init__(klines(row()))
        self._status, self._seconds, self._until = status, seconds, -1.0
        self.disobeyed: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = super().__call__(request)
        if self.now < self._until:
            self.disobeyed.append(self.now)
        if len(self.asked) == 3:
            self._until = self.now + self._seconds
            return refusal(self._status, str(self._seconds))
        return answer


@pytest.mark.parametrize("status", [418, 429])
def test_while_one_task_is_told_to_wait_no_other_asks(status: int) -> None:
    exchange = Impatient(status, 200)

    async def many(client: BinanceRest) -> list[list[Candle]]:
        asks = [client.candles_1m("SOLUSDT", START_US, START_US + MINUTE_US) for _ in range(40)]
        return await asyncio.gather(*asks)

    assert len(exchange.ask(many)) == 40
    assert exchange.disobeyed == []
    assert len(exchange.asked) == 41


def test_a_ban_that_does_not_say_for_how_long_is_not_asked_into() -> None:
    exchange = Exchange(refusal(418), klines(row()))

    async def many(client: BinanceRest) -> list[list[Candle] | BaseException]:
        asks = [client.candles_1m("SOLUSDT", START_US, START_US + MINUTE_US) for _ in range(40)]
        return await asyncio.gather(*asks, return_exceptions=True)

    failures = exchange.ask(many)
    assert {type(failure) for failure in failures} == {LeftAloneError}
    assert {str(failure).partition(": ")[2] for failure in failures} == {
        "asks to be left alone and does not say for how long; try again in some hours"
    }
    # Four were on their way before the first of them was answered, at the most.
    assert (len(exchange.asked) <= 4, exchange.waits) == (True, [])


@pytest.mark.parametrize("status", [429, 403])
def test_an_exchange_that_never_says_how_long_is_given_two_minutes_over_all_questions(status: int) -> None:
    exchange = Exchange(refusal(status))

    async def one_after_the_other(client: BinanceRest) -> list[str]:
        said = []
        for minute in range(40):
            start = START_US + minute * MINUTE_US
            with pytest.raises(ExchangeError) as caught:
                await client.candles_1m("SOLUSDT", start, start + MINUTE_US)
            said.append(type(caught.value).__name__)
        return said

    assert set(exchange.ask(one_after_the_other)[3:]) == {"LeftAloneError"}
    assert (len(exchange.asked), exchange.waits) == (3, [60, 60])


def test_a_wait_that_the_exchange_asks_for_is_told_once(told: list[str]) -> None:
    exchange = Exchange(refusal(429), refusal(429, "2"), klines(row()))
    exchange.candles()
    assert told == [f"{URL}: the exchange asks to wait 60 s (HTTP 429)"]


def test_a_refusal_may_tell_a_weight_above_the_limit(told: list[str]) -> None:
    answer = refusal(429, "2")
    answer.headers["X-MBX-USED-WEIGHT-1M"] = "6001"
    Exchange(answer, klines(row())).candles()
    assert told == []


@pytest.mark.parametrize("answer", [httpx.Response(502), httpx.ReadTimeout])
def test_two_questions_in_a_row_without_an_answer_mean_that_nobody_is_there(answer: Answer) -> None:
    exchange = Exchange(answer)

    async def three(client: BinanceRest) -> list[str]:
        return [type(await failure(client)).__name__ for _ in range(3)]

    async def failure(client: BinanceRest) -> ExchangeError:
        with pytest.raises(ExchangeError) as caught:
            await client.candles_1m("SOLUSDT", START_US, START_US + MINUTE_US)
        return caught.value

    assert exchange.ask(three) == ["UnansweredError", "UnreachableError", "UnreachableError"]


def test_during_a_long_ban_nothing_is_sent_by_any_task() -> None:
    exchange = Exchange(refusal(418, "7200"))

    async def many(client: BinanceRest) -> list[list[Candle] | BaseException]:
        asks = [client.candles_1m("SOLUSDT", START_US, START_US + MINUTE_US) for _ in range(40)]
        return await asyncio.gather(*asks, return_exceptions=True)

    failures = exchange.ask(many)
    assert {type(failure) for failure in failures} == {LeftAloneError}
    assert len(exchange.asked) == 1


def test_after_its_firewall_has_met_us_the_exchange_is_left_alone_for_a_minute() -> None:
    exchange = Exchange(httpx.Response(403, text="<html>"), klines(row()))

    async def twice(client: BinanceRest) -> list[Candle]:
        with pytest.raises(ExchangeError, match="HTTP 403"):
            await client.candles_1m("SOLUSDT", START_US, START_US + MINUTE_US)
        return await client.candles_1m("SOLUSDT", START_US, START_US + MINUTE_US)

    assert len(exchange.ask(twice)) == 1
    assert exchange.waits == [60]
