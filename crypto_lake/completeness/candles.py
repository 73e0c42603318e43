"""A file of the exchange's own 1-minute candles of a day, in the columns of a bar: what may go in, and how it is kept.

Its footer says whether the day was over when it was fetched (`complete`), its `rows`, and how many minutes the exchange
has no candle for (`missing`).
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Struct
from pyarrow import parquet as pq

from crypto_lake.disk import parquet
from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import Candle, contradiction, uncovered
from crypto_lake.layout import DAY_US

_NUMBERS = (
    "open",
    "high",
    "low",
    "close",
    "volume_base",
    "volume_quote",
    "taker_buy_base",
    "taker_buy_quote",
)


class Footer(Struct):
    """A candle file's footer: what it says of its day."""

    complete: bool
    rows: int
    missing: int


def finished(path: Path) -> Footer | None:
    """The footer of a file whose day was over when it was fetched; None where there is none that can be read whole."""
    try:
        footer = msgspec.convert(parquet.footer(path), Footer)
    except msgspec.ValidationError:
        return None
    return footer if footer.complete and _is_readable(path, path.stat().st_mtime_ns) else None


@lru_cache(maxsize=100_000)
def _is_readable(path: Path, _changed: int) -> bool:
    """Return whether the pages can be read as well as the footer; a run asks for each file more than once."""
    return parquet.is_readable(path)


def lacking(path: Path, start_us: int) -> list[tuple[int, int]]:
    """The stretches of the day from `start_us` on that no candle of a file covers, in order; µs UTC."""
    opened = pq.read_table(path, columns=["window_start"])["window_start"].cast(pa.int64()).to_pylist()
    return uncovered(opened, start_us, start_us + DAY_US)


def table(symbol: str, candles: Sequence[Candle]) -> pa.Table:
    """Candles as bars: observed, without quotes and trade ids.

    Raises:
        ExchangeError: one of them contradicts itself.
    """
    columns: dict[str, Any] = (
        dict(zip(Candle._fields, zip(*candles, strict=True), strict=True)) if candles else {}
    )
    told = {name: columns.get(name, ()) for name in _NUMBERS}
    # Of an exchange that does not tell what takers bought.
    untold = {name for name, texts in told.items() if None in texts}
    numbers = {name: _doubles(texts, symbol) for name, texts in told.items() if name not in untold}
    for candle in candles:
        if expected := contradiction(candle):
            raise ExchangeError(f"candle of {symbol} at {candle.open_time}: expected {expected}")
    base = numbers["volume_base"]
    vwap = np.divide(numbers["volume_quote"], base, out=np.zeros(len(base)), where=base > 0)
    values: dict[str, Any] = numbers | {
        "symbol": [symbol] * len(candles),
        "window_start": np.array(columns.get("open_time", ()), dtype="datetime64[us]"),
        # Of dust the exchange tells less of the value than of the quantity: the quotient may be no price of the minute.
        "vwap": pa.array(np.clip(vwap, numbers["low"], numbers["high"]), mask=base == 0),
        "trade_count": np.array(columns.get("trade_count", ()), dtype=np.int64),
        "quote_count": np.zeros(len(candles), dtype=np.int32),
        "observed": np.ones(len(candles), dtype=bool),
    }
    schema = parquet.arrow_schema()
    arrays = [
        pa.array(values[field.name], type=field.type)
        if field.name in values
        else pa.nulls(len(candles), field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _doubles(texts: Sequence[str], symbol: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        found: np.ndarray[Any, np.dtype[np.float64]] = (
            pa.array(texts, pa.string()).cast(pa.float64()).to_numpy()
        )
    except pa.ArrowInvalid as error:
        raise ExchangeError(f"candle of {symbol}: {error}") from None
    return found
