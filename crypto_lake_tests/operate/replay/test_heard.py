"""The same whole seconds are claimed by who hears connections begin and end as the stretches say."""

from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.layout import SECOND_US
from crypto_lake.operate.replay.heard import stretches
from crypto_lake.raw.intervals import union

_END = 100 * SECOND_US


def seconds(listened: list[tuple[int, int]]) -> set[int]:
    return {
        second
        for first, last in union(listened)
        for second in range(-(-first // SECOND_US), last // SECOND_US)
        if 0 <= second < _END // SECOND_US
    }


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 180)), max_size=6),
    st.integers(0, 20_000),
)
def test_a_recorder_claims_the_same_seconds_though_it_hears_a_little_late(
    pieces: list[tuple[int, int]], late_us: int
) -> None:
    # In steps of 50 ms, since a gap in the last milliseconds of a second cannot be told apart from none.
    listened = [(50_000 * first, 50_000 * (first + length)) for first, length in pieces]
    found = stretches(listened, 0, _END, SECOND_US)
    again = [(one.open_us + late_us, one.close_us) for one in found]
    assert seconds([(max(first, 0), min(last, _END)) for first, last in listened]) == seconds(again)
    for one in found:
        assert one.first_us <= one.open_us < one.close_us
