"""Which symbols a configuration means, as far as a lake knows: for all that asks no exchange.

The collector asks, and does not need it.
"""

from crypto_lake import patterns
from crypto_lake.config import Exchange
from crypto_lake.layout import Layout
from crypto_lake.raw import instruments


def meant(layout: Layout, section: Exchange) -> list[str]:
    """Return the symbols that a configuration means, as far as this lake knows.

    Its patterns mean what traded by the newest table; in a lake that has none, what has raw folders.
    """
    known = set[str]()
    # Few lakes have patterns; the others need not read the table.
    if patterns.has_patterns(section.symbols):
        found = instruments.newest(layout, section.name)
        known = instruments.trading(found[1]) if found else {*layout.raw_symbols(section.name)}
    return patterns.chosen(section.symbols, section.exclude, known)
