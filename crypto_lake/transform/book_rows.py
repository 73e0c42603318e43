"""The rows that a rebuilt book becomes: the best bid and ask after each event, the best levels at each second's end."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from crypto_lake.book.chain import Carried, Chain
from crypto_lake.book.side import Level, Side
from crypto_lake.disk import parquet, units
from crypto_lake.layout import DAY_US, SECOND_US
from crypto_lake.schema import BOOK, BOUNDARY, DEPTH
from crypto_lake.transform.depth_read import Lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

Append = Callable[[pa.Table], None]
# The levels of a side in a second's row.
DEEPEST = 20
_SECONDS = DAY_US // SECOND_US
# So many seconds are a row group.
_AT_ONCE = 14_400
_TIME = pa.timestamp("us", tz="UTC")


class Boundaries:
    """The boundaries of the events of one row group of depth."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._best: tuple[list[Level], list[Level]] = ([], [])
        self._is_known: list[bool] = []
        self._is_certain: list[bool] = []

    def add(self, chain: Chain, *, is_known: bool) -> None:
        """Add the boundary at which a chain is; the book is as it was at it where `is_known`."""
        sides = chain.sides if is_known else None
        self._is_known.append(chain.sides is not None)
        self._is_certain.append(sides is not None and sides[0].is_certain() and sides[1].is_certain())
        for number, best in enumerate(self._best):
            best.append((sides[number].top() if sides else None) or (0, 0))

    def table(self, lines: Lines) -> pa.Table:
        """Return the rows of all events of a row group, which have been added."""
        of_events = ~lines.is_snapshot
        (bids, asks), count = self._best, len(self._is_known)
        columns = [pa.repeat(self._symbol, count)]
        times = ("ts_event", "ts_recv")
        columns += [parquet.array(getattr(lines, name)[of_events]).cast(_TIME) for name in times]
        columns += [parquet.array(getattr(lines, name)[of_events]) for name in ("first_id", "id")]
        for best in (bids, asks):
            columns += _decimals(best, np.array([qty != 0 for _, qty in best], bool))
        columns += [pa.array(self._is_known), pa.array(self._is_certain)]
        return pa.table(columns, schema=parquet.arrow_schema(BOUNDARY))


class Seconds:
    """The seconds of a day, each written when the last event before its end is in the book, and the next one is known.

    `times` are those of all events, in order. They need not rise: of those before a second's end the one with the
    highest id counts. Where the next one does not follow on, nobody knows since when something is missing, so the book
    is not known at the end of any second between them.
    """

    def __init__(self, symbol: str, start: int, times: "NDArray[np.int64]", append: Append) -> None:
        self._symbol, self._start, self._append = symbol, start, append
        # The least of all times from an event on: below an instant as long as an event before it is still to come.
        least = np.minimum.accumulate(times[::-1])[::-1]
        ends = start + (np.arange(_SECONDS, dtype=np.int64) + 1) * SECOND_US
        self._due: list[int] = np.searchsorted(least, ends).tolist()
        self._done = self.written = 0
        # Of a quiet book many seconds are the same: how many are, the last event's id, both sides.
        self._counts: list[int] = []
        self._ids: list[int | None] = []
        self._sides: tuple[list[list[Level] | None], list[list[Level] | None]] = ([], [])

    def add(self, events: int, chain: Chain, *, is_followed: bool) -> None:
        """Add the seconds whose last event is the one of this number, counted from 1, if there are any."""
        due, first = self._due, self._done
        while self._done < _SECONDS and due[self._done] <= events:
            self._done += 1
        if count := self._done - first:
            known = chain.sides if is_followed else None
            self._counts.append(count)
            self._ids.append(chain.last_id if known else None)
            for number, rows in enumerate(self._sides):
                rows.append(known[number].best(DEEPEST) if known else None)
            if self._done - self.written >= _AT_ONCE:
                self.flush()

    def flush(self) -> None:
        """Write the seconds that are there."""
        count = self._done - self.written
        if not count:
            return
        starts = self._start + (self.written + np.arange(count, dtype=np.int64)) * SECOND_US
        of_rows = parquet.array(np.repeat(np.arange(len(self._counts)), self._counts))
        is_known = pa.array([one is not None for one in self._ids])
        states = [pa.array(self._ids, pa.int64()), *map(_lists, self._sides), is_known]
        columns = [pa.repeat(self._symbol, count), parquet.array(starts).cast(_TIME)]
        columns += [state.take(of_rows) for state in states]
        self._append(pa.table(columns, schema=parquet.arrow_schema(BOOK)))
        self.written += count
        self._counts.clear()
        self._ids.clear()
        for side in self._sides:
            side.clear()


def _lists(side: Sequence[list[Level] | None]) -> pa.Array:
    """Return the levels of rows as lists; null where they are not known."""
    kind = parquet.arrow_schema(BOOK).field("bids").type
    levels = [level for row in side for level in row or ()]
    offsets = np.zeros(len(side) + 1, np.int32)
    offsets[1:] = np.cumsum([len(row or ()) for row in side])
    is_known = np.array([row is not None for row in side], bool)
    price, qty = _decimals(levels)
    values = pa.StructArray.from_arrays([price, qty], fields=list(kind.value_type))
    mask = pa.py_buffer(np.packbits(is_known, bitorder="little"))
    return pa.Array.from_buffers(kind, len(side), [mask, pa.py_buffer(offsets)], children=[values])


def _decimals(levels: Sequence[Level], valid: "NDArray[np.bool_] | None" = None) -> tuple[pa.Array, pa.Array]:
    """Return the prices and quantities of levels; null where they are not valid."""
    price = units.of_whole([abs(key) for key, _ in levels], units.PRICE, valid)
    return price, units.of_whole([qty for _, qty in levels], units.QUANTITY, valid)


def end_table(symbol: str, carried: Carried) -> pa.Table:
    """Return the book at the end of a day as a snapshot of depth, which nobody received at any time."""
    sides: tuple[Side, ...] = carried.sides or ()
    of_sides = [sorted(side.levels.items(), reverse=True) for side in sides]
    levels = [level for one in of_sides for level in one]
    count = len(levels)
    names = [name for name, one in zip(("bid", "ask"), of_sides, strict=False) for _ in one]
    price, qty = _decimals(levels)
    values = {
        "symbol": pa.repeat(symbol, count),
        "ts_event": pa.nulls(count, _TIME),
        "ts_recv": pa.nulls(count, _TIME),
        "first_id": pa.nulls(count, pa.int64()),
        "id": pa.array([carried.id] * count, pa.int64()),
        "side": pa.array(names, pa.string()),
        "price": price,
        "qty": qty,
        "is_snapshot": pa.array([True] * count, pa.bool_()),
    }
    return pa.table([values[one.name] for one in DEPTH], schema=parquet.arrow_schema(DEPTH))
