"""Days with an order book, as tests write them by hand: files of boundaries, level changes and quotes of a symbol."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from crypto_lake.disk import checksums, parquet
from crypto_lake.schema import BOUNDARY, DEPTH, QUOTE, Column
from crypto_lake.series import Series
from crypto_lake_tests.raw_lines import DAY, START, SYMBOL

Duck = duckdb.DuckDBPyConnection
Top = tuple[str, str, str, str]
TOP: Top = ("100.00", "1.0", "101.00", "2.0")


class Event(NamedTuple):
    """The end of an event: µs since START, last id, best bid and ask, first id, levels (side, price, quantity).

    `certain`: no better level can be there than its best ones."""

    at: int
    id: int
    top: Top = TOP
    first_id: int | None = None
    unbroken: bool = True
    certain: bool = True
    levels: tuple[tuple[str, str, str], ...] = ()


class Quote(NamedTuple):
    """A quote: µs since START, id, best bid and ask."""

    at: int
    id: int
    top: Top = TOP


def write_book(
    duck: Duck, series: Series, events: Sequence[Event], day: date = DAY, snapshots: Sequence[int] = ()
) -> None:
    """Write the boundaries and the level changes of a day."""
    boundaries, depth, before = [], [], 0
    for one in events:
        first = before + 1 if one.first_id is None else one.first_id
        at, before = START + one.at, one.id
        boundaries.append((SYMBOL, at, at, first, one.id, *one.top, one.unbroken, one.certain))
        depth += [(SYMBOL, at, at, first, one.id, *level, False) for level in one.levels or [(None,) * 3]]
    depth += [(SYMBOL, None, START, None, number, "bid", "1.00", "1.0", True) for number in snapshots]
    layout = series.layout
    write(duck, layout.boundaries("binance", SYMBOL, day), BOUNDARY, boundaries)
    write(duck, layout.depth("binance", SYMBOL, day), DEPTH, depth)


def write_quotes(duck: Duck, series: Series, quotes: Sequence[Quote], day: date = DAY) -> None:
    """Write the quotes of a day."""
    rows = [(SYMBOL, one.id, START + one.at, START + one.at, *one.top) for one in quotes]
    write(duck, series.layout.ticks("binance", SYMBOL, "quotes", day), QUOTE, rows)


def write(duck: Duck, path: Path, columns: tuple[Column, ...], rows: Sequence[tuple[object, ...]]) -> None:
    """Write rows, in which times are µs, as a file with its checksum."""
    plain = {one.name: "BIGINT" if "TIME" in one.type else one.type for one in columns}
    duck.execute(f"CREATE OR REPLACE TEMP TABLE written ({', '.join(f'{n} {t}' for n, t in plain.items())})")
    if rows:
        # In one go: a statement for each of a day's events takes a second.
        values = [pa.array(column) for column in zip(*rows, strict=True)]
        with parquet.registered(duck, given=pa.table(values, [one.name for one in columns])):
            duck.execute("INSERT INTO written FROM given")
    shown = (
        f"make_timestamptz({one.name}) AS {one.name}" if "TIME" in one.type else one.name for one in columns
    )
    parquet.write(duck, f"SELECT {', '.join(shown)} FROM written", path, "zstd", footer={})
    checksums.note(path.with_name(path.name + ".sha256"), path, checksums.of(path))
