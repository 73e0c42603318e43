"""The checks that hold bars against the exchange's own candles, fetched or backfilled."""

import math
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from crypto_lake import checks
from crypto_lake.checks import Means
from crypto_lake.checks.reference import NINE, ExchangeCandles
from crypto_lake.config import load
from crypto_lake.disk import parquet
from crypto_lake.errors import ExchangeError, LeftAloneError, UnreachableError
from crypto_lake.exchanges.base import Candle
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests.checks.days import (
    GOOD,
    QUOTES,
    Away,
    Duck,
    Told,
    backfilled,
    compared,
    landed,
    run,
    without,
)
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land
from crypto_lake_tests.test_damaged_bars import spoil_pages


@pytest.mark.parametrize("name", NINE)
def test_any_of_the_nine_columns_that_differs_on_a_complete_day_fails(
    duck: Duck, finished: Series, name: str
) -> None:
    def lie(candles: list[Candle]) -> list[Candle]:
        value = getattr(candles[65], name)
        other = value + 1 if name == "trade_count" else str(math.nextafter(float(value), 1e9))
        changed = Candle(**candles[65]._asdict() | {name: other})
        return [*candles[:65], changed, *candles[66:]]

    verdict = compared(duck, finished, Told(GOOD, lie))
    (row,) = verdict.rows[SYMBOL]
    assert verdict.outcome == "failed"
    assert str(row["minute"]) == "2025-10-20 01:05:00+00:00"
    assert row["difference"].startswith(f"{name} ")


def test_minutes_touched_by_a_hole_in_the_ids_warn_with_the_reason(
    duck: Duck, incomplete: Callable[..., Series]
) -> None:
    verdict = compared(duck, incomplete(9), Told(GOOD))
    (row,) = verdict.rows[SYMBOL]
    assert (verdict.outcome, row["reason"], row["minutes"]) == ("warning", "trade ids are missing", 60)


def test_a_difference_outside_the_hole_fails_all_the_same(
    duck: Duck, incomplete: Callable[..., Series]
) -> None:
    def lie(candles: list[Candle]) -> list[Candle]:
        return [*candles[:-5], candles[-5]._replace(high="999"), *candles[-4:]]

    verdict = compared(duck, incomplete(9), Told(GOOD, lie))
    assert (verdict.outcome, verdict.counts) == ("failed", {SYMBOL: 2})


@pytest.mark.parametrize("lost", [3, 26], ids=["first", "last"])
def test_a_hole_at_an_end_of_the_day_warns(duck: Duck, incomplete: Callable[..., Series], lost: int) -> None:
    assert compared(duck, incomplete(lost), Told(GOOD)).outcome == "warning"


def test_a_hole_at_the_end_of_the_recording_that_only_the_journal_knows_of_warns(
    duck: Duck, series: Series
) -> None:
    landed(duck, series, [*without(25, 26), *QUOTES])
    ends = (START + 21 * HOUR, START + 23 * HOUR + 7 * SECOND)
    gap = journal.Gap(
        at=ends[1], symbol=SYMBOL, first_id=25, last_id=26, event_from=ends[0], event_to=ends[1]
    )
    JournalWriter(series.layout, "binance").write(gap)
    verdict = compared(duck, series, Told(GOOD))
    assert verdict.outcome == "warning"
    assert "trade ids are missing" in {row["reason"] for row in verdict.rows[SYMBOL]}


def test_what_came_before_the_very_first_recording_warns_with_the_reason(duck: Duck, series: Series) -> None:
    landed(duck, series, [line for line in GOOD if line.id > 10])
    verdict = compared(duck, series, Told(GOOD))
    assert verdict.outcome == "warning"
    assert {row["reason"] for row in verdict.rows[SYMBOL]} == {"no trade is known before"}


def test_what_was_healed_is_compared_though_nobody_listened(duck: Duck, series: Series) -> None:
    for day in (DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)):
        start = day_start_us(day)
        mine = [line for line in GOOD if start <= (line.ts_event or 0) < start + DAY_US]
        land(series.config, mine, day, kind="heal")
        bars.build_day(duck, series, day, LATER)
    assert compared(duck, series, Told(GOOD)).passed

    def lie(candles: list[Candle]) -> list[Candle]:
        return [*candles[:-5], candles[-5]._replace(high="999"), *candles[-4:]]

    assert compared(duck, series, Told(GOOD, lie)).outcome == "failed"


def test_minutes_in_which_the_exchange_was_halted_are_no_difference(duck: Duck, finished: Series) -> None:
    def halted(candles: list[Candle]) -> list[Candle]:
        short = candles[100]._replace(close_time=candles[100].open_time + 41 * SECOND)
        return [*candles[:100], short, *candles[111:]]

    assert compared(duck, finished, Told(GOOD, halted)).passed


def test_trades_in_a_minute_without_a_candle_fail(duck: Duck, finished: Series) -> None:
    verdict = compared(duck, finished, Told(GOOD, lambda candles: candles[:60] + candles[61:]))
    assert verdict.outcome == "failed"
    assert verdict.rows[SYMBOL][0]["difference"] == "1 trades, the exchange has no candle"


