"""Rows of ticks from Parquet, a piece at a time: a day of trades or quotes is never in memory as a whole.

Here belong the pieces and where to look for a time or an id; what the columns mean is the tape's.
"""

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from crypto_lake.disk import units
from crypto_lake.errors import LakeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Columns = dict[str, "NDArray[Any]"]
# Of fewer rows to a piece a row group would be read too often, more would be no faster.
_FEWEST, _MOST = 250, 120_000


class Pieces:
    """The newest pieces of all files together: as many rows as are allowed, whatever the files hold."""

    def __init__(self, files: int, rows: int) -> None:
        # One of each file, or each would be read anew for each stretch that is sent.
        self.rows_a_piece = min(max(rows // max(files, 1), _FEWEST), _MOST)
        self._most = max(rows // self.rows_a_piece, 2)
        self._kept: OrderedDict[tuple[Path, int], Columns] = OrderedDict()
        # Questions over REST are answered in threads.
        self._lock = threading.Lock()

    def get(self, key: tuple[Path, int], make: Callable[[], Columns]) -> Columns:
        """Return a piece, made where it is not there."""
        with self._lock:
            found = self._kept.pop(key, None)
            if found is None:
                found = make()
            self._kept[key] = found
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return found


@dataclass(frozen=True)
class _Index:
    """Of each piece: its row group, its first row in that and the row after its last, its times (µs) and ids."""

    group: list[int]
    rows: list[tuple[int, int]]
    times: "NDArray[np.int64]"
    ids: "NDArray[np.int64]"


class Rows:
    """The rows of one file, in its order. Times are those of `ts_event`, µs UTC.

    Raises:
        LakeError: the file cannot be read; also at any question.
    """

    def __init__(self, path: Path, columns: Sequence[str], pieces: Pieces) -> None:
        self.path = path
        self._columns = list(columns)
        self._pieces = pieces
        self._index = self._indexed()

    def between(self, start_us: int, end_us: int) -> Iterator[Columns]:
        """Pieces of rows with `start_us <= ts_event < end_us`, in the order of the file."""
        times = self._index.times
        for number in np.flatnonzero((times[:, 0] < end_us) & (times[:, 1] >= start_us)).tolist():
            piece = self._piece(number)
            yield chosen(piece, (piece["ts_event"] >= start_us) & (piece["ts_event"] < end_us))

    def from_id(self, first_id: int) -> Iterator[Columns]:
        """Pieces of rows with an id of at least `first_id`, in order of the file."""
        for number in np.flatnonzero(self._index.ids[:, 1] >= first_id).tolist():
            piece = self._piece(number)
            yield chosen(piece, piece["id"] >= first_id)

    def up_to(self, time_us: int) -> Iterator[Columns]:
        """Pieces of rows with `ts_event <= time_us`, the last ones first; rows within a piece in order."""
        for number in np.flatnonzero(self._index.times[:, 0] <= time_us)[::-1].tolist():
            piece = self._piece(number)
            yield chosen(piece, piece["ts_event"] <= time_us)

    def _indexed(self) -> _Index:
        """Read times and ids once, a row group at a time."""
        groups: list[int] = []
        rows: list[tuple[int, int]] = []
        ends: list[tuple[int, int, int, int]] = []
        with _opened(self.path) as file:
            for group in range(file.num_row_groups):
                found = _decoded(file.read_row_group(group, columns=["ts_event", "id"]))
                for first in range(0, len(found["id"]), self._pieces.rows_a_piece):
                    at = slice(first, first + self._pieces.rows_a_piece)
                    times, ids = found["ts_event"][at], found["id"][at]
                    groups.append(group)
                    rows.append((first, first + len(ids)))
                    ends.append((int(times.min()), int(times.max()), int(ids.min()), int(ids.max())))
        table = np.array(ends, np.int64).reshape(-1, 4)
        return _Index(groups, rows, table[:, :2], table[:, 2:])

    def _piece(self, number: int) -> Columns:
        return self._pieces.get((self.path, number), lambda: self._read(number))

    def _read(self, number: int) -> Columns:
        first, last = self._index.rows[number]
        with _opened(self.path) as file:
            table = file.read_row_group(self._index.group[number], columns=self._columns)
            return _decoded(table.slice(first, last - first))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (OSError, pa.ArrowException, KeyError) as error:
        raise LakeError(f"{path}: cannot be read: {' '.join(str(error).split())}") from None


def chosen(piece: Columns, which: "NDArray[np.bool_] | slice") -> Columns:
    """Some of its rows."""
    if isinstance(which, np.ndarray) and which.all():
        return piece
    return {name: column[which] for name, column in piece.items()}


def _decoded(table: pa.Table) -> Columns:
    return {name: _column(table[name].combine_chunks()) for name in table.column_names}


def _column(column: pa.Array) -> "NDArray[Any]":
    """Times as µs, decimals as whole numbers of their last digit (Python's where 64 bits do not hold them)."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    elif pa.types.is_decimal(kind):
        return _whole_numbers(column)
    elif pa.types.is_string(kind) or pa.types.is_boolean(kind):
        return np.array(column.to_pylist(), object)
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def _whole_numbers(column: pa.Array) -> "NDArray[Any]":
    low, high = units.halves(column).T
    if high.any() or (low >> 63).any():
        wider: NDArray[Any] = np.array(units.whole(column), object)
        return wider
    found: NDArray[Any] = low.astype(np.int64)
    return found
