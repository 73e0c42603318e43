"""Spans, tickers, aggregates and candles of all intervals, each counted again from single trades."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby, pairwise

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_lake.simulator.binance.query import Query
from crypto_lake.simulator.binance.rest import ENDPOINTS
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market import aggregates
from crypto_lake.simulator.market.intervals import NAMES, Interval
from crypto_lake.simulator.market.replay import Replay
from crypto_lake.simulator.market.statistics import statistics
from crypto_lake.simulator.market.synthetic import EPOCH_US, SyntheticMarket
from crypto_lake.simulator.market.tape import Page, Trade, from_e8, to_e8
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange, running

from .clients import Json, ask
from .conftest import NOON_US

SECOND_US, DAY_US = 1_000_000, 86_400_000_000
SYMBOL = "ADAUSDT"
# A trade in some tens of seconds: a month of them is soon counted.
THIN = SyntheticMarket(7, [SYMBOL, "SOLUSDT"], rate=0.05)
NOW_US = NOON_US + 20 * 60 * SECOND_US + 345_678
E8 = 10**8


def trades_of(start_us: int, end_us: int, now_us: int = NOW_US) -> list[Trade]:
    first_id = THIN.last_trade_id(SYMBOL, start_us - 1, now_us) + 1
    found = THIN.trades_from(SYMBOL, first_id, 100_000, now_us)
    return [trade for trade in found if start_us <= trade.ts_us < end_us]


def get(endpoint: str, **params: Json) -> Json:
    """An answer at `NOW_US`, past HTTP."""
    exchange = SimulatedExchange(THIN, MarketClock(NOW_US))
    texts = {name: str(value) for name, value in params.items()}
    return ENDPOINTS[endpoint].answer(exchange, Query(texts, 1000, NOW_US))


@settings(max_examples=25)
@given(start_us=st.integers(NOON_US - 3 * DAY_US, NOW_US), length_us=st.integers(0, 30 * 3_600 * SECOND_US))
def test_the_statistics_of_any_span_are_those_of_its_trades(start_us: int, length_us: int) -> None:
    end_us = start_us + length_us
    found, trades = statistics(THIN, SYMBOL, start_us, end_us, NOW_US), trades_of(start_us, end_us)
    if not trades:
        assert (found.candle, found.first_id, found.last_id) == (None, -1, -1)
        return
    assert found.candle
    taken = [trade for trade in trades if not trade.buyer_is_maker]
    prices = [trade.price for trade in trades]
    assert found.candle == (
        start_us, prices[0], max(prices), min(prices), prices[-1], sum(trade.qty for trade in trades),
        sum(trade.price * trade.qty for trade in trades), len(trades), sum(trade.qty for trade in taken),
        sum(trade.price * trade.qty for trade in taken),
    )  # fmt: skip
    assert (found.first_id, found.last_id, found.last) == (trades[0].id, trades[-1].id, trades[-1])
    assert found.previous == THIN.trades_from(SYMBOL, trades[0].id - 1, 1, NOW_US)[0]


@pytest.mark.parametrize(
    ("endpoint", "params", "length_ms"),
    [
        ("ticker/24hr", {}, 86_400_000),
        ("ticker", {"windowSize": "4h"}, None),
        ("ticker", {"windowSize": "7d"}, None),
        ("ticker/tradingDay", {}, 86_399_999),
        ("ticker/tradingDay", {"timeZone": "-3:30"}, 86_399_999),
    ],
)
def test_a_ticker_tells_the_trades_of_its_span_in_whole_milliseconds(
    endpoint: str, params: dict[str, str], length_ms: int | None
) -> None:
    row = get(endpoint, symbol=SYMBOL, **params)
    opened_ms, closed_ms = row["openTime"], row["closeTime"]
    trades = trades_of(opened_ms * 1000, (closed_ms + 1) * 1000)
    volume = sum(Decimal(trade.qty) / E8 for trade in trades)
    quote_volume = sum(Fraction(trade.price, E8) * Fraction(trade.qty, E8) for trade in trades)
    first, last = (Decimal(trade.price) / E8 for trade in (trades[0], trades[-1]))
    assert (row["firstId"], row["lastId"], row["count"]) == (trades[0].id, trades[-1].id, len(trades))
    assert Decimal(row["volume"]) == volume
    assert to_e8(row["quoteVolume"]) == int(quote_volume * E8)
    assert abs(Fraction(row["weightedAvgPrice"]) - quote_volume / Fraction(volume)) <= Fraction(1, 2 * E8)
    assert (Decimal(row["openPrice"]), Decimal(row["lastPrice"])) == (first, last)
    assert Decimal(row["priceChange"]) == last - first
    assert abs(Decimal(row["priceChangePercent"]) - 100 * (last - first) / first) <= Decimal("0.0005")
    assert Decimal(row["highPrice"]) == max(Decimal(trade.price) / E8 for trade in trades)
    if length_ms:
        assert closed_ms - opened_ms == length_ms
    else:
        assert opened_ms % 60_000 == 0


def test_a_days_ticker_has_the_fields_of_the_exchange_in_its_order() -> None:
    row = get("ticker/24hr", symbol=SYMBOL)
    assert list(row) == [
        "symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "prevClosePrice", "lastPrice", "lastQty",
        "bidPrice", "bidQty", "askPrice", "askQty", "openPrice", "highPrice", "lowPrice", "volume", "quoteVolume",
        "openTime", "closeTime", "firstId", "lastId", "count",
    ]  # fmt: skip
    (before,) = THIN.trades_from(SYMBOL, row["firstId"] - 1, 1, NOW_US)
    assert row["prevClosePrice"] == from_e8(before.price)
    mini = get("ticker/24hr", symbol=SYMBOL, type="MINI")
    assert mini == {name: row[name] for name in mini}
    assert not mini.keys() & {"priceChange", "bidPrice", "weightedAvgPrice"}


def test_tickers_of_several_and_of_all_symbols_are_lists() -> None:
    for endpoint in ("ticker/24hr", "ticker/price", "ticker/bookTicker"):
        every = get(endpoint)
        assert [row["symbol"] for row in every] == [SYMBOL, "SOLUSDT"]
        assert get(endpoint, symbols=f'["{SYMBOL}"]') == every[:1]
        assert get(endpoint, symbol=SYMBOL) == every[0]


def test_the_newest_price_quote_and_average_are_those_of_the_tape() -> None:
    (newest,) = THIN.recent_trades(SYMBOL, 1, NOW_US)
    quote, book = THIN.quote(SYMBOL, NOW_US), THIN.book(SYMBOL, 1, NOW_US)
    assert quote
    assert book
    assert get("ticker/price", symbol=SYMBOL)["price"] == from_e8(newest.price)
    best = get("ticker/bookTicker", symbol=SYMBOL)
    assert [*best.values()] == [SYMBOL, *map(from_e8, quote[2:])]
    assert (best["bidPrice"], best["askPrice"]) == (from_e8(book.bids[0][0]), from_e8(book.asks[0][0]))
    average = get("avgPrice", symbol=SYMBOL)
    trades = trades_of(NOW_US // 1000 * 1000 - 300 * SECOND_US, NOW_US // 1000 * 1000)
    weighted = sum(trade.price * trade.qty for trade in trades) / sum(trade.qty for trade in trades)
    assert abs(to_e8(average["price"]) - weighted) <= 1
    assert (average["mins"], average["closeTime"]) == (5, trades[-1].ts_us // 1000)


def test_where_nothing_was_traded_yet_a_ticker_is_zeros() -> None:
    exchange = SimulatedExchange(THIN, MarketClock(EPOCH_US))
    row = ENDPOINTS["ticker/24hr"].answer(exchange, Query({"symbol": SYMBOL}, 1000, EPOCH_US - SECOND_US))
    assert (row["firstId"], row["lastId"], row["count"], row["lastPrice"]) == (-1, -1, 0, "0.00000000")


# Candles of all intervals.


def opened(name: str, moment: datetime) -> datetime:
    """Where the candle of a time opens, by the calendar."""
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if name == "1M":
        return day.replace(day=1)
    if name == "1w":
        return day - timedelta(days=day.weekday())
    length = timedelta(
        **{{"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}[name[-1]]: int(name[:-1])}
    )
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return epoch + (moment - epoch) // length * length


@pytest.mark.parametrize(
    ("name", "zone"),
    [*((name, "0") for name in NAMES), *((name, "5:45") for name in ("1m", "1h", "1d", "1w"))],
)
def test_candles_of_each_interval_open_by_the_calendar_and_hold_their_trades(name: str, zone: str) -> None:
    rows = get("klines", symbol=SYMBOL, interval=name, timeZone=zone, limit=2)
    ahead = timedelta(hours=5, minutes=45) if zone != "0" else timedelta(0)
    now = datetime.fromtimestamp(NOW_US / 1e6, UTC)
    assert datetime.fromtimestamp(rows[-1][0] / 1000, UTC) == opened(name, now + ahead) - ahead
    assert all(then[0] == first[6] + 1 for first, then in pairwise(rows))
    for row in rows:
        trades = trades_of(row[0] * 1000, (row[6] + 1) * 1000)
        assert row[8] == len(trades)
        assert to_e8(row[5]) == sum(trade.qty for trade in trades)
        if trades:
            assert (to_e8(row[1]), to_e8(row[4])) == (trades[0].price, trades[-1].price)


def test_a_page_of_months_keeps_to_its_start_end_and_limit() -> None:
    start_ms = int(datetime(2025, 6, 2, tzinfo=UTC).timestamp() * 1000)
    rows = get("klines", symbol=SYMBOL, interval="1M", startTime=start_ms, limit=2)
    months = [datetime.fromtimestamp(row[0] / 1000, UTC) for row in rows]
    assert [(month.year, month.month, month.day) for month in months] == [(2025, 7, 1), (2025, 8, 1)]
    before = get("klines", symbol=SYMBOL, interval="1M", endTime=start_ms, limit=1)
    assert datetime.fromtimestamp(before[0][0] / 1000, UTC) == datetime(2025, 6, 1, tzinfo=UTC)
    assert get("klines", symbol=SYMBOL, interval="1M", startTime=NOW_US, limit=2) == []


def test_the_first_week_of_the_market_is_the_first_candle() -> None:
    first = Interval("1w").candles(THIN, SYMBOL, Page(0, 0, None, 1), NOW_US)
    assert [spell for spell, _ in first] == [Interval("1w").at(EPOCH_US)]


# Aggregates.


def trade(id_: int, ts_us: int, price: int = 5, *, sold: bool = True) -> Trade:
    return Trade(id_, ts_us, ts_us, ts_us, price, 10, sold)


def test_trades_of_one_time_price_and_side_with_ids_in_a_row_are_one_aggregate() -> None:
    trades = [
        trade(1, 7), trade(2, 7), trade(3, 7), trade(4, 7, price=6), trade(5, 7, price=6, sold=False), trade(6, 8),
        trade(8, 8), trade(9, 8),
    ]  # fmt: skip
    found = [(it.id, it.last.id, it.qty) for it in aggregates.aggregated(trades)]
    assert found == [(1, 3, 30), (4, 4, 10), (5, 5, 10), (6, 6, 10), (8, 9, 20)]


def grouped(trades: list[Trade]) -> list[tuple[int, int, int]]:
    runs = groupby(
        enumerate(trades), key=lambda it: (it[1].id - it[0], it[1].ts_us, it[1].price, it[1].buyer_is_maker)
    )
    parts = [[one for _, one in run] for _, run in runs]
    return [(part[0].id, part[-1].id, sum(one.qty for one in part)) for part in parts]


def rows_of(answer: Json) -> list[tuple[int, int, int]]:
    return [(row["f"], row["l"], to_e8(row["q"])) for row in answer]


def test_aggregates_of_the_capture_are_found_by_id_by_time_and_from_the_end(replay: Replay) -> None:
    now_us = replay.end_us
    trades = list(replay.trades_from("BTCUSDT", 0, 100_000, now_us))
    expected = grouped(trades)
    assert len(expected) < len(trades)

    def ask_at(**params: int) -> list[tuple[int, int, int]]:
        exchange = SimulatedExchange(replay, MarketClock(now_us))
        texts = {"symbol": "BTCUSDT", **{name: str(value) for name, value in params.items()}}
        return rows_of(ENDPOINTS["aggTrades"].answer(exchange, Query(texts, 1000, now_us)))

    assert ask_at() == expected[-500:]
    assert ask_at(limit=1000) == expected[-1000:]
    paged: list[tuple[int, int, int]] = []
    while page := ask_at(fromId=paged[-1][1] + 1 if paged else 0, limit=700):
        paged += page
    assert paged == expected
    inside = next(last for first, last, _ in expected[50:] if last > first)
    assert ask_at(fromId=inside, limit=3) == [it for it in expected if it[0] >= inside][:3]
    times = {trade.id: trade.ts_us // 1000 for trade in trades}
    start_ms, end_ms = times[expected[2000][0]], times[expected[2100][0]]
    between = [it for it in expected if start_ms <= times[it[0]] <= end_ms]
    assert ask_at(startTime=start_ms, endTime=end_ms, limit=1000) == between
    assert ask_at(endTime=end_ms, limit=10) == [it for it in expected if times[it[0]] <= end_ms][-10:]
    assert ask_at(startTime=end_ms + 1, endTime=end_ms) == []


@settings(max_examples=8)
@given(cuts=st.lists(st.integers(0, 600 * SECOND_US), min_size=1, max_size=4))
def test_any_cut_in_time_streams_the_same_aggregates(replay: Replay, cuts: list[int]) -> None:
    start_us = replay.start_us
    ends = [start_us, *sorted(start_us + cut for cut in cuts), replay.end_us + 1]
    pieces = [it for a, b in pairwise(ends) for it in aggregates.sent(replay, "BTCUSDT", a, b)]
    assert pieces == aggregates.sent(replay, "BTCUSDT", start_us, ends[-1])


# Over HTTP.


@pytest.fixture(scope="module")
def thin() -> Iterator[Address]:
    with running(SimulatedExchange(THIN, MarketClock(NOW_US), weight_limit=900_000)) as address:
        yield address


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("aggTrades", -1102),
        ("aggTrades?symbol=ADAUSDT&fromId=5&startTime=5", -1128),
        ("avgPrice?symbol=NOPE", -1121),
        ("ticker", -1102),
        ("ticker?symbol=ADAUSDT&windowSize=8d", -1100),
        ("ticker/24hr?symbol=NOPE", -1121),
        ("ticker/24hr?symbol=ADAUSDT&type=HUGE", -1139),
        ("ticker/24hr?symbol=ADAUSDT&symbolStatus=BREAK", -1220),
        ("ticker/24hr?symbols=ADAUSDT", -1100),
        ("ticker/price?symbol=ADAUSDT&symbols=%5B%22ADAUSDT%22%5D", -1128),
        ("ticker/tradingDay?symbol=ADAUSDT&timeZone=east", -1100),
        ("klines?symbol=ADAUSDT&interval=1d&timeZone=15:00", -1130),
        ("uiKlines?symbol=ADAUSDT&interval=2d", -1120),
    ],
)
def test_a_wrong_request_is_refused_with_the_exchanges_own_code(thin: Address, path: str, code: int) -> None:
    answer = httpx.get(f"{thin.rest_url}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("path", "weight"),
    [
        ("aggTrades?symbol=ADAUSDT", 4),
        ("ticker/24hr?symbol=ADAUSDT", 2),
        ("ticker/24hr", 80),
        ("ticker/price?symbol=ADAUSDT", 2),
        ("ticker/bookTicker", 4),
        ("ticker?symbols=%5B%22ADAUSDT%22,%22SOLUSDT%22%5D", 8),
        ("avgPrice?symbol=ADAUSDT", 2),
    ],
)
def test_an_answer_weighs_what_it_does_at_the_exchange(thin: Address, path: str, weight: int) -> None:
    before, after = (
        int(httpx.get(f"{thin.rest_url}/{it}").headers["X-MBX-USED-WEIGHT-1M"]) for it in ("ping", path)
    )
    assert after - before == weight or after == weight  # a minute may end in between


def test_an_aggregate_has_the_fields_of_the_exchange(thin: Address) -> None:
    row = ask(thin, "aggTrades", symbol=SYMBOL, limit=1).json()[0]
    assert list(row) == ["a", "p", "q", "f", "l", "T", "m", "M"]
