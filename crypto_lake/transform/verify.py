"""Verify that every finished file is, byte for byte, what was verified when it was made, by its checksum.

Raw segments as well: against the checksum that was noted when they were sealed, or landed by healing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

from crypto_lake.config import Config
from crypto_lake.disk import checksums
from crypto_lake.raw import originals, segments
from crypto_lake.raw.lines import FAMILIES, TICKS
from crypto_lake.series import Series
from crypto_lake.transform import ticks


class Damage(NamedTuple):
    """A file that is not what it was, and how that shows."""

    path: Path
    what: str


def finished_files(series: Iterable[Series]) -> list[Path]:
    """Daily bars, their minutes, ticks and books, and what only a checksum is left of, in order of their paths."""
    return sorted(path for one in series for path in _of_series(one))


def _of_series(series: Series) -> set[Path]:
    layout, exchange, symbol = series.layout, series.exchange, series.symbol
    daily = [layout.daily(exchange, symbol, day) for day in layout.daily_days(exchange, symbol)]
    minutes = [layout.minutes(exchange, symbol, day) for day in layout.minute_days(exchange, symbol)]
    ticks_folder = layout.ticks_symbol(exchange, symbol)
    of_book = _folders_of_book(series)
    folders = [
        layout.bars_symbol(exchange, symbol),
        layout.minutes_symbol(exchange, symbol),
        *(ticks_folder / stream.table for stream in TICKS),
        *of_book,
    ]
    bereft = (path.with_suffix("") for folder in folders for path in folder.glob("*.parquet.sha256"))
    book = (path for folder in of_book for path in folder.glob("*.parquet") if path.name[0] != ".")
    return {*daily, *minutes, *ticks.all_paths(series), *book, *bereft}


def _folders_of_book(series: Series) -> list[Path]:
    """The folders of a symbol's depth, and of its book's files."""
    layout, where = series.layout, (series.exchange, series.symbol, date.min)
    places = (layout.depth, layout.book, layout.boundaries, layout.book_end, layout.proof)
    return [place(*where).parent for place in places]


def damages(config: Config, paths: list[Path]) -> Iterator[Damage | None]:
    """For each file in turn what is wrong with it, or None."""
    for path in paths:
        what = checksums.damage(path, config.layout.checksum(path))
        yield Damage(path, what) if what else None


class RawFolder(NamedTuple):
    """The segments of one symbol that were received, or healed, on one day."""

    exchange: str
    day: date
    symbol: str


@dataclass
class RawLook:
    """The result of reading a folder: segments read, those without a checksum to read them against, and damages."""

    read: int = 0
    without: int = 0
    damages: list[Damage] = field(default_factory=list)


def raw_folders(series: Iterable[Series]) -> list[RawFolder]:
    """All there are of some series, those of a day together: they share a journal."""
    return sorted(
        RawFolder(one.exchange, day, one.symbol)
        for one in series
        for day in one.layout.raw_days(one.exchange, one.symbol)
    )


def raw_looks(config: Config, folders: list[RawFolder]) -> Iterator[RawLook]:
    """For each folder in turn what was found."""
    layout = config.layout
    for exchange, day, symbol in folders:
        known = originals.noted(layout, exchange, symbol, day)
        look = RawLook()
        for path in segments.sealed(layout.raw_day(exchange, symbol, day), FAMILIES):
            wanted = originals.expected(layout, path, known)
            look.read += wanted is not None
            look.without += wanted is None
            if wanted and (what := originals.difference(path, wanted)):
                look.damages.append(Damage(path, what))
        yield look
