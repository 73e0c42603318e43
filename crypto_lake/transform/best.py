"""Best bids and asks as whole numbers, many at once: read from Arrow's columns, compared, and written back.

Prices and quantities are decimals of 10⁻⁸, exact; none is ever a float here. A quantity may need more than 64 bits, so
it is two numbers: six for a best bid and ask.
"""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from crypto_lake.disk import units

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = ("bid", "bid_qty", "ask", "ask_qty")
# Of the six numbers those of either side; the first of a side is its price.
BID, ASK = slice(0, 3), slice(3, 6)
_SIX = 6


def numbers(rows: pa.Table) -> "NDArray[np.int64]":
    """Return the best bids and asks of rows, six numbers each; of a side that has none (null) they are 0."""
    found = np.empty((len(rows), _SIX), dtype=np.int64)
    for place, name in ((0, "bid"), (3, "ask")):
        # A price has at most 18 digits, so the upper 64 of its 128 bits say nothing.
        found[:, place] = _halves(rows[name], units.PRICE)[:, 0]
        found[:, place + 1 : place + 3] = _halves(rows[f"{name}_qty"], units.QUANTITY)
    return found


def price(rows: pa.Table) -> "NDArray[np.int64]":
    """Return the column `price` of rows as numbers; of a null 0."""
    return _halves(rows["price"], units.PRICE)[:, 0]


def _halves(column: pa.ChunkedArray, kind: pa.DataType) -> "NDArray[np.int64]":
    """Return the lower and the upper 64 bits of decimals; of a null zeros."""
    found = units.halves(column.cast(kind).combine_chunks()).view(np.int64)
    return found if not column.null_count else np.where(valid(column)[:, None], found, 0)


def valid(column: pa.ChunkedArray) -> "NDArray[np.bool_]":
    """Return of each value of a column whether there is one."""
    return truths(column.is_valid())


def truths(column: pa.ChunkedArray) -> "NDArray[np.bool_]":
    """Return a column of truths as an array."""
    return np.from_dlpack(column.combine_chunks().cast(pa.uint8())).astype(bool)


def columns(found: "NDArray[np.int64]", there: "NDArray[np.bool_]") -> dict[str, pa.Array]:
    """Return six numbers each as the columns they were read from; null where they are not `there`."""
    return {
        "bid": _decimals(found[:, :1], there, units.PRICE),
        "bid_qty": _decimals(found[:, 1:3], there, units.QUANTITY),
        "ask": _decimals(found[:, 3:4], there, units.PRICE),
        "ask_qty": _decimals(found[:, 4:6], there, units.QUANTITY),
    }


def spelt(one: "NDArray[np.int64]") -> list[str]:
    """Return six numbers as people read them: bid, its quantity, ask, its quantity."""
    rows = columns(one[None, :], np.ones(1, dtype=bool))
    return [str(rows[name][0].as_py()) for name in COLUMNS]


def _decimals(halves: "NDArray[np.int64]", there: "NDArray[np.bool_]", kind: pa.DataType) -> pa.Array:
    whole = np.zeros((len(halves), 2), dtype=np.int64)
    whole[:, : halves.shape[1]] = halves
    return units.decimals(whole.view(np.uint64), kind, there)
