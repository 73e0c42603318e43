"""Intervals cover the points that they cover, however they are joined, cut and taken away."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.raw.intervals import Interval, clipped, union, without

points = st.integers(0, 40)
intervals = st.lists(st.tuples(points, points).map(lambda pair: (min(pair), max(pair))), max_size=8)


def covered(some: list[Interval]) -> set[int]:
    return {point for start, end in some for point in range(start, end)}


@given(some=intervals)
def test_a_union_covers_the_same_in_order_with_a_gap_between_any_two(some: list[Interval]) -> None:
    joined = union(some)
    assert covered(joined) == covered(some)
    assert all(end < start for (_, end), (start, _) in pairwise(joined))


def test_intervals_that_touch_become_one() -> None:
    assert union([(5, 9), (0, 5)]) == [(0, 9)]


@given(some=intervals, start=points, end=points)
def test_what_is_clipped_is_what_lies_inside(some: list[Interval], start: int, end: int) -> None:
    assert covered(clipped(some, start, end)) == covered(some) & set(range(start, end))


@given(some=intervals, start=points, end=points)
def test_what_intervals_leave_out_is_the_rest(some: list[Interval], start: int, end: int) -> None:
    left = without(union(some), start, end)
    assert covered(left) == set(range(start, end)) - covered(some)
    assert left == union(left)


@given(some=intervals, start=points, end=points)
def test_what_is_left_out_and_what_is_inside_make_up_the_whole(
    some: list[Interval], start: int, end: int
) -> None:
    inside = clipped(union(some), start, end)
    whole = [(start, end)] if start < end else []
    assert covered([*inside, *without(union(some), start, end)]) == covered(whole)
