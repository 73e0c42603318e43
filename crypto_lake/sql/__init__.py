"""The statements of the lake, in folders named like the rooms that run them, and the one way to run one.

A statement says in its head which tables it reads and which values (`$name`) it is given. Both come with the question
and go with it: no view, no variable and no text of a statement is changed for whoever asks next. What is made of
paths and columns alone (see `disk.parquet`) stays with its callers, as do questions of a line or two.
"""

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import duckdb

if TYPE_CHECKING:
    import pyarrow as pa

# SQL tables by the names that a statement has for them: a name, a call as `read_parquet(…)`, or a query in brackets.
Tables = Mapping[str, str]
_NONE: Tables = {}
# The bars of all but a long list of symbols come in one piece.
_BATCH_ROWS = 1_000_000


def ask(
    connection: duckdb.DuckDBPyConnection, name: str, /, tables: Tables = _NONE, **variables: object
) -> duckdb.DuckDBPyConnection:
    """Run the statement `name` (`room/statement`) and return the connection, which has its rows.

    Raises:
        duckdb.Error: a table cannot be read, or the variables are not those of the statement.
    """
    return connection.execute(statement(name, tables), variables)


def rows(answer: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the rows of an answer by the names of its columns."""
    names = [column[0] for column in answer.description or []]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def arrow(answer: duckdb.DuckDBPyConnection) -> "pa.Table":
    """Return the rows of an answer, of which none was fetched yet, as an Arrow table.

    Not by `connection.sql(…).to_arrow_table()`, which plans a statement twice: of a small hour a third of the whole.

    Raises:
        duckdb.Error: what was asked cannot be read to its end.
    """
    # DuckDB warns that rows are copied once more, which costs less than to plan for them. Not once, at the import: who
    # runs this may set the filters anew, as Dagster does.
    warnings.filterwarnings("ignore", "Arrow output on a DB-API result", UserWarning, module=__name__)
    reader = cast("pa.RecordBatchReader", answer.to_arrow_reader(_BATCH_ROWS))
    return reader.read_all()


@contextlib.contextmanager
def kept(
    connection: duckdb.DuckDBPyConnection, table: str, query: str, /, **variables: object
) -> Iterator[None]:
    """Keep the rows of a query as a temporary table of that name for as long as the block lasts.

    Raises:
        duckdb.Error: as `ask`.
    """
    # What an error left behind (below) is replaced.
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {query}", variables)
    try:
        yield
    except BaseException:
        # DuckDB refuses it while an answer is half read, which would stand in the place of what has happened.
        with contextlib.suppress(duckdb.Error):
            connection.execute(f"DROP TABLE {table}")
        raise
    connection.execute(f"DROP TABLE {table}")


def define(connection: duckdb.DuckDBPyConnection, name: str, /, **values: str) -> None:
    """Make the views and macros of the definitions `name`.

    Their `{name}` are given as SQL, since what a database keeps takes no parameters.
    """
    text = _text(name)
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", value)
    connection.execute(text)


def statement(name: str, tables: Tables = _NONE) -> str:
    """Return the text of a statement, reading its tables from those given."""
    text = _text(name)
    if not tables:
        return text
    # Inlined, or DuckDB may keep all the rows of a table before it looks which of them are wanted.
    given = ", ".join(f"{table} AS NOT MATERIALIZED (FROM {source})" for table, source in tables.items())
    return f"WITH {given},{text.removeprefix('WITH')}" if text.startswith("WITH") else f"WITH {given}\n{text}"


def table(name: str, tables: Tables = _NONE) -> str:
    """Return the rows of a statement as a table that another one may read, with the variables of both."""
    return f"({statement(name, tables)}\n)"


def stretches(intervals: Iterable[Sequence[int]]) -> list[dict[str, int]]:
    """Return intervals [start, stop) as statements take them."""
    return [{"start": start, "stop": stop} for start, stop in intervals]


@cache
def _text(name: str) -> str:
    """Read a statement, without its head: the lines of comment before it."""
    lines = (Path(str(files(__name__))) / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    while lines and (not lines[0] or lines[0].startswith("--")):
        del lines[0]
    return "\n".join(lines)
