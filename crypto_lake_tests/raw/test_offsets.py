"""How far the clock was off, minute by minute, told without going through the minutes."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.layout import HOUR_US, MINUTE_US
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.offsets import Follow, Offsets
from crypto_lake_tests.raw_lines import SECOND, START


def test_what_is_known_of_a_clock_moves_back_with_it_and_is_void_where_it_may_have_slept() -> None:
    known = Follow()
    known.next([5], 9)
    known.was_set(-SECOND)
    assert known.known == 5 - SECOND
    known.was_set(SECOND)
    assert known.known is None


MINUTES = st.integers(-20, 40).map(lambda n: START + n * MINUTE_US)
STRETCHES = st.tuples(st.integers(-20, 40), st.integers(0, 20 * MINUTE_US)).map(
    lambda one: (START + one[0] * MINUTE_US + 7, START + one[0] * MINUTE_US + 7 + one[1])
)
KNOWN = st.dictionaries(MINUTES, st.integers(-3 * MINUTE_US, 3 * MINUTE_US), max_size=8)


@dataclass
class Source:
    """What was received in a stretch."""

    received: Interval | None


def by_hand(known: dict[int, int], stretch: Interval) -> dict[int, int]:
    """The offset of each minute of a stretch."""
    minutes = range(stretch[0] // MINUTE_US * MINUTE_US, stretch[1] + 1, MINUTE_US)
    first = known[min(known)] if known else 0
    return {m: known[max(before)] if (before := [k for k in known if k <= m]) else first for m in minutes}


@given(KNOWN, STRETCHES)
def test_a_stretch_spans_what_its_minutes_span(known: dict[int, int], stretch: Interval) -> None:
    offsets = by_hand(known, stretch)
    starts = [max(stretch[0], minute) - us for minute, us in offsets.items()]
    stops = [min(stretch[1], minute + MINUTE_US - 1) - us for minute, us in offsets.items()]
    assert Offsets(known).span(*stretch) == (min(starts), max(stops))


@given(KNOWN, st.lists(STRETCHES, max_size=3), MINUTES)
def test_of_an_hour_the_minutes_are_told_that_may_lie_in_it(
    known: dict[int, int], stretches: list[Interval], start: int
) -> None:
    end = start + HOUR_US
    every = {minute: us for stretch in stretches for minute, us in by_hand(known, stretch).items()}
    wanted = {m: us for m, us in every.items() if m - us < end and m + MINUTE_US - us > start}
    found = Offsets(known).by_minute([Source(one) for one in [*stretches, None]], start, end)
    assert list(found.items()) == sorted(wanted.items())


def test_a_stretch_to_the_end_of_time_costs_nothing() -> None:
    offsets = Offsets({START: 5})
    assert offsets.span(START, (1 << 63) - 1) == (START - 5, (1 << 63) - 6)
    assert list(offsets.by_minute([Source((START, (1 << 63) - 1))], START, START + MINUTE_US)) == [
        START,
        START + MINUTE_US,
    ]
