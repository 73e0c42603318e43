"""Which trades of a day are missing, where ids are not as they should be."""

import duckdb
import pytest

from crypto_lake.completeness import holes
from crypto_lake.layout import day_of
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, land, trade

Duck = duckdb.DuckDBPyConnection
AT = START + 5 * HOUR
HIGHEST = (1 << 63) - 1


def found(
    duck: Duck, series: Series, ids: list[int], step: int = SECOND
) -> tuple[list[tuple[int, int]], list[int]]:
    """The holes of a day with these ids, one every `step` µs, and the ids of its jumps."""
    land(series.config, [trade(number, AT + n * step) for n, number in enumerate(ids)])
    bars.build_day(duck, series, DAY, LATER)
    missing = [(hole.first_id, hole.last_id) for hole in holes.find(duck, series, DAY, LATER)]
    return missing, [jump.id for jump in holes.jumps(duck, series, DAY, LATER)]


@pytest.mark.parametrize("step", [SECOND, 200_000, 1000])
@pytest.mark.parametrize("absurd", [HIGHEST, 10**12])
def test_one_absurd_id_is_no_hole_and_hides_none(duck: Duck, series: Series, step: int, absurd: int) -> None:
    ids = [*range(1, 10), absurd, *range(10, 20), *range(23, 30)]
    assert found(duck, series, ids, step) == ([(20, 22)], [absurd])


@pytest.mark.parametrize("step", [SECOND, 200_000, 1000])
def test_ids_that_start_anew_lack_nothing_in_between(duck: Duck, series: Series, step: int) -> None:
    ids = [*range(1_000_100, 1_000_120), *range(1, 10), *range(12, 20)]
    missing, jumps = found(duck, series, ids, step)
    assert (missing, len(jumps)) == ([(10, 11)], 1)


def test_a_first_and_a_last_id_of_all_overflow_nothing(duck: Duck, series: Series) -> None:
    missing, jumps = found(duck, series, [0, HIGHEST, 1, 3], 1000)
    assert (missing, jumps) == ([(2, 2)], [HIGHEST])


def test_trades_that_are_there_are_not_missing_because_they_came_in_another_order(
    duck: Duck, series: Series
) -> None:
    assert found(duck, series, [1, 2, 5, 7, 6, 8, 3, 4, 9])[0] == []


@pytest.mark.parametrize("away", [-400, -1, 1, 27_000])
def test_a_trade_that_says_it_happened_on_another_day_is_not_missing(
    duck: Duck, series: Series, away: int
) -> None:
    came = [trade(number, AT + number * SECOND) for number in range(1, 10) if number != 7]
    came[4] = trade(5, AT + away * 24 * HOUR, recv=came[4].ts_recv)
    land(series.config, came)
    bars.build_day(duck, series, DAY, LATER)
    for found_holes in (holes.find(duck, series, DAY, LATER), *holes.find_all(duck, [series], DAY, LATER)):
        assert [(hole.first_id, hole.last_id) for hole in found_holes] == [(7, 7)]


def test_trades_that_tell_odd_times_by_turns_lack_nothing_between_them(duck: Duck, series: Series) -> None:
    other = LATER - 30 * 24 * HOUR
    came = [trade(n, (other if n % 2 else AT) + n * SECOND, recv=AT + n * SECOND) for n in range(1, 9)]
    land(series.config, came)
    for day in (DAY, day_of(other)):
        bars.build_day(duck, series, day, LATER)
    for day in (DAY, day_of(other)):
        assert holes.find(duck, series, day, LATER) == []
