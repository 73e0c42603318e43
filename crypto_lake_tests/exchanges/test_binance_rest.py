import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import httpx
import pytest

from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import Candle
from crypto_lake.exchanges.binance_rest import BinanceRest, Sleep
from crypto_lake.layout import MINUTE_US

URL = "http://exchange.test/api/v3"
START_US = 1_760_918_400_000_000
Answer = httpx.Response | type[httpx.TransportError]


def row(minute: int = 0, /, **changes: object) -> list[Any]:
    """A kline as the exchange sends it, in microseconds; changes go by the names of `Candle`."""
    start = START_US + minute * MINUTE_US
    candle = Candle(start, "1.0", "2.0", "0.5", "1.5", "10.0", start + MINUTE_US - 1, "15.0", 3, "4.0", "6.0")
    return [*candle._replace(**cast("dict[str, Any]", changes)), "0"]


def says(body: object) -> httpx.Response:
    return httpx.Response(200, content=json.dumps(body))


def klines(*rows: object) -> httpx.Response:
    return says(rows)


def refusal(status: int, retry_after: str | None = None) -> httpx.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx.Response(status, headers=headers, json={"code": -1003, "msg": "Too many requests."})


class Exchange:
    """Gives the answers of a script, the last one over and over; remembers what was asked, and how it was waited."""

    def __init__(self, *script: Answer) -> None:
        self._script = list(script)
        self.asked: list[httpx.Request] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(answer, httpx.Response):
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        raise answer("the line is dead", request=request)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def candles(self, minutes: int = 1) -> list[Candle]:
        """What a client makes of it when asked for the first so many minutes."""
        return fetch(self, self.sleep, minutes)


def client_of(handler: Callable[[httpx.Request], httpx.Response], sleep: Sleep) -> BinanceRest:
    return BinanceRest(URL, sleep=sleep, transport=httpx.MockTransport(handler))


def fetch(handler: Callable[[httpx.Request], httpx.Response], sleep: Sleep, minutes: int) -> list[Candle]:
    async def ask() -> list[Candle]:
        client = client_of(handler, sleep)
        try:
            return await client.candles_1m("SOLUSDT", START_US, START_US + minutes * MINUTE_US)
        finally:
            await client.aclose()

    return asyncio.run(ask())


def symbols(exchange: Exchange, *asked: str) -> frozenset[str]:
    async def ask() -> frozenset[str]:
        client = client_of(exchange, exchange.sleep)
        try:
            return await client.listed(asked or ("SOLUSDT", "ADAUSDT"))
        finally:
            await client.aclose()

    return asyncio.run(ask())


