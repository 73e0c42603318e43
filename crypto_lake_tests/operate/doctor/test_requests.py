"""What the doctor says of the exchange's request interface."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from crypto_lake import clock
from crypto_lake.config import Config
from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import ProbedClient, ServerTime, State
from crypto_lake.operate.doctor import requests
from crypto_lake.operate.doctor.requests import Asked
from crypto_lake.raw.instruments import Instrument


class Told:
    """An exchange that says what it is told to."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.ahead_us = 0
        self.in_microseconds = True
        self.now: dict[str, State] = {"SOLUSDT": State("TRADING", trades=True)}
        self.error: ExchangeError | None = None
        self.never: set[str] = set()
        self.is_closed = False

    async def time(self) -> ServerTime:
        await self._hang("time")
        if self.error:
            raise self.error
        return ServerTime(clock.now_us(self._config) + self.ahead_us, self.in_microseconds, "FRA56-P3")

    async def states(self, symbols: Sequence[str]) -> dict[str, State]:
        await self._hang("states")
        return {symbol: state for symbol, state in self.now.items() if symbol in symbols}

    async def _hang(self, question: str) -> None:
        if question in self.never:
            await asyncio.Event().wait()

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        return frozenset(await self.states(symbols))

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[object]:
        raise NotImplementedError

    async def aclose(self) -> None:
        self.is_closed = True


def ask(lake: Config, exchange: Told, patience_sec: float = 30) -> Asked:
    return asyncio.run(requests.ask(lake, lake.exchanges[0], lambda _name, _url: exchange, patience_sec))  # type: ignore[arg-type,return-value]


def outcomes(found: Asked) -> dict[str, str]:
    return {one.about: one.outcome for one in found.findings}


def test_an_exchange_in_good_health_is_all_ok_and_names_the_place_that_answered(lake: Config) -> None:
    exchange = Told(lake)
    found = ask(lake, exchange)
    assert set(outcomes(found).values()) == {"ok"}
    assert "FRA56-P3" in found.findings[0].text
    assert found.trading == ["SOLUSDT"]
    assert exchange.is_closed


def test_a_client_that_cannot_be_made_is_a_finding(lake: Config) -> None:
    def refused(_name: str, _url: str) -> ProbedClient:
        raise ExchangeError("the environment's proxy cannot be used")

    found = asyncio.run(requests.ask(lake, lake.exchanges[0], refused))
    assert outcomes(found) == {"requests": "failed"}


@pytest.mark.parametrize(
    ("ahead_sec", "outcome"), [(-0.5, "ok"), (20, "warning"), (-20, "warning"), (900, "failed")]
)
def test_a_clock_that_is_off_is_told_by_how_much(lake: Config, ahead_sec: float, outcome: str) -> None:
    exchange = Told(lake)
    exchange.ahead_us = int(ahead_sec * 1e6)
    found = ask(lake, exchange)
    assert outcomes(found)["clock"] == outcome
    assert found.offset_us == pytest.approx(-exchange.ahead_us, abs=200_000)


def test_milliseconds_in_answers_are_worth_a_warning(lake: Config) -> None:
    exchange = Told(lake)
    exchange.in_microseconds = False
    assert outcomes(ask(lake, exchange))["request times"] == "warning"


def test_an_exchange_that_does_not_answer_fails_and_nothing_is_recorded(lake: Config) -> None:
    exchange = Told(lake)
    exchange.error = ExchangeError("http://h/time: no answer after 5 attempts")
    found = ask(lake, exchange)
    assert (outcomes(found), found.trading, exchange.is_closed) == ({"requests": "failed"}, [], True)


def test_a_client_that_cannot_be_made_fails_with_one_line(
    lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "bogus://h")
    found = asyncio.run(requests.ask(lake, lake.exchanges[0]))
    assert (outcomes(found), found.trading) == ({"requests": "failed"}, [])
    assert "the environment's proxy cannot be used" in found.findings[0].text


@pytest.mark.parametrize("question", ["time", "states"])
def test_an_exchange_whose_answers_do_not_end_fails_with_one_line(lake: Config, question: str) -> None:
    exchange = Told(lake)
    exchange.never.add(question)
    found = ask(lake, exchange, patience_sec=0.2)
    failed = [one.text for one in found.findings if one.outcome == "failed"]
    assert [text.partition(";")[0] for text in failed] == [
        "http://127.0.0.1:1/api/v3: no whole answer within 0.2 s"
    ]
    assert (found.trading, exchange.is_closed) == ([], True)


def test_symbols_that_are_unknown_fail_and_halted_ones_warn(lake: Config) -> None:
    section = msgspec.structs.replace(lake.exchanges[0], symbols=["SOLUSDT", "NOSUCH", "ADAUSDT"])
    lake = msgspec.structs.replace(lake, exchanges=[section])
    exchange = Told(lake)
    exchange.now["ADAUSDT"] = State("HALT", trades=False)
    found = ask(lake, exchange)
    told = [(one.outcome, one.text) for one in found.findings if one.about == "symbols"]
    assert [outcome for outcome, _ in told] == ["failed", "warning", "ok"]
    assert "NOSUCH" in told[0][1]
    assert "ADAUSDT (HALT)" in told[1][1]
    assert found.trading == ["SOLUSDT"]


class Listing(Told):
    """One that lists what it is told to, beside what is asked for."""

    async def instruments(self) -> dict[str, Instrument]:
        return {symbol: Instrument(symbol, state.word, state.trades) for symbol, state in self.now.items()}


@pytest.mark.parametrize(
    ("words", "trading", "outcome"), [(["*USDT"], ["SOLUSDT"], "ok"), (["*USTD"], [], "failed")]
)
def test_patterns_mean_what_the_exchange_trades_now(
    lake: Config, words: list[str], trading: list[str], outcome: str
) -> None:
    section = msgspec.structs.replace(lake.exchanges[0], symbols=words)
    config = msgspec.structs.replace(lake, exchanges=[section])
    exchange = Listing(config)
    exchange.now["OLDUSDT"] = State("BREAK", trades=False)
    found = ask(config, exchange)
    assert (found.trading, outcomes(found)["symbols"]) == (trading, outcome)
