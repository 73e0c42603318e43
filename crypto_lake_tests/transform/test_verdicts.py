"""The verdict on each second's quotes is that of a slow and obvious judge, and never one that the truth belies."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_lake.transform import verdicts
from crypto_lake.transform.verdicts import Boundaries, Compared, Quotes, Seconds, Verdict
from crypto_lake_tests.raw_lines import SECOND, START

MILLISECOND = SECOND // 1000
# The first seconds of a day are told of; so many.
SPAN = 12
Top = tuple[int, int]


@dataclass
class Event:
    ts: int
    first_id: int
    id: int
    top: Top
    unbroken: bool


@dataclass
class Told:
    """A market: what was the best at each id, and what came of it."""

    truth: dict[int, Top] = field(default_factory=dict)
    quotes: list[tuple[int, int, Top]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)


STEP = st.tuples(
    st.integers(1, 2_500),  # ms to the next event
    st.lists(st.integers(1, 3), max_size=3),  # the best prices in it
    st.sampled_from([0, 0, 1, 2, 7]),  # which of its quotes are lost, by bits
    st.sampled_from(["whole"] * 6 + ["lost", "overlaps"]),
    st.integers(0, 400),  # ms that quotes come later than they should
)


STEPS = st.one_of(st.lists(STEP, max_size=6), st.lists(STEP, min_size=8, max_size=20))


def market(steps: list[tuple[int, list[int], int, str, int]], begin: int) -> Told:
    told = Told()
    at, number, top, known = START + begin * MILLISECOND, 100, (1, 1), True
    for wait, changes, lost, kind, late in steps:
        at += wait * MILLISECOND
        first = number + 1
        for place, price in enumerate(changes):
            number += 1
            if price == top[0]:
                continue
            top = (price, 1)
            told.truth[number] = top
            if not lost >> place & 1:
                told.quotes.append((at - MILLISECOND + late * MILLISECOND, number, top))
        number += 1
        if kind == "lost":
            known = False
            continue
        if not known and not changes:
            known = True  # a snapshot came before this event
        first -= 3 if kind == "overlaps" else 0
        told.events.append(Event(at, first, number, top, known))
    return told


def six(top: Top) -> list[int]:
    return [top[0], top[1], 0, top[0] + 5, top[1], 0]


def judged(told: Told) -> tuple[Boundaries, Compared, Seconds]:
    rows = [Event(START - 1, -1, -1, (0, 0), unbroken=False), *told.events]
    known = np.array([row.unbroken for row in rows])
    boundaries = Boundaries(
        np.array([row.ts for row in rows]),
        np.array([row.first_id for row in rows]),
        np.array([row.id for row in rows]),
        np.array([six(row.top) for row in rows]),
        known,
        known,
        known,
    )
    by_time = sorted(told.quotes)
    half = len(by_time) // 2
    stretches = [
        Quotes(
            np.array([row[0] for row in some], dtype=np.int64),
            np.array([row[1] for row in some], dtype=np.int64),
            np.array([six(row[2]) for row in some], dtype=np.int64).reshape(-1, 6),
        )
        for some in (by_time[:half], by_time[half:])
    ]
    found = verdicts.compare(boundaries, stretches, START)
    lost = np.zeros(len(rows), dtype=bool)
    lost[found.different] = True
    return boundaries, found, verdicts.judge(boundaries, found, lost, START)


def held(told: Told, number: int) -> Top | None:
    """The newest quote that the lake has up to an id."""
    ids = {quote: top for _, quote, top in told.quotes if quote <= number}
    return ids[max(ids)] if ids else None


def came(told: Told, number: int, until: int) -> bool:
    """Whether a quote with a higher id came before an instant."""
    return any(quote > number and at < until for at, quote, _ in told.quotes)


def plain_verdict(told: Told, begin: int) -> Verdict:
    end = begin + SECOND
    inside = [one for one in told.events if begin <= one.ts < end]
    before = [one for one in told.events if one.ts < begin][-1:]
    after = [one for one in told.events if one.ts >= end][:1]
    states = [held(told, one.id) == one.top for one in inside if one.unbroken and held(told, one.id)]
    if not all(states):
        return Verdict.CONTRADICTED
    chain = [*before, *inside, *after]
    links = itertools.pairwise(chain)
    linked = all(one.unbroken and two.unbroken and two.first_id <= one.id + 1 for one, two in links)
    if not before or not after or not linked:
        return Verdict.UNVERIFIABLE
    (last,) = before
    if (there := held(told, last.id)) is None:
        return Verdict.UNVERIFIABLE
    right = there == last.top or came(told, last.id, begin)
    return Verdict.PROVED if right else Verdict.CONTRADICTED


def plain_fill(told: Told, begin: int) -> Top | None:
    end = begin + SECOND
    known = [one for one in told.events if one.ts < end and one.unbroken and held(told, one.id)]
    if not known or held(told, known[-1].id) == known[-1].top or came(told, known[-1].id, end):
        return None
    return known[-1].top


@settings(max_examples=200)
@given(STEPS, st.integers(0, 2_000))
def test_every_second_has_the_verdict_and_the_fill_of_a_plain_judge(
    steps: list[tuple[int, list[int], int, str, int]], begin: int
) -> None:
    told = market(steps, begin)
    _, _, seconds = judged(told)
    for number in range(SPAN):
        at = START + number * SECOND
        assert seconds.verdict[number] == plain_verdict(told, at), number
        fill = plain_fill(told, at)
        assert (seconds.fill[number].tolist() if seconds.fills[number] else None) == (fill and six(fill))


@settings(max_examples=200)
@given(STEPS, st.integers(0, 2_000))
def test_what_is_proved_was_so_and_what_is_contradicted_was_lost(
    steps: list[tuple[int, list[int], int, str, int]], begin: int
) -> None:
    told = market(steps, begin)
    _, found, seconds = judged(told)
    lost = set(told.truth) - {number for _, number, _ in told.quotes}
    if not lost:
        assert not len(found.different)
        assert not np.any(seconds.verdict == Verdict.CONTRADICTED)
        assert not seconds.fills.any()
    for number in np.flatnonzero(seconds.verdict == Verdict.PROVED):
        at = START + int(number) * SECOND
        inside = [one for one in told.events if at <= one.ts < at + SECOND]
        assert all(held(told, one.id) == one.top for one in inside)
    torn = verdicts.torn(judged(told)[0])
    assert not len(torn) or any(kind == "lost" for _, _, _, kind, _ in steps)


@pytest.mark.parametrize("followed", [False, True])
def test_the_end_of_a_day_is_proved_where_an_event_of_the_next_one_follows_on(followed: bool) -> None:
    told = Told({}, [(START - SECOND, 5, (1, 1))], [Event(START + SECOND, 1, 10, (1, 1), unbroken=True)])
    boundaries = judged(told)[0]._replace(followed=followed)
    quotes = [Quotes(np.array([START]), np.array([5]), np.array([six((1, 1))]))]
    found = verdicts.compare(boundaries, quotes, START)
    seconds = verdicts.judge(boundaries, found, np.zeros(2, dtype=bool), START)
    assert set(seconds.verdict[2:]) == {Verdict.PROVED if followed else Verdict.UNVERIFIABLE}


def test_a_side_of_which_the_book_knows_no_level_proves_nothing() -> None:
    told = Told({}, [(START, 5, (1, 1))], [Event(START + SECOND, 1, 10, (0, 0), unbroken=True)])
    _, found, seconds = judged(told)
    assert not found.is_compared.any()
    assert set(seconds.verdict) == {Verdict.UNVERIFIABLE}
