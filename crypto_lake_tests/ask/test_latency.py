"""How long trades took: of segments as they land, and of a finished day without what was fetched later."""

import duckdb

from crypto_lake.ask import latency
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, land, quote, trade

MS = 1000


def test_it_is_measured_over_trades_alone(series: Series, duck: duckdb.DuckDBPyConnection) -> None:
    lines = [trade(n, START + n, recv=START + n + n * MS) for n in range(101)]
    path = land(series.config, [*lines, quote(1, START + 9 * HOUR)])
    found = latency.of_segments(duck, [path])
    assert found
    assert (found.latency_p50_ms, found.latency_p99_ms) == (50, 99)


def test_without_a_trade_there_is_none(series: Series, duck: duckdb.DuckDBPyConnection) -> None:
    assert latency.of_segments(duck, [land(series.config, [quote(1, START)])]) is None
    assert latency.of_day(duck, Series.recorded(series.config), DAY) == {}


def test_trades_that_were_fetched_to_heal_do_not_count(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    land(series.config, [trade(1, START + 1), trade(3, START + 3)])
    land(series.config, [trade(2, START + 2, recv=START + 5 * HOUR)], kind="heal")
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)
    assert latency.of_day(duck, Series.recorded(series.config), DAY) == {"SOLUSDT": latency.Latency(80, 80)}
