"""Whose turn it is to connect: never too often, never late, never together."""

import asyncio
import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_daemon.connect.backoff import Backoff
from collector_daemon.connect.stream_group import APART_SEC, StreamGroup
from collector_daemon.connect.turns import AttemptLimit, Turn
from collector_daemon.decide.listening import Hearing
from collector_daemon.decide.session import Session
from crypto_lake.exchanges.binance import EXCHANGE
from crypto_lake_tests.collector_daemon.fakes import BURST, INTERVAL_SEC, FakeClock

ATTEMPTS, ATTEMPTS_WITHIN_SEC = 200, 300
RESERVE = 10
FIVE_MINUTES = ATTEMPTS_WITHIN_SEC


@dataclass(eq=False)
class Connection:
    """One that is there after `takes` seconds and then delivers for `lives`, or fails at once if these are 0."""

    lives: float = 0.0
    takes: float = 0.1
    hearing: Hearing = field(default_factory=Hearing)

    async def change(self, added: object, removed: object) -> None:
        """Nothing changes here."""


class Play:
    """Places that connect again and again, in simulated time, to an exchange whose connections live as it likes.

    `begun` are the times of all attempts; `waited` is how long each place really waited, beyond its own backoff.
    """

    def __init__(self, links: Iterable[Connection], *, groups: int = 1, places: int = 2) -> None:
        self.begun: list[float] = []
        self.waited: list[float] = []
        self._links = iter(links)
        self._clock = FakeClock()
        self._limit = AttemptLimit(EXCHANGE.limits)
        session = Session(EXCHANGE.wire, ["SOLUSDT"])
        self.stream_groups = [StreamGroup(["SOLUSDT"], EXCHANGE, session, self._clock) for _ in range(groups)]
        self.deserted: dict[StreamGroup, float] = dict.fromkeys(self.stream_groups, 0.0)
        steps = [self._place(stream_group) for stream_group in self.stream_groups for _ in range(places)]
        self._soon = [(0.0, number, step) for number, step in enumerate(steps)]

    def until(self, end: float) -> "Play":
        """Let time pass; `deserted` then tells for how long nobody was connected, of each stream_group."""
        while self._soon[0][0] < end:
            now, number, step = heapq.heappop(self._soon)
            for stream_group in self.stream_groups:
                self.deserted[stream_group] += 0.0 if stream_group.live else now - self._clock.mono
            self._clock.mono = now
            heapq.heappush(self._soon, (next(step), number, step))
        return self

    def _place(self, stream_group: StreamGroup) -> Iterator[float]:
        backoff, pause, clock = Backoff(10, lambda: 1.0), 0.0, self._clock
        for link in self._links:
            earliest = clock.mono + pause
            turn = Turn(self._limit, stream_group, link, earliest)
            while wait := turn.wait_sec(clock.mono):
                yield clock.mono + max(0.001, min(wait, 0.2))
            self.begun.append(clock.mono)
            self.waited.append(clock.mono - earliest)
            if link.lives:
                yield clock.mono + link.takes
                stream_group.opened(link)
                stream_group.subscribed(link, clock.now_us())
                yield clock.mono + link.lives
            stream_group.ended(link)
            pause = backoff.wait_sec(link.lives, delivered=link.lives > 0)


def living(seconds: float, takes: float = 0.1) -> Iterator[Connection]:
    return (Connection(seconds, takes) for _ in itertools.count())


def most_in_five_minutes(begun: list[float]) -> int:
    return max(sum(start <= at < start + FIVE_MINUTES for at in begun) for start in begun)


def test_of_two_connections_that_die_every_two_and_a_half_seconds_one_is_always_there() -> None:
    play = Play(living(2.5, takes=0.4)).until(2 * FIVE_MINUTES)
    assert play.deserted[play.stream_groups[0]] <= 0.4
    assert most_in_five_minutes(play.begun) <= ATTEMPTS


def test_two_connections_that_died_together_are_made_apart() -> None:
    together = [Connection(5.0), Connection(5.0 - APART_SEC), *[Connection(60.0)] * 2]
    play = Play(together).until(30)
    died = 5.1
    assert play.begun[2] == died
    assert APART_SEC <= play.begun[3] - died < APART_SEC + 0.2


def test_while_nobody_can_be_reached_both_keep_trying_within_the_limit() -> None:
    play = Play(Connection() for _ in itertools.count()).until(FIVE_MINUTES)
    assert 50 < len(play.begun) <= ATTEMPTS


def test_after_an_outage_of_any_length_nobody_waits_long_for_the_limit() -> None:
    failures = [Connection() for _ in range(500)]
    play = Play(itertools.chain(failures, living(60.0))).until(6 * FIVE_MINUTES)
    assert max(play.waited) <= 2 * INTERVAL_SEC


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.001, 0.3, 1.0, 2.5, 60.0]), st.booleans()), max_size=400))
def test_no_five_minutes_see_more_than_the_allowed_attempts(asks: list[tuple[float, bool]]) -> None:
    limit, now, begun = AttemptLimit(EXCHANGE.limits), 0.0, list[float]()
    for pause, urgent in asks:
        now += pause
        now += limit.wait_sec(object(), now, urgent=urgent)
        limit.enter(now)
        begun.append(now)
    for first, one_too_many in zip(begun, begun[ATTEMPTS:], strict=False):
        assert one_too_many - first >= ATTEMPTS_WITHIN_SEC


