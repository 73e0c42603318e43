"""How an exchange numbers its trades, as far as collector and lake have to agree on it. No I/O.

Numbers rise by one. A number that is not there is a trade that was missed, unless so many would have to be missing
that no exchange could have made them in the time between: then it went on counting elsewhere.
"""

# The busiest seconds that were published have some ten thousand trades of a symbol, the busiest hours a few million.
# Both bounds are far above, since a hole that is taken for a jump is never healed, and a jump that is taken for a
# hole costs a question.
MOST_AT_ONCE = 100_000
MOST_A_SECOND = 5_000
_SECOND_US = 1_000_000


def may_be_missing(count: int, elapsed_us: int) -> bool:
    """Whether so many trades can have happened in so many µs."""
    return count <= MOST_AT_ONCE + MOST_A_SECOND * max(0, elapsed_us) // _SECOND_US
