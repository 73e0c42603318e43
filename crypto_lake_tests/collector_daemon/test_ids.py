"""Trades and quotes are told apart by their ids alone."""

from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.ids import MAX_HOLES, STUCK_SEC, Hole, QuoteIds, TradeIds


def test_trades_in_order_are_new_and_have_no_holes() -> None:
    ids = TradeIds()
    assert [ids.accept(number, number) for number in (5, 6, 7)] == [True, True, True]


def test_a_skipped_id_is_a_hole_between_its_neighbours() -> None:
    ids = TradeIds()
    ids.accept(5, 50)
    assert ids.accept(9, 90)
    assert ids.overdue(0.0, 0.0) == [Hole(6, 8, 50, 90)]


def test_a_hole_is_told_once_and_only_after_its_grace() -> None:
    ids = TradeIds()
    ids.accept(5, 50)
    ids.accept(7, 70)
    assert [ids.overdue(at, 2.0) for at in (1.0, 2.9, 3.0, 9.0)] == [[], [], [Hole(6, 6, 50, 70)], []]


def test_what_is_left_of_a_hole_lies_between_the_trades_around_it() -> None:
    ids = TradeIds()
    for number in (5, 9, 7):
        ids.accept(number, 10 * number)
    assert ids.overdue(0.0, 0.0) == [Hole(6, 6, 50, 70), Hole(8, 8, 70, 90)]


def test_a_hole_that_is_forgotten_is_told_first() -> None:
    ids, told = TradeIds(), list[Hole]()
    for number in range(0, 4 * MAX_HOLES, 2):
        ids.accept(number, number)
    told = ids.overdue(0.0, 9.0)
    assert [hole.first_id for hole in told] == list(range(1, 2 * (MAX_HOLES + 1), 2))[: len(told)]
    assert len(told) + len(ids._holes) - 1 == 2 * MAX_HOLES - 1


def test_a_late_trade_fills_its_hole_once() -> None:
    ids = TradeIds()
    ids.accept(5, 50)
    ids.accept(9, 90)
    assert [ids.accept(7, 70), ids.accept(7, 70), ids.accept(6, 60), ids.accept(8, 80)] == [
        True,
        False,
        True,
        True,
    ]


def test_an_exchange_that_counts_anew_is_not_silenced() -> None:
    ids = TradeIds()
    ids.accept(1_000_000, 0)
    assert [ids.accept(number, 0) for number in (1, 2, 3, 3)] == [True, True, True, False]


@given(st.lists(st.integers(0, 60), max_size=200))
def test_every_id_is_new_exactly_once_in_whatever_order_it_comes(numbers: list[int]) -> None:
    ids, seen = TradeIds(), set[int]()
    for number in numbers:
        assert ids.accept(number, 0) == (number not in seen)
        seen.add(number)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200, unique=True).map(sorted))
def test_the_holes_are_exactly_what_is_missing(numbers: list[int]) -> None:
    ids = TradeIds()
    for number in numbers:
        ids.accept(number, 0)
    holes = ids.overdue(0.0, 0.0)
    missing = {number for hole in holes for number in range(hole.first_id, hole.last_id + 1)}
    assert missing == set(range(numbers[0], numbers[-1] + 1)) - set(numbers)


def test_no_more_than_so_many_holes_are_remembered() -> None:
    ids = TradeIds()
    for number in range(0, 10 * MAX_HOLES, 2):
        ids.accept(number, 0)
    assert len(ids._holes) == MAX_HOLES
    assert ids.accept(10 * MAX_HOLES - 3, 0) is True
    assert ids.accept(3, 0) is False


def test_quotes_are_taken_while_their_id_rises() -> None:
    ids = QuoteIds()
    assert [ids.accept(number) for number in (5, 9, 9, 7, 10)] == [True, True, False, False, True]


def test_a_floor_that_quotes_only_come_under_is_given_up() -> None:
    ids = QuoteIds()
    ids.accept(900)
    ids.tick(0.0)
    assert not ids.accept(1)
    ids.tick(STUCK_SEC - 0.1)
    assert not ids.accept(2)
    ids.tick(STUCK_SEC)
    assert ids.accept(3)


def test_a_lagging_connection_does_not_wear_down_the_floor() -> None:
    ids = QuoteIds()
    for second in range(3 * int(STUCK_SEC)):
        assert ids.accept(900 + second)
        assert not ids.accept(800 + second)
        ids.tick(float(second))


def test_with_nobody_connected_before_a_connection_may_count_quotes_from_anywhere() -> None:
    ids = QuoteIds()
    ids.accept(900)
    ids.reset()
    assert ids.accept(1)
