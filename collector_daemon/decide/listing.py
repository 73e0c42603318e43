"""What an exchange's list is worth, held against the one before it. No I/O."""

from crypto_lake.raw.instruments import Instrument, Table, trading

# So many symbols may go at once however few there are.
_FEW = 2


def is_plausible(before: Table, listed: Table) -> bool:
    """Return whether the exchange can mean what it lists.

    A list in which nothing trades, or in which more than half of what traded before does so no more, is that of an
    exchange in trouble (or halted as a whole), and no reason to end a recording that goes on over other connections.
    """
    traded, trades = trading(before), trading(listed)
    lost = len(traded - trades)
    return bool(trades) and (lost <= _FEW or 2 * lost <= len(traded))


def with_new(before: Table, listed: Table) -> dict[str, Instrument]:
    """Return the list before, with what trades by a list that is not believed: a new symbol costs nothing."""
    return {**before, **{symbol: one for symbol, one in listed.items() if one.trading}}
