"""Which ids are missing, and where an exchange went on counting elsewhere."""

from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.raw.numbering import MOST_A_SECOND, MOST_AT_ONCE, Jump, Missing, Run, follow, may_be_missing

SECOND = 1_000_000


def at(second: int, first: int, last: int | None = None) -> Run:
    """A run within one bar of a second."""
    return Run(first, first if last is None else last, (second + 1) * SECOND, second * SECOND)


def test_what_lies_between_two_runs_is_missing() -> None:
    found = follow([at(0, 1, 5), at(9, 8, 9)])
    assert (found.missing, found.jumps) == ([Missing(6, 7, 0, 10 * SECOND)], [])


def test_more_than_an_exchange_makes_in_the_time_is_a_jump() -> None:
    found = follow([at(0, 1, 100), at(1, 1_000_000, 1_000_050)])
    assert (found.missing, found.jumps) == ([], [Jump(1_000_000, 101, 2 * SECOND)])


def test_ids_that_start_anew_are_a_jump_and_holes_are_found_in_both_counts() -> None:
    found = follow([at(0, 1_000_100), at(1, 1_000_103), at(2, 1, 5), at(3, 9)])
    assert [(one.first_id, one.last_id) for one in found.missing] == [(6, 8), (1_000_101, 1_000_102)]
    assert found.jumps == [Jump(1, 1_000_104, 3 * SECOND)]


def test_a_single_absurd_id_hides_no_hole() -> None:
    found = follow([at(0, 1, 9), at(1, (1 << 63) - 1), at(2, 12, 20)])
    assert found.missing == [Missing(10, 11, 0, 3 * SECOND)]
    assert [one.id for one in found.jumps] == [(1 << 63) - 1]


def test_a_single_id_that_is_a_little_ahead_makes_no_hole_up_to_it() -> None:
    found = follow([at(0, 1, 9), at(1, 5000), at(2, 10, 20), at(3, 21, 30)])
    assert found.missing == []
    assert len(found.jumps) == 1


def test_ids_that_are_out_of_order_over_the_border_of_two_bars_are_not_missing() -> None:
    assert follow([at(0, 5), at(0, 7), at(1, 6), at(1, 8)]).missing == []


def test_after_a_long_outage_many_may_be_missing() -> None:
    assert may_be_missing(MOST_AT_ONCE + 3600 * MOST_A_SECOND, 3600 * SECOND)
    assert not may_be_missing(MOST_AT_ONCE + 3600 * MOST_A_SECOND + 1, 3600 * SECOND)


@given(st.sets(st.integers(0, 300), min_size=1))
def test_of_rising_ids_exactly_what_is_not_there_is_missing(ids: set[int]) -> None:
    found = follow([at(second, number) for second, number in enumerate(sorted(ids))])
    missing = {number for hole in found.missing for number in range(hole.first_id, hole.last_id + 1)}
    assert missing == set(range(min(ids), max(ids) + 1)) - ids
    assert found.jumps == []


@given(st.lists(st.integers(0, 300), unique=True, min_size=1))
def test_nothing_that_came_is_ever_missing_in_whatever_order(ids: list[int]) -> None:
    found = follow([at(second, number) for second, number in enumerate(ids)])
    missing = {number for hole in found.missing for number in range(hole.first_id, hole.last_id + 1)}
    assert not missing & set(ids)
