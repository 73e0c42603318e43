"""Segments of the book as DuckDB reads them, and which of them hold lines of a day."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb

from crypto_lake.disk.parquet import literal
from crypto_lake.errors import RawDataError
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.raw import journals, scan, segments
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


class BookSegment(NamedTuple):
    """A sealed segment of the book: its name, with its folder's, the bytes of its lines, and when it is of.

    `first` and `last` are the least and the highest time of its lines: of the exchange for events, of receipt for
    snapshots. Both are None where it has no line.
    """

    name: str
    size: int
    path: Path
    first: int | None
    last: int | None

    def touches(self, day: date) -> bool:
        """Return whether it may hold a line of a day."""
        start = day_start_us(day)
        return self.first is not None and self.first < start + DAY_US and (self.last or 0) >= start


def of_day(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> list[BookSegment]:
    """The segments that may hold lines of a day's book, of all recorders, in order of their names.

    They lie in the day's own folder, in both neighbours', and in those that its journal points to.

    Raises:
        RawDataError: one of them holds something other than lines of the book.
    """
    layout, exchange, symbol = series.layout, series.exchange, series.symbol
    elsewhere = journals.displaced(journals.of_symbol(layout, exchange, symbol, day))
    folders = {day - timedelta(days=1), day, day + timedelta(days=1), *elsewhere}
    found = [one for folder in sorted(folders) for one in _of_folder(connection, series, folder)]
    return [one for one in found if one.touches(day)]


def _of_folder(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> list[BookSegment]:
    paths = segments.sealed(series.layout.raw_day(series.exchange, series.symbol, day), [OF_BOOK])
    spans = scanned(connection, paths, series.symbol)
    return [
        BookSegment(f"{day.isoformat()}/{segments.name_of(path)}", segments.size_of(path), path, *spans[path])
        for path in paths
    ]


def scanned(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], symbol: str
) -> dict[Path, tuple[int | None, int | None]]:
    """Return the least and the highest time of the lines of segments; a sealed one never changes, so it is read once.

    Raises:
        RawDataError: one holds something other than lines of this symbol's book.
    """
    keys = {path: _key(path, symbol) for path in paths}
    if len(_known) > _KNOWN_AT_MOST:
        _known.clear()
    unknown = [path for path in paths if keys[path] not in _known]
    if unknown:
        found = _scan(connection, unknown, symbol)
        _known.update({keys[path]: found.get(path, (None, None)) for path in unknown})
    return {path: _known[keys[path]] for path in paths}


_known: dict[tuple[object, ...], tuple[int | None, int | None]] = {}
_KNOWN_AT_MOST = 20_000


def _key(path: Path, symbol: str) -> tuple[object, ...]:
    about = path.stat()
    return path, symbol, about.st_size, about.st_mtime_ns, about.st_ino


def _scan(
    connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], symbol: str
) -> dict[Path, tuple[int | None, int | None]]:
    try:
        rows = connection.execute(
            f"""SELECT filename, min(coalesce(ts_event, ts_recv)), max(coalesce(ts_event, ts_recv)), count(*),
                       count(*) FILTER (({_IS_LINE.format(symbol=literal(symbol))}) IS NOT TRUE)
                FROM {_read(paths, _UNREAD, ", filename = true")} GROUP BY filename"""
        ).fetchall()
    except duckdb.Error as error:
        # Which of them it is, is not said in a way that could be relied on.
        if len(paths) > 1:
            return {
                path: one for single in paths for path, one in _scan(connection, [single], symbol).items()
            }
        raise RawDataError(f"{paths[0]}: {' '.join(str(error).split())}") from None
    found = {}
    for name, first, last, count, wrong in rows:
        if wrong:
            told = f"{wrong} of {count} lines are not lines of the book of {symbol}; see docs/FORMAT.md"
            raise RawDataError(f"{name}: {told}")
        found[Path(name)] = first, last
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
