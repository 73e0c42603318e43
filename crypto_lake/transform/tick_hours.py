"""The hours of a day's ticks, made of their lines and compared with them: several at once where they are quiet.

An hour is made from its own segments, whichever others are made with it: a line that lies in the segments of two hours
is read for each. So the same rows come out, in the same order, however the hours are put together.
"""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from crypto_lake import sql
from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError, RawDataError
from crypto_lake.layout import HOUR_US, HOURS_OF_A_DAY
from crypto_lake.raw.lines import TICKS, Stream
from crypto_lake.transform.hours import Hour, Needs, Run, clocks_of, lines_of, merging, needs, once
from crypto_lake.transform.plan import Carry, Plan
from crypto_lake.transform.workspace import Workspace

# So many bytes of lines are made at once, each counted as often as it is read: some 150,000 lines.
_AT_ONCE = 32_000_000
# DuckDB's; a file of so many rows has one.
_ROW_GROUP = 122_880
_LINES = "tick_lines"
_CLOCK = pa.schema([(name, pa.int64()) for name in ("slot", "minute", "offset_us")])

# The rows of each stream, as an SQL table: a file's, or those in memory.
_Rows = dict[Stream, str]


def of_day(plan: Plan) -> list[Hour]:
    """All hours of a finished day."""
    return [Hour(plan, hour, plan.made_from(hour), Run(Carry())) for hour in range(HOURS_OF_A_DAY)]


@contextlib.contextmanager
def made(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, hours: Sequence[Hour]
) -> Iterator[_Rows]:
    """Make the ticks of a day's hours, compare them with the lines that they were made from, and hand them out.

    Raises:
        RawDataError: a segment holds something other than raw lines.
        LakeError: what was made is not what was read.
    """
    series = hours[0].series
    folder = series.layout.ticks_staging(series.exchange, series.symbol)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    batches = list(_batches(hours))
    files = {
        stream: [folder / f"{stream.table}-{number:02d}.parquet" for number, _ in enumerate(batches)]
        for stream in TICKS
    }
    try:
        for number, batch in enumerate(batches):
            places = {stream: paths[number] for stream, paths in files.items()}
            rows = _made(connection, workspace, batch, places, alone=len(batches) == 1)
        yield rows if len(batches) == 1 else {stream: parquet.scan(paths) for stream, paths in files.items()}
    finally:
        for stream in TICKS:
            connection.unregister(_in_memory(stream))
        shutil.rmtree(folder, ignore_errors=True)


def _batches(hours: Sequence[Hour]) -> Iterator[list[Hour]]:
    """Put hours together as far as their lines are few enough; one of many lines stays alone.

    So does, by its size, each hour of a file that is long enough to be read by the stretch.
    """
    batch: list[Hour] = []
    for hour in hours:
        if not hour.sources:
            continue
        fits = sum(one.size for one in batch) + hour.size <= _AT_ONCE
        if batch and not (fits and _is_like(batch[0], hour)):
            yield batch
            batch = []
        batch.append(hour)
    if batch:
        yield batch


def _is_like(one: Hour, other: Hour) -> bool:
    """Return whether the lines of two hours may be made by one statement: what may be there twice, may."""
    return needs(one)._replace(twice=False) == needs(other)._replace(twice=False)


def _made(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    batch: Sequence[Hour],
    files: dict[Stream, Path],
    *,
    alone: bool,
) -> _Rows:
    """Make the ticks of a batch, each stream's in its file, and compare them with their lines.

    Those of a batch that is `alone` stay in memory, if they are few.
    """
    where = f"{batch[0]}" + (f" to {batch[-1].hour:02d}" if len(batch) > 1 else "")
    minutes = [
        (slot, minute, us) for slot, hour in enumerate(batch) for minute, us in hour.made_from["offsets"]
    ]
    columns = np.array(minutes, np.int64).reshape(-1, len(_CLOCK)).T.copy()
    connection.register("tick_clock", pa.table(list(map(parquet.array, columns)), schema=_CLOCK))
    try:
        lines = lines_of(workspace, batch)
        with sql.kept(connection, _LINES, f"FROM {lines}"):
            try:
                rows, differences = _compared(connection, batch, files, alone=alone, careful=False)
            except duckdb.Error:
                differences = 1
            # Lines that contradict each other under one id, or a journal that is wrong about which ids are where.
            if differences:
                rows, differences = _compared(connection, batch, files, alone=alone, careful=True)
    except duckdb.Error as error:
        raise RawDataError(f"{where}: {' '.join(str(error).split())}") from None
    finally:
        connection.unregister("tick_clock")
    if differences:
        raise LakeError(
            f"{where}: {differences} ticks differ from the raw lines; expected none; nothing was changed"
        )
    return rows


