"""Healing against an exchange that answers what a test wants: whatever is not true, or not whole, lands nothing."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import duckdb
import httpx
import msgspec
import pytest

from crypto_lake import sql
from crypto_lake.completeness import heal
from crypto_lake.completeness.healed import Healed
from crypto_lake.errors import ExchangeError, UnreachableError
from crypto_lake.exchanges.binance.http import BinanceHttp
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.layout import DAY_US
from crypto_lake.raw.lines import RawLine, decode
from crypto_lake.raw.segments import sealed
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, trade

Answer = Callable[[int, int], httpx.Response]
MINUTE = 60 * SECOND
YESTERDAY, TOMORROW = DAY - timedelta(days=1), DAY + timedelta(days=1)


def row(number: int, ts: int, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - of any field
    return {
        "id": number,
        "price": "190.12000000",
        "qty": "1.00000000",
        "quoteQty": "190.12000000",
        "time": ts,
        "isBuyerMaker": False,
        "isBestMatch": True,
    } | changes


class Exchange:
    """Knows a trade a number, at `time_of` it; `asked` are the (fromId, limit) it was asked for."""

    def __init__(self, time_of: Callable[[int], int], *, exclusive: bool = False) -> None:
        self.time_of, self.exclusive = time_of, exclusive
        self.asked: list[tuple[int, int]] = []
        self.waited = 0.0
        self.alive = True
        self.answer: Answer = lambda first, limit: httpx.Response(200, json=self.page(first, limit))

    def page(self, first: int, limit: int) -> list[dict[str, Any]]:
        first += self.exclusive
        return [row(number, self.time_of(number)) for number in range(first, first + limit)]

    def _handle(self, request: httpx.Request) -> httpx.Response:
        if not self.alive:
            self.die()
        if request.url.path.endswith("exchangeInfo"):
            return httpx.Response(200, json={"symbols": [{"symbol": SYMBOL}]})
        first, limit = int(request.url.params["fromId"]), int(request.url.params["limit"])
        self.asked.append((first, limit))
        return self.answer(first, limit)

    def die(self) -> httpx.Response:
        """From now on there is nobody."""
        self.alive = False
        raise httpx.ConnectError("nobody is there")

    async def _sleep(self, seconds: float) -> None:
        self.waited += seconds

    def heal(self, series: Series, duck: duckdb.DuckDBPyConnection, day: Any = DAY) -> Healed:  # noqa: ANN401
        transport = httpx.MockTransport(self._handle)
        http = BinanceHttp(
            "http://x/api/v3", sleep=self._sleep, clock=lambda: self.waited, transport=transport
        )
        return asyncio.run(heal.heal_day(BinanceRest(http), duck, series, day, lambda: LATER))


def at(number: int) -> int:
    """Trade n happened n seconds after ten o'clock."""
    return START + 10 * HOUR + number * SECOND


@pytest.fixture
def exchange() -> Exchange:
    return Exchange(at)