def paged(
    minutes: Sequence[int], page: int = 1000
) -> tuple[Callable[[httpx.Request], httpx.Response], list[str]]:
    """An exchange that has candles for some minutes and hands out so many at a time; and the times it was asked for."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        first, last = (int(request.url.params[key]) for key in ("startTime", "endTime"))
        asked.append(request.url.params["startTime"])
        rows = [one for one in map(row, minutes) if first <= one[0] <= last]
        return klines(*rows[: min(page, int(request.url.params["limit"]))])

    return answer, asked


async def no_sleep(_: float) -> None:
    raise AssertionError("there was nothing to wait for")


def test_a_row_is_a_candle() -> None:
    (candle,) = Exchange(klines(row())).candles()
    assert candle.open_time == START_US
    assert (candle.open, candle.high, candle.low, candle.close) == ("1.0", "2.0", "0.5", "1.5")
    assert (candle.volume_base, candle.volume_quote, candle.trade_count) == ("10.0", "15.0", 3)
    assert (candle.taker_buy_base, candle.taker_buy_quote) == ("4.0", "6.0")
    assert candle.close_time == START_US + MINUTE_US - 1


def test_the_request_names_symbol_interval_bounds_and_microseconds() -> None:
    exchange = Exchange(klines(row()))
    exchange.candles()
    (request,) = exchange.asked
    assert request.url.path == "/api/v3/klines"
    assert dict(request.url.params) == {
        "symbol": "SOLUSDT",
        "interval": "1m",
        "startTime": str(START_US),
        "endTime": str(START_US + MINUTE_US - 1),
        "limit": "1000",
    }
    assert request.headers["X-MBX-TIME-UNIT"] == "MICROSECOND"


@pytest.mark.parametrize("minutes", [999, 1000, 1001, 1440, 2500])
def test_more_than_a_page_holds_is_fetched_page_by_page(minutes: int) -> None:
    answer, asked = paged(range(minutes))
    candles = fetch(answer, no_sleep, minutes)
    assert [candle.open_time for candle in candles] == [START_US + n * MINUTE_US for n in range(minutes)]
    assert len(asked) == -(-minutes // 1000)


def test_a_page_shorter_than_asked_for_is_not_taken_for_the_end() -> None:
    answer, asked = paged(range(1440), page=500)
    assert len(fetch(answer, no_sleep, 1440)) == 1440
    assert len(asked) == 3


def test_minutes_that_the_exchange_does_not_have_are_left_out() -> None:
    there = [*range(5), *range(80, 1300)]
    answer, _ = paged(there)
    candles = fetch(answer, no_sleep, 1440)
    assert [(candle.open_time - START_US) // MINUTE_US for candle in candles] == there


def test_an_exchange_without_a_single_candle_is_asked_once() -> None:
    exchange = Exchange(klines())
    assert exchange.candles(1440) == []
    assert len(exchange.asked) == 1


def test_for_an_empty_stretch_nobody_is_asked() -> None:
    exchange = Exchange(klines(row()))
    assert exchange.candles(0) == []
    assert exchange.asked == []


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
    with pytest.raises(ExchangeError, match=r"/klines: expected JSON, got '") as caught:
        exchange.candles()
    assert "\n" not in str(caught.value)


def test_a_redirect_is_no_answer() -> None:
    exchange = Exchange(httpx.Response(302, headers={"Location": "http://elsewhere.test"}))
    with pytest.raises(ExchangeError, match="expected JSON"):
        exchange.candles()


@pytest.mark.parametrize("body", [{"code": 0}, "text", 3, None])
def test_an_answer_that_is_no_list_is_refused(body: object) -> None:
    with pytest.raises(ExchangeError, match="klines of SOLUSDT: expected a list, got "):
        Exchange(says(body)).candles()


@pytest.mark.parametrize("bad", [[], [START_US, "1.0"], {}, None, "text", 3])
def test_a_row_that_is_none_is_refused(bad: object) -> None:
    with pytest.raises(ExchangeError, match="klines of SOLUSDT: expected rows of 12 values, got "):
        Exchange(klines(bad)).candles()


@pytest.mark.parametrize(
    "change",
    [
        {"open": 1.0},
        {"close": None},
        {"high": "nan"},
        {"low": "-1.0"},
        {"volume_base": ""},
        {"volume_quote": "1e5"},
        {"taker_buy_base": []},
        {"taker_buy_quote": "x"},
        {"open_time": str(START_US)},
        {"open_time": None},
        {"close_time": 1.5},
        {"trade_count": "3"},
        {"trade_count": True},
    ],
)
def test_a_value_of_the_wrong_type_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ExchangeError, match="klines of SOLUSDT: a value of the wrong type in "):
        Exchange(klines(row(**change))).candles()


@pytest.mark.parametrize(
    "open_time",
    [START_US + 1, START_US + 30_000_000, START_US - MINUTE_US, START_US + 3 * MINUTE_US, START_US // 1000],
)
def test_an_open_time_off_the_minute_or_out_of_range_is_refused(open_time: int) -> None:
    with pytest.raises(ExchangeError, match=f"open time {open_time} is not a whole minute in "):
        Exchange(klines(row(open_time=open_time)), klines()).candles(3)


@pytest.mark.parametrize("minutes", [(0, 0), (1, 0), (0, 2, 1)])
def test_rows_out_of_order_are_refused_at_once(minutes: tuple[int, ...]) -> None:
    exchange = Exchange(klines(*map(row, minutes)))
    with pytest.raises(ExchangeError, match=r"klines of SOLUSDT: .* comes after "):
        exchange.candles(3)
    assert len(exchange.asked) == 1


def test_an_exchange_that_repeats_a_page_is_refused() -> None:
    with pytest.raises(ExchangeError, match="is not a whole minute in "):
        Exchange(klines(row(0), row(1))).candles(3)


def test_all_symbols_are_listed_those_in_a_halt_as_well() -> None:
    listed = [{"symbol": "SOLUSDT", "status": "TRADING"}, {"symbol": "ADAUSDT", "status": "HALT"}]
    exchange = Exchange(httpx.Response(200, json={"symbols": listed}))
    assert symbols(exchange) == {"SOLUSDT", "ADAUSDT"}
    assert [request.url.path for request in exchange.asked] == ["/api/v3/exchangeInfo"]


def test_only_the_symbols_that_are_wanted_are_asked_for() -> None:
    exchange = Exchange(httpx.Response(200, json={"symbols": [{"symbol": "SOLUSDT"}, {"symbol": "BTCUSDT"}]}))
    assert symbols(exchange, "SOLUSDT") == {"SOLUSDT"}
    assert exchange.asked[0].url.params["symbols"] == '["SOLUSDT"]'


def test_a_symbol_that_spoils_the_question_is_found_by_asking_for_each_alone() -> None:
    def names(*listed: str) -> httpx.Response:
        return httpx.Response(200, json={"symbols": [{"symbol": name} for name in listed]})

    invalid = httpx.Response(400, json={"code": -1121, "msg": "Invalid symbol."})
    exchange = Exchange(invalid, names("SOLUSDT"), invalid, names("ADAUSDT"))
    assert symbols(exchange, "SOLUSDT", "NOPEUSDT", "ADAUSDT") == {"SOLUSDT", "ADAUSDT"}


def test_many_symbols_are_asked_for_a_hundred_at_a_time() -> None:
    many = [f"S{n}USDT" for n in range(250)]
    exchange = Exchange(httpx.Response(200, json={"symbols": [{"symbol": name} for name in many]}))
    assert symbols(exchange, *many) == set(many)
    assert [len(json.loads(request.url.params["symbols"])) for request in exchange.asked] == [50, 100, 100]


def test_a_refusal_that_is_not_about_a_symbol_is_an_error() -> None:
    with pytest.raises(ExchangeError, match="403"):
        symbols(Exchange(httpx.Response(403, text="<html>")))


@pytest.mark.parametrize(
    "body", [{}, [], None, {"symbols": None}, {"symbols": ["SOLUSDT"]}, {"symbols": [{}]}]
)
def test_an_answer_without_symbols_is_refused(body: object) -> None:
    with pytest.raises(ExchangeError, match="/exchangeInfo: expected a list of symbols in the answer"):
        symbols(Exchange(says(body)))


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
        client = BinanceRest(f"http://127.0.0.1:{port}", sleep=no_wait)
        try:
            return await client.candles_1m("SOLUSDT", START_US, START_US + MINUTE_US)
        finally:
            await client.aclose()


def test_an_address_that_is_none_is_told_at_once() -> None:
    exchange = Exchange(klines())

    async def ask() -> None:
        client = BinanceRest("http://exchange.test:port", sleep=exchange.sleep)
        try:
            await client.listed(["SOLUSDT"])
        finally:
            await client.aclose()

    with pytest.raises(ExchangeError, match="exchangeInfo: not an address: "):
        asyncio.run(ask())
    assert exchange.waits == []


def test_a_slash_at_the_end_of_the_address_does_no_harm() -> None:
    exchange = Exchange(httpx.Response(200, json={"symbols": []}))

    async def ask() -> None:
        client = BinanceRest(URL + "/", sleep=exchange.sleep, transport=httpx.MockTransport(exchange))
        await client.listed(["SOLUSDT"])
        await client.aclose()

    asyncio.run(ask())
    assert exchange.asked[0].url.path == "/api/v3/exchangeInfo"
