"""What is asked of which endpoint, and what is made of the answers."""

import json

import httpx
import pytest

from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges import limiter
from crypto_lake.exchanges.base import ServerTime, State, Usage
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.layout import MINUTE_US
from crypto_lake_tests.exchanges.rest_script import START_US, Exchange, Paged, klines, row, says


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
    exchange = Paged(range(minutes))
    candles = exchange.candles(minutes)
    assert [candle.open_time for candle in candles] == [START_US + n * MINUTE_US for n in range(minutes)]
    assert len(exchange.asked) == -(-minutes // 1000)
    assert exchange.waits == []


def test_a_page_shorter_than_asked_for_is_not_taken_for_the_end() -> None:
    exchange = Paged(range(1440), page=500)
    assert len(exchange.candles(1440)) == 1440
    assert len(exchange.asked) == 3


def test_minutes_that_the_exchange_does_not_have_are_left_out() -> None:
    there = [*range(5), *range(80, 1300)]
    candles = Paged(there).candles(1440)
    assert [(candle.open_time - START_US) // MINUTE_US for candle in candles] == there


def test_an_exchange_without_a_single_candle_is_asked_once() -> None:
    exchange = Exchange(klines())
    assert exchange.candles(1440) == []
    assert len(exchange.asked) == 1


def test_for_an_empty_stretch_nobody_is_asked() -> None:
    exchange = Exchange(klines(row()))
    assert exchange.candles(0) == []
    assert exchange.asked == []


def test_all_symbols_are_listed_those_in_a_halt_as_well() -> None:
    listed = [{"symbol": "SOLUSDT", "status": "TRADING"}, {"symbol": "ADAUSDT", "status": "HALT"}]
    exchange = Exchange(httpx.Response(200, json={"symbols": listed}))
    assert exchange.symbols() == {"SOLUSDT", "ADAUSDT"}
    assert [request.url.path for request in exchange.asked] == ["/api/v3/exchangeInfo"]


def test_only_the_symbols_that_are_wanted_are_asked_for() -> None:
    exchange = Exchange(httpx.Response(200, json={"symbols": [{"symbol": "SOLUSDT"}, {"symbol": "BTCUSDT"}]}))
    assert exchange.symbols("SOLUSDT") == {"SOLUSDT"}
    assert exchange.asked[0].url.params["symbols"] == '["SOLUSDT"]'


def test_a_symbol_that_spoils_the_question_is_found_by_asking_for_each_alone() -> None:
    def names(*listed: str) -> httpx.Response:
        return httpx.Response(200, json={"symbols": [{"symbol": name} for name in listed]})

    invalid = httpx.Response(400, json={"code": -1121, "msg": "Invalid symbol."})
    exchange = Exchange(invalid, names("SOLUSDT"), invalid, names("ADAUSDT"))
    assert exchange.symbols("SOLUSDT", "NOPEUSDT", "ADAUSDT") == {"SOLUSDT", "ADAUSDT"}


def test_many_symbols_are_asked_for_a_hundred_at_a_time() -> None:
    many = [f"S{n}USDT" for n in range(250)]
    exchange = Exchange(httpx.Response(200, json={"symbols": [{"symbol": name} for name in many]}))
    assert exchange.symbols(*many) == set(many)
    assert [len(json.loads(request.url.params["symbols"])) for request in exchange.asked] == [50, 100, 100]


def test_a_refusal_that_is_not_about_a_symbol_is_an_error() -> None:
    with pytest.raises(ExchangeError, match="403"):
        Exchange(httpx.Response(403, text="<html>")).symbols()


@pytest.mark.parametrize(
    "body", [{}, [], None, {"symbols": None}, {"symbols": ["SOLUSDT"]}, {"symbols": [{}]}]
)
def test_an_answer_without_symbols_is_refused(body: object) -> None:
    with pytest.raises(ExchangeError, match="/exchangeInfo: expected a list of symbols in the answer"):
        Exchange(says(body)).symbols()


def test_a_slash_at_the_end_of_the_address_does_no_harm() -> None:
    exchange = Exchange(httpx.Response(200, json={"symbols": []}))
    exchange.ask(lambda client: client.listed(["SOLUSDT"]), "http://exchange.test/api/v3/")
    assert exchange.asked[0].url.path == "/api/v3/exchangeInfo"


def test_a_hole_in_an_answer_is_asked_for_by_itself_before_it_is_believed() -> None:
    """An answer that was cut out of the middle: the second question fills it."""
    exchange = Exchange(klines(row(0), row(3)), klines(row(1), row(2)))
    assert [(c.open_time - START_US) // MINUTE_US for c in exchange.candles(4)] == [0, 1, 2, 3]
    assert [exchange.asked[1].url.params[key] for key in ("startTime", "endTime")] == [
        str(START_US + MINUTE_US),
        str(START_US + 3 * MINUTE_US - 1),
    ]


def test_an_answer_full_of_holes_is_refused() -> None:
    with pytest.raises(ExchangeError, match="holes between"):
        Paged(range(0, 1000, 2)).candles(1000)


def told(*limits: object) -> httpx.Response:
    return says({"rateLimits": limits, "symbols": []})


def weight_limit(answer: httpx.Response) -> int:
    async def ask(client: BinanceRest) -> int:
        await client.listed(["SOLUSDT"])
        return client._http.limiter.limit

    return Exchange(answer).ask(ask)


def test_the_limit_is_the_one_that_exchange_info_tells() -> None:
    raw = {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61_000}
    weight = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 4321}
    assert weight_limit(told(raw, weight)) == 4321


@pytest.mark.parametrize("limits", [(), ("?",), ({"rateLimitType": "REQUEST_WEIGHT", "limit": -1},)])
def test_until_it_is_told_a_low_limit_holds(limits: tuple[object, ...]) -> None:
    assert weight_limit(told(*limits)) == limiter.UNTOLD_WEIGHT


def test_what_was_asked_is_counted_with_its_weight() -> None:
    async def ask(client: BinanceRest) -> Usage:
        await client.candles_1m("SOLUSDT", START_US, START_US + 2500 * MINUTE_US)
        return client.usage

    assert Paged(range(2500)).ask(ask) == Usage(requests=3, weight=6)


@pytest.mark.parametrize(("told_time", "is_us"), [(START_US, True), (START_US // 1000, False)])
def test_the_exchanges_clock_is_told_in_microseconds_whatever_unit_it_uses(
    told_time: int, is_us: bool
) -> None:
    found = Exchange(says({"serverTime": told_time})).ask(BinanceRest.time)
    assert found == ServerTime(START_US, is_us, None)


def test_the_place_that_answered_is_told_where_the_exchange_names_it() -> None:
    answer = httpx.Response(200, headers={"X-Amz-Cf-Pop": "FRA56-P3"}, json={"serverTime": START_US})
    assert Exchange(answer).ask(BinanceRest.time).answered_by == "FRA56-P3"


@pytest.mark.parametrize("body", [{}, [], None, {"serverTime": "now"}, {"serverTime": -1}])
def test_an_answer_without_a_time_is_refused(body: object) -> None:
    with pytest.raises(ExchangeError, match="/time: expected a serverTime"):
        Exchange(says(body)).ask(BinanceRest.time)


def test_a_listed_symbol_has_the_state_that_the_exchange_says() -> None:
    symbols = [{"symbol": "SOLUSDT", "status": "TRADING"}, {"symbol": "ADAUSDT", "status": "BREAK"}]
    found = Exchange(says({"symbols": symbols})).ask(
        lambda client: client.states(["SOLUSDT", "ADAUSDT", "SUIUSDT"])
    )
    assert found == {"SOLUSDT": State("TRADING", trades=True), "ADAUSDT": State("BREAK", trades=False)}
