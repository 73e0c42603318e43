"""For hftbacktest: a day's events as a NumPy array `data` in a compressed archive (`.npz`), both clocks in ns.

The layout is that of its documentation (hftbacktest.readthedocs.io, "Data"), release 2: a row of 64 bytes an event.
"""

import zipfile
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from crypto_lake import sql
from crypto_lake.disk import publish
from crypto_lake.errors import LakeError
from crypto_lake.export.local import Day

EVENT = np.dtype(
    [
        ("ev", "u8"),
        ("exch_ts", "i8"),
        ("local_ts", "i8"),
        ("px", "f8"),
        ("qty", "f8"),
        ("order_id", "u8"),
        ("ival", "i8"),
        ("fval", "f8"),
    ],
    align=True,
)
_BITS = {"depth": 1, "trade": 2, "exch": 1 << 31, "local": 1 << 30, "buy": 1 << 29, "sell": 1 << 28}
_ROWS_AT_ONCE = 500_000


def write(connection: duckdb.DuckDBPyConnection, day: Day, folder: Path) -> list[Path]:
    """Write a day's file into a folder, and return where it is. Events are written as they come, a batch at a time.

    Raises:
        LakeError: the disk refused; nothing has appeared.
        duckdb.Error: a file cannot be read.
    """
    series = day.series
    path = folder / f"{series.exchange}_{series.symbol}_{day.day}.npz"
    tables = {"trades": day.trades, "quotes": day.quotes, "healed": day.healed}
    with sql.kept(connection, "events_of_a_day", sql.table("export/events", tables), **_variables(day)):
        ((rows,),) = connection.execute("SELECT count(*) FROM events_of_a_day").fetchall()
        try:
            with (
                # Closed before the table goes: DuckDB drops none that is being read.
                connection.sql("FROM events_of_a_day").to_arrow_reader(_ROWS_AT_ONCE) as batches,
                publish.publishing(path) as temporary,
            ):
                _write(temporary, int(rows), batches)
        except OSError as error:
            raise LakeError(f"{path}: cannot be written: {error}") from None
    return [path]


def _variables(day: Day) -> dict[str, Any]:
    return {**_BITS, "latency_us": day.latency_us, "shift_us": day.shift_us}


def _write(path: Path, rows: int, batches: pa.RecordBatchReader) -> None:
    """Write what `numpy.savez_compressed(path, data=…)` would, without the whole array in memory."""
    header = {"descr": np.lib.format.dtype_to_descr(EVENT), "fortran_order": False, "shape": (rows,)}
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive,
        archive.open("data.npy", "w", force_zip64=True) as member,
    ):
        np.lib.format.write_array_header_1_0(member, header)
        for batch in batches:
            table = pa.Table.from_batches([batch])
            events = np.zeros(table.num_rows, EVENT)
            for name in table.column_names:
                events[name] = np.from_dlpack(table[name].combine_chunks())
            member.write(events.tobytes())
