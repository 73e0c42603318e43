"""An exchange, or what stands in front of it, whose answers have no end, no truth or no sense."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from crypto_lake.errors import ExchangeError, LeftAloneError
from crypto_lake.exchanges.base import Candle
from crypto_lake.exchanges.binance.http import BinanceHttp
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.layout import MINUTE_US
from crypto_lake_tests.exchanges.loopback import Script, asked, drip, head, whole
from crypto_lake_tests.exchanges.rest_script import START_US, URL, Exchange, klines, refusal, row, says

HUGE = 64 << 20


async def a_candle(client: BinanceRest) -> list[Candle]:
    return await client.candles_1m("SOLUSDT", START_US, START_US + MINUTE_US)


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        head("Content-Length: 1000000") + b"[",
        head("Transfer-Encoding: chunked") + b"100000\r\n[",
    ],
)
def test_an_answer_that_drips_is_given_up_after_its_time(first: bytes) -> None:
    with pytest.raises(
        ExchangeError, match=r"klines: no answer after 5 attempts; the last: .* within 0\.1 s"
    ):
        asked(a_candle, drip(first), answer_sec=0.1)


def zipped(times: int) -> bytes:
    body = b"[" + b" " * HUGE
    for _ in range(times):
        body = gzip.compress(body)
    return body


@pytest.mark.parametrize(
    ("made", "headers"),
    [
        (lambda: b"[" + b" " * (5 << 20), ()),
        (lambda: zipped(1), ("Content-Encoding: gzip",)),
        (lambda: zipped(2), ("Content-Encoding: gzip, gzip",)),
        (lambda: zlib.compress(b" " * HUGE), ("Content-Encoding: deflate",)),
    ],
)
def test_an_answer_that_is_too_large_once_unpacked_is_no_answer(
    made: Callable[[], bytes], headers: tuple[str, ...]
) -> None:
    with pytest.raises(
        ExchangeError, match=r"no answer after 5 attempts; the last: (longer than|Content-Enc)"
    ):
        asked(a_candle, whole(made(), *headers))


def test_an_answer_without_an_end_is_cut_off() -> None:
    async def flood() -> AsyncIterator[bytes]:
        yield head()
        while True:
            yield b" " * 65_536

    with pytest.raises(ExchangeError, match="the last: longer than"):
        asked(a_candle, flood)


def test_gzip_is_understood() -> None:
    body = gzip.compress(klines(row()).content)
    assert len(asked(a_candle, whole(body, "Content-Encoding: gzip"))) == 1


class Endless(httpx.AsyncByteStream):
    """A body that begins with `first` and goes on with `piece`; `read` says how many bytes were taken of it."""

    def __init__(self, first: bytes, piece: bytes) -> None:
        self._first, self._piece = first, piece
        self.read = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._first
        while self.read < HUGE:
            self.read += len(self._piece)
            yield self._piece


def zipped_answer(body: Endless) -> list[Candle]:
    """What a client makes of such a body."""

    def say(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=body)

    async def no_wait(_: float) -> None:
        return

    return asyncio.run(
        a_candle(BinanceRest(BinanceHttp(URL, sleep=no_wait, transport=httpx.MockTransport(say))))
    )


def test_what_comes_behind_the_end_of_gzip_is_not_read() -> None:
    body = Endless(gzip.compress(klines(row()).content), b"x" * 65_536)
    assert len(zipped_answer(body)) == 1
    assert body.read <= 65_536


def test_gzip_that_goes_on_without_a_byte_in_it_is_cut_off() -> None:
    nothing = zlib.compressobj(0, wbits=16 + zlib.MAX_WBITS)
    head_of_it = nothing.compress(b"") + nothing.flush(zlib.Z_SYNC_FLUSH)
    body = Endless(head_of_it, b"\x00\x00\x00\xff\xff" * 13_107)
    with pytest.raises(ExchangeError, match="the last: longer than"):
        zipped_answer(body)
    assert body.read < 5 * (5 << 20)


@pytest.mark.parametrize(
    "body", [b"no gzip", gzip.compress(klines(row()).content)[:-12]], ids=["no gzip", "cut short"]
)
def test_gzip_that_is_damaged_or_cut_short_is_no_answer(body: bytes) -> None:
    with pytest.raises(ExchangeError, match="no answer after 5 attempts"):
        asked(a_candle, whole(body, "Content-Encoding: gzip"))


@pytest.mark.parametrize(
    "say",
    [
        whole(b"[" * 100_000),
        whole(b'{"a":' * 50_000),
        whole(b"\xef\xbb\xbf[]"),
        whole(b"NaN"),
        whole(b"9" * 5_000),
    ],
)
def test_json_that_no_parser_likes_is_one_line(say: Script) -> None:
    with pytest.raises(ExchangeError) as caught:
        asked(a_candle, say)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 300, 304])
def test_a_redirect_is_not_followed_and_asked_for_once(status: int) -> None:
    exchange = Exchange(httpx.Response(status, headers={"Location": "http://user:pw@elsewhere.test/x?k=v"}))
    with pytest.raises(
        ExchangeError, match=rf"refused: HTTP {status}, a redirect to http://elsewhere\.test/x"
    ) as said:
        exchange.candles()
    assert "pw" not in str(said.value)
    assert len(exchange.asked) == 1


@pytest.mark.parametrize(
    "place", ["about:blank", "data:text/html,x", "javascript:x", "http://[::1", "http://xn--a/"]
)
def test_a_redirect_to_what_is_no_address_is_no_answer(place: str) -> None:
    exchange = Exchange(httpx.Response(302, headers={"Location": place}))
    with pytest.raises(ExchangeError, match="klines: no answer after 5 attempts; the last: "):
        exchange.candles()


class Undecipherable(httpx.AsyncByteStream):
    """A body whose second read brings a TLS record that does not decrypt."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"["
        raise ssl.SSLError(1, "[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC] bad record mac")


def _undecipherable(_: httpx.Request) -> httpx.Response:
    raise ssl.SSLError(1, "[SSL: BAD_RECORD_TYPE] bad record type")


@pytest.mark.parametrize("say", [_undecipherable, lambda _: httpx.Response(200, stream=Undecipherable())])
def test_a_tls_record_that_is_none_is_no_answer(say: Callable[[httpx.Request], httpx.Response]) -> None:
    async def no_wait(_: float) -> None:
        return

    http = BinanceHttp(URL, sleep=no_wait, transport=httpx.MockTransport(say))
    with pytest.raises(
        ExchangeError, match=r"klines: no answer after 5 attempts; the last: SSLError .*SSL: "
    ):
        asyncio.run(http.get("klines", {}, 1))


@pytest.mark.parametrize("seconds", ["1000000000", "9" * 4000, "9" * 400])
def test_an_absurd_time_to_be_left_alone_is_told_and_not_waited_for(seconds: str) -> None:
    exchange = Exchange(refusal(429, seconds))
    with pytest.raises(LeftAloneError, match="asks to be left alone for 1000000000 s"):
        exchange.candles()
    assert (len(exchange.asked), exchange.waits) == (1, [])


@pytest.mark.parametrize("seconds", ["inf", "nan", "1e9", "0x10", "1_0", "Wed, 21 Oct 2025 07:28:00 GMT"])
def test_what_is_no_number_of_seconds_is_a_minute(seconds: str) -> None:
    exchange = Exchange(refusal(429, seconds), klines(row()))
    exchange.candles()
    assert exchange.waits == [60]


def weighing(text: str) -> httpx.Response:
    answer = klines(row())
    answer.headers["X-MBX-USED-WEIGHT-1M"] = text
    return answer


@pytest.mark.parametrize("text", ["999999999999", "9" * 4000, "-5", "-" + "9" * 400, "inf", "", "1.5"])
def test_a_used_weight_that_no_counter_shows_does_not_slow_the_questions(text: str) -> None:
    exchange = Exchange(weighing(text))

    async def thrice(client: BinanceRest) -> None:
        for _ in range(3):
            await a_candle(client)

    exchange.ask(thrice)
    assert exchange.waits == []


@pytest.mark.parametrize("limit", [0, -1, 1, True, 10**9, 10**400])
def test_a_limit_that_no_exchange_has_is_not_believed(limit: int) -> None:
    rule = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": limit}
    exchange = Exchange(says({"symbols": [{"symbol": "SOLUSDT"}], "rateLimits": [rule]}))

    async def thrice(client: BinanceRest) -> None:
        for _ in range(3):
            await client.listed(["SOLUSDT"])

    exchange.ask(thrice)
    assert exchange.waits == []


def test_candles_that_come_one_at_a_time_are_given_up() -> None:
    class Miser(Exchange):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            return klines(row((int(request.url.params["startTime"]) - START_US) // MINUTE_US))

    exchange = Miser(klines())
    with pytest.raises(ExchangeError, match="klines of SOLUSDT: 101 answers brought 101 of 1000 minutes"):
        exchange.candles(1000)
    assert len(exchange.asked) == 101


@pytest.mark.parametrize("minutes", [(5,), (-1, 0), (0, 0), (1, 0)])
def test_a_page_that_was_not_asked_for_ends_the_work(minutes: tuple[int, ...]) -> None:
    exchange = Exchange(klines(*map(row, minutes)))
    with pytest.raises(ExchangeError, match="klines of SOLUSDT"):
        exchange.candles(3 if minutes != (5,) else 2)
    assert len(exchange.asked) == 1


def test_the_same_page_over_and_over_ends_the_work() -> None:
    exchange = Exchange(klines(row(0), row(1)))
    with pytest.raises(ExchangeError, match="is not a whole minute in"):
        exchange.candles(1000)
    assert len(exchange.asked) == 2


def test_refusals_that_are_each_short_have_an_end_together() -> None:
    class Moody(Exchange):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            return refusal(429, "299") if len(self.asked) % 2 else klines(row())

    exchange = Moody(klines())

    async def on_and_on(client: BinanceRest) -> None:
        for _ in range(100):
            await a_candle(client)

    with pytest.raises(ExchangeError, match=r"taken 30 minutes more .*; the last trouble: HTTP 429"):
        exchange.ask(on_and_on)
    assert sum(exchange.waits) < 2400


@pytest.mark.parametrize(
    "text", ["\x1b[31mred\x1b]0;title\x07", "\x9b31m", "a\r\nERROR forged", "\u202e reversed", "\x00"]
)
def test_what_an_exchange_refuses_with_cannot_steer_a_terminal(text: str) -> None:
    exchange = Exchange(httpx.Response(400, json={"code": -1100, "msg": text}, headers={"X": "y"}))
    exchange_html = Exchange(httpx.Response(403, text=f"<html>{text}</html>"))
    for one in (exchange, exchange_html, Exchange(httpx.Response(200, json=text))):
        with pytest.raises(ExchangeError) as caught:
            one.candles()
        assert str(caught.value).isprintable()


def test_a_key_in_the_address_is_sent_and_never_shown() -> None:
    exchange = Exchange(httpx.Response(401))
    with pytest.raises(ExchangeError) as caught:
        exchange.ask(a_candle, URL.replace("http://", "http://user:CANARY@") + "/?token=CANARY")
    assert str(caught.value).startswith("http://exchange.test/api/v3/klines: refused: HTTP 401")
    assert "CANARY" not in str(caught.value)
    (request,) = exchange.asked
    assert request.url.path == "/api/v3/klines"
    assert dict(request.url.params).items() >= {"token": "CANARY", "symbol": "SOLUSDT"}.items()
    assert request.headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("number", [10**400, 10**18, -1, 0, True, None, "1"])
def test_a_time_of_the_exchange_that_is_none_is_one_line(number: object) -> None:
    with pytest.raises(ExchangeError, match="expected a serverTime in the answer"):
        Exchange(says({"serverTime": number})).ask(lambda client: client.time())


def test_the_state_of_a_symbol_and_the_place_that_answers_cannot_steer_a_terminal() -> None:
    entry = {"symbol": "SOLUSDT", "status": "\x1b[31m" + "x" * 10_000}
    states = Exchange(says({"symbols": [entry]})).ask(lambda client: client.states(["SOLUSDT"]))
    assert states["SOLUSDT"].word.isprintable()
    assert len(states["SOLUSDT"].word) <= 40


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://user:CANARY@h:1",
        "bogus://user:CANARY@h",
        "http://user:CANARY@h:port",
        # All before the slash is the host to a library.
        "http://user:CANARY/rest@127.0.0.1:1",
    ],
)
def test_a_proxy_that_is_none_is_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(
        ExchangeError, match="https://host/api: the environment's proxy cannot be used: "
    ) as said:
        BinanceHttp("https://host/api")
    assert "CANARY" not in str(said.value)


def test_certificates_that_cannot_be_read_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ExchangeError, match=r"https://host/api: its certificates cannot be checked: "):
        BinanceHttp("https://host/api")


