"""Text from outside, shown: nothing steers a terminal, nothing forges a line, no key is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake import showing


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.binance.com/api/v3", "https://api.binance.com/api/v3"),
        ("wss://stream.binance.com:9443/ws", "wss://stream.binance.com:9443/ws"),
        ("https://user:pw@host:1/p?token=k#f", "https://host:1/p"),
        ("https://key@host", "https://host"),
        ("https://user:p@w@host/p", "https://host/p"),
        ("https://[::1]:8080/p", "https://[::1]:8080/p"),
        ("wss://host/ws/btcusdt@trade", "wss://host/ws/btcusdt@trade"),
        ("https://user:p/w@host/p", "https://user:…"),
        ("https://user:p?w@host/p", "https://user:…"),
        ("https://user:12?3@host/p", "https://…"),
        ("wss://host:9443/stream?streams=btcusdt@trade", "wss://host:9443/stream"),
        ("https://host:port/p", "https://host:…"),
        ("https://u/:pw@host/p", "https://u/…"),
        ("https://:/:pw?@host/p", "https://:/…"),
        ("ws://:0/ws", "ws://:0/ws"),
        ("https://", "https://…"),
        ("no address", "no address"),
        ("https://ho\x1bst/", "https://ho\\x1bst/"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert showing.address(url) == shown


def test_addresses_within_a_text_are_shown_so_too() -> None:
    text = "cannot reach 'https://user:pw@host/p?token=k': see wss://key@other:1/ws."
    assert showing.printable(text) == "cannot reach 'https://host/p': see wss://other:1/ws."


def test_a_query_that_is_quoted_without_its_host_is_masked() -> None:
    text = "GET /api/v3/klines?token=k&symbol=X was refused; why? a=b"
    assert showing.printable(text) == "GET /api/v3/klines?…&… was refused; why? a=b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("right\u202eleft", "right\\u202eleft"),
        ("a\r\nb\tc", "a b c"),
        ("zürich – µs 漢字 ε", "zürich – µs 漢字 ε"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_is_no_visible_character_becomes_visible(text: str, shown: str) -> None:
    assert showing.printable(text) == shown


def test_lines_stay_lines_where_they_are_wanted() -> None:
    assert showing.printable("a\n\n  b\x1b\tc", lines=True) == "a\n\n  b\\x1b    c"


def test_a_text_that_is_too_long_is_cut() -> None:
    assert showing.printable("x" * 1000, 10) == "xxxxxxxxx…"


@given(st.text(), st.integers(1, 50), st.booleans())
def test_whatever_comes_is_printable_and_short(text: str, longest: int, lines: bool) -> None:
    shown = showing.printable(text, longest, lines=lines)
    assert all(line.isprintable() for line in shown.split("\n"))
    assert len(shown) <= longest
    assert lines or "\n" not in shown


@given(st.text())
def test_what_was_shown_once_is_shown_the_same(text: str) -> None:
    shown = showing.printable(text, 100_000)
    assert showing.printable(shown, 100_000) == shown


_WORD = st.text(st.characters(codec="ascii", categories=["L", "P", "S"]), min_size=1, max_size=8)


@given(_WORD, _WORD)
def test_no_part_of_a_password_is_shown(user: str, after: str) -> None:
    assert "CANARY" not in showing.printable(f"error at https://{user}:CANARY{after}@host/p, sorry")


@pytest.mark.parametrize(
    "said",
    [
        "us%24er",
        "US$ER",
        "p&ss/word",
        "p%26ss%2fword",
        "p&amp;ss/word",
        "dXMkZXI6cCZzcy93b3Jk",
        "key1 key2",
        "key1+key2",
        "key1%20key2",
        "bare",
        "u$",
    ],
)
def test_what_is_secret_in_an_address_is_blanked_however_it_is_spelled(said: str) -> None:
    url = "https://us%24er:p%26ss%2Fword@host/p?token=key1+key2&bare&short=u$"
    assert showing.without_secrets(f"<p>you are {said}, no?", url) == "<p>you are …, no?"


@pytest.mark.parametrize("url", ["https://host:9443/p", "", "https://[", "https://host/p?&="])
def test_an_address_without_secrets_blanks_nothing(url: str) -> None:
    assert showing.without_secrets("host 9443 p", url) == "host 9443 p"


def test_a_secret_of_one_letter_leaves_other_words_whole() -> None:
    assert showing.without_secrets("a bad gateway: a", "https://a@host") == "… bad gateway: …"