class Refusing(Told):
    """An exchange that answers nothing usable of one symbol."""

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        if symbol == "AAAUSDT":
            self.asked += 1
            raise ExchangeError("klines: refused: Invalid symbol.")
        return await super().candles_1m(symbol, start_us, end_us)


def test_a_symbol_that_the_exchange_refuses_keeps_no_other_from_being_compared(
    duck: Duck, finished: Series
) -> None:
    def lie(candles: list[Candle]) -> list[Candle]:
        return [*candles[:-5], candles[-5]._replace(high="999"), *candles[-4:]]

    gone = Series(finished.config, "binance", "AAAUSDT")
    with ExchangeCandles(lambda *_: Refusing(GOOD, lie)) as reference:
        with pytest.raises(ExchangeError):
            reference.of(gone, DAY)
        means = Means(duck, reference, LATER)
        assert (
            checks.run(checks.EQUALS_EXCHANGE_CANDLES, "daily_bars", [finished], DAY, means).outcome
            == "failed"
        )


@pytest.mark.parametrize("error", [UnreachableError("no answer"), LeftAloneError("klines", 3600)])
def test_an_exchange_that_is_not_to_be_asked_is_asked_about_no_other_symbol(
    series: Series, error: ExchangeError
) -> None:
    class Silent(Told):
        async def candles_1m(self, *_: object) -> list[Candle]:
            self.asked += 1
            raise error

    exchange = Silent([])
    with ExchangeCandles(lambda *_: exchange) as reference:
        for symbol in ("AAAUSDT", SYMBOL):
            with pytest.raises(ExchangeError):
                reference.of(Series(series.config, "binance", symbol), DAY)
    assert exchange.asked == 1


def test_an_exchange_that_is_away_warns_and_is_asked_once(duck: Duck, finished: Series) -> None:
    exchange = Away([])
    with ExchangeCandles(lambda *_: exchange) as reference:
        for _ in range(3):
            means = Means(duck, reference, LATER)
            verdict = checks.run(checks.EQUALS_EXCHANGE_CANDLES, "daily_bars", [finished], DAY, means)
    assert (verdict.outcome, exchange.asked) == ("warning", 1)
    assert "no answer" in verdict.rows[SYMBOL][0]["reason"]


def test_candles_in_the_lake_are_compared_with_without_asking(duck: Duck, finished: Series) -> None:
    backfilled(finished, Told(GOOD))
    exchange = Away([])
    assert compared(duck, finished, exchange).passed
    assert not exchange.asked


def test_a_backfilled_candle_that_differs_from_the_recorded_minute_warns(duck: Duck, good: Series) -> None:
    backfilled(
        good,
        Told(
            GOOD,
            lambda c: [*c[:65], c[65]._replace(volume_base="1", volume_quote=c[65].close), *c[66:]],
        ),
    )
    verdict = run(checks.BACKFILL_AGREES_WITH_LIVE, duck, good, asset="candles_1m")
    assert (verdict.outcome, verdict.counts) == ("warning", {SYMBOL: 1})
    assert verdict.rows[SYMBOL][0]["difference"] == (
        "volume_base 0.0, the exchange's 1.0; volume_quote 0.0, the exchange's 191.12"
    )


def test_a_connection_that_compared_is_free_for_other_work(duck: Duck, finished: Series) -> None:
    assert compared(duck, finished, Told(GOOD)).passed
    with parquet.registered(duck, numbers=pa.table({"n": [1]})):
        assert duck.execute("FROM numbers").fetchall() == [(1,)]


@pytest.mark.parametrize("size", [0, 500, -1])
def test_a_file_of_candles_that_cannot_be_read_warns_with_its_name_and_is_not_compared_with(
    duck: Duck, finished: Series, size: int
) -> None:
    backfilled(finished, Told(GOOD))
    path = finished.layout.candles("binance", SYMBOL, DAY)
    path.write_bytes(path.read_bytes()[:size]) if size >= 0 else spoil_pages(path)
    verdict = run(checks.BACKFILL_AGREES_WITH_LIVE, duck, finished, asset="candles_1m")
    assert (verdict.outcome, verdict.counts) == ("warning", {SYMBOL: 1})
    assert path.name in verdict.rows[SYMBOL][0]["reason"]
    exchange = Away([])
    assert "no answer" in compared(duck, finished, exchange).rows[SYMBOL][0]["reason"]
    assert exchange.asked


def test_backfilled_candles_of_minutes_that_were_not_recorded_agree(duck: Duck, series: Series) -> None:
    landed(duck, series, [line for line in GOOD if line.id > 10])
    backfilled(series, Told(GOOD))
    verdict = run(checks.BACKFILL_AGREES_WITH_LIVE, duck, series, asset="candles_1m")
    assert verdict.counts == {SYMBOL: 0}


def test_bars_that_make_up_no_minutes_cannot_be_compared_and_say_so(
    duck: Duck, write_config: Callable[..., Path]
) -> None:
    lake = load(write_config(transformer={"resample_interval_sec": 45}))
    series = Series(lake, "binance", SYMBOL)
    landed(duck, series, GOOD)
    verdict = compared(duck, series, Told(GOOD))
    assert verdict.outcome == "warning"
    assert "do not make up minutes" in verdict.rows[SYMBOL][0]["reason"]
