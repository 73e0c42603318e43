"""Whether levels of the order book changed between a quote and a boundary, asked of a day's depth.

Depth is read a stretch at a time, and of it only what lies between any of the quotes and its boundary. So memory does
not grow with the day, however many are asked about.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from crypto_lake.disk import parquet
from crypto_lake.transform import best

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDES = ("bid", "ask")
_BATCH = 131_072
# The key of the row of an event that changed none.
_NO_LEVEL = -1
_COLUMNS = ["id", "side", "price", "is_snapshot"]


class Asked(NamedTuple):
    """Levels in question, by the number of their side and price: the ids of the quote and of the boundary.

    `is_vague`: it may lie beyond what snapshots tell.
    """

    side: "NDArray[np.int64]"
    price: "NDArray[np.int64]"
    quote_id: "NDArray[np.int64]"
    id: "NDArray[np.int64]"
    is_vague: "NDArray[np.bool_]"

    @property
    def key(self) -> "NDArray[np.int64]":
        """One number for side and price."""
        return self.price * len(SIDES) + self.side


class _Stretch(NamedTuple):
    """A stretch of depth: of each row its id and level's key (-1: none), and whether it is of a snapshot."""

    id: "NDArray[np.int64]"
    key: "NDArray[np.int64]"
    is_snapshot: "NDArray[np.bool_]"


def changed(path: Path, asked: Asked) -> "NDArray[np.bool_]":
    """Return of each level whether an event told of it after the quote, up to the boundary.

    A snapshot tells of every level. What was before the day's first event is not known, and counts as a change. Of a
    level that is vague only events count.
    """
    file = pq.ParquetFile(path, pre_buffer=False)
    keys, level = np.unique(asked.key, return_inverse=True)
    found = (asked.quote_id < _first_id(file)) & ~asked.is_vague
    for stretch in _between(file, int(asked.quote_id.min()), int(asked.id.max())):
        snapshots = np.unique(stretch.id[stretch.is_snapshot])
        told = np.searchsorted(snapshots, asked.quote_id) < np.searchsorted(snapshots, asked.id, "right")
        found |= told & ~asked.is_vague
        place = np.minimum(np.searchsorted(keys, stretch.key), len(keys) - 1)
        is_asked = ~stretch.is_snapshot & (keys[place] == stretch.key)
        open_ones = np.flatnonzero(~found)
        some = level[open_ones], asked.quote_id[open_ones], asked.id[open_ones]
        found[open_ones] = _meets(stretch.id[is_asked], place[is_asked], some)
    return found


def _meets(
    ids: "NDArray[np.int64]",
    levels: "NDArray[np.int64]",
    asked: tuple["NDArray[np.int64]", "NDArray[np.int64]", "NDArray[np.int64]"],
) -> "NDArray[np.bool_]":
    """Return of each level that is asked about (its number, from and to which id) whether it is among these."""
    level, first, last = asked
    known, rank = np.unique(ids, return_inverse=True)
    # One number for level and id: the rank of an id among these is small.
    width = len(known) + 1
    told = np.sort(levels * width + rank)
    begin = level * width + np.searchsorted(known, first)
    until = level * width + np.searchsorted(known, last, "right")
    return np.searchsorted(told, begin) < np.searchsorted(told, until)


def _first_id(file: pq.ParquetFile) -> int:
    """Return the first id of a day's depth, which its first rows have."""
    for batch in file.iter_batches(1, columns=["first_id", "id"]):
        row = batch.to_pylist()[0]
        return int(row["id"] if row["first_id"] is None else row["first_id"])
    return 0


def _between(file: pq.ParquetFile, first: int, last: int) -> Iterator[_Stretch]:
    """Give the stretches of a file, whose rows are in order of id, that may have ids from the first to the last."""
    groups = [n for n in range(file.num_row_groups) if _overlaps(file, n, first, last)]
    if not groups:
        return
    for batch in file.iter_batches(_BATCH, row_groups=groups, columns=_COLUMNS):
        rows = pa.Table.from_batches([batch])
        there = best.valid(rows["side"])
        key = np.full(len(rows), _NO_LEVEL)
        key[there] = best.price(rows)[there] * len(SIDES) + _sides(rows["side"])[there]
        yield _Stretch(parquet.integers(rows, "id"), key, best.truths(rows["is_snapshot"]))


def _sides(column: pa.ChunkedArray) -> "NDArray[np.int64]":
    """Return the numbers of sides; of a null any."""
    found = column.combine_chunks().dictionary_encode()
    numbers = np.array([SIDES.index(name) for name in found.dictionary.to_pylist()], dtype=np.int64)
    place = np.frombuffer(found.indices.buffers()[1], dtype=np.int32)[: len(found)]
    return (
        numbers[np.clip(place, 0, len(numbers) - 1)] if len(numbers) else np.zeros(len(found), dtype=np.int64)
    )


def _overlaps(file: pq.ParquetFile, group: int, first: int, last: int) -> bool:
    of_group = file.metadata.row_group(group)
    column = of_group.column(file.schema_arrow.names.index("id"))
    told = column.statistics
    return not (told and told.has_min_max) or (told.min <= last and told.max >= first)
