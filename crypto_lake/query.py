"""Questions to the lake in SQL: one, or a shell of them, over the views. Reads files only; nothing is locked."""

import contextlib
import shutil
import sys

import duckdb

from crypto_lake import parquet, views
from crypto_lake.config import Config
from crypto_lake.errors import LakeError

_PROMPT, _MORE = "lake> ", "  ... "
_UNBOUNDED = 1_000_000
_HELP = "SQL ends with a semicolon. .views lists the views, .quit (or Ctrl-D) leaves."


def connect(config: Config) -> duckdb.DuckDBPyConnection:
    """A DuckDB of one's own in which the views are made."""
    connection = parquet.connect()
    views.create(connection, config)
    return connection


def show(connection: duckdb.DuckDBPyConnection, config: Config, sql: str) -> None:
    """Print what a statement answers.

    A file that a compaction has removed since the views were made is not the asker's fault: made anew, asked again.

    Raises:
        LakeError: DuckDB's complaint about the statement.
    """
    try:
        try:
            _print(connection, sql)
        except duckdb.IOException:
            views.create(connection, config)
            _print(connection, sql)
    except duckdb.Error as error:
        raise LakeError(str(error).strip()) from None


def _print(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    relation = connection.sql(sql)
    if relation is not None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNBOUNDED
        relation.show(max_width=width, max_rows=_UNBOUNDED if not sys.stdout.isatty() else 40)


def shell(config: Config) -> None:
    """Ask for statements until the input ends. A mistake is said, and the shell goes on."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401, PLC0415 - Windows has none; where there is one, input() has a history
    connection = connect(config)
    print(_HELP)  # noqa: T201 - a shell talks
    statement = ""
    while (line := _ask(_MORE if statement else _PROMPT)) is not None:
        if not statement and line.strip() in {".quit", ".exit"}:
            return
        if not statement and line.strip() == ".views":
            print("\n".join(views.NAMES))  # noqa: T201
            continue
        statement = f"{statement}\n{line}".strip()
        if statement.endswith(";"):
            _answer(connection, config, statement)
            statement = ""


def _ask(prompt: str) -> str | None:
    try:
        return input(prompt)
    except (EOFError, KeyboardInterrupt):
        print()  # noqa: T201
        return None


def _answer(connection: duckdb.DuckDBPyConnection, config: Config, statement: str) -> None:
    try:
        show(connection, config, statement)
    except LakeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
