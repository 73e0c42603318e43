"""Raw segments as DuckDB reads them: their lines, and what a file holds when no journal says so."""

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
from loguru import logger

from crypto_lake import sql
from crypto_lake.disk.mending import LONGEST
from crypto_lake.disk.parquet import literal, path_list, scan
from crypto_lake.errors import NOT_JSON, RawDataError
from crypto_lake.layout import COMPRESSED_SUFFIX, HOUR_US, MINUTE_US
from crypto_lake.raw import journal, segments
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import EARLIEST_US, LATEST_US, TICKS, Stream, decode
from crypto_lake.raw.offsets import KEPT, Measured, believed, measure
from crypto_lake.schema import RAW_LINE, Column, names, typed

# Of a second's quotes only the last one's numbers are wanted, so that converting them all would be wasted work.
_AS_SPELT = ("bid", "bid_qty", "ask", "ask_qty")
LINES = tuple(column._replace(type="VARCHAR") if column.name in _AS_SPELT else column for column in RAW_LINE)
_NAMES = ", ".join(names(LINES))
_NOTHING = "SELECT " + ", ".join(f"NULL::{column.type} AS {column.name}" for column in LINES) + " WHERE false"


class Window(NamedTuple):
    """The lines that are wanted: events of [start, end), and quotes received in [recv_from, recv_to). All in µs."""

    start: int
    end: int
    recv_from: int
    recv_to: int


def table(selects: Iterable[str]) -> str:
    """Return what SELECT statements over lines bring, as one SQL table.

    It has the columns of `RAW_LINE`, the numbers of quotes as they are spelt.
    """
    return "(" + (" UNION ALL ".join(selects) or _NOTHING) + ")"


def slotted_table(selects: Iterable[str]) -> str:
    """Return the same with the column `slot` before: what each line was read for, see `sql/transform/bars.sql`."""
    return "(" + (" UNION ALL ".join(selects) or in_slot(0, _NOTHING)) + ")"


def in_slot(slot: int, select: str) -> str:
    """Return a SELECT statement over lines that were read for one slot."""
    return f"SELECT {slot}::BIGINT AS slot, * FROM ({select})"


def of_slots(paths: Sequence[Path], slots: Sequence[int]) -> list[str]:
    """All lines of segments, each read for the slot in its place, in one statement; none where there are no segments.

    A segment that is read for two slots stands there twice, and is parsed twice.

    Raises:
        duckdb.InvalidInputException: as `lines`.
    """
    if not paths:
        return []
    # The number of a file is one for thousands of lines; its name would be compared line by line.
    slot = f"({list(slots)}::BIGINT[])[file_index::BIGINT + 1]"
    return [f"SELECT {slot} AS slot, {_NAMES} FROM {read_json(paths, LINES)}"]


def lines(paths: Sequence[Path]) -> str:
    """The lines of segments as an SQL table, as `table` has it.

    Raises:
        duckdb.InvalidInputException: what one ends with is no line.
    """
    return table(of_segments(paths))


def of_segments(paths: Sequence[Path]) -> list[str]:
    """All lines of segments, in one statement; none where there are no segments.

    Raises:
        duckdb.InvalidInputException: as `lines`.
    """
    return [f"SELECT {_NAMES} FROM {read_json(paths, LINES)}"] if paths else []


def once(table: str) -> str:
    """The lines of a table with slots once each, as `sql/raw/once.sql` tells it; without `symbol`.

    Whoever reads it gives the variable `starts`.
    """
    return sql.table("raw/once", {"raw": table})


def once_if_same(table: str) -> str:
    """The same at less cost, as `sql/raw/copies.sql` has it: an error where lines of one id contradict each other."""
    return sql.table("raw/copies", {"raw": table})


def in_place(table: str) -> str:
    """The lines of a table with slots, quotes that came late with the time that `sql/raw/late.sql` gives them.

    Whoever reads it gives the variables `offsets` and `clocks`.
    """
    return sql.table("raw/late", {"raw": table})


def merged(table: str) -> str:
    """The lines of a table with readings, of several recorders, as `sql/raw/merged.sql` has them: once each, in place.

    Whoever reads it gives that statement's variables.
    """
    return sql.table("raw/merged", {"raw": table})


