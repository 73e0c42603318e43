"""Whoever is lent a connection leaves it as it was, without a view, table, macro or variable for the next."""

from collections.abc import Callable

import duckdb
import pytest

from crypto_lake import checks
from crypto_lake.ask import latency, views
from crypto_lake.checks import Means
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.completeness import holes
from crypto_lake.errors import LakeError
from crypto_lake.pages import preview, validation
from crypto_lake.raw.catalog import Recording
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, plan, retention, ticks
from crypto_lake_tests.checks.days import Told, backfilled
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, land, quote, trade

Duck = duckdb.DuckDBPyConnection
LINES = [
    line
    for n in (1, 2, 3, 6, 7)
    for line in (trade(n, START + n * HOUR), quote(n, START + n * HOUR + 90_000))
]
LENT: dict[str, Callable[[Duck, Series], object]] = {
    "bars.build_day": lambda duck, series: bars.build_day(duck, series, DAY, LATER),
    "daily.compact_all": lambda duck, series: daily.compact_all(duck, [series], DAY, LATER),
    "ticks.make": lambda duck, series: ticks.make(duck, series, DAY, LATER),
    "retention.apply": lambda duck, series: retention.apply(duck, [series], LATER),
    "plan.is_stale": lambda duck, series: plan.is_stale(duck, series, DAY, LATER),
    "bars.build_day with its fit": lambda duck, series: bars.build_day(
        duck, series, DAY, LATER, with_fit=True
    ),
    "catalog.Recording": lambda duck, series: Recording(duck, series).around(DAY),
    "holes.find": lambda duck, series: holes.find(duck, series, DAY, LATER),
    "preview.of_day": lambda duck, series: preview.of_day(duck, [series], DAY, 1),
    "preview.lacking": lambda duck, series: preview.lacking(duck, [series], DAY),
    "views.day_in_numbers": lambda duck, series: views.day_in_numbers(duck, [series], DAY),
    "latency.of_day": lambda duck, series: latency.of_day(duck, [series], DAY),
    "latency.by_interval": lambda duck, series: latency.by_interval(duck, series, DAY, HOUR),
}


def left(duck: Duck) -> list[tuple[str, ...]]:
    """What a connection holds that it did not come with."""
    return duck.execute(
        """SELECT 'table', table_name FROM duckdb_tables()
           UNION ALL SELECT 'view', view_name FROM duckdb_views() WHERE NOT internal
           UNION ALL SELECT 'macro', function_name FROM duckdb_functions() WHERE NOT internal
           UNION ALL SELECT 'variable', name FROM duckdb_variables()
           ORDER BY ALL"""
    ).fetchall()


def a_day(duck: Duck, series: Series) -> None:
    """A day with bars, a daily file and ticks, which lacks the trades 4 and 5."""
    land(series.config, LINES)
    backfilled(series, Told(LINES))
    bars.build_day(duck, series, DAY, LATER)
    daily.compact_all(duck, [series], DAY, LATER)
    ticks.make(duck, series, DAY, LATER)


@pytest.fixture
def recorded(made: Made, series: Series) -> Series:
    """The day, which was made with another connection."""
    return made(series, a_day)


def test_an_hour_that_cannot_be_written_leaves_nothing_behind(duck: Duck, series: Series) -> None:
    land(series.config, LINES)
    series.layout.part(series.exchange, series.symbol, DAY, 1).mkdir(parents=True)
    with pytest.raises(LakeError):
        bars.build_day(duck, series, DAY, LATER)
    assert left(duck) == []


@pytest.mark.parametrize("name", LENT)
def test_a_lent_connection_comes_back_as_it_was(duck: Duck, recorded: Series, name: str) -> None:
    land(recorded.config, [trade(8, START + 8 * HOUR), trade(8, START + 8 * HOUR, price="190.13000000")])
    LENT[name](duck, recorded)
    assert left(duck) == []


@pytest.mark.parametrize("asset", checks.ON)
def test_checks_and_their_report_leave_nothing_behind(duck: Duck, recorded: Series, asset: str) -> None:
    with ExchangeCandles(lambda *_: Told(LINES)) as reference:
        for check in checks.ON[asset]:
            verdict = checks.run(check, asset, [recorded], DAY, Means(duck, reference, LATER))
            assert verdict.counts
            validation.enter(duck, recorded.config, [recorded], asset, [verdict], LATER)
    assert left(duck) == []
