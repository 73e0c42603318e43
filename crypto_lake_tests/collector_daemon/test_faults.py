"""Which failures are worth a second attempt."""

import ssl

import pytest
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus, InvalidURI
from websockets.http11 import Response

from collector_daemon.connect.faults import described, is_hopeless


def answered(status: int) -> InvalidStatus:
    return InvalidStatus(Response(status, "", Headers()))


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 418])
def test_a_refusal_at_the_handshake_is_hopeless(status: int) -> None:
    assert is_hopeless(answered(status))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_a_busy_exchange_is_worth_another_attempt(status: int) -> None:
    assert not is_hopeless(answered(status))


@pytest.mark.parametrize("error", [ssl.SSLCertVerificationError("expired"), InvalidURI("x", "no host")])
def test_what_never_changes_by_itself_is_hopeless(error: Exception) -> None:
    assert is_hopeless(error)


@pytest.mark.parametrize(
    "error", [ConnectionRefusedError(), TimeoutError(), OSError(101, "no route"), EOFError()]
)
def test_the_network_is_worth_another_attempt(error: Exception) -> None:
    assert not is_hopeless(error)


def test_every_failure_is_told_in_one_line() -> None:
    assert described(answered(403)) == "the handshake was answered with HTTP 403"
    assert described(TimeoutError("a\nb")) == "no answer in time"
    assert "\n" not in described(OSError("two\nlines"))


def test_what_a_peer_says_of_itself_makes_no_long_line() -> None:
    assert len(described(OSError("x" * 100_000))) <= 300