def _compared(
    connection: duckdb.DuckDBPyConnection,
    batch: Sequence[Hour],
    files: dict[Stream, Path],
    *,
    alone: bool,
    careful: bool,
) -> tuple[_Rows, int]:
    """Make the ticks of a batch, and return them and how many differ from their lines.

    Unless it is done with care, segments that the journal says have no line twice are believed, and so are copies of a
    line to be the same.

    Raises:
        duckdb.Error: copies that were believed to be the same are not.
    """
    starts = [hour.start for hour in batch]
    lines, values = _once(batch, careful=careful)
    are_merged = "margin" in values
    firsts = "transform/tick_firsts_merged" if are_merged else "transform/tick_firsts"
    raw = sql.table(firsts, {"raw": _LINES}) if "starts" in values else _LINES
    variables = values if are_merged else {"starts": starts}
    with contextlib.ExitStack() as kept:
        if lines != _LINES:
            kept.enter_context(sql.kept(connection, "tick_once", f"FROM {lines}", **values))
            lines = "tick_once"
        rows = {
            stream: _rows(connection, lines, batch, (stream, path), alone=alone)
            for stream, path in files.items()
        }
        tables = {stream.table: table for stream, table in rows.items()} | {"clock": "tick_clock", "raw": raw}
        answer = sql.ask(connection, "transform/tick_differences", tables, **variables)
        ((differences,),) = answer.fetchall()
    return rows, differences


def _once(batch: Sequence[Hour], *, careful: bool) -> tuple[str, dict[str, Any]]:
    """Return the lines of a batch once each and in their place, as a table, and its variables."""
    of = Needs(careful or any(needs(hour).twice for hour in batch), *needs(batch[0])[1:])
    if of.merged:
        return once(_LINES, of), merging(batch)
    clocks = clocks_of(batch)
    wanted = (["starts"] if of.twice else []) + (["offsets", "clocks"] if of.late else [])
    return once(_LINES, of, are_copies_same=not careful), {name: clocks[name] for name in wanted}


def _rows(
    connection: duckdb.DuckDBPyConnection,
    lines: str,
    batch: Sequence[Hour],
    place: tuple[Stream, Path],
    *,
    alone: bool,
) -> str:
    """Make a stream's rows of a batch, in its file or in memory."""
    stream, path = place
    # What has no time of the exchange is put on its clock, and belongs to the hour only then.
    clock = {} if stream.has_event_time else {"clock": "tick_clock"}
    statement, tables = f"transform/tick_{stream.table}", {"lines": lines} | clock
    values = {"symbol": batch[0].series.symbol, "starts": [hour.start for hour in batch]}
    if len(batch) == 1:
        parquet.copy(connection, sql.statement(statement, tables), path, **values)
        return parquet.scan([path])
    rows = sql.arrow(sql.ask(connection, statement, tables, **values))
    if alone and rows.num_rows <= _ROW_GROUP:
        connection.register(_in_memory(stream), rows)
        return _in_memory(stream)
    # Where an hour ends decides where row groups of the day's file do: its bytes do not tell how it was made.
    of_hour = parquet.integers(rows, "ts_event") // HOUR_US
    ends = [0, *(np.flatnonzero(np.diff(of_hour)) + 1), len(of_hour)]
    with pq.ParquetWriter(path, rows.schema) as writer:
        for begin, end in pairwise(ends):
            writer.write_table(rows.slice(begin, end - begin))
    return parquet.scan([path])


def _in_memory(stream: Stream) -> str:
    return f"day_of_{stream.table}"
