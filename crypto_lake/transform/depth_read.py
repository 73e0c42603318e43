"""Depth as a book is rebuilt from it: its events and snapshots, in order, each with its levels as whole numbers."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet as pq

from crypto_lake.book.side import Level
from crypto_lake.disk import units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]

_OF_LINES = ("ts_event", "ts_recv", "first_id", "id", "is_snapshot")


class Line(NamedTuple):
    """What an event or a snapshot is, without its levels; times in µs, 0: none."""

    ts_event: int
    ts_recv: int
    first_id: int
    id: int
    is_snapshot: bool


class Lines(NamedTuple):
    """The events and snapshots of a row group: times in µs (0: none), ids, and the levels of all, one after the other.

    Those of line n are rows `begins[n]` to `begins[n + 1]` of the levels, its asks from `asks[n]` on.
    """

    ts_event: "Integers"
    ts_recv: "Integers"
    first_id: "Integers"
    id: "Integers"
    is_snapshot: "NDArray[np.bool_]"
    begins: list[int]
    asks: list[int]
    levels: list[Level]

    def each(self) -> Iterator[Line]:
        """Yield the lines, in order."""
        columns = (self.ts_event, self.ts_recv, self.first_id, self.id, self.is_snapshot)
        return map(Line._make, zip(*(column.tolist() for column in columns), strict=True))

    def sides(self, number: int) -> tuple[list[Level], list[Level]]:
        """Return the bids and the asks of a line."""
        begin, middle, end = self.begins[number], self.asks[number], self.begins[number + 1]
        return self.levels[begin:middle], self.levels[middle:end]


def lines(path: Path) -> Iterator[Lines]:
    """The lines of a file of depth, a row group at a time; no line lies in two of them."""
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            yield _lines(file.read_row_group(number, use_threads=False))


def group(path: Path, number: int) -> Lines:
    """The lines of one row group of a file."""
    with pq.ParquetFile(path) as file:
        return _lines(file.read_row_group(number, use_threads=False))


def outlines(path: Path) -> "Iterator[dict[str, Integers]]":
    """The same as `lines` without their levels: the columns of `Line`, a row group at a time."""
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            columns, _ = _of_lines(file.read_row_group(number, columns=list(_OF_LINES), use_threads=False))
            yield columns


def event_times(path: Path) -> "Integers":
    """The times of all events of a file, in order, in µs."""
    found = (columns["ts_event"][~columns["is_snapshot"].astype(bool)] for columns in outlines(path))
    return np.concatenate([np.empty(0, np.int64), *found])


def _of_lines(rows: pa.Table) -> "tuple[dict[str, Integers], Integers]":
    """Return what is said of each line, and the row on which each begins."""
    columns = {name: _integers(rows[name]) for name in _OF_LINES}
    ids, snapshots = columns["id"], columns["is_snapshot"]
    is_first = np.ones(len(ids), bool)
    # A snapshot may have the id of an event.
    is_first[1:] = (ids[1:] != ids[:-1]) | (snapshots[1:] != snapshots[:-1])
    begins = np.flatnonzero(is_first)
    return {name: column[begins] for name, column in columns.items()}, begins


def _integers(column: pa.ChunkedArray) -> "Integers":
    """Return a column of numbers, times or truths; 0 for null."""
    plain = column.cast(pa.int64() if not pa.types.is_boolean(column.type) else pa.int8())
    return np.asarray(np.from_dlpack(pc.fill_null(plain.combine_chunks(), 0))).astype(np.int64, copy=False)


def _lines(rows: pa.Table) -> Lines:
    columns, begins = _of_lines(rows)
    is_ask = _integers(pc.equal(rows["side"], "ask")).astype(bool)
    has_level = _integers(pc.is_valid(rows["side"])).astype(bool)
    ends = np.append(begins[1:], rows.num_rows)
    bids = _before(has_level & ~is_ask)
    all_levels = _before(has_level)
    starts = all_levels[begins]
    keys = units.halves(rows["price"].combine_chunks())[:, 0].astype(np.int64)
    keys = np.where(is_ask, -keys, keys)[has_level]
    qtys = units.whole(rows["qty"].combine_chunks().filter(pa.array(has_level)))
    return Lines(
        **{name: column for name, column in columns.items() if name != "is_snapshot"},
        is_snapshot=columns["is_snapshot"].astype(bool),
        begins=[*starts.tolist(), len(qtys)],
        asks=(starts + bids[ends] - bids[begins]).tolist(),
        levels=list(zip(keys.tolist(), qtys, strict=True)),
    )


def _before(is_counted: "NDArray[np.bool_]") -> "Integers":
    """Return how many rows before each, and before the end, are counted."""
    return np.concatenate([[0], np.cumsum(is_counted)])
