"""Trades and quotes are told apart by their ids alone."""

from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.ids import MAX_HOLES, Hole, QuoteIds, TradeIds


def test_trades_in_order_are_new_and_have_no_holes() -> None:
    ids = TradeIds()
    assert [ids.accept(number, number) for number in (5, 6, 7)] == [True, True, True]


def test_a_skipped_id_is_a_hole_between_its_neighbours() -> None:
    ids = TradeIds()
    ids.accept(5, 50)
    assert ids.accept(9, 90) == Hole(6, 8, 50, 90)


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
        assert (ids.accept(number, 0) is not False) == (number not in seen)
        seen.add(number)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200, unique=True).map(sorted))
def test_the_holes_are_exactly_what_is_missing(numbers: list[int]) -> None:
    ids = TradeIds()
    holes = [verdict for number in numbers if isinstance(verdict := ids.accept(number, 0), Hole)]
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


def test_a_new_connection_may_count_quotes_from_anywhere() -> None:
    ids = QuoteIds()
    ids.accept(900)
    ids.reset()
    assert ids.accept(1)
