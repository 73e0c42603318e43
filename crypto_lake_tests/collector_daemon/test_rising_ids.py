"""Quotes are taken while their id rises, over connections that lag and an exchange that counts anew."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.decide.ids import (
    Jump,
    Late,
    Odd,
)
from collector_daemon.decide.rising_ids import CONTRADICTED_BY, LAG_SEC, LEAP, STUCK_SEC, RisingIds
from crypto_lake.raw.lines import QuoteLine
from crypto_lake_tests.collector_daemon.test_ids import SYMBOL


class Quotes:
    """Update ids of quotes that are made from an id."""

    def __init__(self, told: list[Odd]) -> None:
        self.ids = RisingIds(SYMBOL, "quote", told)
        self.tick, self.reset, self.settle = self.ids.tick, self.ids.reset, self.ids.settle

    def accept(self, number: int) -> bool:
        return self.ids.accept(QuoteLine(SYMBOL, None, 0, number, None, None, None, *["1.0"] * 4))


def quotes() -> tuple[Quotes, list[Odd]]:
    told: list[Odd] = []
    return Quotes(told), told


def test_quotes_are_taken_while_their_id_rises() -> None:
    ids, _ = quotes()
    assert [ids.accept(number) for number in (5, 9, 9, 7, 10)] == [True, True, False, False, True]


def test_a_floor_that_quotes_only_come_under_is_given_up() -> None:
    ids, _ = quotes()
    ids.accept(900)
    ids.tick(0.0)
    assert not ids.accept(1)
    ids.tick(STUCK_SEC - 0.1)
    assert not ids.accept(2)
    ids.tick(STUCK_SEC)
    assert ids.accept(3)


def test_a_lagging_connection_does_not_wear_down_the_floor() -> None:
    ids, _ = quotes()
    for second in range(3 * int(STUCK_SEC)):
        assert ids.accept(900 + second)
        assert not ids.accept(800 + second)
        ids.tick(float(second))


def test_with_nobody_connected_before_a_connection_may_count_quotes_from_anywhere() -> None:
    ids, _ = quotes()
    ids.accept(900)
    ids.reset()
    assert ids.accept(1)


def test_one_absurd_quote_id_silences_no_quote() -> None:
    ids, told = quotes()
    feed = [500, 510, (1 << 63) - 1, 520, (1 << 63) - 1, 530]
    assert [ids.accept(number) for number in feed] == [True, True, True, True, False, True]
    assert told == [Jump(SYMBOL, "quote", (1 << 63) - 1, 520)]


def test_an_absurd_quote_id_that_comes_first_silences_no_quote() -> None:
    ids, _ = quotes()
    assert [ids.accept(number) for number in ((1 << 63) - 1, 500, 510)] == [True, True, True]


def test_a_jump_that_the_quotes_after_it_do_not_confirm_is_set_aside_after_a_few() -> None:
    ids, told = quotes()
    ids.accept(500)
    ids.accept(500 + 100 * LEAP)
    assert [ids.accept(501 + n) for n in range(CONTRADICTED_BY + 1)] == [False] * (CONTRADICTED_BY - 1) + [
        True
    ] * 2
    assert len(told) == 1


def test_a_jump_that_is_confirmed_stands_against_a_connection_that_lags_behind() -> None:
    ids, told = quotes()
    ids.accept(500)
    ids.accept(500 + 100 * LEAP)
    ids.accept(501 + 100 * LEAP)
    assert not any(ids.accept(501 + n) for n in range(50))
    assert told == []


def test_copies_from_before_a_jump_do_not_contradict_it() -> None:
    ids, told = quotes()
    for number in range(400, 501):
        ids.accept(number)
    ids.accept(500 + 100 * LEAP)
    assert not any(ids.accept(number) for number in range(400, 501))
    assert told == []


def test_at_the_start_a_connection_that_lags_behind_contradicts_nothing() -> None:
    ids, told = quotes()
    ids.accept(50_000)
    assert not any(ids.accept(number) for number in range(49_000, 49_100))
    assert told == []


def test_quotes_that_start_anew_are_told_when_their_floor_is_given_up() -> None:
    ids, told = quotes()
    ids.accept(900)
    ids.tick(0.0)
    ids.accept(1)
    ids.tick(STUCK_SEC)
    assert told == [Jump(SYMBOL, "quote", 1, 901)]


def unsettled(*before: int) -> tuple[Quotes, list[Odd]]:
    """Quote ids to which a connection has just been added."""
    ids, told = quotes()
    for number in before:
        ids.accept(number)
    ids.settle(0.0)
    return ids, told


def test_a_new_connection_that_is_ahead_takes_no_quote_from_one_that_lives() -> None:
    ids, told = unsettled(100)
    assert [ids.accept(number) for number in (150, 110, 155, 140, 150, 155, 160)] == [
        *[True] * 4,
        False,
        False,
        True,
    ]
    assert told == [Late(SYMBOL, 110, 150), Late(SYMBOL, 140, 155)]


def test_what_came_before_a_connection_began_is_a_copy() -> None:
    ids, _ = unsettled(90, 95, 100)
    ids.accept(150)
    assert not any(ids.accept(number) for number in (90, 95, 100, 150))


def test_once_all_connections_are_long_there_ids_are_not_remembered() -> None:
    ids, _ = unsettled(100)
    for second in range(20):
        ids.tick(float(second))
        ids.accept(101 + second)
    assert len(ids.ids._recent) + len(ids.ids._before) == 0
    assert not ids.accept(105)


def test_a_connection_may_be_behind_by_seconds_whenever_another_begins() -> None:
    ids, _ = unsettled()
    for tenth in range(400):
        if tenth % 25 == 0:
            ids.settle(tenth / 10)
        ids.tick(tenth / 10)
        assert ids.accept(2 * (1000 + tenth))
        assert tenth < int(10 * LAG_SEC) or ids.accept(2 * (1000 + tenth) - 10 * int(2 * LAG_SEC) + 1)


def test_ids_are_remembered_in_bounded_memory_however_many_quotes_come_of_a_new_connection() -> None:
    ids, _ = unsettled()
    for number in range(200_000):
        ids.accept(number)
        if number % 1000 == 0:
            ids.tick(0.0)
    assert len(ids.ids._recent) + len(ids.ids._before) < 50_000


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=60, unique=True).map(sorted),
    st.integers(0, 30),
    st.randoms(use_true_random=False),
)
def test_of_two_connections_that_begin_apart_no_quote_is_lost_and_none_taken_twice(
    feed: list[int], began: int, random: Random
) -> None:
    ids, _ = unsettled()
    behind, ahead = list(feed), feed[began:]
    ids.settle(0.0)
    taken = []
    while behind or ahead:
        brought = random.choice([one for one in (behind, ahead) if one])
        number = brought.pop(0)
        taken += [number] if ids.accept(number) else []
    assert sorted(taken) == feed
