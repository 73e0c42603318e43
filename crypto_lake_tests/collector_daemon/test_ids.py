"""Trades and quotes are told apart by their ids alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.decide.ids import (
    MAX_HOLES,
    REMEMBER_SEC,
    Conflict,
    ContiguousIds,
    Hole,
    Jump,
    Odd,
)
from crypto_lake.raw.lines import TradeLine
from crypto_lake.raw.numbering import MOST_AT_ONCE

SYMBOL = "SOLUSDT"
SECOND = 1_000_000
TOMORROW = 86_400 * SECOND
NOW = 1_790_000_000 * SECOND


class Trades:
    """Trade ids of lines that are made from an id, a time and a price."""

    def __init__(self) -> None:
        self.told: list[Odd] = []
        self.ids = ContiguousIds(SYMBOL, "trade", self.told)
        self.overdue = self.ids.overdue

    def accept(self, number: int, ts_event: int, price: str = "1.0") -> bool:
        return self.ids.accept(line(number, ts_event, price))


def line(number: int, ts_event: int, price: str = "1.0") -> TradeLine:
    return TradeLine(SYMBOL, ts_event, ts_event, number, price, "2.0", "buy", *[None] * 4)


def test_trades_in_order_are_new_and_have_no_holes() -> None:
    ids = Trades()
    assert [ids.accept(number, number) for number in (5, 6, 7)] == [True, True, True]


def test_a_skipped_id_is_a_hole_between_its_neighbours() -> None:
    ids = Trades()
    ids.accept(5, 50)
    assert ids.accept(9, 90)
    assert ids.overdue(0.0, 0.0) == [Hole(6, 8, 50, 90)]


def test_a_hole_is_told_once_and_only_after_its_grace() -> None:
    ids = Trades()
    ids.accept(5, 50)
    ids.accept(7, 70)
    assert [ids.overdue(at, 2.0) for at in (1.0, 2.9, 3.0, 9.0)] == [[], [], [Hole(6, 6, 50, 70)], []]


def test_what_is_left_of_a_hole_lies_between_the_trades_around_it() -> None:
    ids = Trades()
    for number in (5, 9, 7):
        ids.accept(number, 10 * number)
    assert ids.overdue(0.0, 0.0) == [Hole(6, 6, 50, 70), Hole(8, 8, 70, 90)]


def test_a_hole_that_is_forgotten_is_told_first() -> None:
    ids, told = Trades(), list[Hole]()
    for number in range(0, 4 * MAX_HOLES, 2):
        ids.accept(number, number)
    told = ids.overdue(0.0, 9.0)
    assert [hole.first_id for hole in told] == list(range(1, 2 * (MAX_HOLES + 1), 2))[: len(told)]
    assert len(told) + len(ids.ids._holes) - 1 == 2 * MAX_HOLES - 1


def test_a_late_trade_fills_its_hole_once() -> None:
    ids = Trades()
    ids.accept(5, 50)
    ids.accept(9, 90)
    assert [ids.accept(7, 70), ids.accept(7, 70), ids.accept(6, 60), ids.accept(8, 80)] == [
        True,
        False,
        True,
        True,
    ]


def test_an_exchange_that_counts_anew_is_not_silenced() -> None:
    ids = Trades()
    ids.accept(1_000_000, 0)
    assert [ids.accept(number, 0) for number in (1, 2, 3, 3)] == [True, True, True, False]


@given(st.lists(st.integers(0, 60), max_size=200))
def test_every_id_is_new_exactly_once_in_whatever_order_it_comes(numbers: list[int]) -> None:
    ids, seen = Trades(), set[int]()
    for number in numbers:
        assert ids.accept(number, 0) == (number not in seen)
        seen.add(number)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200, unique=True).map(sorted))
def test_the_holes_are_exactly_what_is_missing(numbers: list[int]) -> None:
    ids = Trades()
    for number in numbers:
        ids.accept(number, 0)
    holes = ids.overdue(0.0, 0.0)
    missing = {number for hole in holes for number in range(hole.first_id, hole.last_id + 1)}
    assert missing == set(range(numbers[0], numbers[-1] + 1)) - set(numbers)


def test_no_more_than_so_many_holes_are_remembered() -> None:
    ids = Trades()
    for number in range(0, 10 * MAX_HOLES, 2):
        ids.accept(number, 0)
    assert len(ids.ids._holes) == MAX_HOLES
    assert ids.accept(10 * MAX_HOLES - 3, 0) is True
    assert ids.accept(3, 0) is False


def test_an_exchange_that_starts_its_ids_anew_loses_no_trade_and_is_told_once() -> None:
    ids = Trades()
    again = [*range(1_000_100, 1_000_201), *range(1, 101)]
    assert all(ids.accept(number, at) for at, number in enumerate(again))
    assert ids.told == [Jump(SYMBOL, "trade", 1, 1_000_201)]
    assert ids.overdue(0.0, 0.0) == []


def test_ids_that_start_anew_at_ids_that_came_before_lose_no_trade() -> None:
    ids = Trades()
    assert all(ids.accept(number, at, str(at)) for at, number in enumerate([*range(1, 101)] * 2))
    assert ids.told == [Jump(SYMBOL, "trade", 1, 101)]


def test_ids_that_start_anew_when_the_old_ones_are_forgotten_lose_no_trade() -> None:
    ids = Trades()
    for number in range(1, 101):
        ids.accept(number, number)
    for at in (0.0, REMEMBER_SEC, 2 * REMEMBER_SEC):
        ids.ids.tick(at)
    assert all(ids.accept(number, 1000 + number, "9.0") for number in range(1, 101))


def test_copies_of_ids_that_started_anew_are_duplicates() -> None:
    ids = Trades()
    feed = [(number, at) for at, number in enumerate([*range(5_000_000, 5_000_050), *range(1, 51)])]
    assert [ids.accept(*one) for one in feed for _ in range(2)] == [True, False] * 100


def test_a_connection_that_brings_all_of_both_counts_later_brings_copies_only() -> None:
    ids = Trades()
    feed = [(number, at, str(at)) for at, number in enumerate([*range(1, 101)] * 2)]
    assert all(ids.accept(*one) for one in feed)
    assert not any(ids.accept(*one) for one in feed)


def test_a_single_absurd_id_hides_no_hole_and_makes_none() -> None:
    ids = Trades()
    for at, number in enumerate((5, 6, 10**12, 7, (1 << 63) - 1, 8, 11)):
        assert ids.accept(number, at)
    assert ids.overdue(0.0, 0.0) == [Hole(9, 10, 5, 6)]
    assert ids.told == [
        Jump(SYMBOL, "trade", 10**12, 7),
        Jump(SYMBOL, "trade", (1 << 63) - 1, 8),
    ]


def test_an_absurd_first_id_is_no_reason_to_lose_a_trade_or_a_hole() -> None:
    ids = Trades()
    assert all(ids.accept(number, at) for at, number in enumerate(((1 << 63) - 1, 5, 6, 9)))
    assert ids.overdue(0.0, 0.0) == [Hole(7, 8, 2, 3)]


def test_after_a_long_silence_many_trades_are_missing_and_nothing_started_anew() -> None:
    ids = Trades()
    ids.accept(5, 0)
    ids.accept(1_000_005, 3_600_000_000)
    assert (ids.overdue(0.0, 0.0), ids.told) == ([Hole(6, 1_000_004, 0, 3_600_000_000)], [])


def test_what_was_missing_before_ids_started_anew_is_told() -> None:
    ids = Trades()
    for at, number in enumerate((5, 7, 10 * MOST_AT_ONCE, 10 * MOST_AT_ONCE + 1)):
        ids.accept(number, at)
    assert ids.overdue(0.0, 9.0) == [Hole(6, 6, 0, 1)]


def test_an_exchange_that_returns_to_its_ids_goes_on_where_it_was() -> None:
    ids = Trades()
    feed = [100, 101, 5_000_000, 5_000_001, 102, 103, 5_000_002, 5_000_003, 106]
    assert all(ids.accept(number, at) for at, number in enumerate(feed))
    assert ids.overdue(0.0, 0.0) == [Hole(104, 105, 5, 8)]


def test_one_id_with_two_contents_is_kept_twice_and_told_once_whoever_brings_copies() -> None:
    ids = Trades()
    ids.accept(5, 50)
    ids.accept(6, 60)
    feed = [(5, 50, "1.0"), (5, 50, "7.0"), (5, 50, "7.0"), (5, 50, "1.0")]
    assert [ids.accept(*one) for one in feed] == [False, True, False, False]
    assert ids.told == [Conflict(line(5, 50), line(5, 50, "7.0"))]


def test_a_copy_that_is_spelt_otherwise_or_has_its_time_in_milliseconds_is_a_copy() -> None:
    ids = Trades()
    ids.accept(5, 1_500_123)
    assert not ids.accept(5, 1_500_000, "1.00000000")
    assert ids.told == []


def test_contents_are_remembered_in_bounded_memory() -> None:
    ids = Trades()
    for number in range(100_000):
        ids.accept(number, number)
        if number % 1000 == 0:
            ids.ids.tick(0.0)
    assert len(ids.ids._recent) + len(ids.ids._before) < 50_000


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from("12"))), st.integers(1, 3))
def test_no_two_contents_of_an_id_are_ever_lost(feed: list[tuple[int, str]], copies: int) -> None:
    ids, kept = Trades(), set[tuple[int, str]]()
    for number, price in feed:
        for _ in range(copies):
            if ids.accept(number, 0, price):
                assert (number, price) not in kept
                kept.add((number, price))
    assert kept == set(feed)


class Live:
    """Trades that are received by a clock that is `ahead` µs of the exchange's, and forgotten as time passes."""

    def __init__(self, ahead: int = 0) -> None:
        self.told: list[Odd] = []
        self.ids = ContiguousIds(SYMBOL, "trade", self.told)
        self.ahead = ahead

    def accept(self, number: int, event: int, at: int | None = None) -> bool:
        """Whether a trade of the instant `event` that comes at `at` (both µs of the exchange's) is kept."""
        at = event if at is None else at
        self.ids.tick(at / SECOND)
        received = NOW + at + self.ahead + 50_000
        return self.ids.accept(
            TradeLine(SYMBOL, NOW + event, received, number, f"{event}.0", "2.0", "buy", *[None] * 4)
        )


