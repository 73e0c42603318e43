"""Waiting between attempts: only for those that failed or brought nothing."""

from collector_daemon.connect.backoff import FIRST_WAIT_SEC, Backoff


def failed(backoff: Backoff, *, asked_to_leave: bool = False) -> float:
    return backoff.wait_sec(0, delivered=False, asked_to_leave=asked_to_leave)


def test_the_wait_doubles_up_to_the_largest() -> None:
    backoff = Backoff(10, lambda: 1.0)
    assert [failed(backoff) for _ in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]


def test_the_wait_is_jittered_down_to_nothing() -> None:
    assert failed(Backoff(10, lambda: 0.0)) == 0


def test_a_connection_that_was_confirmed_and_brought_nothing_is_no_reason_to_hurry() -> None:
    backoff = Backoff(10, lambda: 1.0)
    assert [backoff.wait_sec(9, delivered=False) for _ in range(3)] == [0.5, 1, 2]


def test_a_connection_that_delivered_is_replaced_at_once_however_often_that_happens() -> None:
    backoff = Backoff(10, lambda: 1.0)
    assert {backoff.wait_sec(2.5, delivered=True) for _ in range(50)} == {0}


def test_after_one_that_delivered_the_waits_begin_anew() -> None:
    backoff = Backoff(10, lambda: 1.0)
    for _ in range(5):
        failed(backoff)
    backoff.wait_sec(1, delivered=True)
    assert failed(backoff) == FIRST_WAIT_SEC


def test_connections_that_die_with_their_first_frame_are_not_replaced_in_a_burst() -> None:
    backoff = Backoff(10, lambda: 0.0)
    assert [round(backoff.wait_sec(0.1, delivered=True), 6) for _ in range(3)] == [0.4, 0.4, 0.4]


def test_asked_to_leave_it_calls_again_at_once_but_not_over_and_over() -> None:
    backoff = Backoff(10, lambda: 1.0)
    assert [failed(backoff, asked_to_leave=True) for _ in range(3)] == [0, 1, 2]


def test_an_outage_of_days_does_not_overflow() -> None:
    backoff = Backoff(10, lambda: 1.0)
    assert {failed(backoff) for _ in range(5000)} == {0.5, 1, 2, 4, 8, 10}
