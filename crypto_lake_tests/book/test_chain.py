"""A book carried along its chain is the market's own, wherever it says that it is known."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.book.chain import Anchor, Break, Carried, Chain, Snapshot
from crypto_lake.book.side import Level, Side
from crypto_lake.raw.lines import BookLine
from crypto_lake_tests import book_lines
from crypto_lake_tests.book_lines import Market, event, is_known, snapshot
from crypto_lake_tests.raw_lines import START


def units(levels: tuple[tuple[str, str], ...], sign: int) -> list[Level]:
    return [(sign * int(Decimal(price) * 10**8), int(Decimal(qty) * 10**8)) for price, qty in levels]


def give(chain: Chain, line: BookLine) -> bool:
    """Give a line to a chain; return whether the book is known at its end."""
    bids, asks = units(line.bids, 1), units(line.asks, -1)
    if line.first_id is None or line.ts_event is None:
        chain.snapshot(Snapshot(line.id, line.ts_recv, bids, asks))
        return False
    return chain.event((line.first_id, line.id), line.ts_event, bids, asks)


def decimals(side: Side) -> book_lines.Side:
    return {Decimal(abs(key)) / 10**8: Decimal(qty) / 10**8 for key, qty in side.levels.items()}


def in_order(lines: list[BookLine]) -> list[BookLine]:
    return sorted(lines, key=lambda one: (one.id, one.first_id is None))


LEVEL = ("1.00000000", "2.00000000")


@given(st.integers(0, 10**6))
def test_the_book_is_known_just_where_a_snapshot_leads_to_and_is_then_the_markets(seed: int) -> None:
    market = Market(seed, 40)
    random = market.random
    # Two connections that cut the ids otherwise, of each of which some events were lost.
    heard = [one for cuts in (market.cuts(), market.cuts()) for one in market.events(cuts)]
    kept = {one.id: one for one in sorted(heard, key=lambda one: -one.first_id) if random.random() < 0.8}
    whole = list(kept.values())
    snapshots = [market.snapshot(random.randrange(41), START) for _ in range(3)]
    chain, found = Chain(), []
    for line in in_order([*whole, *snapshots]):
        known = give(chain, line)
        if line.first_id is None:
            continue
        found.append(known)
        if known:
            assert chain.sides
            assert tuple(map(decimals, chain.sides)) == market.state(line.id)
    ordered = in_order([*whole])
    ids = [one.id for one in snapshots]
    assert found == [is_known(ordered, ids, number) for number in range(len(ordered))]
    assert chain.levels_different == 0


@given(st.integers(0, 10**6))
def test_a_best_level_that_is_certain_is_the_markets_however_little_a_snapshot_tells(seed: int) -> None:
    market = Market(seed, 60)
    events = market.events(market.cuts())
    chain = Chain()
    for line in in_order(
        [*events, market.snapshot(20, START, levels=5), market.snapshot(40, START, levels=5)]
    ):
        if give(chain, line) and chain.sides:
            for side, real, best in zip(chain.sides, market.state(line.id), (max, min), strict=True):
                top = side.top()
                if side.is_certain() and top:
                    assert Decimal(abs(top[0])) / 10**8 == best(real)
    assert chain.levels_different == 0


def test_what_is_missing_is_a_break_and_the_next_snapshot_ends_it() -> None:
    chain = Chain()
    lines = [
        snapshot(10, START, [LEVEL]),
        event(9, 12, START),
        event(15, 16, START + 1),
        snapshot(17, START, [LEVEL]),
        event(17, 20, START + 2),
    ]
    assert [give(chain, one) for one in lines] == [False, True, False, False, True]
    assert chain.breaks == [Break(12, 15, START + 1)]
    assert [one.use for one in chain.anchors] == ["began", "began"]


def test_a_snapshot_that_is_too_old_for_the_event_that_follows_is_of_no_use() -> None:
    chain = Chain()
    assert [give(chain, one) for one in (snapshot(10, START, [LEVEL]), event(12, 14, START))] == [
        False,
        False,
    ]
    assert chain.anchors == [Anchor(10, START, "unused")]
    assert chain.break_count == 0


@given(st.integers(0, 10**6))
def test_snapshots_that_lack_levels_spoil_nothing_where_the_chain_is_whole(seed: int) -> None:
    market = Market(seed, 40)
    random = market.random
    lacking = [market.snapshot(random.randrange(1, 40), START, lacking=random.randrange(3)) for _ in range(4)]
    chain = Chain()
    for line in in_order([*market.events(market.cuts()), market.snapshot(0, START), *lacking]):
        if give(chain, line):
            assert chain.sides
            assert tuple(map(decimals, chain.sides)) == market.state(line.id)


def test_a_snapshot_that_lacks_a_level_is_told_and_not_believed() -> None:
    market = Market(7, 30)
    lacking = market.snapshot(20, START, lacking=1)
    chain = Chain()
    for line in in_order([*market.events(list(range(3, 31, 3))), market.snapshot(5, START), lacking]):
        give(chain, line)
    assert chain.sides
    assert tuple(map(decimals, chain.sides)) == market.state(30)
    assert [one.use for one in chain.anchors] == ["began", "differs"]
    assert chain.levels_different == 1


def test_a_snapshot_within_an_event_is_not_held_against_what_that_event_changes() -> None:
    chain = Chain()
    old, new = ("1.00000000", "5.00000000"), ("1.00000000", "6.00000000")
    for line in (snapshot(10, START, [old, LEVEL]), event(11, 12, START), snapshot(13, START, [new])):
        give(chain, line)
    give(chain, event(13, 15, START, [new]))
    assert chain.anchors[-1] == Anchor(13, START, "equal")


def test_a_snapshot_tells_levels_beyond_those_of_the_one_before() -> None:
    chain = Chain()
    five = [(f"{price}.00000000", "1.00000000") for price in (19, 18, 17, 16, 15)]
    more = [*five, *((f"{price}.00000000", "1.00000000") for price in (14, 13))]
    longer = [(f"{price}.00000000", "1.00000000") for price in range(20, 30)]
    for line in (
        snapshot(10, START, five, longer[:5]),
        event(11, 12, START),
        snapshot(12, START, more, longer),
        event(13, 13, START),
    ):
        give(chain, line)
    assert chain.sides
    bids, asks = chain.sides
    assert (len(bids.levels), len(asks.levels)) == (7, 10)
    assert (bids.floor, asks.floor) == (13 * 10**8, -29 * 10**8)


def test_that_a_snapshot_has_fewer_levels_of_a_side_does_not_say_that_these_are_all() -> None:
    bids, asks = Side.of_snapshot([(9, 1), (8, 1)], [(-11, 1), (-12, 1), (-13, 1)])
    assert (bids.floor, asks.floor) == (8, -13)
    bids.change([(9, 0), (8, 0), (7, 1)])
    assert not bids.is_certain()
    assert asks.is_certain()


def test_a_carried_book_goes_on_only_where_the_next_event_follows() -> None:
    sides = Side({1: 1}, None), Side({-2: 1}, None)
    follows, skips = Chain(Carried(12, sides)), Chain(Carried(12, sides))
    assert follows.event((12, 14), START, [], [])
    assert not skips.event((14, 15), START, [], [])
    assert (follows.break_count, skips.break_count) == (0, 1)


def test_an_event_that_ends_before_the_chain_changes_nothing() -> None:
    chain = Chain(Carried(12, (Side({1: 1}, None), Side({}, None))))
    assert not chain.event((11, 12), START, [(1, 0)], [])
    assert chain.sides
    assert chain.sides[0].levels == {1: 1}
