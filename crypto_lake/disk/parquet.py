"""Parquet files: the declared schema, writing with DuckDB, footers. Where tables meet the disk.

What a file was made from is kept in its footer as JSON under the key `crypto_lake`.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from crypto_lake.disk import publish, units
from crypto_lake.errors import NOT_JSON, LakeError
from crypto_lake.schema import BAR, PRICE, PROVED_BAR, QUANTITY, Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOOTER_KEY = "crypto_lake"
_MAGIC = b"PAR1"
_AS_LETTERS = str.maketrans({letter: f"[{letter}]" for letter in "*?["})
# What Arrow calls a compression, where that is not what DuckDB and the settings call it.
_CODECS = {"uncompressed": "none"}
# What pyarrow raises over a file that is no Parquet file; the last where a column's name is no text.
_NOT_PARQUET = (pa.ArrowException, OSError, UnicodeDecodeError)

_ARROW: dict[str, pa.DataType] = {
    "VARCHAR": pa.string(),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
    "DOUBLE": pa.float64(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    PRICE: units.PRICE,
    QUANTITY: units.QUANTITY,
    "DATE": pa.date32(),
    f"STRUCT(price {PRICE}, qty {QUANTITY})[]": pa.list_(
        pa.field("element", pa.struct([("price", units.PRICE), ("qty", units.QUANTITY)]))
    ),
    "STRUCT(path VARCHAR, bytes BIGINT, sha256 VARCHAR)[]": pa.list_(
        pa.field(
            "element",
            pa.struct([("path", pa.string()), ("bytes", pa.int64()), ("sha256", pa.string())]),
        )
    ),
}


@cache
def arrow_schema(columns: tuple[Column, ...] = BAR) -> pa.Schema:
    """The columns as Arrow sees them in a file."""
    return pa.schema([pa.field(column.name, _ARROW[column.type]) for column in columns])


def nulls(columns: tuple[Column, ...], count: int) -> pa.Table:
    """Return so many rows of these columns in which there is nothing."""
    schema = arrow_schema(columns)
    return pa.table([pa.nulls(count, column.type) for column in schema], schema=schema)


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB of one's own, in memory, made `ready`."""
    return ready(duckdb.connect())


