"""Rows of klines: what is taken for a candle and what is refused."""

import pytest

from crypto_lake.errors import ExchangeError
from crypto_lake.layout import MINUTE_US
from crypto_lake_tests.exchanges.rest_script import START_US, Exchange, klines, row, says


def test_a_row_is_a_candle() -> None:
    (candle,) = Exchange(klines(row())).candles()
    assert candle.open_time == START_US
    assert (candle.open, candle.high, candle.low, candle.close) == ("1.0", "2.0", "0.5", "1.5")
    assert (candle.volume_base, candle.volume_quote, candle.trade_count) == ("10.0", "15.0", 3)
    assert (candle.taker_buy_base, candle.taker_buy_quote) == ("4.0", "6.0")
    assert candle.close_time == START_US + MINUTE_US - 1


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
        {"trade_count": -1},
        {"open": "1.0\n2.0"},
        {"open": "5."},
    ],
)
def test_a_value_of_the_wrong_type_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ExchangeError, match="klines of SOLUSDT: a value of the wrong type in "):
        Exchange(klines(row(**change))).candles()


@pytest.mark.parametrize(
    "change",
    [
        {"high": "9" * 400},
        {"high": "12345678901"},
        {"low": "0.123456789"},
        {"volume_base": "1" * 20},
        {"volume_quote": "1" * 400},
        {"taker_buy_quote": "0." + "1" * 400},
        {"trade_count": 1 << 62},
        {"trade_count": 1 << 31},
        {"trade_count": 10**400},
    ],
)
def test_an_absurd_number_is_refused_in_one_short_line(change: dict[str, object]) -> None:
    with pytest.raises(
        ExchangeError, match=r"klines of SOLUSDT: an? (absurd value|value of the wrong type) in "
    ) as told:
        Exchange(klines(row(**change))).candles()
    assert len(str(told.value)) < 250


@pytest.mark.parametrize("number", [10**400, -(10**400)])
def test_an_absurd_time_is_refused_in_one_short_line(number: int) -> None:
    for name in ("open_time", "close_time"):
        with pytest.raises(ExchangeError, match="klines of SOLUSDT: ") as told:
            Exchange(klines(row(**{name: number}))).candles()
        assert len(str(told.value)) < 250


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


@pytest.mark.parametrize("late", [-1, MINUTE_US])
def test_a_close_outside_of_the_candles_minute_is_refused(late: int) -> None:
    with pytest.raises(ExchangeError, match="is not in the minute of "):
        Exchange(klines(row(close_time=START_US + late))).candles()


def test_a_candle_that_a_halt_cut_short_is_taken() -> None:
    (candle,) = Exchange(klines(row(close_time=START_US + 41_646_000))).candles()
    assert candle.close_time == START_US + 41_646_000
