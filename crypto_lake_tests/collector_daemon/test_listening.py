"""What several connections heard is the union of what each of them proves."""

from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.decide.listening import Hearing, Listening
from crypto_lake.raw.intervals import union


def listening(*since: int) -> tuple[Listening, list[Hearing]]:
    made, hearings = Listening(), [Hearing() for _ in since]
    for hearing, at in zip(hearings, since, strict=True):
        made.begin(hearing, at)
    return made, hearings


def test_while_one_of_two_is_alive_nothing_is_missing() -> None:
    made, (one, other) = listening(0, 5)
    one.last, other.last = 20, 90
    made.end(one)
    assert made.take(100) == [(0, 90)]


def test_between_a_dead_connection_and_the_next_nothing_is_claimed() -> None:
    made, (one, other) = listening(0, 50)
    one.last, other.last = 20, 90
    assert made.take(100) == [(0, 20), (50, 90)]


def test_a_connection_that_was_only_quiet_proves_the_time_between_later() -> None:
    made, (one, other) = listening(0, 50)
    one.last, other.last = 20, 90
    made.take(100)
    one.last = 120
    assert union([(0, 20), (50, 90), *made.take(200)]) == [(0, 120)]


def test_what_was_given_for_one_connection_is_not_given_again_for_the_other() -> None:
    made, (one, other) = listening(0, 0)
    one.last, other.last = 99, 98
    made.take(100)
    one.last = other.last = 150
    assert made.take(200) == [(99, 150)]


def test_a_clock_that_is_set_cuts_every_stretch() -> None:
    made, (one, other) = listening(0, 0)
    one.last, other.last = 10, 11
    assert made.step(1000) == [(0, 11)]
    one.last = 1001
    assert made.take(2000) == [(1000, 1001)]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9), st.booleans()), max_size=60))
def test_no_cut_changes_what_is_claimed_in_all(steps: list[tuple[int, int, bool]]) -> None:
    whole, cut = listening(0, 0), listening(0, 0)
    given_away, now = [], 0
    for which, passed, cut_now in steps:
        now += passed
        for _, hearings in (whole, cut):
            hearings[which].last = now
        if cut_now:
            given_away += cut[0].take(now)
    assert union(given_away + cut[0].take(now)) == whole[0].take(now)
