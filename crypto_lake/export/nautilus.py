"""For NautilusTrader: a folder that its `ParquetDataCatalog` reads, with trade ticks, quote ticks and the instrument.

Paths, columns and the key-value metadata are those of release 1.231 in its high-precision mode, as its own catalog
writes them: prices and sizes are 128-bit integers of 1e-16, little endian.
"""

from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from crypto_lake.disk import publish
from crypto_lake.errors import LakeError
from crypto_lake.export.local import Day
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.raw import instruments

_RAW = pa.decimal128(38, 16)
_BYTES = pa.binary(16)
_ROWS_AT_ONCE = 500_000
# Its word for who took: a buyer 1, a seller 2.
_TRADES = """
    SELECT price, qty AS size, CASE side WHEN 'buy' THEN 1 ELSE 2 END::UTINYINT AS aggressor_side,
           id::VARCHAR AS trade_id, (epoch_us(ts_event) * 1000)::UBIGINT AS ts_event,
           ((CASE WHEN id IN (FROM {healed}) THEN epoch_us(ts_event) + $latency_us ELSE epoch_us(ts_recv) END
             + $shift_us) * 1000)::UBIGINT AS ts_init
    FROM {trades} ORDER BY ts_init, id"""
_QUOTES = """
    SELECT bid AS bid_price, ask AS ask_price, bid_qty AS bid_size, ask_qty AS ask_size,
           (epoch_us(ts_event) * 1000)::UBIGINT AS ts_event,
           ((epoch_us(ts_recv) + $shift_us) * 1000)::UBIGINT AS ts_init
    FROM {quotes} ORDER BY ts_init, id"""


class _Precision(NamedTuple):
    """The decimals of prices and of sizes."""

    price: int
    size: int


def write(connection: duckdb.DuckDBPyConnection, day: Day, folder: Path) -> list[Path]:
    """Write a day's files into a catalog, and return where they are; a table without rows has none.

    Raises:
        LakeError: the disk refused; what has not appeared whole has not appeared.
        duckdb.Error: a file cannot be read.
    """
    name = f"{day.series.symbol}.{day.series.exchange.upper()}"
    listed = _listed(day)
    precision = _precision(connection, day, listed)
    written = []
    try:
        for kind, query in {"trade_tick": _TRADES, "quote_tick": _QUOTES}.items():
            place = folder / "data" / kind / name
            written += _ticks(connection, query, day, place, _metadata(name, precision))
        if listed:
            written.append(
                _instrument(folder / "data" / "currency_pair" / name, name, day, listed, precision)
            )
    except (OSError, pa.ArrowException) as error:
        raise LakeError(f"{folder}: cannot be written: {error}") from None
    return written


def _metadata(name: str, precision: _Precision) -> dict[str, str]:
    return {
        "instrument_id": name,
        "price_precision": str(precision.price),
        "size_precision": str(precision.size),
    }


def _listed(day: Day) -> instruments.Instrument | None:
    """Return what the exchange says of the symbol, by the newest table of instruments; None where it says nothing."""
    found = instruments.newest(day.series.layout, day.series.exchange)
    one = found[1].get(day.series.symbol) if found else None
    return one if one and one.base and one.quote else None


def _precision(
    connection: duckdb.DuckDBPyConnection, day: Day, listed: instruments.Instrument | None
) -> _Precision:
    """Return how fine the day's numbers are, and the exchange's steps."""
    tick, lot = (listed.tick, listed.lot) if listed else (None, None)
    prices = [("price", day.trades), ("bid", day.quotes), ("ask", day.quotes)]
    sizes = [("qty", day.trades), ("bid_qty", day.quotes), ("ask_qty", day.quotes)]
    return _Precision(_decimals(connection, prices, tick), _decimals(connection, sizes, lot))


def _decimals(connection: duckdb.DuckDBPyConnection, columns: list[tuple[str, str]], step: str | None) -> int:
    """Return how many decimals are not zero in all the numbers of some columns, and in a step."""
    numbers = " UNION ALL ".join(
        f"SELECT DISTINCT {name}::VARCHAR AS n FROM {table}" for name, table in columns
    )
    zeros = "min(length(n) - length(rtrim(n, '0')))"
    ((found,),) = connection.execute(f"SELECT 8 - coalesce({zeros}, 8) FROM ({numbers})").fetchall()
    return max(int(found), len((step or "").rstrip("0").partition(".")[2]))