lives = st.lists(st.sampled_from([0.0, 0.0, 0.4, 1.0, 2.0, 2.5, 40.0]), min_size=20, max_size=60)


def played(seconds: list[float], *, groups: int = 1, places: int = 1) -> Play:
    links = (Connection(one) for one in itertools.cycle(seconds))
    return Play(links, groups=groups, places=places).until(400)


@settings(max_examples=40)
@given(lives, st.integers(1, 3), st.integers(1, 3))
def test_however_connections_live_the_limit_holds(seconds: list[float], groups: int, places: int) -> None:
    assert most_in_five_minutes(played(seconds, groups=groups, places=places).begun) <= ATTEMPTS


@settings(max_examples=40)
@given(lives)
def test_however_its_connections_live_the_only_one_of_a_group_waits_for_no_more_than_its_turn(
    seconds: list[float],
) -> None:
    # One beside another that lives, or keeps dying, gives way to it and may wait for longer.
    assert max(played(seconds, places=1).waited) <= INTERVAL_SEC + APART_SEC


def drained(*, urgent: bool) -> AttemptLimit:
    """A limit from which all was taken at 0 that may be taken at once."""
    limit = AttemptLimit(EXCHANGE.limits)
    while limit.wait_sec(limit, 0.0, urgent=urgent) == 0.0:
        limit.enter(0.0)
    return limit


def test_what_is_left_of_a_burst_is_for_those_without_whom_nobody_listens() -> None:
    limit = drained(urgent=False)
    for _ in range(RESERVE):
        assert limit.wait_sec("lone", 0.0, urgent=True) == 0.0
        limit.enter(0.0)
    assert limit.wait_sec("lone", 0.0, urgent=True) == pytest.approx(INTERVAL_SEC)


def test_those_without_whom_nobody_listens_go_before_those_that_wait_already() -> None:
    limit = drained(urgent=True)
    limit.queue("second", urgent=False)
    limit.queue("third", urgent=False)
    before = limit.wait_sec("third", 0.0, urgent=False)
    limit.queue("lone", urgent=True)
    assert limit.wait_sec("lone", 0.0, urgent=True) == pytest.approx(INTERVAL_SEC)
    assert limit.wait_sec("third", 0.0, urgent=False) - before == pytest.approx(INTERVAL_SEC)


def test_those_of_one_urgency_go_in_order() -> None:
    limit = drained(urgent=True)
    waits = []
    for who in range(3):
        limit.queue(who, urgent=True)
        waits.append(round(limit.wait_sec(who, 0.0, urgent=True) / INTERVAL_SEC, 6))
    assert waits == [1, 2, 3]


def test_whoever_gives_up_is_in_nobodys_way() -> None:
    limit = drained(urgent=True)
    limit.queue("first", urgent=True)
    limit.leave("first")
    assert limit.wait_sec("second", 0.0, urgent=True) == pytest.approx(INTERVAL_SEC)


def test_a_limit_that_was_left_alone_allows_a_burst_again() -> None:
    limit = drained(urgent=True)
    limit.enter(BURST * INTERVAL_SEC)
    assert limit.wait_sec("next", BURST * INTERVAL_SEC, urgent=True) == 0.0


def test_of_two_that_the_exchange_accepted_together_the_later_is_to_be_renewed() -> None:
    clock = FakeClock()
    stream_group = StreamGroup(["SOLUSDT"], EXCHANGE, Session(EXCHANGE.wire, ["SOLUSDT"]), clock)
    slow, quick = Connection(), Connection()
    stream_group.opening(slow, 0.0)
    stream_group.opening(quick, 3.0)
    clock.mono = 5.0
    for link in (slow, quick):
        stream_group.opened(link)
        stream_group.subscribed(link, 0)
    assert stream_group.in_step(quick)
    assert not StreamGroup.in_step(_alone(clock, quick), quick)


def test_connections_are_asked_for_other_streams_one_after_the_other() -> None:
    class Asked(Connection):
        async def change(self, added: object, removed: object) -> None:  # noqa: ARG002 - it only tells when
            told.append("asked")
            await asyncio.sleep(0)
            told.append("answered")

    told: list[str] = []
    stream_group = StreamGroup(["SOLUSDT"], EXCHANGE, Session(EXCHANGE.wire, ["SOLUSDT"]), FakeClock())
    for link in (Asked(), Asked()):
        stream_group.opening(link, 0.0)
        stream_group.opened(link)
    assert asyncio.run(stream_group.change(["ADAUSDT"], [])) is None
    assert told == ["asked", "answered"] * 2


def _alone(clock: FakeClock, link: Connection) -> StreamGroup:
    stream_group = StreamGroup(["SOLUSDT"], EXCHANGE, Session(EXCHANGE.wire, ["SOLUSDT"]), clock)
    stream_group.opening(link, 3.0)
    stream_group.subscribed(link, 0)
    return stream_group
