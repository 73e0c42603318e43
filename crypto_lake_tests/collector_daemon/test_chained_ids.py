"""Depth events are told apart by their chain alone."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.decide.chained_ids import ANEW, LOST, MAX_RUNS, UNHEARD, Break, ChainedIds
from crypto_lake.raw.lines import DepthLine

SECOND = 1_000_000
Ids = tuple[int, int]


def event(first: int, last: int, at: int | None = None) -> DepthLine:
    return DepthLine("SOLUSDT", first if at is None else at, 0, first, last, (), ())


def kept(chain: ChainedIds, *events: Ids) -> list[bool]:
    return [chain.accept(event(*one)) for one in events]


def rest(chain: ChainedIds) -> list[Break]:
    return chain.breaks(0.0, -math.inf)


def test_an_event_is_a_copy_only_if_all_its_ids_came() -> None:
    chain = ChainedIds()
    assert kept(chain, (1, 5), (6, 9), (6, 9), (3, 7), (8, 12), (13, 13)) == [
        True,
        True,
        False,
        False,
        True,
        True,
    ]
    assert (chain.first, chain.last, rest(chain)) == (1, 13, [])


def test_an_event_beyond_a_hole_is_kept_and_the_hole_is_a_break_once_its_grace_is_over() -> None:
    chain = ChainedIds()
    assert all(kept(chain, (1, 5), (9, 10), (11, 12)))
    assert [chain.breaks(at, 2.0) for at in (1.0, 2.9, 3.0, 9.0)] == [[], [], [Break(5, 9, LOST)], []]
    assert chain.first == 9


def test_a_hole_that_another_connection_fills_in_time_is_no_break() -> None:
    chain = ChainedIds()
    assert all(kept(chain, (1, 5), (11, 12), (6, 7), (8, 10), (13, 14)))
    assert (rest(chain), chain.first) == ([], 1)


def test_what_comes_after_nobody_listened_is_a_break_of_another_kind() -> None:
    chain = ChainedIds()
    kept(chain, (1, 5))
    chain.reset()
    assert all(kept(chain, (6, 7), (20, 21)))
    chain.reset()
    kept(chain, (30, 31))
    assert rest(chain) == [Break(7, 20, LOST), Break(21, 30, UNHEARD)]


def test_a_recording_goes_on_from_the_one_before_or_breaks_there() -> None:
    for first, expected in ((6, []), (9, [Break(5, 9, UNHEARD)])):
        chain = ChainedIds()
        chain.go_on_from(5)
        assert kept(chain, (first, first + 3), (first + 4, first + 5)) == [True, True]
        assert rest(chain) == expected


def test_ids_that_fall_begin_a_chain_anew() -> None:
    chain = ChainedIds()
    assert all(chain.accept(event(n, n, n * SECOND)) for n in range(100, 110))
    assert all(chain.accept(event(n, n, (200 + n) * SECOND)) for n in range(1, 10))
    assert (rest(chain), chain.first) == ([Break(109, 1, ANEW)], 1)


def test_ids_that_came_before_and_are_told_of_a_later_time_begin_a_chain_anew() -> None:
    chain = ChainedIds()
    assert all(chain.accept(event(n, n, n * SECOND)) for n in range(100, 110))
    assert chain.accept(event(104, 104, 200 * SECOND))
    assert not chain.accept(event(104, 104, 200 * SECOND))
    assert (rest(chain), chain.first) == ([Break(109, 104, ANEW)], 104)


def test_a_single_absurd_id_costs_no_event() -> None:
    chain = ChainedIds()
    feed = [(1, 2), (2**62, 2**62), *((n, n) for n in range(3, 200))]
    assert all(kept(chain, *feed))
    assert rest(chain) == [Break(199, 2**62, LOST)]


def test_an_exchange_that_breaks_its_chain_with_each_event_is_remembered_in_bounded_memory() -> None:
    chain, told = ChainedIds(), list[Break]()
    for n in range(0, 100 * MAX_RUNS, 2):
        assert chain.accept(event(n, n))
        told += chain.breaks(0.0, math.inf)
    assert len(chain._runs) <= MAX_RUNS
    assert len(told) + len(rest(chain)) == 50 * MAX_RUNS - 1
    assert kept(chain, (0, 0)) == [False]


@st.composite
def brought(draw: st.DrawFn) -> list[Ids]:
    """What two connections bring of the same ids, each cut in its own way, with losses, one behind the other."""
    both: list[tuple[int, Ids]] = []
    for lag in (0, draw(st.integers(0, 5))):
        borders = sorted(draw(st.sets(st.integers(1, 60), min_size=2, max_size=20)))
        cut = [(one, other - 1) for one, other in pairwise(borders)]
        lost = draw(st.sets(st.integers(0, len(cut) - 1), max_size=4))
        both += [(ids[1] + lag, ids) for number, ids in enumerate(cut) if number not in lost]
    return [ids for _, ids in sorted(both)]


@given(brought())
def test_every_id_is_kept_no_copy_is_and_the_breaks_are_what_a_reader_sees(events: list[Ids]) -> None:
    chain, came = ChainedIds(), set[int]()
    for first, last in events:
        ids = set(range(first, last + 1))
        assert chain.accept(event(first, last)) == (not ids <= came)
        came |= ids
    in_order = sorted(came)
    seen = [(one, other) for one, other in pairwise(in_order) if other > one + 1]
    assert [(one.after_id, one.first_id) for one in rest(chain)] == seen
