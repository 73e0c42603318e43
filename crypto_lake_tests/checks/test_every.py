"""Every check passes on a good day, has nothing to say of an empty one, and stops at no absurd id."""

import pytest

from crypto_lake import checks
from crypto_lake.checks import Check
from crypto_lake.series import Series
from crypto_lake.transform import daily, ticks
from crypto_lake_tests.checks.days import Duck, landed, run, with_candles
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, LATER, SECOND, START, SYMBOL, trade

EVERY = [(asset, check) for asset, some in checks.ON.items() for check in some]


ONCE = pytest.mark.parametrize(("asset", "check"), EVERY, ids=lambda x: x if isinstance(x, str) else x.name)


@ONCE
def test_a_good_day_passes(duck: Duck, made: Made, series: Series, asset: str, check: Check) -> None:
    verdict = run(check, duck, made(series, with_candles), asset=asset)
    assert (verdict.rows, verdict.outcome) == ({}, "passed")
    assert verdict.counts == ({} if asset in {"daily_bars", "ticks"} else {SYMBOL: 0})


@ONCE
def test_a_good_day_passes_when_compacted(duck: Duck, finished: Series, asset: str, check: Check) -> None:
    verdict = run(check, duck, finished, asset=asset)
    assert (verdict.rows, verdict.outcome) == ({}, "passed")
    assert verdict.counts == ({} if asset == "candles_1m" else {SYMBOL: 0})


@ONCE
def test_a_day_without_files_has_nothing_to_offend(
    duck: Duck, series: Series, asset: str, check: Check
) -> None:
    assert run(check, duck, series, asset=asset).counts == {}


def ids_at_both_ends(duck: Duck, series: Series) -> None:
    landed(duck, series, [trade(0, START + SECOND), trade((1 << 63) - 1, START + 2 * SECOND)])
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)


@pytest.mark.parametrize("asset", ["raw_segments", "bars_1s", "daily_bars", "ticks"])
def test_ids_at_both_ends_of_what_there_is_stop_no_check(
    duck: Duck, made: Made, series: Series, asset: str
) -> None:
    made(series, ids_at_both_ends)
    for check in checks.ON[asset]:
        run(check, duck, series, asset=asset)
