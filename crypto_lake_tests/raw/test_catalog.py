"""The catalog: which sources lie beside a stretch of time."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.raw.catalog import Catalog
from crypto_lake.raw.sources import Source

SPANS = st.tuples(st.integers(0, 20), st.integers(0, 5))


@given(st.lists(st.tuples(SPANS, st.booleans(), st.booleans()), max_size=12), SPANS)
def test_beside_a_stretch_are_the_nearest_with_trades_received_and_fetched(
    some: list[tuple[tuple[int, int], bool, bool]], stretch: tuple[int, int]
) -> None:
    sources = [
        source(number, start, start + length, is_healed=healed, has_trades=traded)
        for number, ((start, length), healed, traded) in enumerate(some)
    ]
    start, end = stretch[0], stretch[0] + stretch[1]
    expected: list[Source] = []
    for healed in (False, True):
        traded = [one for one in sources if one.has_trades and one.is_healed is healed]
        expected += sorted((one for one in traded if one.end < start), key=lambda one: one.end)[-1:]
        expected += sorted((one for one in traded if one.start >= end), key=lambda one: one.start)[:1]
    assert Catalog(sources, [], {}).beside(start, end) == expected


def source(number: int, start: int, end: int, *, is_healed: bool, has_trades: bool) -> Source:
    path = Path(f"{'heal' if is_healed else 'part'}_{number:04d}.jsonl")
    received = None if is_healed else (start, end)
    return Source(path.name, (path,), 1, start, end, received, None, has_trades)
