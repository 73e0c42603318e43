"""Segments of the book as DuckDB reads them, and which of them hold lines of a day."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb

from crypto_lake.disk.parquet import literal
from crypto_lake.errors import RawDataError
from crypto_lake.layout import DAY_US, MINUTE_US, day_of, day_start_us
from crypto_lake.raw import journal, journals, scan, segments
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import EARLIEST_US, LATEST_US, OF_BOOK, decode_book
from crypto_lake.schema import BOOK_LINE, Column
from crypto_lake.series import Series

# Levels as they are spelt, which is all that is wanted to learn which lines there are.
_UNREAD = tuple(one._replace(type="VARCHAR") if one.type == "VARCHAR[][]" else one for one in BOOK_LINE)
_TIMED = f"ts_event BETWEEN {EARLIEST_US} AND {LATEST_US - 1} AND first_id BETWEEN 0 AND id"
_IS_LINE = f"""symbol = {{symbol}} AND ts_recv BETWEEN {EARLIEST_US} AND {LATEST_US - 1} AND id >= 0
    AND bids IS NOT NULL AND asks IS NOT NULL
    AND CASE stream
        WHEN 'depth' THEN {_TIMED}
        WHEN 'depthSnapshot' THEN ts_event IS NULL AND first_id IS NULL
        ELSE false
    END"""


# A snapshot is of the day of an event that is received about the same time, by a clock that may be off.
_NEAR_US = MINUTE_US


class _Spans(NamedTuple):
    """When events happened, on which days, and when snapshots were received."""

    events: Interval | None = None
    days: tuple[date, ...] = ()
    snapshots: Interval | None = None


class BookSegment(NamedTuple):
    """A sealed segment of the book: its name, with its folder's, the bytes of its lines, and when these are of.

    `events` are the least and the highest `ts_event` of its events, `days` those that they are of, `snapshots` the
    `ts_recv` of its snapshots (or of all its lines, where it has any); None without such lines. `beside` are, of one
    without events, the times of the last event received before it and of the first one after it: the clock of a replay
    says nothing of its day.
    """

    name: str
    size: int
    path: Path
    events: Interval | None
    days: tuple[date, ...]
    snapshots: Interval | None
    beside: tuple[int, ...] = ()

    def has_events_of(self, day: date) -> bool:
        """Return whether an event is of a day."""
        return day in self.days

    @property
    def event_days(self) -> list[date]:
        """The days of its events; where it has none, of those beside it."""
        return sorted({*self.days, *map(day_of, self.beside)})

    def touches(self, day: date) -> bool:
        """Return whether a line may be of a day."""
        is_near = _touches(self.snapshots, day, _NEAR_US) or day in map(day_of, self.beside)
        return self.has_events_of(day) or is_near


def _touches(span: Interval | None, day: date, margin: int = 0) -> bool:
    start = day_start_us(day)
    return span is not None and span[0] < start + DAY_US + margin and span[1] >= start - margin


def of_day(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> list[BookSegment]:
    """The segments that may hold lines of a day's book, of all recorders, in order of their names.

    They lie in the day's own folder, in both neighbours', and in those that its journal points to. Those that no
    journal describes are read.

    Raises:
        RawDataError: one of these holds something other than lines of the book.
    """
    layout, exchange, symbol = series.layout, series.exchange, series.symbol
    elsewhere = journals.displaced(journals.of_symbol(layout, exchange, symbol, day))
    folders = {day - timedelta(days=1), day, day + timedelta(days=1), *elsewhere}
    found = [one for folder in sorted(folders) for one in of_folder(connection, series, folder)]
    return [one for one in found if one.touches(day)]


def of_folder(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> list[BookSegment]:
    """The segments of the book that were received on a day. Raises as `of_day`."""
    paths = named(series, day)
    if not paths:
        return []
    told = journals.of_symbol(series.layout, series.exchange, series.symbol, day)
    described = {
        (f"{day.isoformat()}/{one.segment}", one.size): _spans(one)
        for one in journal.of_kind(told, journal.DepthSealed)
    }
    # An event of an odd time may be years away from the others: only the lines themselves tell of which days they are.
    far = {key for key, one in described.items() if one.events and not one.days}
    unknown = [path for key, path in paths.items() if key not in described or key in far]
    scanned = scan_files(connection, unknown, series.symbol)
    spans = ((key, path, scanned[path] if path in scanned else described[key]) for key, path in paths.items())
    found = [BookSegment(*key, path, one.events, one.days, one.snapshots) for key, path, one in spans]
    return [
        one if one.events else one._replace(beside=_beside(found, number)) for number, one in enumerate(found)
    ]


def _beside(found: Sequence[BookSegment], number: int) -> tuple[int, ...]:
    """Return when the events of the same recorder happened that are nearest to a segment in its folder."""
    recorder = segments.recorder_of(found[number].path)
    before, after = (
        next((one.events for one in some if one.events and segments.recorder_of(one.path) == recorder), None)
        for some in (reversed(found[:number]), found[number + 1 :])
    )
    return (*([before[1]] if before else []), *([after[0]] if after else []))


def named(series: Series, day: date) -> dict[tuple[str, int], Path]:
    """The segments of the book that were received on a day, by name (with the folder's) and the size of their lines."""
    paths = segments.sealed(series.layout.raw_day(series.exchange, series.symbol, day), [OF_BOOK])
    return {(f"{day.isoformat()}/{segments.name_of(path)}", segments.size_of(path)): path for path in paths}


def _spans(one: journal.DepthSealed) -> _Spans:
    received = (one.recv_from, one.recv_to) if one.snapshots else None
    if one.event_from is None or one.event_to is None:
        return _Spans(snapshots=received)
    first, last = day_of(one.event_from), day_of(one.event_to)
    days = (first, last)[: (last - first).days + 1] if (last - first).days <= 1 else ()
    return _Spans((one.event_from, one.event_to), days, received)


def scan_files(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], symbol: str
) -> dict[Path, _Spans]:
    """Return when the lines of segments are of; a sealed one never changes, so one process reads each once.

    Raises:
        RawDataError: one holds something other than lines of this symbol's book.
    """
    keys = {path: _key(path, symbol) for path in paths}
    if len(_known) > _KNOWN_AT_MOST:
        _known.clear()
    unknown = [path for path in paths if keys[path] not in _known]
    if unknown:
        found = _scan(connection, unknown, symbol)
        _known.update({keys[path]: found.get(path, _Spans()) for path in unknown})
    return {path: _known[keys[path]] for path in paths}


