"""A collector's share of the symbols: `1/4` is the first of four collectors, which record each symbol twice.

Rendezvous hashing: each collector has a score for each symbol's name, and the two highest record it. So nobody has to
coordinate, and where a collector comes or goes only those symbols move that it records. No I/O.
"""

import re
from hashlib import blake2b
from typing import NamedTuple, Self

# So many record each symbol, if there are as many.
_COPIES = 2
_spelt = re.compile(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})").fullmatch


class Share(NamedTuple):
    """This collector is `number`, counted from 1, of so many."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return what a text such as `1/4` says; None where it says nothing that can be."""
        match = _spelt(text)
        found = cls(int(match[1]), int(match[2])) if match else None
        return found if found and found.number <= found.of else None

    def has(self, symbol: str) -> bool:
        """Return whether this collector records a symbol."""
        mine = _score(self.number, symbol)
        higher = sum(_score(other, symbol) > mine for other in range(1, self.of + 1))
        return higher < _COPIES


def _score(number: int, symbol: str) -> tuple[bytes, int]:
    # With the number, so that no two are equal.
    return blake2b(f"{number} {symbol}".encode(), digest_size=8).digest(), number
