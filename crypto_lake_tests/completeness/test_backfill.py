"""The exchange's own candles, fetched from the bundled exchange or a stand-in that lies."""

import asyncio
import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pyarrow import parquet as pq

from crypto_lake import config
from crypto_lake.completeness import backfill, halts
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.errors import ExchangeError, LakeError, LeftAloneError, UnreachableError
from crypto_lake.exchanges.base import Candle, Usage
from crypto_lake.layout import DAY_US, MINUTE_US, day_start_us
from crypto_lake.raw import instruments
from crypto_lake.raw.instruments import Instrument
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.market.tape import Trade
from crypto_lake.simulator.server.exchange import Address, SimulatedExchange, running
from crypto_lake.simulator.server.faults import Faults

DAY = date(2025, 10, 20)
START = day_start_us(DAY)
OVER = START + 3 * DAY_US


class Scripted:
    """A client that answers what it was given, and counts."""

    def __init__(self, candles: list[Candle]) -> None:
        self.candles = candles
        self.asked = 0

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        return frozenset(symbols)

    async def candles_1m(self, _symbol: str, start_us: int, end_us: int) -> list[Candle]:
        self.asked += 1
        return [candle for candle in self.candles if start_us <= candle.open_time < end_us]

    async def aclose(self) -> None:
        pass


def candle(minute: int, **changes: Any) -> Candle:  # noqa: ANN401 - of any field
    opened = START + minute * MINUTE_US
    close = opened + MINUTE_US - 1
    return Candle(opened, "2", "4", "1", "3", "10", close, "25", 7, "4", "10")._replace(**changes)


def fetch(lake: Config, client: Scripted, now_us: int = OVER) -> backfill.Backfilled:
    return asyncio.run(backfill.backfill_day(client, lake, "binance", "SOLUSDT", DAY, now_us))


WHOLE = [candle(minute) for minute in range(1440)]


def test_a_candle_becomes_a_bar_that_was_observed_without_quotes(lake: Config) -> None:
    done = fetch(lake, Scripted(WHOLE))
    bar = pq.read_table(done.path).to_pylist()[1]
    assert bar.pop("window_start").timestamp() * 1e6 == START + MINUTE_US
    assert bar.pop("symbol") == "SOLUSDT"
    assert list(bar.values()) == [2, 4, 1, 3, 10, 25, 4, 10, 2.5, 7, 0, *[None] * 5, True, None, None]
    assert parquet.schema_differences(done.path) == []


def test_a_finished_day_is_fetched_once(lake: Config) -> None:
    client = Scripted(WHOLE)
    assert [fetch(lake, client).fetched, fetch(lake, client).fetched] == [True, False]
    assert client.asked == 1


def test_a_day_that_still_runs_is_fetched_again_and_without_its_open_candle(lake: Config) -> None:
    client = Scripted(WHOLE)
    assert fetch(lake, client, START + 90 * MINUTE_US + 5).rows == 90
    assert fetch(lake, client).rows == 1440


def test_minutes_that_the_exchange_lacks_stay_missing_and_are_counted(lake: Config) -> None:
    halted = [*WHOLE[:700], WHOLE[700]._replace(close_time=WHOLE[700].open_time + 41_646_000), *WHOLE[790:]]
    done = fetch(lake, Scripted(halted))
    assert (done.rows, done.missing) == (1351, 89)


@pytest.mark.parametrize(
    "changes",
    [
        {"open": "x"},
        {"low": "2.5"},
        {"high": "2.9"},
        {"close": "5"},
        {"taker_buy_base": "10.1"},
        {"taker_buy_quote": "26"},
        {"high": "9" * 400},
        {"volume_quote": "9" * 400},
        {"volume_quote": "40.0001"},
        {"volume_quote": "9.9999", "taker_buy_quote": "5"},
        {"volume_base": "0"},
        {"trade_count": 1 << 62},
        dict.fromkeys(("volume_base", "volume_quote", "taker_buy_base", "taker_buy_quote"), "0"),
    ],
)
def test_a_candle_that_contradicts_itself_is_not_written(lake: Config, changes: dict[str, str]) -> None:
    with pytest.raises(ExchangeError, match="candle of SOLUSDT"):
        fetch(lake, Scripted([*WHOLE[:5], candle(5, **changes)]))
    assert not lake.layout.candles("binance", "SOLUSDT", DAY).exists()


