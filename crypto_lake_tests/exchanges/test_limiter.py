"""The ledger of request weights, against an exchange that counts by the minute, as many clients as like beside it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.exchanges.limiter import UNTOLD_WEIGHT, Booking, Limiter


def told(limit: int) -> Limiter:
    """A limiter that knows its limit and has had its first answer."""
    limiter = Limiter()
    limiter.limit = limit
    limiter.answered(limiter.send(0), 0, -100)
    return limiter


def test_the_first_request_goes_alone_and_the_rest_when_it_is_answered() -> None:
    limiter = Limiter()
    assert limiter.wait(2, 0) == 0
    first = limiter.send(2)
    assert limiter.wait(2, 0) > 0
    limiter.answered(first, 2, 1)
    assert limiter.wait(2, 1) == 0


def test_before_the_exchange_has_told_its_limit_a_low_one_holds() -> None:
    limiter = Limiter()
    limiter.answered(limiter.send(UNTOLD_WEIGHT), None, 0)
    assert limiter.wait(1, 0) == 60


def test_a_weight_is_free_again_a_minute_after_its_answer() -> None:
    limiter = told(100)
    limiter.answered(limiter.send(90), 90, 10)
    assert limiter.wait(2, 11) == pytest.approx(59)
    assert limiter.wait(2, 70) == 0


def test_a_request_on_its_way_counts_however_long_it_takes() -> None:
    limiter = told(100)
    limiter.send(90)
    assert limiter.wait(2, 500) > 0


def test_a_request_that_was_lost_counts_as_well() -> None:
    limiter = told(100)
    limiter.lost(limiter.send(90), 10)
    assert limiter.wait(2, 69) == pytest.approx(1)


def test_what_other_programs_use_is_learned_from_the_answers() -> None:
    limiter = told(100)
    limiter.answered(limiter.send(2), 89, 10)
    assert limiter.wait(2, 10) == 60
    assert limiter.wait(1, 10) == 0


def test_a_request_heavier_than_the_limit_goes_when_nothing_else_counts() -> None:
    assert told(10).wait(20, 61) == 0


def test_while_it_is_silenced_nothing_goes_and_then_one_goes_ahead() -> None:
    limiter = told(100)
    limiter.silence(30, 5)
    limiter.silence(3, 6)
    assert (limiter.wait(2, 5), limiter.wait(2, 34)) == (30, 1)
    assert limiter.wait(2, 35) == 0
    limiter.send(2)
    assert limiter.wait(2, 35) > 0


WEIGHTS = st.lists(
    st.tuples(
        st.sampled_from([2, 20, 25]),
        st.floats(0, 20, allow_nan=False),
        st.floats(0, 30, allow_nan=False),
        st.floats(0, 1, allow_nan=False),
    ),
    max_size=80,
)


@given(requests=WEIGHTS, limit=st.integers(30, 200))
def test_no_minute_of_the_exchange_ever_counts_more_than_its_limit(
    requests: list[tuple[int, float, float, float]], limit: int
) -> None:
    """Requests come after pauses, take a while, and are counted somewhere on the way, by minutes unknown to us."""
    limiter = told(limit)
    now, counted = 0.0, list[tuple[float, int]]()
    pending: list[tuple[float, Booking]] = []

    def until(moment: float) -> None:
        for done, booking in sorted(pending, key=lambda one: one[0]):
            if done <= moment:
                limiter.answered(booking, None, done)
        pending[:] = [one for one in pending if one[0] > moment]

    for weight, pause, travel, share in requests:
        now += pause
        until(now)
        for _ in range(10_000):
            if not (wait := limiter.wait(weight, now)):
                break
            now = math.nextafter(now + wait, math.inf)
            until(now)
        pending.append((now + travel, limiter.send(weight)))
        counted.append((now + travel * share, weight))
    for start, _ in counted:
        assert sum(weight for at, weight in counted if start <= at < start + 60) <= limit
