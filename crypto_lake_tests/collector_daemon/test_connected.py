"""When a connection that carried a symbol's streams was subscribed, by the journal."""

import math

from collector_daemon.decide.connected import connected, within
from crypto_lake.raw import journal

STREAMS = frozenset({"solusdt@trade"})


def subscribed(at: int, connection: int, stream: str = "solusdt@trade") -> journal.Subscribed:
    return journal.Subscribed(at=at, connection=connection, streams=[stream])


def ended(at: int, connection: int, last_frame: int | None) -> journal.Disconnected:
    return journal.Disconnected(at=at, connection=connection, reason="", last_frame=last_frame)


def test_a_stretch_ends_with_the_last_frame_and_not_when_the_end_was_noticed() -> None:
    assert connected([subscribed(10, 1), ended(90, 1, 40)], STREAMS) == [(10, 40)]


def test_one_that_goes_on_has_no_end() -> None:
    assert connected([subscribed(10, 1)], STREAMS) == [(10, math.inf)]


def test_a_change_of_streams_does_not_begin_it_anew() -> None:
    assert connected([subscribed(10, 1), subscribed(20, 1), ended(50, 1, 45)], STREAMS) == [(10, 45)]


def test_a_connection_of_a_dead_collector_ends_where_the_next_one_starts() -> None:
    started = journal.Started(at=60, version="", pid=1, symbols=[])
    assert connected([subscribed(10, 1), started, subscribed(70, 1)], STREAMS) == [(10, 60), (70, math.inf)]


def test_other_streams_and_failed_attempts_tell_nothing() -> None:
    assert connected([subscribed(10, 1, "adausdt@trade"), ended(20, 2, None)], STREAMS) is None


def test_what_several_connections_heard_is_joined_and_clipped() -> None:
    assert within([(10, 30), (20, math.inf), (0, 5)], 8, 60) == [(10, 60)]
    assert within([(10, 30), (40, 50)], 20, 45) == [(20, 30), (40, 45)]


def test_a_symbol_that_was_given_up_and_came_back_was_not_heard_in_between() -> None:
    written = [subscribed(10, 1), subscribed(20, 1, "adausdt@trade"), subscribed(40, 1)]
    assert connected(written, STREAMS) == [(10, 20), (40, math.inf)]
