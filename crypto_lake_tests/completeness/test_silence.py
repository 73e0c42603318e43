"""An exchange that leaves one symbol without answers, or all: who is still asked, and when the work ends."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from crypto_lake import config
from crypto_lake.completeness import backfill, heal
from crypto_lake.completeness.silence import Silence
from crypto_lake.config import Config
from crypto_lake.errors import ExchangeError, UnansweredError, UnreachableError
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.binance.http import BinanceHttp
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.layout import MINUTE_US, day_start_us
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, trade

SYMBOLS = ["ADAUSDT", SYMBOL, "SUIUSDT"]
DAYS = [DAY, DAY + timedelta(days=1)]


class Exchange:
    """Has every candle and trade, but is `silent` about some symbols; `asked` are those it was asked about."""

    def __init__(self, *silent: str) -> None:
        self.silent = silent
        self.asked: list[str] = []
        self.now = 0.0

    def client(self, *_: object) -> BinanceRest:
        transport = httpx.MockTransport(self._answer)
        return BinanceRest(
            BinanceHttp("http://x/api/v3", sleep=self._sleep, clock=lambda: self.now, transport=transport)
        )

    async def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _answer(self, request: httpx.Request) -> httpx.Response:
        params = request.url.params
        if request.url.path.endswith("exchangeInfo"):
            return httpx.Response(200, json={"symbols": [{"symbol": one} for one in SYMBOLS]})
        self.asked.append(params["symbol"])
        if params["symbol"] in self.silent:
            return httpx.Response(500)
        made = self._candles(params) if request.url.path.endswith("klines") else self._trades(params)
        return httpx.Response(200, content=json.dumps(made))

    @staticmethod
    def _candles(params: httpx.QueryParams) -> list[list[Any]]:
        first, last = int(params["startTime"]), int(params["endTime"])
        opened = range(first, last, MINUTE_US)[: int(params["limit"])]
        return [[at, "1", "1", "1", "1", "0", at + MINUTE_US - 1, "0", 0, "0", "0", "0"] for at in opened]

    @staticmethod
    def _trades(params: httpx.QueryParams) -> list[dict[str, Any]]:
        first = int(params["fromId"])
        return [
            {"id": n, "price": "1.0", "qty": "1.0", "time": at(n), "isBuyerMaker": False}
            for n in range(first, first + int(params["limit"]))
        ]


def at(number: int) -> int:
    """Eight trades a day, ten seconds apart."""
    day, within = divmod(number - 1, 8)
    return START + day * 24 * HOUR + within * 10 * SECOND


@pytest.fixture
def lake(write_config: Callable[..., Path]) -> Config:
    section = {"name": "binance", "symbols": SYMBOLS, "rest_url": "http://x", "wss_url": "ws://x"}
    return config.load(write_config(exchanges=[section]))


def lacking(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    lake = series.config
    for number, day in enumerate(DAYS):
        ids = [number * 8 + n for n in range(1, 9) if n not in {3, 6}]
        written = land(lake, [trade(n, at(n)) for n in ids], day)
        for symbol in SYMBOLS:
            path = lake.layout.segment("binance", symbol, day, 1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(written.read_bytes().replace(SYMBOL.encode(), symbol.encode()))
    for day in DAYS:
        bars.build_all(duck, Series.recorded(lake), day, LATER)


@pytest.fixture
def holed(made: Made, lake: Config) -> Config:
    """Each symbol lacks two trades of each day; bars are made."""
    return made(Series(lake, "binance", SYMBOL), lacking).config


def healed(lake: Config, symbol: str) -> list[int]:
    """How many trades were healed, by day."""
    folders = [lake.layout.raw_day("binance", symbol, day) for day in DAYS]
    return [
        sum(len(path.read_bytes().splitlines()) for path in folder.glob("heal_*.jsonl")) for folder in folders
    ]


@pytest.mark.parametrize("silent", SYMBOLS)
def test_a_symbol_without_answers_does_not_keep_the_others_from_being_healed(
    holed: Config, duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    exchange = Exchange(silent)
    monkeypatch.setattr(registry, "rest_client", exchange.client)
    with pytest.raises(UnansweredError):
        list(heal.heal_days(duck, Series.recorded(holed), DAYS, lambda: LATER))
    assert {symbol: healed(holed, symbol) for symbol in SYMBOLS} == {
        symbol: [0, 0] if symbol == silent else [2, 2] for symbol in SYMBOLS
    }
    assert exchange.asked.count(silent) == 2 * 5


def test_an_exchange_that_answers_about_no_symbol_is_asked_about_two(
    holed: Config, duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = Exchange(*SYMBOLS)
    monkeypatch.setattr(registry, "rest_client", exchange.client)
    with pytest.raises(UnreachableError):
        list(heal.heal_days(duck, Series.recorded(holed), DAYS, lambda: LATER))
    assert [exchange.asked.count(symbol) for symbol in SYMBOLS] == [10, 5, 0]


@pytest.mark.parametrize("silent", SYMBOLS)
def test_a_symbol_without_answers_does_not_keep_the_others_candles_from_being_fetched(
    lake: Config, monkeypatch: pytest.MonkeyPatch, silent: str
) -> None:
    exchange = Exchange(silent)
    monkeypatch.setattr(registry, "candles_client", exchange.client)
    days = [DAY - timedelta(days=n) for n in range(8)]
    with pytest.raises(UnansweredError):
        list(backfill.backfill_days(lake, days, lambda: LATER))
    found = {symbol: len(lake.layout.candle_days("binance", symbol)) for symbol in SYMBOLS}
    assert found == {symbol: 0 if symbol == silent else 8 for symbol in SYMBOLS}
    # Some of its questions may be on their way at once.
    assert exchange.asked.count(silent) <= 4 * 5


def test_candles_of_an_exchange_that_answers_nothing_any_more_are_not_asked_for_day_by_day(
    lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange = Exchange(*SYMBOLS)
    monkeypatch.setattr(registry, "candles_client", exchange.client)
    days = [DAY - timedelta(days=n) for n in range(30)]
    with pytest.raises(UnreachableError):
        list(backfill.backfill_days(lake, days, lambda: LATER))
    assert len(exchange.asked) <= 16 * 5


def test_a_day_that_cannot_be_written_does_not_keep_the_others_from_being_fetched(
    lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "candles_client", Exchange().client)
    folder = lake.layout.candles("binance", SYMBOL, DAYS[0])
    folder.mkdir(parents=True)
    with pytest.raises(Exception, match="is a folder") as caught:
        list(backfill.backfill_days(lake, DAYS, lambda: day_start_us(DAYS[-1]) + 48 * HOUR))
    assert not isinstance(caught.value, ExchangeError)
    assert {s: lake.layout.candle_days("binance", s)[-1] for s in SYMBOLS} == dict.fromkeys(SYMBOLS, DAYS[1])
    assert lake.layout.candles("binance", "SUIUSDT", DAYS[0]).exists()


def test_one_question_without_an_answer_is_forgiven() -> None:
    silence = Silence(2)
    silence.note("SOLUSDT", UnansweredError("a"))
    assert silence.of("SOLUSDT") is None


def test_the_only_symbol_is_the_exchange() -> None:
    with pytest.raises(UnreachableError):
        Silence(1).note("SOLUSDT", UnreachableError("nobody"))


def test_an_answer_between_two_silent_symbols_shows_that_somebody_is_there() -> None:
    silence = Silence(3)
    silence.note("SOLUSDT", UnreachableError("a"))
    silence.answered()
    silence.note("SUIUSDT", UnreachableError("b"))
    assert [silence.of(one) is None for one in SYMBOLS] == [True, False, False]
