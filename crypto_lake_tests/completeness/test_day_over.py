"""When a day's candles are believed to be all of them: once the exchange shows that the day is over, or long after."""

from datetime import timedelta

import msgspec
import pytest
from pyarrow import parquet as pq

from crypto_lake.completeness import backfill, candles, halts
from crypto_lake.config import Config
from crypto_lake.exchanges.base import Candle, Usage
from crypto_lake.layout import DAY_US, HOUR_US, MINUTE_US
from crypto_lake_tests.completeness.test_backfill import DAY, START, Scripted, candle, fetch


class Running(Scripted):
    """An exchange whose clock says `now_us`: it has the candle of each minute that has begun, the last one half made.

    It is halted in `halted`, of which it has none. How many minutes an answer brings is the exchange's choice.
    """

    def __init__(self, now_us: int, halted: range = range(0), candles_at_once: int = 1000) -> None:
        super().__init__([])
        self.now_us, self.halted, self.candles_at_once, self.usage = (
            now_us,
            halted,
            candles_at_once,
            Usage(0, 0),
        )

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        begun = range(start_us, min(end_us, self.now_us), MINUTE_US)
        minutes = ((at - START) // MINUTE_US for at in begun)
        self.candles = [
            candle(n, trade_count=7 if START + (n + 1) * MINUTE_US <= self.now_us else 3)
            for n in minutes
            if n not in self.halted
        ]
        return await super().candles_1m(symbol, start_us, end_us)


MIDNIGHT = START + DAY_US


def counts(done: backfill.Backfilled) -> set[int]:
    return {row["trade_count"] for row in pq.read_table(done.path).to_pylist()}


@pytest.mark.parametrize("ahead", [3, 5, 90, 23 * 60])
@pytest.mark.parametrize("left_us", [1, MINUTE_US, 150_000_000])
def test_a_clock_that_is_ahead_takes_no_day_for_over_that_the_exchange_is_still_in(
    lake: Config, ahead: int, left_us: int
) -> None:
    now = MIDNIGHT - left_us
    assert counts(fetch(lake, Running(now), now + ahead * MINUTE_US)) == {7}
    assert halts.of_day(lake.layout, "binance", "SOLUSDT", DAY) == []
    done = fetch(lake, Running(now + HOUR_US), now + HOUR_US + ahead * MINUTE_US)
    assert (done.fetched, done.rows, done.missing, counts(done)) == (True, 1440, 0, {7})
    assert halts.of_day(lake.layout, "binance", "SOLUSDT", DAY) == []


@pytest.mark.parametrize("minutes", [2.1, 3, 8, 20, 600])
def test_a_day_is_over_once_the_exchange_is_in_the_next(lake: Config, minutes: float) -> None:
    now = MIDNIGHT + int(minutes * MINUTE_US)
    client = Running(now)
    assert [fetch(lake, client, now).fetched, fetch(lake, client, now).fetched] == [True, False]
    assert client.asked == 1


def test_a_halt_after_midnight_keeps_a_day_from_being_over_for_a_day_at_most(lake: Config) -> None:
    halted = range(1430, 3 * 1440)
    for hours, fetched in ((1, True), (23, True), (24, True), (25, False)):
        now = MIDNIGHT + hours * HOUR_US
        assert fetch(lake, Running(now, halted), now).fetched is fetched
    expected = [(MIDNIGHT - 10 * MINUTE_US, MIDNIGHT)]
    assert halts.of_day(lake.layout, "binance", "SOLUSDT", DAY) == expected


@pytest.mark.parametrize("at_once", [1000, 1440])
def test_no_other_answer_than_that_with_its_last_minute_shows_that_a_day_is_over(
    lake: Config, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """A run may ask for the evening shortly before midnight, and for the next day after it."""

    class Going(Running):
        async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
            if start_us >= MIDNIGHT:
                self.now_us = MIDNIGHT + HOUR_US
            return await super().candles_1m(symbol, start_us, end_us)

    client = Going(MIDNIGHT - 1, candles_at_once=at_once)
    monkeypatch.setattr(backfill, "_client", lambda _config, _exchange: client)
    lake = msgspec.structs.replace(
        lake, exchanges=[msgspec.structs.replace(lake.exchanges[0], symbols=["SOLUSDT"])]
    )
    days = [DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)]
    now = MIDNIGHT + 2 * HOUR_US
    first, second, _ = list(backfill.backfill_days(lake, days, lambda: now))
    assert candles.finished(first.files[0].path)
    assert not candles.finished(second.files[0].path)
