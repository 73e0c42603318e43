"""What was observed is what was received: sealed stretches against an oracle that knows what really happened."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_daemon.decide.listening import Hearing, Listening
from collector_daemon.land.jobs import Seal
from collector_daemon.land.landing import Landing
from collector_daemon.land.rotation import Rotation
from crypto_lake.layout import SECOND_US
from crypto_lake.raw.intervals import Interval, union
from crypto_lake_tests.collector_daemon.fakes import SYMBOLS, T0, FakeClock

TICK = 0.2
HOUR = 3600
DAY = 24 * HOUR
# With them symbols are cut in three turns a minute.
OTHERS = [f"A{number}USDT" for number in range(90)]
SIZES = [1, 2, 4, 7, 61, HOUR, DAY]


@dataclass
class Truth:
    """The oracle of one connection: stretches of local time between frames of one life on one clock.

    Half a minute without any frame, pings included, is the silence of a dead socket.
    """

    found: list[Interval] = field(default_factory=list)
    since: int | None = None
    last: int = 0
    real: float = 0.0

    def heard(self, now: int, real: float) -> None:
        if real - self.real > 30:
            self.cut(now)
        self.last, self.real = now, real

    def cut(self, now: int | None) -> None:
        if self.since is not None and self.last > self.since:
            self.found.append((self.since, self.last))
        self.since, self.last = now, now or 0


class Story:
    """The collector's own parts on a clock that obeys, told what happens; `truth` notes it as it really is."""

    def __init__(self, connections: int = 1, *, crowd: bool = False, wall: int = T0) -> None:
        self.clock = FakeClock(wall)
        rotation = Rotation(60 * SECOND_US, 600 * SECOND_US, 1) if crowd else Rotation(60 * SECOND_US)
        self.landing = Landing(rotation, self.clock)
        self.listening = Listening()
        self.landing.expect([*SYMBOLS, *(OTHERS if crowd else [])], self.listening)
        self.ears = [Hearing() for _ in range(connections)]
        self.truth = [Truth() for _ in range(connections)]
        self.sealed: list[Interval] = []
        self.live(1)
        for number in range(connections):
            self.subscribe(number)

    def subscribe(self, number: int) -> None:
        now = self.landing.watch.look()
        self.ears[number].hear(self.landing.watch)
        self.listening.begin(self.ears[number], now)
        self.truth[number] = Truth(self.truth[number].found, now, now, self.clock.mono)

    def read(self, number: int) -> int:
        """What a connection does with bytes that come, or that waited."""
        now = self.landing.watch.look()
        self.ears[number].hear(self.landing.watch)
        self.landing.add([], now)
        return now

    def frame(self, number: int) -> None:
        self.truth[number].heard(self.read(number), self.clock.mono)

    def die(self, number: int) -> None:
        self.listening.end(self.ears[number])
        self.truth[number].cut(None)
        self.ears[number] = Hearing()

    def die_while_busy(self, seconds: float, numbers: list[int]) -> None:
        """What waits then came at the earliest when nobody looked any more."""
        for number in numbers:
            self.truth[number].heard(self.clock.wall, self.clock.mono)
        self.clock.pass_by(seconds)
        for number in numbers:
            for _ in range(3):
                self.read(number)
            self.die(number)

    def live(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.clock.pass_by(TICK)
            self.landing.tick()
            self._take()

    def speak(self, seconds: float, *numbers: int) -> None:
        """Let time pass in which these connections bring a frame after each tick."""
        for _ in range(round(seconds / TICK)):
            self.live(TICK)
            for number in numbers:
                self.frame(number)

    def step(self, seconds: float) -> None:
        """Set the wall clock, or let the machine sleep with its monotonic clock."""
        self.clock.wall += int(seconds * SECOND_US)
        for truth in self.truth:
            if truth.since is not None:
                truth.cut(self.clock.wall)

    def stop(self) -> list[Interval]:
        self.landing.close()
        self._take()
        for truth in self.truth:
            truth.cut(None)
        return self.sealed

    def _take(self) -> None:
        seals = [job for job in self.landing.take() if isinstance(job, Seal) and job.symbol == SYMBOLS[0]]
        self.sealed += [stretch for seal in seals for stretch in seal.listened]

    def expected(self) -> list[Interval]:
        return union([stretch for truth in self.truth for stretch in truth.found])


def seconds(stretches: list[Interval]) -> float:
    return sum(end - start for start, end in union(stretches)) / SECOND_US


@pytest.mark.parametrize("connections", [1, 2])
@pytest.mark.parametrize("ticks_first", [False, True])
@pytest.mark.parametrize("step", [*SIZES, *(-size for size in SIZES)])
def test_a_clock_that_was_set_claims_what_was_received(
    step: int, ticks_first: bool, connections: int
) -> None:
    story = Story(connections)
    numbers = range(connections)
    story.speak(20, *numbers)
    before = story.clock.wall
    story.step(step)
    if ticks_first:
        story.landing.tick()
    for number in numbers:
        story.frame(number)
    after = story.clock.wall
    story.speak(20, *numbers)
    first, second = (T0 + SECOND_US, before), (after, story.clock.wall)
    assert story.stop() == [first, second]


def test_a_machine_that_slept_with_both_its_clocks_running_was_deaf() -> None:
    story = Story()
    story.speak(10, 0)
    before = story.clock.wall
    story.clock.pass_by(HOUR)
    story.frame(0)
    after = story.clock.wall
    story.speak(10, 0)
    assert story.stop() == [(T0 + SECOND_US, before), (after, story.clock.wall)]


def test_what_waited_while_the_loop_was_busy_was_received_if_the_connection_goes_on() -> None:
    story = Story()
    story.speak(10, 0)
    story.clock.pass_by(12)
    story.frame(0)
    story.speak(3, 0)
    assert union(story.stop()) == [(T0 + SECOND_US, story.clock.wall)]


@pytest.mark.parametrize("ticks_first", [False, True])
def test_what_waited_proves_nothing_of_a_connection_that_died_meanwhile(ticks_first: bool) -> None:
    story = Story()
    story.speak(10, 0)
    before = story.clock.wall
    story.clock.pass_by(12)
    if ticks_first:
        story.landing.tick()
    story.frame(0)
    story.frame(0)
    story.die(0)
    story.live(5)
    assert story.stop() == [(T0 + SECOND_US, before)]


def test_a_loop_that_is_slow_all_the_time_goes_on_listening() -> None:
    story = Story()
    story.speak(5, 0)
    for _ in range(30):
        story.clock.pass_by(1.5)
        story.frame(0)
        story.landing.tick()
        story._take()
    assert seconds(story.stop()) >= 5 + 28 * 1.5


def test_a_connection_that_was_not_read_for_lack_of_memory_proves_nothing_by_what_waited() -> None:
    story = Story(2)
    story.speak(5, 0, 1)
    before = story.clock.wall
    story.live(10)
    story.ears[0].resume(story.landing.watch)
    story.frame(0)
    story.frame(0)
    story.die(0)
    story.die(1)
    assert story.stop() == [(T0 + SECOND_US, before)]


def test_a_quiet_connection_is_proved_by_the_exchanges_pings() -> None:
    story = Story()
    for _ in range(6):
        story.live(20)
        story.frame(0)
    assert union(story.stop()) == [(T0 + SECOND_US, story.clock.wall)]


def test_a_fast_market_clock_is_listened_to_without_a_break() -> None:
    story = Story.__new__(Story)
    FakeClock.__init__(fast := FakeClock.__new__(FakeClock), pace=60.0)
    story.clock, story.landing, story.listening = fast, Landing(Rotation(60 * SECOND_US), fast), Listening()
    story.landing.expect(SYMBOLS, story.listening)
    story.ears, story.truth, story.sealed = [Hearing()], [Truth()], []
    story.live(1)
    start = story.clock.wall
    story.subscribe(0)
    story.speak(20, 0)
    assert union(story.stop()) == [(start, story.clock.wall)]


HAPPENINGS = st.one_of(
    st.tuples(st.just("speak"), st.sampled_from([1, 2, 5])),
    st.tuples(st.just("speak one"), st.sampled_from([1, 3])),
    st.tuples(st.just("frame"), st.integers(0, 1)),
    st.tuples(st.just("quiet"), st.sampled_from([0, 1, 19])),
    st.tuples(st.just("step"), st.sampled_from([*SIZES, *(-size for size in SIZES)])),
    st.tuples(st.just("die"), st.integers(0, 1)),
    st.tuples(st.just("busy"), st.sampled_from([2, 12, 40])),
    st.tuples(st.just("dies while busy"), st.sampled_from([2, 12, 40])),
    st.tuples(st.just("subscribe"), st.integers(0, 1)),
)


def tell(story: Story, what: str, size: int) -> None:
    alive = [n for n, ear in enumerate(story.ears) if ear.since is not None]
    if what in {"frame", "die", "subscribe"}:
        number = size % len(story.ears)
        if (number in alive) is (what != "subscribe"):
            {"frame": story.frame, "die": story.die, "subscribe": story.subscribe}[what](number)
    elif what == "quiet":
        story.live(size + TICK)
    elif what == "step":
        story.step(size)
        story.live(TICK)
    elif what == "busy":
        story.clock.pass_by(size)
        for number in alive:
            story.frame(number)
    elif what == "dies while busy":
        story.die_while_busy(size, alive[:1])
    else:
        story.speak(size, *(alive if what == "speak" else alive[:1]))


@settings(max_examples=60)
@given(st.integers(1, 2), st.booleans(), st.lists(HAPPENINGS, max_size=25))
def test_whatever_happens_what_is_claimed_is_what_was_received_to_the_second(
    connections: int, crowd: bool, happenings: list[tuple[str, int]]
) -> None:
    story = Story(connections, crowd=crowd)
    for happening in happenings:
        tell(story, *happening)
    story.speak(2, *(n for n, ear in enumerate(story.ears) if ear.since is not None))
    claimed = union(story.stop())
    expected = story.expected()
    for start, end in claimed:
        assert any(first <= start and end <= last for first, last in expected), (claimed, expected)
    # What waited while nobody looked is claimed by what comes later, which need not have come.
    if not any("busy" in what for what, _ in happenings):
        steps = sum(what == "step" for what, _ in happenings)
        assert seconds(expected) - seconds(claimed) <= 1.5 * steps * connections