def lacking(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    land(series.config, [trade(n, at(n)) for n in (*range(1, 5), *range(10, 21))])
    bars.build_day(duck, series, DAY, LATER)


@pytest.fixture
def holed(made: Made, series: Series) -> Series:
    """Of the trades 1 to 20, 5 to 9 are missing; bars are made."""
    return made(series, lacking)


def healed_lines(series: Series, day: Any = DAY) -> list[RawLine]:  # noqa: ANN401 - a date
    paths = sealed(series.layout.raw_day("binance", SYMBOL, day))
    texts = [
        line for path in paths if path.name.startswith("heal_") for line in path.read_bytes().splitlines()
    ]
    return [decode(text) for text in texts]


def test_exactly_the_missing_ids_are_asked_for_and_landed(
    holed: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection
) -> None:
    done = exchange.heal(holed, duck)
    assert (done.missing, done.fetched, exchange.asked) == (5, 5, [(5, 5)])
    assert healed_lines(holed) == [trade(n, at(n), recv=LATER) for n in range(5, 10)]


def test_a_second_heal_asks_for_nothing(
    holed: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection
) -> None:
    exchange.heal(holed, duck)
    exchange.heal(holed, duck)
    assert len(exchange.asked) == 1


def test_the_seller_is_the_taker_where_the_buyer_was_the_maker(
    holed: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection
) -> None:
    exchange.answer = lambda first, limit: httpx.Response(
        200, json=[row(n, at(n), isBuyerMaker=True) for n in range(first, first + limit)]
    )
    exchange.heal(holed, duck)
    assert {line.side for line in healed_lines(holed)} == {"sell"}


def test_an_exchange_that_begins_after_from_id_is_asked_from_one_before(
    holed: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    Exchange(at, exclusive=True).heal(holed, duck)
    assert [line.id for line in healed_lines(holed)] == [5, 6, 7, 8, 9]


def test_an_exchange_that_answers_in_milliseconds_is_understood(
    holed: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    Exchange(lambda number: at(number) // 1000).heal(holed, duck)
    assert [line.ts_event for line in healed_lines(holed)] == [at(n) for n in range(5, 10)]


LIES: dict[str, Answer] = {
    "ids below those asked for": lambda _, __: httpx.Response(200, json=[row(1, at(6))]),
    "ids that fall": lambda _, __: httpx.Response(200, json=[row(6, at(6)), row(5, at(6))]),
    "an id twice": lambda _, __: httpx.Response(200, json=[row(5, at(5)), row(5, at(5))]),
    "another symbol's times": lambda n, _: httpx.Response(200, json=[row(n, at(n) + HOUR)]),
    "a time before": lambda n, _: httpx.Response(200, json=[row(n, at(1))]),
    "a price that is none": lambda n, _: httpx.Response(200, json=[row(n, at(n), price="1e3")]),
    "a quantity that is a number": lambda n, _: httpx.Response(200, json=[row(n, at(n), qty=1.0)]),
    "a field missing": lambda n, _: httpx.Response(200, json=[{"id": n, "price": "1", "qty": "1"}]),
    "no list": lambda _, __: httpx.Response(200, json={"code": -1, "msg": "?"}),
    "JSON cut short": lambda n, _: httpx.Response(200, content=msgspec.json.encode([row(n, at(n))])[:-9]),
    "HTML": lambda _, __: httpx.Response(200, text="<html>"),
    "HTTP 500": lambda _, __: httpx.Response(500),
    "HTTP 403": lambda _, __: httpx.Response(403, text="<html>"),
    "a ban for a day": lambda _, __: httpx.Response(418, headers={"Retry-After": "86400"}),
}


def lacking_twice(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    land(series.config, [trade(n, at(n)) for n in (*range(1, 5), *range(10, 21), *range(30, 40))])
    bars.build_day(duck, series, DAY, LATER)


@pytest.mark.parametrize("lie", [lie for lie in LIES if lie not in {"HTTP 403", "a ban for a day"}])
def test_a_hole_that_is_refused_does_not_keep_the_others_from_being_healed(
    made: Made, series: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection, lie: str
) -> None:
    made(series, lacking_twice)
    whole = exchange.answer
    exchange.answer = lambda first, limit: LIES[lie](first, limit) if first < 20 else whole(first, limit)
    with pytest.raises(ExchangeError):
        exchange.heal(series, duck)
    assert [line.id for line in healed_lines(series)] == list(range(21, 30))
    exchange.answer = whole
    assert exchange.heal(series, duck).fetched == 5


def test_an_exchange_that_answers_nothing_any_more_is_not_asked_about_each_hole(
    series: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection
) -> None:
    land(series.config, [trade(n, at(n)) for n in range(1, 60, 2)])
    exchange.answer = lambda _, __: exchange.die()
    with pytest.raises(UnreachableError):
        exchange.heal(series, duck)
    assert len(exchange.asked) <= 5


@pytest.mark.parametrize("lie", ["HTML", "HTTP 500", "JSON cut short"])
def test_an_exchange_that_leaves_two_holes_in_a_row_without_an_answer_is_not_asked_about_a_third(
    series: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection, lie: str
) -> None:
    land(series.config, [trade(n, at(n)) for n in range(1, 60, 2)])
    exchange.answer = LIES[lie]
    with pytest.raises(UnreachableError, match="no answer after 5 attempts"):
        exchange.heal(series, duck)
    assert len(exchange.asked) == 10


def test_an_exchange_that_is_away_is_asked_one_question(
    holed: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection
) -> None:
    exchange.alive = False
    with pytest.raises(UnreachableError):
        exchange.heal(holed, duck)
    assert exchange.waited == 0.5 + 1 + 2 + 4


@pytest.mark.parametrize("lie", LIES)
def test_of_an_answer_that_cannot_be_true_nothing_lands(
    holed: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection, lie: str
) -> None:
    exchange.answer = LIES[lie]
    with pytest.raises(ExchangeError):
        exchange.heal(holed, duck)
    folder = holed.layout.raw_day("binance", SYMBOL, DAY)
    assert [path.name for path in folder.iterdir()] == ["part_0001.jsonl"]
    assert len(exchange.asked) <= 5


@pytest.mark.parametrize("status", [429, 418])
def test_a_refusal_is_waited_out_to_the_second(
    holed: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection, status: int
) -> None:
    whole = exchange.answer
    exchange.answer = lambda first, limit: (
        httpx.Response(status, headers={"Retry-After": "17"})
        if len(exchange.asked) == 1
        else whole(first, limit)
    )
    assert exchange.heal(holed, duck).fetched == 5
    assert exchange.waited >= 17


def test_trades_that_the_exchange_does_not_return_are_told_and_asked_for_once(
    holed: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection
) -> None:
    exchange.answer = lambda first, limit: httpx.Response(
        200, json=[one for one in exchange.page(first, limit) if one["id"] not in (6, 7)]
    )
    done = exchange.heal(holed, duck)
    assert (done.fetched, done.withheld, len(exchange.asked)) == (3, 2, 1)
    assert [line.id for line in healed_lines(holed)] == [5, 8, 9]


def test_a_short_page_is_not_taken_for_the_last_one(
    holed: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection
) -> None:
    exchange.answer = lambda first, _: httpx.Response(200, json=exchange.page(first, 2))
    assert exchange.heal(holed, duck).fetched == 5


def test_a_day_that_misses_more_than_the_settings_allow_is_not_fetched_but_told(
    holed: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection
) -> None:
    config = msgspec.structs.replace(
        holed.config, heal=msgspec.structs.replace(holed.config.heal, max_trades=4)
    )
    done = exchange.heal(Series(config, "binance", SYMBOL), duck)
    assert (done.too_many, done.missing, exchange.asked) == (True, 5, [])


def test_a_heal_that_was_ended_half_way_goes_on_where_it_was(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    def close(number: int) -> int:
        return START + 10 * HOUR + number * 1000

    land(series.config, [trade(1, close(1)), trade(25_000, close(25_000))])
    exchange = Exchange(close)
    whole = exchange.answer
    exchange.answer = lambda first, limit: whole(first, limit) if first < 15_000 else httpx.Response(403)
    with pytest.raises(ExchangeError):
        exchange.heal(series, duck)
    landed = len(healed_lines(series))
    exchange.answer = whole
    exchange.asked.clear()
    assert exchange.heal(series, duck).fetched == 24_998 - landed
    assert (landed, exchange.asked[0][0]) == (15_000, 15_002)


def test_a_day_without_any_recording_is_cut_out_of_its_hole_at_midnight(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    """Off from ten o'clock of the day before to ten of the day after, with a trade every ten seconds."""

    def slow(number: int) -> int:
        return START - 14 * HOUR + number * 10 * SECOND

    last = 48 * 360
    land(series.config, [trade(0, slow(0))], YESTERDAY)
    land(series.config, [trade(last, slow(last))], TOMORROW)
    exchange = Exchange(slow)
    done = exchange.heal(series, duck)
    # All of the day, and the trade on either side that proves it.
    assert [line.ts_event for line in healed_lines(series)] == list(range(START, START + DAY_US, 10 * SECOND))
    assert [len(healed_lines(series, day)) for day in (YESTERDAY, TOMORROW)] == [1, 1]
    assert done.requests < 9 + 2 * 16
    exchange.asked.clear()
    assert (exchange.heal(series, duck).missing, exchange.asked) == (0, [])


def observed(series: Series, duck: duckdb.DuckDBPyConnection, start: int, end: int) -> tuple[int, int]:
    """How many seconds of [start, end) are observed, and how many are not."""
    bars.build_day(duck, series, DAY, LATER)
    paths = [str(path) for path in series.layout.parts("binance", SYMBOL, DAY)]
    rows = duck.execute(
        """SELECT count(*) FILTER (observed), count(*) FILTER (NOT observed) FROM read_parquet($paths)
           WHERE epoch_us(window_start) >= $start AND epoch_us(window_start) < $end""",
        {"paths": paths, "start": start, "end": end},
    ).fetchall()
    return rows[0][0], rows[0][1]


def test_a_stretch_that_healed_trades_prove_counts_as_observed_also_over_hours(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    before, between, after = (
        START + 10 * HOUR + 45 * MINUTE,
        START + 12 * HOUR + 20 * MINUTE,
        START + 14 * HOUR,
    )
    land(series.config, [trade(1, before - SECOND), trade(2, before)])
    land(series.config, [trade(4, after), trade(5, after + SECOND)])
    assert observed(series, duck, before, after)[0] == 0
    Exchange(lambda _: between).heal(series, duck)
    assert observed(series, duck, before, after) == ((after - before) // SECOND, 0)
    assert observed(series, duck, START, before - SECOND)[0] == 0


def test_a_stretch_without_a_healed_trade_is_not_proved(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    at_ten = START + 10 * HOUR
    times = {1: 0, 2: 1, 4: 600, 5: 601, 7: 1200, 8: 1201}
    land(series.config, [trade(n, at_ten + times[n] * SECOND) for n in (1, 2)])
    land(series.config, [trade(n, at_ten + times[n] * SECOND) for n in (4, 5)])
    land(series.config, [trade(n, at_ten + times[n] * SECOND) for n in (7, 8)])
    land(series.config, [trade(3, at_ten + 300 * SECOND)], kind="heal")
    assert observed(series, duck, at_ten, at_ten + 600 * SECOND) == (600, 0)
    assert observed(series, duck, at_ten + 602 * SECOND, at_ten + 1200 * SECOND)[0] == 0


def test_of_hours_before_the_first_trade_and_after_the_last_nothing_is_asked_of_healed_ones(
    series: Series, duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(series.config, [trade(1, START + 10 * HOUR)])
    land(series.config, [trade(3, START + 12 * HOUR + MINUTE)])
    land(series.config, [trade(2, START + 11 * HOUR)], kind="heal")
    asked: list[str] = []
    ask = sql.ask

    def noted(connection: duckdb.DuckDBPyConnection, name: str, *rest: Any, **given: Any) -> Any:  # noqa: ANN401
        asked.append(name)
        return ask(connection, name, *rest, **given)

    monkeypatch.setattr(sql, "ask", noted)
    bars.build_day(duck, series, DAY, LATER)
    assert asked.count("transform/proved") == 3


def test_an_exchange_that_brings_a_trade_an_answer_does_not_hold_a_heal_for_days(
    series: Series, exchange: Exchange, duck: duckdb.DuckDBPyConnection
) -> None:
    land(series.config, [trade(n, at(n)) for n in (1, 2_000)])
    exchange.answer = lambda first, _: httpx.Response(200, json=[row(first, at(first))])
    with pytest.raises(ExchangeError, match="29 answers brought 29 of 1998 missing trades"):
        exchange.heal(series, duck)
    assert len(healed_lines(series)) == len(exchange.asked) == 29
