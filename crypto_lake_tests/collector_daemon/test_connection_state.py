"""What becomes of one connection, told by what happens to it; no socket, no clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.decide.connection_state import (
    CONFIRM_SEC,
    QUIET_SEC,
    Change,
    ConnectionState,
    Dead,
    Denied,
)

IDLE_SEC = 30.0
OLDEST_SEC = 1000.0
ENDED = "the library's words"


def opened() -> ConnectionState:
    made = ConnectionState(IDLE_SEC, OLDEST_SEC)
    made.opened(0.0, reads=1)
    return made


def subscribed(at: float = 1.0) -> ConnectionState:
    made = opened()
    assert made.answered(made.asked(), None, at) == [Change.SETTLED, Change.SUBSCRIBED]
    return made


def why(made: ConnectionState, *, refused: str | None = None, stopped: bool = False) -> str:
    return made.why(refused=refused, stopped=stopped, closed=ENDED)


def test_it_is_subscribed_when_the_last_of_its_requests_is_answered() -> None:
    made = opened()
    first, second = made.asked(), made.asked()
    assert made.answered(second, None, 1.0) == []
    assert not made.is_subscribed
    assert made.answered(first, None, 2.0) == [Change.SETTLED, Change.SUBSCRIBED]
    assert made.is_subscribed


def test_data_confirms_the_streams_that_were_asked_for_at_once() -> None:
    made = opened()
    made.asked()
    assert made.data(1.0) == [Change.SUBSCRIBED, Change.DELIVERS]


def test_data_confirms_nothing_while_several_requests_are_unanswered() -> None:
    made = opened()
    first, second = made.asked(), made.asked()
    assert made.data(1.0) == []
    assert made.answered(first, None, 2.0) == []
    assert made.answered(second, None, 3.0) == [Change.SETTLED, Change.SUBSCRIBED, Change.DELIVERS]


def test_a_confirmed_connection_delivers_with_its_first_data_alone() -> None:
    made = subscribed()
    assert made.data(2.0) == [Change.DELIVERS]
    assert made.data(3.0) == []


def test_a_change_of_streams_is_settled_and_subscribes_no_second_time() -> None:
    made = subscribed()
    assert made.answered(made.asked(), None, 5.0) == [Change.SETTLED]


def test_a_refusal_is_told_with_the_words_of_the_exchange() -> None:
    made = opened()
    assert made.answered(made.asked(), "no such stream", 1.0) == [Denied("no such stream")]
    assert not made.is_subscribed


def test_a_connection_that_is_quiet_for_long_delivers_silence_once() -> None:
    made = subscribed(at=1.0)
    assert made.tick(0.9 + QUIET_SEC, 2, paused=False) == []
    assert made.tick(1.0 + QUIET_SEC, 3, paused=False) == [Change.DELIVERS]
    assert made.tick(1.5 + QUIET_SEC, 4, paused=False) == []


def test_one_that_is_not_confirmed_in_time_is_dead() -> None:
    made = opened()
    made.asked()
    assert made.tick(CONFIRM_SEC - 0.1, 2, paused=False) == []
    (dead,) = made.tick(CONFIRM_SEC, 3, paused=False)
    assert dead == Dead("the subscription was not confirmed within 10 s")
    assert why(made) == "the subscription was not confirmed within 10 s"


def test_one_without_a_frame_for_the_idle_time_is_dead() -> None:
    made = subscribed()
    made.data(2.0)
    assert made.tick(5.0, 9, paused=False) == []
    assert made.tick(4.9 + IDLE_SEC, 9, paused=False) == []
    assert made.tick(5.0 + IDLE_SEC, 9, paused=False) == [Dead("no frame for 30 s")]


def test_one_that_we_do_not_read_is_not_dead() -> None:
    made = subscribed()
    made.data(2.0)
    assert made.tick(900.0, 1, paused=True) == []
    assert made.tick(899.0 + IDLE_SEC, 1, paused=False) == []


def test_one_that_grew_old_wants_a_successor_once_and_ends_with_that_reason() -> None:
    made = subscribed(at=1.0)
    made.data(2.0)
    assert made.tick(OLDEST_SEC, 2, paused=False) == []
    assert made.tick(1.0 + OLDEST_SEC, 3, paused=False) == [Change.WANTS_SUCCESSOR]
    assert made.tick(2.0 + OLDEST_SEC, 4, paused=False) == []
    made.leave("its successor delivers")
    assert why(made) == "renewed after 1000 s"


def test_one_in_step_with_another_is_renewed_sooner() -> None:
    made = subscribed(at=1.0)
    made.data(1.0)
    made.renew_after(2.0)
    made.renew_after(5.0)
    assert made.tick(3.0, 2, paused=False) == [Change.WANTS_SUCCESSOR]


def test_a_farewell_wants_a_successor_and_is_the_reason_of_the_end() -> None:
    made = subscribed()
    assert made.said_farewell() == [Change.WANTS_SUCCESSOR]
    assert made.said_farewell() == []
    assert made.farewell
    assert why(made) == "the exchange asked us to leave"


@pytest.mark.parametrize(("stopped", "reason"), [(True, "stopped"), (False, ENDED)])
def test_without_a_reason_of_its_own_it_was_stopped_or_closed(stopped: bool, reason: str) -> None:
    assert why(subscribed(), stopped=stopped) == reason


def test_what_we_hung_up_on_comes_before_any_other_reason() -> None:
    made = subscribed()
    made.leave("its successor delivers")
    assert why(made, refused="a message came in more than 1024 fragments") != "its successor delivers"


def test_it_lived_from_its_confirmation_on() -> None:
    assert opened().lived_sec(9.0) == 0.0
    assert subscribed(at=1.0).lived_sec(9.0) == 8.0


HAPPENED = st.lists(
    st.tuples(st.sampled_from(["ask", "answer", "data", "farewell", "tick", "pause"]), st.floats(0, 20))
)


@given(HAPPENED)
def test_whatever_happens_each_change_comes_once_and_none_delivers_before_it_is_subscribed(
    happened: list[tuple[str, float]],
) -> None:
    made, now, reads, asked = opened(), 0.0, 1, [0]
    told: list[Change | Dead | Denied] = []
    for what, later in happened:
        now += later
        reads += what != "tick"
        if what == "ask":
            asked.append(made.asked())
        elif what == "answer":
            told += made.answered(asked.pop(0) if asked else None, None, now)
        elif what == "data":
            told += made.data(now)
        elif what == "farewell":
            told += made.said_farewell()
        else:
            told += made.tick(now, reads, paused=what == "pause")
    told = [one for one in told if isinstance(one, Change) and one is not Change.SETTLED]
    assert len(told) == len(set(told))
    assert Change.DELIVERS not in told or told.index(Change.SUBSCRIBED) < told.index(Change.DELIVERS)


def test_what_is_heard_goes_on_without_what_is_refused_later() -> None:
    made = subscribed()
    assert made.answered(made.asked(), "no such stream", 2.0) == [Change.SETTLED]
    assert made.denied == "no such stream"


def test_a_refusal_of_streams_that_data_seemed_to_confirm_is_one() -> None:
    made = opened()
    first = made.asked()
    made.data(1.0)
    assert made.answered(first, "no", 2.0) == [Denied("no")]