def ready(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Set what every query of the lake relies on: times are UTC, and nothing but ours is printed.

    A name in SQL is never a variable of this program.
    """
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET enable_progress_bar = false")
    # It takes a file of lines for a handful, and would hold every trade of a busy hour against every quote.
    connection.execute("SET asof_loop_join_threshold = 0")
    return connection


def literal(text: str | Path) -> str:
    """Text as an SQL string."""
    return "'" + str(text).replace("'", "''") + "'"


def path_list(paths: list[Path]) -> str:
    """Paths as an SQL list, with the glob characters of a folder's name taken literally."""
    return "[" + ", ".join(literal(_no_glob(path)) for path in paths) + "]"


def scan(paths: list[Path]) -> str:
    """Files as an SQL table: the columns that are in them, and none made from the names of their folders."""
    return f"read_parquet({path_list(paths)}, hive_partitioning = false)"


def scan_each(groups: Sequence[list[Path]]) -> str:
    """The files of several as one SQL table: the number of the group that a row is of as `subject`, then the columns.

    Rows come group by group in the order of the files, for those who ask for `lag(…) OVER ()`.
    """
    owners = [str(number) for number, paths in enumerate(groups) for _ in paths]
    files = scan([path for paths in groups for path in paths])
    return f"(SELECT list_extract([{', '.join(owners)}], file_index::BIGINT + 1) AS subject, * FROM {files})"


def _no_glob(path: Path) -> str:
    return path.as_posix().translate(_AS_LETTERS)


def copy(connection: duckdb.DuckDBPyConnection, query: str, path: Path, **variables: object) -> None:
    """Write the rows of a query to a file that nobody reads but its writer: without footer, not published."""
    connection.execute(f"COPY ({query}) TO {literal(path)} (FORMAT parquet)", variables)


def write(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    path: Path,
    compression: str,
    *,
    footer: dict[str, Any],
    verify: Callable[[Path], None] | None = None,
) -> None:
    """Publish the rows of a query as a Parquet file. The same rows and footer give the same bytes.

    `verify` is given the written file before it appears, and keeps it from appearing by raising.

    Raises:
        LakeError: the disk refused, or a folder is there; nothing has appeared under `path`.
    """
    text = literal(canonical(footer))
    with _appearing(path) as temporary:
        connection.execute(
            f"COPY ({query}) TO {literal(temporary)} "
            f"(FORMAT parquet, COMPRESSION {compression}, KV_METADATA {{{FOOTER_KEY}: {text}}})"
        )
        if verify:
            verify(temporary)


def write_table(table: pa.Table, path: Path, compression: str, *, footer: dict[str, Any]) -> None:
    """Publish an Arrow table of `arrow_schema` as a Parquet file. The same rows and footer give the same bytes.

    For the many small files of a run: a statement for each, which `write` takes, costs more than its rows.

    Raises:
        LakeError: as `write`.
    """
    # No schema of Arrow's own beside the file's, as DuckDB writes it.
    options: dict[str, Any] = {"compression": _CODECS.get(compression, compression), "store_schema": False}
    with _appearing(path) as temporary, pq.ParquetWriter(temporary, table.schema, **options) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({FOOTER_KEY: canonical(footer)})


@contextlib.contextmanager
def growing(
    path: Path,
    columns: tuple[Column, ...],
    *,
    footer: dict[str, Any],
    verify: Callable[[Path], None] | None = None,
) -> Iterator[Callable[[pa.Table], None]]:
    """Give what appends a table of these columns, a row group, to a file that appears when the block ends.

    For files that are made piece by piece, compressed with zstd. The same tables and footer give the same bytes.
    `verify` is as in `write`.

    Raises:
        LakeError: as `write`.
    """
    options: dict[str, Any] = {"compression": "zstd", "store_schema": False, "store_decimal_as_integer": True}
    with _appearing(path) as temporary:
        with pq.ParquetWriter(temporary, arrow_schema(columns), **options) as writer:
            yield writer.write_table
            writer.add_key_value_metadata({FOOTER_KEY: canonical(footer)})
        if verify:
            verify(temporary)


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path`; whatever keeps it from that is a `LakeError`."""
    try:
        with publish.told_of_folders(), publish.publishing(path) as temporary:
            yield temporary
    except (OSError, duckdb.Error, pa.ArrowException) as error:
        raise LakeError(f"{path}: cannot be written: {' '.join(str(error).split())}") from None


def write_compared(
    connection: duckdb.DuckDBPyConnection,
    table: pa.Table,
    path: Path,
    compression: str,
    *,
    footer: dict[str, Any],
) -> None:
    """Publish a table of bars, in the declared columns, as `write` does; first it is read back and compared.

    Of which files the rows came does not matter to the bytes: DuckDB is told nothing of them.

    Raises:
        LakeError: as `write`, or what was written reads back otherwise; nothing has appeared under `path`.
    """

    def verify(written: Path) -> None:
        if not bars(written).equals(table):
            raise LakeError(f"{path}: reads back otherwise than it was written; expected the same rows")

    with registered(connection, rows_to_write=table):
        write(connection, "FROM rows_to_write", path, compression, footer=footer, verify=verify)


@contextlib.contextmanager
def registered(connection: duckdb.DuckDBPyConnection, **tables: pa.Table) -> Iterator[None]:
    """Let a connection know tables by these names for as long as the block lasts."""
    for name, table in tables.items():
        connection.register(name, table)
    try:
        yield
    finally:
        for name in tables:
            connection.unregister(name)


def canonical(value: Any) -> str:  # noqa: ANN401 - it is JSON
    """JSON in one spelling, so that equal values are equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def footer(path: Path) -> dict[str, Any] | None:
    """Return what a file was made from; None where it says nothing that can be understood, or is no Parquet file."""
    try:
        metadata = publish.patiently(lambda: pq.read_metadata(path)).metadata or {}
        return msgspec.json.decode(metadata.get(FOOTER_KEY.encode(), b""), type=dict[str, Any])
    except (*NOT_JSON, *_NOT_PARQUET):
        return None


def is_whole(path: Path) -> bool:
    """Return whether a file begins and ends as a Parquet file does; what lies between is not looked at."""
    try:
        with publish.patiently(lambda: path.open("rb")) as file:
            head = file.read(len(_MAGIC))
            file.seek(-len(_MAGIC), os.SEEK_END)
            return head == _MAGIC == file.read()
    except OSError:
        return False


def is_readable(path: Path) -> bool:
    """Return whether every value of a file can be read; it is read whole for that."""
    try:
        _read(path)
    except _NOT_PARQUET:
        return False
    return True


def unreadable(connection: duckdb.DuckDBPyConnection, paths: list[Path]) -> list[Path]:
    """Return those of some files, of the same columns, of which not every value can be read; all are read whole."""
    if not paths:
        return []
    with contextlib.suppress(duckdb.Error):
        # In one go, which costs a third of opening each by itself.
        connection.execute(f"SELECT max(COLUMNS(*)) FROM {scan(paths)}").fetchall()
        return []
    return [path for path in paths if not is_readable(path)]


def bars(path: Path) -> pa.Table:
    """Return the rows of a file of bars, in order, with what proves their quotes where it has that.

    Raises:
        LakeError: it cannot be read, or its columns are not those of a bar.
    """
    try:
        found = _read(path)
    except _NOT_PARQUET as error:
        raise LakeError(f"{path}: damaged: {' '.join(str(error).split())}") from None
    if differences := _differences(found.schema, BAR):
        raise LakeError(f"{path}: {differences[0]}")
    return found.cast(arrow_schema(columns_of(found)))


def columns_of(rows: pa.Table) -> tuple[Column, ...]:
    """Return the declared columns that bars have: those of a bar, or with what proves its quotes."""
    return PROVED_BAR if rows.num_columns == len(PROVED_BAR) else BAR


def integers(rows: pa.Table, column: str) -> "NDArray[np.int64]":
    """Return a column of whole numbers, or of times, which are µs since the epoch; none of them is null."""
    # Not `to_numpy`, which has pandas imported: that costs more than a day's work.
    return np.from_dlpack(rows[column].combine_chunks().view(pa.int64())).astype(np.int64, copy=False)


def array(numbers: "NDArray[Any]") -> pa.Array:
    """Return numbers as Arrow has them.

    Neither `pa.array` nor a number given to Arrow's functions does it without loading pandas: that takes longer than to
    make many hours.
    """
    kind = pa.from_numpy_dtype(numbers.dtype)
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)])


def _read(path: Path) -> pa.Table:
    # A day's file is small: to share it out among threads takes three times as long as to read it.
    return publish.patiently(lambda: pq.ParquetFile(path).read(use_threads=False))


@contextlib.contextmanager
def named(paths: Iterable[Path]) -> Iterator[None]:
    """Read files with DuckDB, which does not always say which of them it is that is damaged.

    Raises:
        LakeError: one of them cannot be read; its name, and what DuckDB said.
    """
    try:
        yield
    except duckdb.Error as error:
        bad = next((path for path in paths if not is_readable(path)), None)
        if bad is None:
            raise
        told = " ".join(str(error).split())
        raise LakeError(
            f"{bad}: damaged: {told}; make its day anew (crypto-lake transformer --date)"
        ) from None


def row_count(path: Path) -> int | None:
    """Return how many rows a file has; None where it is no readable Parquet file."""
    try:
        return int(publish.patiently(lambda: pq.read_metadata(path)).num_rows)
    except _NOT_PARQUET:
        return None


def schema_differences(path: Path, columns: tuple[Column, ...] = BAR) -> list[str]:
    """Return how a file's columns differ from the declared ones, a line each; empty where they do not.

    Bars may have beside them what proves their quotes.
    """
    try:
        found = publish.patiently(lambda: pq.read_schema(path))
    except _NOT_PARQUET as error:
        return [f"not a readable Parquet file: {' '.join(str(error).split())}"]
    return _differences(found, columns)


def _differences(found: pa.Schema, columns: tuple[Column, ...]) -> list[str]:
    wanted = arrow_schema(columns)
    if found.equals(wanted) or (columns == BAR and found.equals(arrow_schema(PROVED_BAR))):
        return []
    if found.names != wanted.names:
        return [f"columns are {', '.join(found.names)}; expected {', '.join(wanted.names)}"]
    return [
        f"{name} is {found.field(name).type}; expected {wanted.field(name).type}"
        for name in wanted.names
        if found.field(name).type != wanted.field(name).type
    ]
