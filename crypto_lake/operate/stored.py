"""The store at a glance: whether it answers, what waits to be shipped, and what it holds of each symbol."""

import time

from rich.console import Console
from rich.table import Table

from crypto_lake import patterns
from crypto_lake.config import Config
from crypto_lake.errors import LakeError
from crypto_lake.operate.ship import loop
from crypto_lake.showing import printable
from crypto_lake.staging import holdings, identity, known
from crypto_lake.staging.holdings import Kind

_SHOWN = 20
# It says how it is each few seconds, when the store is away each minute.
_DEAD_AFTER_SEC = 90
_COLUMNS = {
    "raw": (Kind.RAW,),
    "bars": (Kind.PARTS, Kind.DAILY),
    "in parts": (Kind.PARTS,),
    "daily files": (Kind.DAILY,),
    "ticks": (Kind.TICKS,),
    "candles": (Kind.CANDLES,),
}


def show(console: Console, config: Config, symbol: str, *, everything: bool = False) -> None:
    """Print it; a store that does not answer is told as such."""
    try:
        table, more = _holdings(config, symbol, everything=everything)
    except LakeError as error:
        # What is wrong with the section says so itself.
        told = printable(str(error).removeprefix("store: "))
        console.print(f"Store: {told}", highlight=False, markup=False, soft_wrap=True)
    else:
        console.print(
            f"Store: {printable(str(identity.opened(config)))}, answers",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        console.print(table)
        if more > 0:
            console.print(f"… and {more:,} more: --all shows them, --symbol PATTERN some", highlight=False)
    console.print(printable(_shipping(config)), highlight=False, markup=False, soft_wrap=True)


def _holdings(config: Config, symbol: str, *, everything: bool) -> tuple[Table, int]:
    table = Table("symbol", *_COLUMNS, title="Lake; in days")
    every = known(config)
    names = {one.symbol for one in every}
    meant = names if symbol == patterns.ALL else patterns.matching(symbol, names)
    series = [one for one in every if one.symbol in meant]
    most = len(series) if everything else _SHOWN
    for one, held in holdings.of_each(config, series[:most]):
        days = (set[object]().union(*(held[kind] for kind in kinds)) for kinds in _COLUMNS.values())
        table.add_row(one.symbol, *(f"{len(some):,}" for some in days))
    return table, len(series) - most


def _shipping(config: Config) -> str:
    """Say how `crypto-lake ship` is on this machine."""
    found = loop.status(config)
    if found is None:
        return "Shipping: nothing was ever shipped from here"
    age = (time.time_ns() - found.at_ns) / 1e9
    told = "nothing waits"
    if found.files:
        oldest = (time.time_ns() - found.oldest_ns) / 1e9
        told = (
            f"{found.files:,} files wait ({found.size / 1e6:,.1f} MB), the oldest for {oldest / 60:,.0f} min"
        )
    said = f"Shipping: {told}" + (f"; {found.trouble}" if found.trouble else "")
    return said if age < _DEAD_AFTER_SEC else f"{said}; it last gave a sign {age / 60:,.0f} min ago"
