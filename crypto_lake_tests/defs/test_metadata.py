"""What Dagster's page is told: words that come from an exchange stay words."""

from crypto_lake.defs import metadata


def test_an_exchanges_words_become_no_link_picture_or_column_in_a_table() -> None:
    words = "![x](http://evil/x.png) <img src=x> `a` | b\n| c \x1b[31m https://u:CANARY@host/p"
    told = metadata._table([{"reason": words, "n": 1}]).md_str
    assert told is not None
    assert told.splitlines()[-1] == (
        "| !\\[x](http://evil/x.png) \\<img src=x> \\`a\\` \\| b \\| c \\\\x1b\\[31m https://host/p | 1 |"
    )