CLOCKS = pytest.mark.parametrize("ahead", [0, -3600 * SECOND, 3 * 365 * TOMORROW])


@CLOCKS
@pytest.mark.parametrize("off", [30 * SECOND, TOMORROW])
@pytest.mark.parametrize("gap", [SECOND // 50, 15 * SECOND])
def test_ids_that_go_back_after_a_trade_with_a_time_to_come_lose_no_trade(
    ahead: int, off: int, gap: int
) -> None:
    ids = Live(ahead)
    assert all(ids.accept(10_000 + n, n * gap) for n in range(3000))
    assert ids.accept(13_000, 3000 * gap + off, 3000 * gap)
    assert all(ids.accept(10_500 + n, (3001 + n) * gap) for n in range(300))
    assert ids.told == [Jump(SYMBOL, "trade", 10_500, 13_001)]


@CLOCKS
def test_a_first_trade_with_a_time_to_come_costs_none_of_those_after_it(ahead: int) -> None:
    ids = Live(ahead)
    assert ids.accept(13_000, TOMORROW, 0)
    assert all(ids.accept(10_500 + n, n * SECOND) for n in range(15, 300))


def test_ids_that_start_anew_within_the_microsecond_of_the_last_trade_lose_no_trade() -> None:
    ids = Live()
    assert all(ids.accept(number, number * SECOND) for number in range(1, 101))
    assert all(ids.accept(number, 100 * SECOND) for number in (1, 2, 3))
    assert ids.told == [Jump(SYMBOL, "trade", 1, 101)]


def test_a_lower_id_with_a_time_long_ago_is_kept_and_told() -> None:
    ids = Live()
    assert all(ids.accept(1000 + n, 2 * TOMORROW + n * SECOND) for n in range(100))
    assert ids.accept(1005, TOMORROW, 2 * TOMORROW + 100 * SECOND)
    assert ids.told == [Jump(SYMBOL, "trade", 1005, 1100)]


@CLOCKS
@given(
    st.lists(st.integers(0, 3 * SECOND), min_size=2, max_size=60), st.integers(0, 20 * SECOND), st.integers(0)
)
def test_a_connection_that_lags_brings_copies_only_even_where_a_trade_has_a_time_to_come(
    ahead: int, waits: list[int], lag: int, odd: int
) -> None:
    ids, events, at = Live(ahead), list[tuple[int, int, int]](), 0
    for n, wait in enumerate(waits):
        at += wait
        # One that is not remembered any more and says another time is no copy by its contents.
        event = at + TOMORROW if n == odd % (2 * len(waits)) and lag < REMEMBER_SEC * SECOND else at
        events += [(at, n, event), (at + lag, n, event)]
    kept = [n for at, n, event in sorted(events, key=lambda one: one[0]) if ids.accept(n, event, at)]
    assert (kept, ids.told) == ([*range(len(waits))], [])


@given(st.data())
def test_whatever_ids_and_times_an_exchange_makes_up_no_trade_is_lost(data: st.DataObject) -> None:
    ids, number, at, kept = Live(data.draw(st.sampled_from([0, 3600 * SECOND]))), 1000, 0, 0
    steps = st.tuples(
        st.integers(1, 20 * SECOND),
        st.sampled_from([0, 0, 0, 0, 0, 0, -1, -40, -990, 3, 10**9]),
        st.sampled_from([0, 0, 0, 0, 30 * SECOND, TOMORROW, -TOMORROW]),
    )
    fresh = data.draw(st.lists(steps, min_size=1, max_size=60))
    for n, (wait, step, off) in enumerate(fresh):
        at, number = at + wait, max(0, number + step)
        kept += ids.accept(number, at + off + n, at)
        number += 1
    assert kept == len(fresh)
