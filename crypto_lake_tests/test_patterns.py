"""Which symbols names and patterns mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake import patterns

LISTED = [
    "SOLUSDT",
    "BTCUSDT",
    "BTCEUR",
    "USDTTRY",
    "ETHBTC",
    "1000SATSUSDT",
    "币安人生USDT",
    "solusdt",
    "CON",
]


@pytest.mark.parametrize(
    ("words", "exclude", "meant"),
    [
        (["SOLUSDT", "NOSUCH"], [], ["SOLUSDT", "NOSUCH"]),
        (["*USDT"], [], ["1000SATSUSDT", "BTCUSDT", "SOLUSDT"]),
        (["BTC*"], [], ["BTCEUR", "BTCUSDT"]),
        (["B*T*R"], [], ["BTCEUR"]),
        (["all"], ["*USDT", "ETHBTC"], ["BTCEUR", "USDTTRY"]),
        (["*"], ["all"], []),
        (["SOLUSDT", "*USDT"], [], ["SOLUSDT", "1000SATSUSDT", "BTCUSDT"]),
        (["SOLUSDT", "BTCEUR"], ["SOL*"], ["BTCEUR"]),
        (["SOLUSDT", "BTCEUR"], ["SOLUSDT"], ["BTCEUR"]),
    ],
)
def test_words_mean_the_names_and_what_patterns_match(
    words: list[str], exclude: list[str], meant: list[str]
) -> None:
    assert patterns.chosen(words, exclude, LISTED) == meant


@given(
    st.lists(st.text("AB*", min_size=1, max_size=30).filter(lambda word: "*" in word)),
    st.lists(st.text("AB", min_size=2, max_size=30)),
)
def test_a_pattern_means_only_listed_symbols_and_never_takes_long(
    words: list[str], listed: list[str]
) -> None:
    found = patterns.chosen(words, [], listed)
    assert {*found} <= {*listed}
    assert {*patterns.chosen(["all"], words, listed)} == {*listed} - {*found}


def test_many_stars_cost_no_time_where_they_do_not_match() -> None:
    assert patterns.chosen(["*A*A*A*A*A*A*A*A*A*A*A*A*A*A*B"], [], ["A" * 30]) == []