SECRET_URL = URL.replace("http://", "http://us%24er:CANARY-pw@") + "/?token=CANARY-key"
ECHO = "us$er us%24er CANARY-pw CANARY-key dXMkZXI6Q0FOQVJZLXB3 "


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(status, text=before + ECHO)
        for status in (400, 401, 403, 418, 500)
        for before in ("<html>", "x" * 90)
    ]
    + [
        httpx.Response(200, text="<html>" + ECHO),
        # Half a key must not be told where the text is cut.
        *(httpx.Response(200, text="x" * length + ECHO) for length in range(50, 80, 5)),
        *(says({"msg": "x" * length + ECHO}) for length in range(30, 70, 5)),
        says([["x" * 50 + ECHO]]),
        klines(row(open=ECHO)),
        klines(row(volume_base="x" * 20 + ECHO)),
        httpx.Response(302, headers={"Location": "http://elsewhere.test/CANARY-key/us$er"}),
        *(
            httpx.Response(200, headers={"Content-Encoding": "x" * length + ECHO})
            for length in range(0, 80, 5)
        ),
    ],
)
def test_a_secret_that_an_answer_repeats_is_not_told(answer: httpx.Response) -> None:
    with pytest.raises(ExchangeError) as caught:
        Exchange(answer).ask(a_candle, SECRET_URL)
    said = str(caught.value).lower()
    assert not [part for part in ("us$er", "us%24er", "canary", "dxmk") if part in said]
    assert "exchange.test" in str(caught.value) or "klines of SOLUSDT" in str(caught.value)


def test_a_symbols_state_that_repeats_a_secret_is_told_without_it() -> None:
    entry = {"symbol": "SOLUSDT", "status": "x" * 30 + "CANARY-key"}
    exchange = Exchange(says({"symbols": [entry]}))
    states = exchange.ask(lambda client: client.states(["SOLUSDT"]), SECRET_URL)
    assert states["SOLUSDT"].word == "x" * 30 + "…"
