import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange, running

from . import oracle
from .clients import ask
from .conftest import NOON_US

NOON_MS = NOON_US // 1000
MICROSECONDS = {"X-MBX-TIME-UNIT": "MICROSECOND"}


@pytest.fixture(scope="module")
def calm() -> Iterator[Address]:
    """Twenty minutes past noon, at the real rate."""
    market = SyntheticMarket(7, ["SOLUSDT", "ADAUSDT"])
    clock = MarketClock(NOON_US + 20 * 60_000_000)
    with running(SimulatedExchange(market, clock, weight_limit=900_000)) as address:
        yield address


def trades_since(address: Address, symbol: str, from_id: int, pages: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for _ in range(pages):
        rows += ask(address, "historicalTrades", symbol=symbol, fromId=from_id + len(rows), limit=1000).json()
    return rows


@pytest.mark.parametrize("symbol", ["SOLUSDT", "ADAUSDT"])
@pytest.mark.parametrize(("interval", "length_ms"), [("1m", 60_000), ("1s", 1000)])
def test_klines_equal_candles_made_again_from_historical_trades(
    calm: Address, symbol: str, interval: str, length_ms: int
) -> None:
    newest = ask(calm, "historicalTrades", symbol=symbol, limit=1).json()[0]["id"]
    rows = trades_since(calm, symbol, newest - 3999, pages=4)
    expected = oracle.candles(rows, length_ms)
    whole = list(expected)[1:-1]
    klines = ask(calm, "klines", symbol=symbol, interval=interval, startTime=whole[0], limit=1000).json()
    again = {row[0]: oracle.of_kline(row) for row in klines if row[8] and row[0] <= whole[-1]}
    assert again == {open_ms: expected[open_ms] for open_ms in whole if open_ms in again}
    assert len(again) == len([open_ms for open_ms in whole if open_ms <= klines[-1][0]])


def test_klines_follow_each_other_without_a_hole(calm: Address) -> None:
    rows = ask(calm, "klines", symbol="ADAUSDT", interval="1s", limit=1000).json()
    assert [row[0] for row in rows] == list(range(rows[0][0], rows[0][0] + 1_000_000, 1000))


def test_a_kline_row_has_twelve_items_and_closes_a_millisecond_before_the_next(calm: Address) -> None:
    (row,) = ask(calm, "klines", symbol="SOLUSDT", interval="5m", startTime=NOON_MS, limit=1).json()
    assert [type(item) for item in row] == [int, str, str, str, str, str, int, str, int, str, str, str]
    assert (row[0], row[6], row[11]) == (NOON_MS, NOON_MS + 299_999, "0")


def test_the_newest_kline_is_the_open_one_and_grows(calm: Address) -> None:
    first, then = (ask(calm, "klines", symbol="SOLUSDT", interval="1d", limit=1).json()[0] for _ in range(2))
    assert first[0] == then[0] == NOON_MS - 12 * 3_600_000
    assert first[8] <= then[8]


def test_no_kline_opens_in_the_future(calm: Address) -> None:
    assert ask(calm, "klines", symbol="SOLUSDT", interval="1m", startTime=NOON_MS + 3_600_000).json() == []


def test_times_may_be_asked_for_in_microseconds_and_come_in_milliseconds(calm: Address) -> None:
    (row,) = ask(calm, "klines", symbol="SOLUSDT", interval="1m", startTime=NOON_US, endTime=NOON_US).json()
    assert (row[0], row[6]) == (NOON_MS, NOON_MS + 59_999)


def test_times_come_in_microseconds_where_the_header_says_so(calm: Address) -> None:
    with httpx.Client(base_url=calm.rest_url, headers=MICROSECONDS) as client:
        (row,) = client.get("/klines", params={"symbol": "SOLUSDT", "interval": "1m", "limit": 1}).json()
        (trade,) = client.get("/trades", params={"symbol": "SOLUSDT", "limit": 1}).json()
        server_time = client.get("/time").json()["serverTime"]
    assert row[6] == row[0] + 59_999_999
    assert row[0] <= server_time < row[6] + 1_000_000
    assert trade["time"] // 10**15 == 1


def test_historical_trades_start_with_the_id_asked_for(calm: Address) -> None:
    rows = ask(calm, "historicalTrades", symbol="SOLUSDT", fromId=1000, limit=3).json()
    assert [row["id"] for row in rows] == [1000, 1001, 1002]
    assert rows[0].keys() == {"id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch"}


def test_without_an_id_historical_trades_are_the_newest_500(calm: Address) -> None:
    rows = ask(calm, "historicalTrades", symbol="SOLUSDT").json()
    assert len(rows) == 500
    assert ask(calm, "historicalTrades", symbol="SOLUSDT", fromId=rows[-1]["id"] + 10**6).json() == []


def test_more_than_a_thousand_rows_are_a_thousand(calm: Address) -> None:
    assert len(ask(calm, "trades", symbol="SOLUSDT", limit=5000).json()) == 1000


def test_exchange_info_tells_status_steps_and_limits(calm: Address) -> None:
    info = ask(calm, "exchangeInfo", symbols='["ADAUSDT","SOLUSDT"]').json()
    assert [symbol["symbol"] for symbol in info["symbols"]] == ["ADAUSDT", "SOLUSDT"]
    solana = info["symbols"][1]
    assert (solana["status"], solana["baseAsset"], solana["quoteAsset"]) == ("TRADING", "SOL", "USDT")
    assert {it["filterType"]: it.get("tickSize") or it.get("stepSize") for it in solana["filters"]} == {
        "PRICE_FILTER": "0.01000000",
        "LOT_SIZE": "0.00100000",
    }
    assert info["rateLimits"][0] == {
        "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 900_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("klines?symbol=NOPEUSDT&interval=1m", -1121),
        ("exchangeInfo?symbol=NOPEUSDT", -1121),
        ('exchangeInfo?symbols=["SOLUSDT","NOPE"]', -1121),
        ("exchangeInfo?symbols=SOLUSDT", -1100),
        ('exchangeInfo?symbol=SOLUSDT&symbols=["ADAUSDT"]', -1128),
        ("klines?interval=1m", -1102),
        ("klines?symbol=SOLUSDT", -1102),
        ("klines?symbol=SOLUSDT&interval=7m", -1120),
        ("klines?symbol=SOLUSDT&interval=1m&limit=0", -1130),
        ("klines?symbol=SOLUSDT&interval=1m&startTime=now", -1100),
        ("historicalTrades?symbol=SOLUSDT&fromId=-1", -1100),
        ("trades", -1102),
    ],
)
def test_a_wrong_request_is_refused_with_the_exchanges_own_code(calm: Address, path: str, code: int) -> None:
    answer = ask(calm, path) if "?" not in path else httpx.get(f"{calm.rest_url}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["msg"]


def test_an_endpoint_that_does_not_exist_is_not_found(calm: Address) -> None:
    assert ask(calm, "openOrders", symbol="SOLUSDT").status_code == 404


def test_each_answer_tells_the_weight_used(calm: Address) -> None:
    with httpx.Client(base_url=calm.rest_url) as client:
        used = [
            int(client.get(path).headers["X-MBX-USED-WEIGHT-1M"])
            for path in (
                "/ping",
                "/klines?symbol=SOLUSDT&interval=1m&limit=1",
                "/trades?symbol=SOLUSDT",
                "/exchangeInfo",
            )
        ]
    steps = [b - a for a, b in pairwise(used)]
    assert steps == [2, 25, 20] or min(steps) < 0  # a minute may end in between


def test_above_the_limit_comes_429_and_at_last_a_ban(market: SyntheticMarket) -> None:
    with running(SimulatedExchange(market, MarketClock(NOON_US), weight_limit=0)) as address:
        answers = [ask(address, "ping") for _ in range(15)]
    statuses = [answer.status_code for answer in answers]
    assert (statuses[0], statuses[-1]) == (429, 418)
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert {answer.json()["code"] for answer in answers} == {-1003}


def test_many_clients_at_once_get_the_same_answer(calm: Address) -> None:
    bodies: list[Any] = []
    params = {"symbol": "SOLUSDT", "interval": "1m", "endTime": NOON_MS, "limit": 300}
    threads = [
        threading.Thread(target=lambda: bodies.append(ask(calm, "klines", **params).json())) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(bodies) == 8
    assert all(body == bodies[0] for body in bodies)
