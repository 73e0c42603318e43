"""Whether every finished file is, byte for byte, what was verified when it was made: each against its checksum."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from crypto_lake import parquet, ticks
from crypto_lake.config import Config
from crypto_lake.layout import Layout
from crypto_lake.schema import TICKS


class Damage(NamedTuple):
    """A file that is not what it was, and how that shows."""

    path: Path
    what: str


def finished_files(config: Config) -> list[Path]:
    """Daily bars and ticks, and those of which only the checksum is left, in order of their paths."""
    layout = config.layout
    daily = [
        layout.daily(exchange.name, symbol, day)
        for exchange in config.exchanges
        for symbol in layout.bars_symbols(exchange.name)
        for day in layout.daily_days(exchange.name, symbol)
    ]
    there = [*daily, *ticks.all_paths(config)]
    folders = {layout.bars_symbol(e.name, s) for e in config.exchanges for s in layout.bars_symbols(e.name)}
    folders |= {
        layout.ticks_symbol(exchange.name, symbol) / kind
        for exchange in config.exchanges
        for symbol in layout.ticks_symbols(exchange.name)
        for kind in TICKS
    }
    bereft = {path.with_suffix("") for folder in folders for path in folder.glob("*.parquet.sha256")}
    return sorted({*there, *bereft})


def damages(config: Config, paths: list[Path]) -> Iterator[Damage | None]:
    """For each file in turn what is wrong with it, or None."""
    for path in paths:
        what = _wrong(config.layout, path)
        yield Damage(path, what) if what else None


def _wrong(layout: Layout, path: Path) -> str | None:
    beside = layout.checksum(path)
    if not path.exists():
        return "is missing; its checksum is there"
    if not beside.exists():
        return "has no checksum beside it"
    words = beside.read_text(encoding="ascii", errors="replace").split()
    if len(words) != 2 or words[1] != path.name:  # noqa: PLR2004 - a checksum and a name
        return "has a checksum file that cannot be understood"
    found = parquet.sha256(path)
    return None if found == words[0] else f"has the checksum {found}; expected {words[0]}"
