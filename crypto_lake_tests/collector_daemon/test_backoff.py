"""Waiting between attempts, and never too many of them."""

from collector_daemon.backoff import ATTEMPTS, ATTEMPTS_WITHIN_SEC, AttemptLimit, Backoff


def test_the_wait_doubles_up_to_the_largest() -> None:
    backoff = Backoff(10, lambda: 1.0)
    assert [backoff.wait_sec(0) for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]


def test_the_wait_is_jittered_down_to_nothing() -> None:
    assert Backoff(10, lambda: 0.0).wait_sec(0) == 0


def test_a_short_life_is_no_reason_to_hurry() -> None:
    backoff = Backoff(10, lambda: 1.0)
    assert [backoff.wait_sec(29) for _ in range(3)] == [0.5, 1, 2]


def test_half_a_minute_of_health_begins_anew() -> None:
    backoff = Backoff(10, lambda: 1.0)
    for _ in range(5):
        backoff.wait_sec(0)
    assert backoff.wait_sec(30) == 0.5


def test_asked_to_leave_it_calls_again_at_once_but_not_over_and_over() -> None:
    backoff = Backoff(10, lambda: 1.0)
    assert [backoff.wait_sec(0, asked_to_leave=True) for _ in range(3)] == [0, 1, 2]


def test_an_outage_of_days_does_not_overflow() -> None:
    backoff = Backoff(10, lambda: 1.0)
    assert {backoff.wait_sec(0) for _ in range(5000)} == {0.5, 1, 2, 4, 8, 10}


def test_no_five_minutes_see_more_than_the_allowed_attempts() -> None:
    limit, now, attempts = AttemptLimit(), 0.0, list[float]()
    for _ in range(5 * ATTEMPTS):
        now += limit.book(now) + 0.01
        attempts.append(now)
    for index in range(len(attempts) - ATTEMPTS):
        assert attempts[index + ATTEMPTS] - attempts[index] >= ATTEMPTS_WITHIN_SEC - 1e-6
