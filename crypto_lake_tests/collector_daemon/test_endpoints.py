"""The next address is for when one keeps failing."""

from collector_daemon.connect.endpoints import HEALTHY_AFTER_SEC, MOVE_ON_AFTER, Endpoints


def after(*lives: float, urls: str = "ab") -> str:
    endpoints = Endpoints(urls)
    for lived in lives:
        endpoints.failed(lived)
    return endpoints.url


def test_one_failure_is_no_reason_to_move_on() -> None:
    assert after(0, 0) == "a"


def test_an_address_that_keeps_failing_is_left_for_the_next_and_the_last_for_the_first() -> None:
    assert [after(*[0] * MOVE_ON_AFTER * n) for n in (1, 2)] == ["b", "a"]


def test_a_healthy_life_in_between_begins_the_count_anew() -> None:
    assert after(0, 0, HEALTHY_AFTER_SEC, 0) == "a"


def test_what_is_hopeless_is_left_at_once() -> None:
    endpoints = Endpoints("ab")
    endpoints.failed(0, hopeless=True)
    assert (endpoints.url, endpoints.all_failed) == ("b", False)
    endpoints.failed(0, hopeless=True)
    assert endpoints.all_failed


def test_an_only_address_is_tried_for_ever() -> None:
    assert after(*[0] * 10, urls="a") == "a"
