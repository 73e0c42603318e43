import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.simulator.market.tape import Page, from_e8, to_e8

MINUTE = 60_000_000


@given(st.integers(0, 10**20))
def test_a_number_survives_its_spelling(value: int) -> None:
    assert to_e8(from_e8(value)) == value


@pytest.mark.parametrize(
    ("text", "value"), [("0.001", 100_000), ("100", 10**10), ("61837.63000000", 6183763000000)]
)
def test_spellings_of_other_lengths_are_understood(text: str, value: int) -> None:
    assert to_e8(text) == value


@pytest.mark.parametrize("text", ["", "abc", "0.123456789", "1e-9"])
def test_what_is_no_number_or_too_fine_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"1e-8|decimal"):
        to_e8(text)


@pytest.mark.parametrize(
    ("start", "end", "minutes"),
    [
        (None, None, [7, 8, 9]),
        (2, None, [2, 3, 4]),
        (None, 5, [3, 4, 5]),
        (2, 3, [2, 3]),
        (4, 4, [4]),
        (8, None, [8, 9]),
        (10, None, []),
        (None, 0, []),
        (0, 2, [1, 2]),
    ],
)
def test_pages_follow_the_rules_of_the_exchange(
    start: int | None, end: int | None, minutes: list[int]
) -> None:
    page = Page(MINUTE, None if start is None else start * MINUTE, None if end is None else end * MINUTE, 3)
    opens = page.opens(first_us=MINUTE + 5, last_us=9 * MINUTE + 30)
    assert [open_us // MINUTE for open_us in opens] == minutes


def test_a_start_within_a_minute_means_the_next_minute() -> None:
    assert Page(MINUTE, 2 * MINUTE + 1, None, 1).opens(0, 9 * MINUTE)[0] == 3 * MINUTE
