"""From a block of NULs to whole bars: what a power loss or a failing disk took is found by its ids, and fetched."""

import duckdb

from collector_daemon.land.recovery import recover
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily
from crypto_lake_tests.collector_daemon.test_recovery import left_open, trades
from crypto_lake_tests.completeness.test_heal_answers import Exchange
from crypto_lake_tests.raw.test_salvage import count_at, hours, spoil
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START

Duck = duckdb.DuckDBPyConnection


def test_trades_that_a_power_loss_took_from_an_open_segment_are_healed(duck: Duck, series: Series) -> None:
    left_open(series.layout, trades(1, 2) + b"\0" * len(trades(3, 4, 5)) + trades(6))
    recover(series.layout, "binance", LATER)
    done = Exchange(lambda number: START + number).heal(series, duck)
    assert (done.missing, done.fetched) == (3, 3)
    bars.build_day(duck, series, DAY, LATER)
    assert count_at(duck, series, 0) == 6
    assert daily.compact(duck, series, DAY, LATER) is not None


def test_trades_that_a_failing_disk_took_from_a_sealed_segment_are_healed(duck: Duck, series: Series) -> None:
    spoil(hours(series.config, 1, 2, 3)[2])
    exchange = Exchange(lambda number: START + (1 + number // 10) * HOUR + number % 10 * SECOND)
    done = exchange.heal(series, duck)
    assert (done.missing, done.fetched) == (3, 3)
    bars.build_day(duck, series, DAY, LATER)
    assert [count_at(duck, series, hour) for hour in (1, 2, 3)] == [10, 10, 10]