def test_the_value_of_a_candle_may_be_rounded(lake: Config) -> None:
    rounded = candle(0, volume_quote="40.00002"), candle(1, volume_quote="9.99999", taker_buy_quote="5")
    assert fetch(lake, Scripted([*rounded])).rows == 2


@pytest.mark.parametrize("again", [[], WHOLE])
def test_a_day_without_any_candle_is_no_halt_and_is_asked_for_again(
    lake: Config, again: list[Candle]
) -> None:
    fetch(lake, Scripted([]))
    assert halts.of_day(lake.layout, "binance", "SOLUSDT", DAY) == []
    assert fetch(lake, Scripted(again)).fetched
    assert fetch(lake, Scripted(again)).fetched == (not again)


class Several(Scripted):
    """Has all candles but one, of SUIUSDT: who asks for that is told something `wrong`."""

    candles_at_once = 1000

    def __init__(self, wrong: Callable[[], ExchangeError], bad_us: int) -> None:
        super().__init__([])
        self.wrong, self.bad_us, self.usage = wrong, bad_us, Usage(0, 0)

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        self.asked += 1
        if symbol == "SUIUSDT" and start_us <= self.bad_us < end_us:
            raise self.wrong()
        return [candle((at - START) // MINUTE_US) for at in range(start_us, end_us, MINUTE_US)]


def fetch_several(lake: Config, client: Several, monkeypatch: pytest.MonkeyPatch) -> list[date]:
    """The days that were yielded, of four and three symbols."""
    exchange = msgspec.structs.replace(lake.exchanges[0], symbols=["SOLUSDT", "SUIUSDT", "ADAUSDT"])
    lake = msgspec.structs.replace(lake, exchanges=[exchange])
    monkeypatch.setattr(backfill, "_client", lambda _config, _exchange: client)
    days = [DAY + timedelta(days=n) for n in range(4)]
    found: list[date] = []
    with pytest.raises(ExchangeError, match="wrong"):
        found.extend(done.day for done in backfill.backfill_days(lake, days, lambda: OVER + 9 * DAY_US))
    return found


@pytest.mark.parametrize("minute", [0, 100, 1439])
def test_one_wrong_candle_keeps_neither_another_day_nor_another_symbol_from_being_fetched(
    lake: Config, monkeypatch: pytest.MonkeyPatch, minute: int
) -> None:
    bad = START + DAY_US + minute * MINUTE_US
    client = Several(lambda: ExchangeError("wrong"), bad)
    days = [DAY + timedelta(days=n) for n in range(4)]
    good = [days[0], *days[2:]]
    assert fetch_several(lake, client, monkeypatch) == good
    assert lake.layout.candle_days("binance", "SUIUSDT") == good
    assert [lake.layout.candle_days("binance", other) for other in ("SOLUSDT", "ADAUSDT")] == [days, days]


@pytest.mark.parametrize("kind", [UnreachableError, lambda text: LeftAloneError(text, 900)])
def test_an_exchange_that_cannot_be_asked_any_more_ends_the_work(
    lake: Config, monkeypatch: pytest.MonkeyPatch, kind: Callable[[str], ExchangeError]
) -> None:
    client = Several(lambda: kind("wrong"), START + DAY_US)
    assert fetch_several(lake, client, monkeypatch) == []
    assert lake.layout.candle_days("binance", "SUIUSDT") == []


class _Answer(list[Candle]):
    """One that tells when nobody has it any more."""


class Watched(Several):
    """Counts how many of its answers are in memory, at most."""

    def __init__(self) -> None:
        super().__init__(lambda: ExchangeError("wrong"), 0)
        self.alive = self.most = 0

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        answer = _Answer(await super().candles_1m(symbol, start_us, end_us))
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(answer, self._gone)
        return answer

    def _gone(self) -> None:
        self.alive -= 1


def test_few_answers_are_in_memory_however_many_days_are_fetched(
    lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Watched()
    monkeypatch.setattr(backfill, "_client", lambda _config, _exchange: client)
    monkeypatch.setattr(backfill, "_AHEAD", 3)
    days = [DAY + timedelta(days=n) for n in range(30)]
    found = [done.day for done in backfill.backfill_days(lake, days, lambda: OVER + 40 * DAY_US)]
    assert (found, client.asked) == (days, 44)
    # A day's own are three, and each worker may hold on to its last one.
    assert client.most <= 3 + 3 + backfill._WORKERS


def test_a_candle_of_dust_has_a_vwap_within_its_prices(lake: Config) -> None:
    """The exchange tells eight decimals of a volume, of which a quotient may leave the candle's range."""
    dust = candle(
        0, volume_base="0.00000003", volume_quote="0.00000000", taker_buy_base="0", taker_buy_quote="0"
    )
    bar = pq.read_table(fetch(lake, Scripted([dust])).path).to_pylist()[0]
    assert bar["vwap"] == 1.0


def test_halts_of_a_finished_day_are_entered_in_the_register(lake: Config) -> None:
    fetch(lake, Scripted([*WHOLE[:700], *WHOLE[790:1439]]))
    found = halts.of_day(lake.layout, "binance", "SOLUSDT", DAY)
    assert [((a - START) // MINUTE_US, (b - START) // MINUTE_US) for a, b in found] == [
        (700, 790),
        (1439, 1440),
    ]


def test_a_day_that_just_ended_by_our_clock_is_fetched_again(lake: Config) -> None:
    """Our clock may be ahead, and the last candle not closed yet."""
    client = Scripted(WHOLE)
    assert [fetch(lake, client, START + DAY_US + 1).fetched, fetch(lake, client).fetched] == [True, True]
    assert not fetch(lake, client).fetched


@pytest.fixture
def market() -> Iterator[tuple[SimulatedExchange, Address]]:
    exchange = SimulatedExchange(SyntheticMarket(3, ["SOLUSDT"], rate=0.2), MarketClock(OVER))
    with running(exchange) as address:
        yield exchange, address


def simulated(
    write_config: Callable[..., Path],
    address: Address,
    symbols: Sequence[str] = ("SOLUSDT",),
    **sections: object,
) -> Config:
    exchange = {
        "name": "binance",
        "symbols": symbols,
        "rest_url": address.rest_url,
        "wss_url": address.ws_url,
    }
    return config.load(write_config(exchanges=[exchange], **sections))


def test_days_come_from_the_exchange_one_after_the_other(
    market: tuple[SimulatedExchange, Address], write_config: Callable[..., Path]
) -> None:
    lake = simulated(write_config, market[1])
    days = [DAY - timedelta(days=1), DAY]
    found = [
        (done.day, [one.rows for one in done.files])
        for done in backfill.backfill_days(lake, days, lambda: OVER)
    ]
    assert found == [(day, [1440]) for day in days]
    assert lake.layout.candle_days("binance", "SOLUSDT") == days


def test_candles_equal_those_made_of_the_exchanges_own_trades(
    market: tuple[SimulatedExchange, Address], write_config: Callable[..., Path]
) -> None:
    lake = simulated(write_config, market[1])
    ((_, (done,), _),) = backfill.backfill_days(lake, [DAY], lambda: OVER)
    bar = pq.read_table(done.path).to_pylist()[600]
    start = START + 600 * MINUTE_US
    events = market[0].tape.events("SOLUSDT", start, start + MINUTE_US)
    inside = [e for e in events if isinstance(e, Trade) and start <= e.ts_us < start + MINUTE_US]
    assert bar["volume_base"] == float(sum((Decimal(trade.qty) / 10**8 for trade in inside), Decimal(0)))


def test_a_pattern_means_what_the_newest_table_says(
    market: tuple[SimulatedExchange, Address], write_config: Callable[..., Path]
) -> None:
    lake = simulated(write_config, market[1], ["*USDT"])
    with pytest.raises(LakeError, match=r"what \*USDT means is not known here yet"):
        list(backfill.backfill_days(lake, [DAY], lambda: OVER))
    table = {one: Instrument(one, "", trading=one == "SOLUSDT") for one in ("SOLUSDT", "OLDUSDT")}
    instruments.write(lake.layout, "binance", DAY, table)
    ((_, files, _),) = backfill.backfill_days(lake, [DAY], lambda: OVER)
    assert [(one.symbol, one.rows) for one in files] == [("SOLUSDT", 1440)]


def test_a_day_yielded_before_a_failure_stays_done(
    market: tuple[SimulatedExchange, Address], write_config: Callable[..., Path]
) -> None:
    lake = simulated(write_config, market[1])
    wanted = [DAY - timedelta(days=n) for n in range(60)]
    days = backfill.backfill_days(lake, wanted, lambda: OVER)
    done = [next(days).day]
    market[0].faults = Faults(rest_error_every=1)
    with pytest.raises(ExchangeError, match="after 5 attempts"):
        done.extend(one.day for one in days)
    assert 0 < len(done) < 60
    assert lake.layout.candle_days("binance", "SOLUSDT") == done


@pytest.mark.parametrize("wrong", [False, True])
def test_days_from_the_archive_equal_those_from_rest(
    market: tuple[SimulatedExchange, Address], write_config: Callable[..., Path], wrong: bool
) -> None:
    exchange, address = market
    halted = ((START + 5 * MINUTE_US, START + 9 * MINUTE_US),)
    exchange.faults = Faults(halted=halted, archive_checksum_wrong=wrong)
    days = [DAY - timedelta(days=1), DAY]
    tables = []
    for source in ("rest", "archive"):
        lake = simulated(
            write_config, address, backfill={"source": source, "archive_url": address.archive_url}
        )
        lake = msgspec.structs.replace(
            lake,
            general=msgspec.structs.replace(lake.general, base_path=f"{lake.general.base_path}-{source}"),
        )
        list(backfill.backfill_days(lake, days, lambda: OVER))
        tables.append([pq.read_table(lake.layout.candles("binance", "SOLUSDT", day)) for day in days])
        assert halts.of_day(lake.layout, "binance", "SOLUSDT", DAY) == list(exchange.faults.halted)
    assert tables[0] == tables[1]


@pytest.mark.parametrize("source", ["rest", "archive"])
def test_yesterday_costs_no_more_requests_than_other_days(
    write_config: Callable[..., Path], source: str
) -> None:
    now = START + DAY_US + 8 * MINUTE_US
    exchange = SimulatedExchange(SyntheticMarket(3, ["SOLUSDT"], rate=0.02), MarketClock(now, waiting=True))
    with running(exchange) as address:
        archive = {"source": source, "archive_url": address.archive_url}
        lake = simulated(write_config, address, backfill=archive)
        first = list(backfill.backfill_days(lake, [DAY], lambda: now))
    second = list(backfill.backfill_days(lake, [DAY], lambda: now))
    assert [done.usage.requests for done in (*first, *second)] == [1 + 2, 0]


def test_ten_days_of_three_symbols_cost_few_requests_and_a_second_run_none(
    write_config: Callable[..., Path],
) -> None:
    symbols = ["SOLUSDT", "SUIUSDT", "ADAUSDT"]
    exchange = SimulatedExchange(SyntheticMarket(3, symbols, rate=0.02), MarketClock(OVER))
    days = [DAY - timedelta(days=n) for n in range(10)]
    with running(exchange) as address:
        lake = simulated(write_config, address, symbols=symbols)
        first = list(backfill.backfill_days(lake, days, lambda: OVER))
    # Nobody is there any more: a request would be an error.
    second = list(backfill.backfill_days(lake, days, lambda: OVER))
    assert sum(done.usage.requests for done in first) == 1 + 3 * 15
    assert sum(done.usage.weight for done in first) == 20 + 2 * 3 * 15
    assert {file.rows for done in first for file in done.files} == {1440}
    assert [file.fetched for done in second for file in done.files] == [False] * 30
    assert sum(done.usage.requests for done in second) == 0