def of_ticks(stream: Stream, path: Path, window: Window | None = None) -> str:
    """The ticks of a stream, of the window if one is given, as the lines that they were made from.

    But their quotes have been given a time of the exchange.
    """
    given = names(stream.columns)
    times = {name: f"epoch_us({name}) AS {name}" for name in ("ts_event", "ts_recv")}
    columns = [f"'{stream.name}' AS stream"]
    columns += [
        times.get(c.name)
        or (f"{c.name}::{c.type} AS {c.name}" if c.name in given else f"NULL::{c.type} AS {c.name}")
        for c in LINES[1:]
    ]
    query = f"SELECT {', '.join(columns)} FROM {scan([path])} AS t"
    if window:
        # Of the column itself, so that row groups outside are passed over.
        start, end = (f"make_timestamptz({us})" for us in (window.start, window.end))
        query += f" WHERE t.ts_event >= {start} AND t.ts_event < {end}"
    return query


def of_copy(path: Path, window: Window | None = None) -> list[str]:
    """The lines of a copy; each stream apart where times are asked for, so that row groups are passed over."""
    query = f"SELECT {_NAMES} FROM {scan([path])}"
    return [f"{query} WHERE {_within(stream, window)}" for stream in TICKS] if window else [query]


def _within(stream: Stream, window: Window) -> str:
    """Return whether a line of a stream may be of a window: by its own time, or by its receipt if it has none."""
    at, start, end = (
        ("ts_event", window.start, window.end)
        if stream.has_event_time
        else ("ts_recv", window.recv_from, window.recv_to)
    )
    return f"stream = '{stream.name}' AND {at} >= {start} AND {at} < {end}"


class Scanned(NamedTuple):
    """The contents of a file, as the journal would have them (`at` is 0), and the clock offset by minute of receipt.

    `least` is the smallest difference of receipt and event, believed or not; None without trades.
    """

    record: journal.Sealed
    offsets: dict[int, Measured]
    least: int | None


class Refused(NamedTuple):
    """A file that holds something other than raw lines of its symbol, and what."""

    path: Path
    reason: str


def scan_files(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], symbol: str
) -> dict[Path, Scanned | Refused]:
    """Return what is in files that the journal does not describe.

    Somebody was listening from such a file's first line to its last; a healed file says nothing about listening, and
    its receipt times nothing about the clock. A sealed file never changes, so one process reads each once.
    """
    keys = {path: _key(path, symbol) for path in paths}
    unknown = [path for path in paths if keys[path] not in _known]
    if len(_known) > _KNOWN_AT_MOST:
        _known.clear()
        unknown = list(paths)
    if unknown:
        _known.update({keys[path]: one for path, one in _scan(connection, unknown, symbol).items()})
    return {path: _known[keys[path]] for path in paths}


_known: dict[tuple[object, ...], Scanned | Refused] = {}
_KNOWN_AT_MOST = 10_000


def _key(path: Path, symbol: str) -> tuple[object, ...]:
    about = path.stat()
    return path, symbol, about.st_size, about.st_mtime_ns, about.st_ino


def event_hours(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> dict[Path, list[Interval]]:
    """Return when the trades of files happened: of each hour that has any the first and the last instant, in order.

    Raises:
        RawDataError: a file holds something other than raw lines.
    """
    found: dict[Path, list[Interval]] = {path: [] for path in paths}
    try:
        query = f"""
            SELECT filename, min(ts_event), max(ts_event)
            FROM {read_json(paths, RAW_LINE, ", filename = true")}
            WHERE {_TIMED} GROUP BY filename, ts_event // {HOUR_US} ORDER BY ALL"""
        for name, first, last in connection.execute(query).fetchall():
            found[Path(name)].append((first, last))
    except duckdb.Error as error:
        raise RawDataError(" ".join(str(error).split())) from None
    return found


def _scan(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], symbol: str
) -> dict[Path, Scanned | Refused]:
    found: dict[Path, list[_Minute]] = {path: [] for path in paths}
    try:
        query = f"""
            SELECT filename, ts_recv // {MINUTE_US} * {MINUTE_US}, count(*), min(ts_recv), max(ts_recv),
                   min(ts_event), max(ts_event), min(DISTINCT ts_recv - ts_event, {KEPT}), count(*) FILTER ({_TIMED}),
                   min(id) FILTER ({_NUMBERED}), max(id) FILTER ({_NUMBERED}),
                   count(*) FILTER ({_WRONG.format(symbol=literal(symbol))})
            FROM {read_json(paths, RAW_LINE, ", filename = true")} GROUP BY ALL ORDER BY ALL"""
        for name, *values in connection.execute(query).fetchall():
            found[Path(name)].append(_Minute(*values))
    except duckdb.Error as error:
        # Which of them it is, is not said in a way that could be relied on.
        if len(paths) > 1:
            return {
                path: one for single in paths for path, one in _scan(connection, [single], symbol).items()
            }
        return {paths[0]: _refused(paths[0], " ".join(str(error).split()))}
    return {path: _scanned(path, symbol, minutes) for path, minutes in found.items()}


