"""From what happened in an hour to its bars: one for each interval, also of those in which nothing did."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from crypto_lake.disk import parquet
from crypto_lake.raw.intervals import Interval
from crypto_lake.transform.hours import Hour
from crypto_lake.transform.plan import Carry

_PRICES = ("open", "high", "low")
_NOTHING_IS_ZERO = (
    "volume_base",
    "volume_quote",
    "taker_buy_base",
    "taker_buy_quote",
    "trade_count",
    "quote_count",
)


def hour(wanted: Hour, happened: pa.Table, listened: Iterable[Interval]) -> pa.Table:
    """Return the bars of an hour, in the columns of `schema.BAR`.

    `happened` has a row for each interval in which something did (`sql/transform/bars.sql`), in order. Values that last
    until the next trade, or quote, go on from one to the next, beginning with those carried into the hour.
    """
    count, step = wanted.bars, int(wanted.made_from["step"])
    starts = parquet.array(wanted.start + step * np.arange(count))
    found = happened.take(pc.index_in(starts, value_set=happened["start"]))
    columns = {name: found[name] for name in found.column_names}
    for name in Carry.__struct_fields__:
        columns[name] = _lasting(columns[name], getattr(wanted.run.carry, name))
    for name in _PRICES:
        columns[name] = pc.coalesce(columns[name], columns["close"])
    for name in _NOTHING_IS_ZERO:
        columns[name] = pc.coalesce(
            columns[name], parquet.array(np.zeros(count, columns[name].type.to_pandas_dtype()))
        )
    columns["symbol"] = _repeated(wanted.series.symbol, count)
    columns["window_start"] = starts.cast(pa.timestamp("us", tz="UTC"))
    columns["observed"] = _observed(wanted.start, step, count, listened)
    schema = parquet.arrow_schema()
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _lasting(column: pa.ChunkedArray, carried: float | None) -> pa.ChunkedArray:
    filled = pc.fill_null_forward(column)
    return filled if carried is None else pc.coalesce(filled, parquet.array(np.full(len(filled), carried)))


def _repeated(text: str, count: int) -> pa.Array:
    spelt = text.encode()
    ends = np.arange(count + 1, dtype=np.int32) * len(spelt)
    return pa.StringArray.from_buffers(count, pa.py_buffer(ends), pa.py_buffer(spelt * count))


def _observed(start: int, step: int, count: int, listened: Iterable[Interval]) -> pa.Array:
    """Return of each interval whether somebody listened throughout."""
    observed = np.zeros(count, dtype=bool)
    for first, last in listened:
        begin, end = -((start - first) // step), (last - start) // step
        observed[max(begin, 0) : max(end, 0)] = True
    return parquet.array(observed.view(np.uint8)).cast(pa.bool_())
