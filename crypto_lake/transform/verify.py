"""Whether every finished file is, byte for byte, what was verified when it was made: each against its checksum.

Raw segments as well: against the checksum that was noted when they were sealed, or landed by healing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.raw import checksums, segments
from crypto_lake.raw.lines import TICKS
from crypto_lake.transform import ticks


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
        layout.ticks_symbol(exchange.name, symbol) / stream.table
        for exchange in config.exchanges
        for symbol in layout.ticks_symbols(exchange.name)
        for stream in TICKS
    }
    bereft = {path.with_suffix("") for folder in folders for path in folder.glob("*.parquet.sha256")}
    return sorted({*there, *bereft})


def damages(config: Config, paths: list[Path]) -> Iterator[Damage | None]:
    """For each file in turn what is wrong with it, or None."""
    for path in paths:
        what = parquet.damage(path, config.layout.checksum(path))
        yield Damage(path, what) if what else None


class RawFolder(NamedTuple):
    """The segments of one symbol that were received, or healed, on one day."""

    exchange: str
    day: date
    symbol: str


@dataclass
class RawLook:
    """What came of reading a folder: segments read, those without a checksum to read them against, and damages."""

    read: int = 0
    without: int = 0
    damages: list[Damage] = field(default_factory=list)


def raw_folders(config: Config) -> list[RawFolder]:
    """All there are, in an order in which each day's journal has to be read once."""
    layout = config.layout
    return sorted(
        RawFolder(exchange.name, day, symbol)
        for exchange in config.exchanges
        for symbol in layout.raw_symbols(exchange.name)
        for day in layout.raw_days(exchange.name, symbol)
    )


def raw_looks(config: Config, folders: list[RawFolder]) -> Iterator[RawLook]:
    """For each folder in turn, as `raw_folders` lists them, what was found."""
    layout = config.layout
    for (exchange, day), some in groupby(folders, key=lambda one: (one.exchange, one.day)):
        known = checksums.noted(layout, exchange, day)
        for folder in some:
            look = RawLook()
            for path in segments.sealed(layout.raw_day(exchange, folder.symbol, day)):
                wanted = checksums.expected(layout, folder.symbol, path, known)
                look.read += wanted is not None
                look.without += wanted is None
                if wanted and (what := checksums.difference(path, wanted)):
                    look.damages.append(Damage(path, what))
            yield look
