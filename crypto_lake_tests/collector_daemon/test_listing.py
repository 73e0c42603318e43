"""Whether an exchange can mean what it lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.decide import listing
from crypto_lake.raw.instruments import Instrument, trading

NAMES = st.sets(st.text("ABC", min_size=2, max_size=4))


def table(names: set[str] | range, *, trade: bool = True) -> dict[str, Instrument]:
    return {f"{one}": Instrument(f"{one}", "", trade) for one in names}


@pytest.mark.parametrize(
    ("before", "after", "plausible"),
    [
        (0, 1, True),
        (0, 0, False),
        (1, 0, False),
        (3, 1, True),
        (4, 2, True),
        (4, 1, False),
        (2000, 1000, True),
        (2000, 999, False),
        (2000, 0, False),
        (3, 2000, True),
    ],
)
def test_a_list_that_lost_more_than_half_and_more_than_two_is_not_believed(
    before: int, after: int, plausible: bool
) -> None:
    assert listing.is_plausible(table(range(before)), table(range(after))) is plausible


def test_an_exchange_that_halts_as_a_whole_is_no_reason_to_end_anything() -> None:
    names = {"SOLUSDT", "ADAUSDT"}
    assert not listing.is_plausible(table(names), table(names, trade=False))


@given(NAMES, NAMES)
def test_what_is_new_is_taken_and_what_was_there_stays_whatever_is_listed(
    before: set[str], after: set[str]
) -> None:
    found = listing.with_new(table(before), table(after))
    assert trading(found) == before | after
