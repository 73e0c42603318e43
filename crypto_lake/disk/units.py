"""Decimals as Arrow holds them, and as the units of 10⁻⁸ that a book is calculated in.

Arrow holds a decimal as 16 bytes, the lower half first. A price fits into the lower half, a quantity does not always.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from crypto_lake.errors import RawDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Halves = NDArray[np.uint64]

PRICE = pa.decimal128(18, 8)
QUANTITY = pa.decimal128(20, 8)
_LOW = (1 << 64) - 1
_DIGITS = 8


def of_texts(texts: pa.Array) -> "Halves":
    """Return decimals as they are spelt as halves, two a number.

    Raises:
        RawDataError: one is none, or has more digits than `schema.QUANTITY` holds.
    """
    try:
        numbers = texts.cast(QUANTITY)
    except pa.ArrowException as error:
        raise RawDataError(f"not a price or quantity: {' '.join(str(error).split())}") from None
    return halves(numbers)


def halves(numbers: pa.Array) -> "Halves":
    """Return decimals as halves, two a number; what is null there may be anything."""
    found = np.frombuffer(numbers.buffers()[1] or b"", np.uint64)
    return found[2 * numbers.offset : 2 * (numbers.offset + len(numbers))].reshape(-1, 2)


def whole(numbers: pa.Array) -> list[int]:
    """Return decimals as units of 10⁻⁸."""
    found = halves(numbers)
    low: list[int] = found[:, 0].tolist()
    if not found[:, 1].any():
        return low
    return [(high << 64) | rest for high, rest in zip(found[:, 1].tolist(), low, strict=True)]


def decimals(found: "Halves", kind: pa.DataType, valid: "NDArray[np.bool_] | None" = None) -> pa.Array:
    """Return halves as decimals; null where they are not valid."""
    mask = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(kind, len(found), [mask, pa.py_buffer(np.ascontiguousarray(found))])


def of_whole(units: Sequence[int], kind: pa.DataType, valid: "NDArray[np.bool_] | None" = None) -> pa.Array:
    """Return units of 10⁻⁸ as decimals; null where they are not valid."""
    found = np.zeros((len(units), 2), np.uint64)
    try:
        found[:, 0] = units
    except OverflowError:
        found[:, 0] = [one & _LOW for one in units]
        found[:, 1] = [one >> 64 for one in units]
    return decimals(found, kind, valid)