_known: dict[tuple[object, ...], _Spans] = {}
_KNOWN_AT_MOST = 20_000


def _key(path: Path, symbol: str) -> tuple[object, ...]:
    about = path.stat()
    return path, symbol, about.st_size, about.st_mtime_ns, about.st_ino


def _scan(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], symbol: str) -> dict[Path, _Spans]:
    try:
        rows = connection.execute(
            f"""SELECT filename, count(*), count(*) FILTER (({_IS_LINE.format(symbol=literal(symbol))}) IS NOT TRUE),
                       min(ts_event), max(ts_event),
                       min(ts_recv) FILTER (ts_event IS NULL), max(ts_recv) FILTER (ts_event IS NULL),
                       list(DISTINCT ts_event // {DAY_US}) FILTER (ts_event IS NOT NULL)
                FROM {_read(paths, _UNREAD, ", filename = true")} GROUP BY filename"""
        ).fetchall()
    except duckdb.Error as error:
        # Which of them it is, is not said in a way that could be relied on.
        if len(paths) > 1:
            return {
                path: one for single in paths for path, one in _scan(connection, [single], symbol).items()
            }
        raise RawDataError(f"{paths[0]}: {' '.join(str(error).split())}") from None
    found: dict[Path, _Spans] = {}
    for name, count, wrong, *spans in rows:
        if wrong:
            told = f"{wrong} of {count} lines are not lines of the book of {symbol}; see docs/FORMAT.md"
            raise RawDataError(f"{name}: {told}")
        first, last, early, late, days = spans
        found[Path(name)] = _Spans(
            None if first is None else (first, last),
            tuple(sorted(day_of(day * DAY_US) for day in days or ())),
            None if early is None else (early, late),
        )
    return found


def outlines(paths: Sequence[Path]) -> str:
    """The lines of segments as an SQL table, their levels unread.

    Columns `file` (its place among the paths), `is_snapshot`, `ts_event`, `ts_recv`, `first_id`, `id`, and the `size`
    of the levels.

    Raises:
        duckdb.InvalidInputException: what one ends with is no line.
    """
    return f"""(SELECT file_index AS file, stream = 'depthSnapshot' AS is_snapshot, ts_event, ts_recv, first_id, id,
        strlen(bids) + strlen(asks) AS size FROM {_read(paths, _UNREAD)})"""


def lines(paths: Sequence[Path]) -> str:
    """The lines of segments as an SQL table, in the columns of `BOOK_LINE`. Raises as `outlines`."""
    return f"(FROM {_read(paths, BOOK_LINE)})"


def _read(paths: Sequence[Path], columns: tuple[Column, ...], more: str = "") -> str:
    return scan.read_json(paths, columns, more, decode_book)