def _ticks(
    connection: duckdb.DuckDBPyConnection, query: str, day: Day, folder: Path, metadata: dict[str, str]
) -> list[Path]:
    """Write the rows of a table under the name that says from when to when they are."""
    text = query.format(trades=day.trades, quotes=day.quotes, healed=day.healed)
    values = {"shift_us": day.shift_us} | ({"latency_us": day.latency_us} if "$latency_us" in text else {})
    before = {path for path in folder.glob("*.parquet") if _is_of(path, day.day)}
    first = last = None
    unnamed = folder / f"{day.day}.parquet"
    with connection.sql(text, params=values).to_arrow_reader(_ROWS_AT_ONCE) as batches:
        schema = pa.schema([_field(field) for field in batches.schema], metadata=metadata)
        with publish.publishing(unnamed) as temporary, pq.ParquetWriter(temporary, schema) as writer:
            for batch in batches:
                table = pa.Table.from_batches([batch])
                times = np.from_dlpack(table["ts_init"].combine_chunks())
                first, last = first if first is not None else int(times[0]), int(times[-1])
                writer.write_table(pa.table([_raw(table[name]) for name in schema.names], schema=schema))
    if first is None or last is None:
        unnamed.unlink()
        return []
    # One read may bring the only rows of two days: where the other day's file has the name, this one ends later.
    while (path := folder / f"{_spelt(first)}_{_spelt(last)}.parquet").exists() and path not in before:
        last += 1
    publish.replace(unnamed, path)
    # Of an export of the day before it was healed the name is another, and its rows would be there twice.
    for other in before - {path}:
        publish.patiently(partial(other.unlink, missing_ok=True))
    return [path]


def _is_of(path: Path, day: date) -> bool:
    """Return whether all that is in a file happened on a day, as its footer has it.

    The name tells when it was received, which may be the day after.

    Raises:
        LakeError: it has no footer that can be read.
    """
    # Nothing is received before it happens: files of days before need not be opened.
    if path.name < f"{day}":
        return False
    try:
        footer = publish.patiently(lambda: pq.read_metadata(path))
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())
        raise LakeError(f"{path}: cannot be read: {told}; remove it and export its day anew") from None
    groups = [footer.row_group(n) for n in range(footer.num_row_groups)]
    columns = [group.column(n) for group in groups for n in range(group.num_columns)]
    times = [one.statistics for one in columns if one.path_in_schema == "ts_event"]
    begin = day_start_us(day) * 1_000
    stop = begin + DAY_US * 1_000
    return bool(times) and all(
        one and one.has_min_max and begin <= one.min and one.max < stop for one in times
    )


def _field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _BYTES if pa.types.is_decimal(field.type) else field.type, nullable=False)


def _raw(column: pa.ChunkedArray) -> pa.Array:
    """Return a column of decimals as the bytes of integers of 1e-16; others as they are."""
    whole = column.combine_chunks()
    if not pa.types.is_decimal(whole.type):
        return whole
    fine = whole.cast(_RAW)
    return pa.Array.from_buffers(_BYTES, len(fine), fine.buffers(), offset=fine.offset)


def _spelt(ns: int) -> str:
    when = datetime.fromtimestamp(ns // 1_000_000_000, UTC)
    return f"{when:%Y-%m-%dT%H-%M-%S}-{ns % 1_000_000_000:09d}Z"


def _instrument(
    folder: Path, name: str, day: Day, listed: instruments.Instrument, precision: _Precision
) -> Path:
    """Write what the symbol is. What the exchange's list does not tell (margins, fees, limits) is 0, or null."""
    text, small, time = pa.string(), pa.uint8(), pa.uint64()
    columns: dict[str, tuple[pa.DataType, object]] = {
        "id": (text, name),
        "raw_symbol": (text, day.series.symbol),
        "base_currency": (text, listed.base),
        "quote_currency": (text, listed.quote),
        "price_precision": (small, precision.price),
        "size_precision": (small, precision.size),
        "price_increment": (text, _step(listed.tick, precision.price)),
        "size_increment": (text, _step(listed.lot, precision.size)),
        "multiplier": (text, "1"),
        **dict.fromkeys(
            (
                "lot_size",
                "max_quantity",
                "min_quantity",
                "max_notional",
                "min_notional",
                "max_price",
                "min_price",
            ),
            (text, None),
        ),
        **dict.fromkeys(("margin_init", "margin_maint", "maker_fee", "taker_fee"), (text, "0")),
        "info": (pa.binary(), b"null"),
        "ts_event": (time, 0),
        "ts_init": (time, 0),
    }
    schema = pa.schema(
        [(key, kind) for key, (kind, _) in columns.items()], metadata={"class": "CurrencyPair"}
    )
    table = pa.table([pa.array([value], kind) for kind, value in columns.values()], schema=schema)
    path = folder / f"{_spelt(0)}_{_spelt(0)}.parquet"
    with publish.publishing(path) as temporary:
        pq.write_table(table, temporary)
    return path


def _step(step: str | None, decimals: int) -> str:
    """Return a step with so many decimals; the finest of them where the exchange tells none."""
    whole, _, part = (step or "").partition(".")
    if not step or len(part.rstrip("0")) > decimals:
        return f"{10**-decimals:.{decimals}f}"
    return f"{whole}.{part[:decimals].ljust(decimals, '0')}" if decimals else whole
