"""A table of files in SQL: all rows of a list of them, or those that a question finds by what paths say (`files.sql`).

Which files these are is the business of `sources`, what is made of tables that of `views`.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
from loguru import logger

from crypto_lake import sql
from crypto_lake.ask.sources import Files
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.raw.lines import TICKS
from crypto_lake.schema import BAR, BOOK, DEPTH, PROVED_BAR, Column
from crypto_lake.transform import longer

_OF_BARS = (BAR, PROVED_BAR)
_OF_SECONDS = (*_OF_BARS, BOOK)
_TABLES = {BAR: "bars", PROVED_BAR: "proved_bars", DEPTH: "depth", BOOK: "book"} | {
    stream.columns: stream.table for stream in TICKS
}
# Those whose columns are told by a file of theirs in any lake.
_IN_ANY_LAKE = (BAR, *(stream.columns for stream in TICKS))
# Where the symbol stands in a path, from its end (places.sql).
_DEPTHS = dict.fromkeys(_OF_SECONDS, "-2") | {stream.columns: "-3" for stream in TICKS}
_TIMES = dict.fromkeys(_OF_SECONDS, "window_start") | {stream.columns: "ts_event" for stream in TICKS}
_LONG_AGO, _LONG_HENCE = date(1, 1, 1), date(9999, 1, 1)
# Without columns made of the names of folders.
_AS_THEY_ARE = "hive_partitioning = false"
# As many as a file has by and large: DuckDB takes all files to be like the first, and joins accordingly.
_EMPTY_ROWS = 86_400


class Table(NamedTuple):
    """The rows of some files: a macro `rows_of_<name>()`, and `placed_<name>(length)`, of bars.

    The latter also has the `start` of the interval of so many µs that a row is in. `by_place`: a question of some
    symbols and days opens their files alone, but each row costs a little more.
    """

    name: str
    columns: tuple[Column, ...]
    files: Files
    by_place: bool

    def define(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the macros; which files they read is told afterwards, by `fill`."""
        self._define(connection, f"rows_of_{self.name}()", by_length=False)
        if self.columns in _OF_BARS:
            self._define(connection, f"placed_{self.name}(length)", by_length=True)

    def fill(self, connection: duckdb.DuckDBPyConnection, config: Config) -> None:
        """Say which files the macros read."""
        connection.execute(
            f"CREATE OR REPLACE MACRO files_of_{self.name}() AS {in_lake(config, self.files.paths)}"
        )
        if self.by_place:
            first = config.layout.columns(_TABLES[self.columns])
            # In which there is nothing but the columns, if it was made and is whole: no other is opened to learn them.
            is_fit = not parquet.schema_differences(first, self.columns)
            known = [*([first] if is_fit else []), *self.files.paths]
            elsewhere = ", ".join(map(parquet.literal, self.files.elsewhere))
            connection.execute(
                f"""CREATE OR REPLACE MACRO known_of_{self.name}() AS {in_lake(config, known)};
                    CREATE OR REPLACE MACRO elsewhere_of_{self.name}() AS [{elsewhere}]::VARCHAR[]"""
            )

    def _define(self, connection: duckdb.DuckDBPyConnection, macro: str, *, by_length: bool) -> None:
        if self.by_place and self.files.paths:
            sql.define(
                connection, "ask/files", macro=macro, name=self.name, **self._placed(by_length=by_length)
            )
        else:
            connection.execute(f"CREATE OR REPLACE MACRO {macro} AS TABLE {self._all(by_length=by_length)}")

    def _all(self, *, by_length: bool) -> str:
        start = f", {longer.start_of(_TIMES[self.columns])} AS start" if by_length else ""
        if not self.files.paths:
            return f"SELECT *{start} FROM ({nothing(self.columns)})"
        shown = ", ".join(f"{column.name}::{column.type} AS {column.name}" for column in self.columns)
        return f"SELECT {shown}{start} FROM read_parquet(files_of_{self.name}(), {_AS_THEY_ARE})"

    def _placed(self, *, by_length: bool) -> dict[str, str]:
        time, depth = _TIMES[self.columns], _DEPTHS[self.columns]
        shown = ["place.symbol AS symbol"]
        shown += [f"row.{column.name}::{column.type} AS {column.name}" for column in self.columns[1:]]
        first, last = _span(self.files)
        read = f"read_parquet(known_of_{self.name}(), {_AS_THEY_ARE}, filename = true)"
        start = f", {longer.start_of(time)} AS start" if by_length else ""
        return {
            "columns": ", ".join([*shown, *(["row.start AS start"] if by_length else [])]),
            "rows": f"(SELECT *, symbol_of(filename, {depth}) AS folder{start} FROM {read})",
            "at": "start" if by_length else time,
            "begin": "begin // length * length" if by_length else "begin",
            "first": f"{first} // length * length" if by_length else str(first),
            "last": str(last),
            "depth": depth,
        }