def _refused(path: Path, reason: str) -> Refused:
    logger.error("{}", reason)
    return Refused(path, reason)


def _is(streams: Iterable[Stream]) -> str:
    """Return whether a line is of one of these streams, in SQL."""
    return f"stream IN ({', '.join(literal(stream.name) for stream in streams)})"


# Lines that the exchange gave a time, and those that it numbers one by one.
_TIMED = _is(stream for stream in TICKS if stream.has_event_time)
_NUMBERED = _is(stream for stream in TICKS if stream.ids == "contiguous")


def _lacks(stream: Stream) -> str:
    """Return whether a line of a stream lacks what such a line has, or has a time where it has none, in SQL."""
    own = [name for name in names(stream.columns) if name not in _OF_ALL]
    untimely = f"coalesce(ts_event, 0) NOT BETWEEN {EARLIEST_US} AND {LATEST_US - 1}"
    time = untimely if stream.has_event_time else "ts_event IS NOT NULL"
    return " OR ".join([time, *(f"{name} IS NULL" for name in own)])


_OF_ALL = ("symbol", "id", "ts_event", "ts_recv")
_WRONG = f"""symbol IS DISTINCT FROM {{symbol}}
    OR coalesce(id, -1) < 0
    OR coalesce(ts_recv, 0) NOT BETWEEN {EARLIEST_US} AND {LATEST_US - 1}
    OR CASE stream
        {" ".join(f"WHEN {literal(stream.name)} THEN {_lacks(stream)}" for stream in TICKS)}
        ELSE true
    END"""


class _Minute(NamedTuple):
    """The trades of a file in one minute of receipt; None where it holds no trade."""

    minute: int
    lines: int
    recv_from: int
    recv_to: int
    event_from: int | None
    event_to: int | None
    late: list[int] | None
    trades: int
    first_id: int | None
    last_id: int | None
    wrong: int


def _scanned(path: Path, symbol: str, minutes: list[_Minute]) -> Scanned | Refused:
    count = sum(one.lines for one in minutes)
    if wrong := sum(one.wrong for one in minutes):
        reason = f"{path}: {wrong} of {count} lines are not raw lines of {symbol}; see docs/FORMAT.md"
        return _refused(path, reason)
    received = (
        None if segments.is_healed(path) or not minutes else (minutes[0].recv_from, minutes[-1].recv_to)
    )
    offsets: dict[int, Measured] = {}
    for one in minutes:
        if one.late and received:
            before = offsets[max(offsets)].us if offsets else None
            offsets[one.minute] = measure(one.late, one.trades, before)
    record = journal.Sealed(
        at=0,
        symbol=symbol,
        segment=segments.name_of(path),
        lines=count,
        size=segments.size_of(path),
        recv_from=received[0] if received else None,
        recv_to=received[1] if received else None,
        event_from=min((one.event_from for one in minutes if one.event_from is not None), default=None),
        event_to=max((one.event_to for one in minutes if one.event_to is not None), default=None),
        offset_us=min(believed(offsets).values(), default=None),
        listened=[received] if received else [],
        first_trade_id=min((one.first_id for one in minutes if one.first_id is not None), default=None),
        last_trade_id=max((one.last_id for one in minutes if one.last_id is not None), default=None),
    )
    return Scanned(record, offsets, min((one.late[0] for one in minutes if one.late), default=None))


def read_json(
    paths: Sequence[Path],
    columns: tuple[Column, ...],
    more: str = "",
    decode: Callable[[bytes], object] = decode,
) -> str:
    """The lines of files as an SQL table of these columns; `decode` is what fails where bytes are no line.

    Raises:
        duckdb.InvalidInputException: what one ends with is no line.
    """
    for path in paths:
        if path.suffix != COMPRESSED_SUFFIX and not _ends_with_a_line(path, decode):
            raise duckdb.InvalidInputException(f'Malformed JSON in file "{path}": its last line is none')
    return (
        f"read_json({path_list(list(paths))}, format = 'newline_delimited', columns = {typed(columns)}{more})"
    )


def _ends_with_a_line(path: Path, decode: Callable[[bytes], object]) -> bool:
    """Return whether nothing but a raw line stands behind the last end of a line; of a file that is gone, true.

    DuckDB (2.0, with several threads and files) says nothing, now and then, of other bytes at the end of a file.
    """
    with contextlib.suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        for length in (1, LONGEST):
            file.seek(max(size - length, 0))
            tail = file.read(length)
            if not size or tail.endswith(b"\n"):
                return True
        try:
            decode(tail.rpartition(b"\n")[2])
        except NOT_JSON:
            return False
    return True
