"""Quotes are taken while their id rises, over connections that lag and an exchange that counts anew."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from collector_daemon.decide.ids import (
    Jump,
    Late,
    Odd,
)
from collector_daemon.decide.rising_ids import CONTRADICTED_BY, LAG_SEC, LEAP, MAX_VOIDS, STUCK_SEC, RisingIds
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


def test_of_a_symbol_that_rarely_quotes_the_copies_after_a_tick_wear_down_no_floor() -> None:
    ids, told = quotes()
    for begin in range(0, 100, 10):
        assert [ids.accept(900 + begin + n) for n in range(2)] == [True, True]
        ids.tick(float(begin))
        for second in range(2):
            assert not ids.accept(900 + begin + second)
            ids.tick(begin + 0.2 * (1 + second))
        for second in range(1, 10):
            ids.tick(float(begin + second))
    assert told == []


def test_the_newest_quote_again_after_any_time_is_a_copy() -> None:
    ids, told = quotes()
    ids.accept(900)
    for second in range(0, 100, 10):
        ids.tick(float(second))
        assert not ids.accept(900)
    assert told == []


def test_a_count_that_begins_anew_with_a_quote_now_and_then_costs_one_quote() -> None:
    ids, told = quotes()
    ids.accept(900)
    for second in range(20):
        ids.tick(float(second))
    assert [ids.accept(1), ids.tick(20.0), ids.accept(2)] == [False, 0, True]
    assert told == [Jump(SYMBOL, "quote", 1, 901)]


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


def test_a_connection_that_lags_behind_a_new_one_contradicts_no_rise() -> None:
    ids, told = unsettled(100)
    behind = range(110, 110 + 2 * CONTRADICTED_BY)
    assert all(ids.accept(number) for number in (100 + 2 * LEAP, *behind, 101 + 2 * LEAP))
    assert told == [Late(SYMBOL, number, 100 + 2 * LEAP) for number in behind]


def test_an_absurd_id_from_a_new_connection_silences_no_quote_and_is_told() -> None:
    ids, told = unsettled(100)
    ids.accept(100 + 10 * LEAP)
    for tenth in range(200):
        assert ids.accept(110 + 2 * tenth)
        ids.tick(tenth / 10)
        assert not ids.accept(110 + 2 * tenth)
    assert [one.id for one in told if isinstance(one, Jump)] == [100 + 10 * LEAP]


@given(
    st.sampled_from([0.05, 0.3, 2, 10]),
    st.sampled_from([0, 0.02, 0.3]),
    st.integers(0, 10**6),
)
@settings(max_examples=30)
def test_over_two_connections_that_live_and_die_a_healthy_exchange_never_jumps(
    apart: float, leaping: float, seed: int
) -> None:
    random = Random(seed)
    ids, told = quotes()
    happenings, feed = [(tenth / 5, "tick", 0) for tenth in range(300)], list[tuple[float, int]]()
    at, number = 0.0, 50_000_000
    while at < 60:
        at, number = at + random.expovariate(1 / apart), number + random.randint(1, 50)
        number += random.randint(LEAP, 20 * LEAP) if random.random() < leaping else 0
        feed.append((at, number))
    for _ in range(2):
        began = random.random()
        while began < 60:
            ended, lag = began + random.choice([3, 10, 40]), random.choice([0.001, 0.1, 0.3])
            happenings.append((began, "begin", 0))
            happenings += [(at + lag, "quote", one) for at, one in feed if began <= at and at + lag <= ended]
            began = ended + random.random() / 2
    kept: list[int] = []
    for at, what, number in sorted(happenings, key=lambda one: one[0]):
        if what == "tick":
            ids.tick(at)
        elif what == "begin":
            ids.settle(at)
        elif ids.accept(number):
            kept.append(number)
    assert sorted(kept) == sorted({number for _, _, number in happenings if number})
    assert not [one for one in told if isinstance(one, Jump)]


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


def two_counts(quotes_: int, apart: int = 1_000_000) -> list[int]:
    """Ids of an exchange with two counts, one after the other."""
    return [number for n in range(quotes_) for number in (1000 + 3 * n, 1000 + apart + 3 * n)]


def heard_twice(ids: Quotes, feed: list[int], lag: int, began: float = 0.0) -> list[int]:
    """Return what is kept of ids, twenty a second, over a connection and one that is so many of them behind."""
    kept = []
    for place in range(len(feed) + lag):
        ids.tick(began + place / 20)
        both = feed[place : place + 1] + feed[max(0, place - lag) : max(0, place - lag + 1)]
        kept += [number for number in both if ids.accept(number)]
    return kept


def test_of_two_counts_all_but_the_first_quote_are_kept_once_and_it_is_told() -> None:
    for lag in (1, 60):
        ids, told = quotes()
        feed = two_counts(600)
        assert sorted(heard_twice(ids, feed, lag)) in (sorted(feed), sorted({*feed} - {1003}))
        assert told[0] == Jump(SYMBOL, "quote", 1_001_000, 1003)


def test_two_counts_that_a_recording_begins_with_are_kept_both() -> None:
    ids, told = unsettled()
    feed = two_counts(600)[1:]
    assert sorted(heard_twice(ids, feed, 40)) == sorted(feed)
    assert [one for one in told if isinstance(one, Jump)] == [Jump(SYMBOL, "quote", 1_001_000, 1123)]


def test_a_lower_count_is_kept_when_it_reaches_the_ids_that_the_higher_one_began_with() -> None:
    ids, _ = quotes()
    feed = [number for n in range(2000) for number in (1000 + 300 * n, 501_000 + 300 * n)]
    assert len(heard_twice(ids, feed, 60)) >= len(feed) - 1


def test_absurd_ids_that_climb_cost_two_quotes_and_are_told() -> None:
    ids, told = quotes()
    feed = [number for n in range(400) for number in (1000 + 6 * n, 1003 + 6 * n, 1_000_000 * (n + 1))]
    assert len(heard_twice(ids, feed, 1)) >= len(feed) - 2
    assert Jump(SYMBOL, "quote", 1_000_000, 1006) in told


def test_absurd_ids_that_climb_wildly_cost_no_quote() -> None:
    for lag in (1, 60):
        ids, _ = quotes()
        feed = [number for n in range(200) for number in (1000 + 3 * n, 10**12 * (n + 1))]
        assert {*range(1000, 1600, 3)} <= {*heard_twice(ids, feed, lag)}


def test_a_quote_that_is_dropped_under_a_rise_and_is_no_copy_is_told() -> None:
    ids, told = quotes()
    assert [ids.accept(number) for number in (500, 100_500, 100_501, 503, 100_502)] == [True] * 3 + [
        False,
        True,
    ]
    ids.tick(0.0)
    assert told == [Jump(SYMBOL, "quote", 100_500, 503)]


def test_a_lower_count_that_goes_on_is_no_floor_that_is_stuck() -> None:
    ids, told = quotes()
    for number in two_counts(5):
        ids.accept(number)
    assert all(heard_twice(ids, [1100 + n], 1, n / 20) for n in range(200))
    assert not ids.accept(1_001_012)
    assert len([one for one in told if isinstance(one, Jump)]) == 1


def test_rises_are_remembered_in_bounded_memory() -> None:
    ids, _ = quotes()
    for n in range(10 * MAX_VOIDS):
        ids.accept(2 * LEAP * n)
    assert len(ids.ids._voids) == MAX_VOIDS
    assert not any(ids.accept(2 * LEAP * n) for n in range(10 * MAX_VOIDS))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3 * LEAP)), min_size=1, max_size=90),
    st.integers(0, 60),
    st.booleans(),
)
def test_whatever_counts_an_exchange_has_no_copy_is_kept_and_no_quote_lost_in_silence(
    steps: list[tuple[int, int]], lag: int, begins: bool
) -> None:
    ids, told = unsettled() if begins else quotes()
    counts = [0, 1_000_000, 40_000_000]
    feed = []
    for which, step in steps:
        counts[which] += step
        feed.append(counts[which])
    kept = heard_twice(ids, feed, lag)
    ids.tick(0.0)
    assert len(kept) == len({*kept})
    assert {*kept} == {*feed} or told
