"""The instruments that an exchange lists: a table a day, `reference/`.

The collector writes it when it looks at the exchange's list; whoever has no exchange to ask reads the newest. Light,
for the collector. How an exchange spells its list belongs into its package.
"""

from collections.abc import Mapping
from datetime import date
from itertools import groupby
from pathlib import Path

import msgspec
from loguru import logger
from msgspec import Struct

from crypto_lake.disk import publish
from crypto_lake.errors import NOT_JSON, LakeError
from crypto_lake.layout import Layout


class Instrument(Struct, frozen=True):
    """One symbol that an exchange lists. What it does not tell is None.

    `status` is the exchange's own word, `trading` whether it trades at this moment; `tick` is the smallest step of a
    price and `lot` that of a quantity, as decimal strings. `listed_since` is the first day on which the lake saw it
    listed, and in every table since; None until it is entered in one.
    """

    symbol: str
    status: str
    trading: bool
    base: str | None = None
    quote: str | None = None
    tick: str | None = None
    lot: str | None = None
    listed_since: date | None = None


# By symbol.
Table = Mapping[str, Instrument]
_decode = msgspec.json.Decoder(list[Instrument]).decode


def read(path: Path) -> dict[str, Instrument]:
    """Return the table of a file.

    Raises:
        LakeError: there is none, it cannot be read, or is no such table.
    """
    try:
        # As text, or bytes that are no UTF-8 would pass in what is not one of ours, and DuckDB refuses the whole file.
        return {one.symbol: one for one in _decode(publish.read(path).decode())}
    except (OSError, *NOT_JSON) as error:
        raise LakeError(f"{path}: not a table of instruments: {error}") from None


def newest(layout: Layout, exchange: str) -> tuple[date, dict[str, Instrument]] | None:
    """Return the newest table that can be read, and its day; None where there is none. A damaged one is told.

    Several collectors each have a table of a day: of what they all list the first one by name tells.
    """
    for day, paths in groupby(reversed(layout.references(exchange)), key=lambda one: one[0]):
        found: dict[str, Instrument] = {}
        is_any = False
        for _, path in paths:
            try:
                found |= read(path)
            except LakeError as error:
                logger.error("{}; the one before it counts", error)
            else:
                is_any = True
        if is_any:
            return day, found
    return None


def write(layout: Layout, exchange: str, day: date, table: Table) -> None:
    """Replace a day's table, one instrument a line, sorted.

    Raises:
        OSError: the disk refused.
    """
    rows = b",\n".join(msgspec.json.encode(table[symbol]) for symbol in sorted(table))
    publish.write(layout.reference(exchange, day), b"[\n" + rows + b"\n]\n")


def entered(listed: Table, day: date, before: Table, of_day: Table) -> dict[str, Instrument]:
    """Return the table of `day` after a look at what is `listed` now.

    `before` is the newest table there is, which may be of the same day, and tells since when each is listed. What
    stands in the table `of_day` and is listed no more stays in it with its last status, and trades no more.
    """
    found = {
        symbol: msgspec.structs.replace(one, trading=False)
        for symbol, one in of_day.items()
        if symbol not in listed
    }
    for symbol, one in listed.items():
        known = before.get(symbol)
        found[symbol] = msgspec.structs.replace(one, listed_since=(known and known.listed_since) or day)
    return found


def trading(table: Table) -> set[str]:
    """Return the symbols that trade."""
    return {symbol for symbol, one in table.items() if one.trading}