@contextlib.contextmanager
def standing_in(connection: duckdb.DuckDBPyConnection, some: Iterable[Table]) -> Iterator[None]:
    """Let files without rows stand in for those of tables, for as long as the block lasts.

    DuckDB looks for the files of a view or macro that is made, and into the first; that is not to be paid here.
    """
    read = [one for one in some if one.files.paths]
    with tempfile.TemporaryDirectory(prefix="crypto-lake-") as folder:
        for columns in {one.columns for one in read}:
            parquet.copy(connection, nothing(columns), Path(folder) / f"{_TABLES[columns]}.parquet")
        for one in read:
            place = parquet.literal(Path(folder) / f"{_TABLES[one.columns]}.parquet")
            connection.execute(
                f"""CREATE OR REPLACE MACRO files_of_{one.name}() AS [{place}];
                    CREATE OR REPLACE MACRO known_of_{one.name}() AS [{place}];
                    CREATE OR REPLACE MACRO elsewhere_of_{one.name}() AS []::VARCHAR[]"""
            )
        yield


def nothing(columns: tuple[Column, ...]) -> str:
    """Return a table of these columns that is empty."""
    return f"SELECT {_nulls(columns)} WHERE false"


def write_columns(config: Config) -> None:
    """Write the files that say the columns of each table, where they do not yet.

    Raises:
        LakeError: the disk refused.
    """
    has_book = any(config.layout.book_symbols(one.name) for one in config.exchanges)
    for columns in (*_IN_ANY_LAKE, *([BOOK, PROVED_BAR] if has_book else [])):
        table = _TABLES[columns]
        path = config.layout.columns(table)
        if parquet.schema_differences(path, columns):
            parquet.write_table(parquet.nulls(columns, _EMPTY_ROWS), path, "snappy", footer={})


def _nulls(columns: tuple[Column, ...]) -> str:
    return ", ".join(f"NULL::{column.type} AS {column.name}" for column in columns)


def _span(files: Files) -> tuple[int, int]:
    """Return the first and the last µs of files, or what is before and after any."""
    first = _LONG_AGO if files.first is None else files.first
    last = _LONG_HENCE if files.last is None else files.last
    return day_start_us(first), day_start_us(last) + DAY_US - 1


def parted(
    paths: Sequence[Path], is_good: Callable[[Path], bool], what: str
) -> tuple[list[Path], list[Path]]:
    """Return the files that a view is made of, and those that are left out, which is told: they are no such table."""
    good = [path for path in paths if is_good(path)]
    known = {*good}
    left_out = [path for path in paths if path not in known]
    for path in left_out:
        logger.warning("{}: not a table of {}; left out", path, what)
    return good, left_out


def in_lake(config: Config, paths: list[Path]) -> str:
    """Return files as a list in SQL; their paths count from the lake's folder."""
    shown = ", ".join(parquet.literal(config.layout.key(path)) for path in paths)
    return f"[lake_folder() || path FOR path IN [{shown}]::VARCHAR[]]"
