"""The streams beside trades, quotes and depth, as the wire carries them, beside what REST says of the same."""

import json

import pytest

from crypto_lake.simulator.binance import streams
from crypto_lake.simulator.market.intervals import Interval
from crypto_lake.simulator.market.replay import Replay
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.market.tape import Page, Trade, to_e8
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange
from crypto_lake.simulator.server.faults import Change, Faults

from .clients import Json, ask, listen
from .conftest import NOON_US

SECOND_US, MINUTE_US = 1_000_000, 60_000_000
MARKET = SyntheticMarket(7, ["SOLUSDT", "ADAUSDT"])


def said(kind: str, seconds: int, start_us: int = NOON_US, unit_us: int = 1) -> list[Json]:
    found = streams.said(MARKET, f"solusdt@{kind}", start_us, start_us + seconds * SECOND_US, unit_us)
    return [json.loads(one.text) for one in found]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("aggTrade", "e E s a p q f l T m M"),
        ("kline_1m", "e E s k"),
        ("ticker", "e E s p P w o h l c v q O C F L n x Q b B a A"),
        ("ticker_1h", "e E s p P w o h l c v q O C F L n"),
        ("miniTicker", "e E s c o h l v q"),
        ("avgPrice", "e E s i w T"),
        ("depth10", "lastUpdateId bids asks"),
    ],
)
def test_a_payload_has_the_fields_of_the_exchange(quiet: Address, kind: str, names: str) -> None:
    wrapped, *_ = listen(quiet, f"/stream?streams=solusdt@{kind}", 1)
    assert wrapped["stream"] == f"solusdt@{kind}"
    assert list(wrapped["data"]) == names.split()


def test_a_candle_is_told_every_two_seconds_and_once_it_is_whole() -> None:
    frames = said("kline_1m", 61, NOON_US - 10 * SECOND_US)
    assert [frame["E"] - NOON_US for frame in frames] == list(
        range(-10 * SECOND_US, 51 * SECOND_US, 2 * SECOND_US)
    )
    (closed,) = (frame for frame in frames if frame["k"]["x"])
    assert (closed["E"], closed["k"]["t"], closed["k"]["T"]) == (NOON_US, NOON_US - MINUTE_US, NOON_US - 1)
    first, last = closed["k"]["f"], closed["k"]["L"]
    trades = MARKET.trades_from("SOLUSDT", first, last - first + 1, NOON_US)
    assert closed["k"]["n"] == len(trades) == last - first + 1
    assert to_e8(closed["k"]["v"]) == sum(trade.qty for trade in trades)
    assert trades[0].ts_us >= NOON_US - MINUTE_US
    assert trades[-1].ts_us < NOON_US
    counts = [frame["k"]["n"] for frame in frames if frame["k"]["t"] == NOON_US]
    assert counts == sorted(counts)


def test_candles_of_a_second_are_told_each_second_and_are_whole() -> None:
    frames = said("kline_1s", 20)
    assert [frame["k"]["x"] for frame in frames] == [True] * 20
    expected = MARKET.candles(
        "SOLUSDT", Page(SECOND_US, NOON_US - SECOND_US, None, 20), NOON_US + 20 * SECOND_US
    )
    assert [(frame["k"]["t"], frame["k"]["n"]) for frame in frames] == [
        (it.open_us, it.trades) for it in expected
    ]
    assert {(frame["k"]["f"], frame["k"]["L"]) for frame in frames if not frame["k"]["n"]} == {(-1, -1)}


def test_the_day_eight_hours_ahead_begins_at_sixteen_oclock() -> None:
    (frame, *_) = said("kline_1d@+08:00", 2)
    assert frame["k"]["t"] == NOON_US - 20 * 60 * MINUTE_US


def test_the_closed_candles_of_a_capture_are_those_of_all_its_trades(replay: Replay) -> None:
    found = streams.said(replay, "btcusdt@kline_1m", replay.start_us, replay.end_us, 1)
    closed = [frame["k"] for frame in map(json.loads, (one.text for one in found)) if frame["k"]["x"]]
    assert len(closed) > 8
    for candle in closed:
        page = Page(0, candle["t"], candle["t"], 1)
        ((_, whole),) = Interval("1m").candles(replay, "BTCUSDT", page, replay.end_us)
        assert (candle["n"], to_e8(candle["v"])) == (whole.trades, whole.volume)


def test_aggregates_on_the_stream_hold_each_trade_once() -> None:
    frames = said("aggTrade", 120)
    events = MARKET.events("SOLUSDT", NOON_US, NOON_US + 120 * SECOND_US)
    ids = [event.id for event in events if isinstance(event, Trade)]
    assert [id_ for frame in frames for id_ in range(frame["f"], frame["l"] + 1)] == ids


def test_a_ticker_on_the_stream_is_that_of_rest(quiet: Address) -> None:
    frame, *_ = listen(quiet, "/ws/solusdt@ticker", 1)
    row = ask(quiet, "ticker/24hr", symbol="SOLUSDT").json()
    assert 0 <= row["firstId"] - frame["F"] < 2000
    assert frame["C"] - frame["O"] == row["closeTime"] - row["openTime"] == 86_400_000


def test_a_list_of_all_tickers_has_the_symbols_that_traded(quiet: Address) -> None:
    (tickers,) = listen(quiet, "/ws/!miniTicker@arr", 1)
    assert {ticker["s"] for ticker in tickers} <= {"SOLUSDT", "ADAUSDT"}
    assert {ticker["e"] for ticker in tickers} == {"24hrMiniTicker"}
    spoken = streams.said_of_all(
        MARKET, "!ticker_1h@arr", MARKET.symbols, NOON_US, NOON_US + 30 * SECOND_US, 1
    )
    assert any(len(json.loads(one.text)) == 1 for one in spoken)


def test_nothing_is_told_of_a_symbol_that_does_not_trade(
    exchange: SimulatedExchange, address: Address
) -> None:
    exchange.faults = Faults(delisted=(Change("SOLUSDT"),))
    path = "/stream?streams=solusdt@kline_1s/solusdt@depth@100ms/adausdt@kline_1s"
    assert {frame["stream"] for frame in listen(address, path, 2)} == {"adausdt@kline_1s"}


@pytest.mark.parametrize(
    "kind", ["kline_7m", "depth7", "depth@50ms", "nothing", "ticker_2h", "kline_1m@+09:00"]
)
def test_a_stream_that_is_none_says_nothing(kind: str) -> None:
    assert said(kind, 5) == []


def test_a_stream_of_a_symbol_in_capitals_is_none() -> None:
    found = streams.said(MARKET, "SOLUSDT@depth", NOON_US, NOON_US + 5 * SECOND_US, 1)
    assert list(found) == []
