"""Questions to the lake in SQL: one, or a shell of them, over the views. Reads files only; nothing is locked."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar, get_args

import duckdb

from crypto_lake import parquet, publish, views
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError, LakeError

_Answer = TypeVar("_Answer")
Format = Literal["csv", "json", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
_HOW: dict[Format, str] = {
    "csv": "FORMAT csv, HEADER",
    "json": "FORMAT json, ARRAY true",
    "parquet": "FORMAT parquet",
}

_PROMPT, _MORE = "lake> ", "  ... "
_UNBOUNDED = 1_000_000
_HELP = "SQL ends with a semicolon. .views lists the views, .quit (or Ctrl-D) leaves."


def format_of(asked: str | None, output: Path | None) -> Format | None:
    """How an answer is written: as asked, else as the name of the file says; None: printed as a table.

    Raises:
        ConfigError: neither says it.
    """
    if output is None and asked in {None, "table"}:
        return None
    said = asked or (output.suffix.removeprefix(".").lower() if output else "")
    for kind in FORMATS:
        if said == kind:
            return kind
    raise ConfigError(
        f"--output {output}: expected a name in .csv, .json or .parquet, or one of these by --format"
    )


def connect(config: Config) -> duckdb.DuckDBPyConnection:
    """A DuckDB of one's own in which the views are made."""
    connection = parquet.connect()
    views.create(connection, config)
    return connection


def show(connection: duckdb.DuckDBPyConnection, config: Config, sql: str) -> None:
    """Print what a statement answers, as a table.

    Raises:
        LakeError: DuckDB's complaint about the statement.
    """
    asked(lambda: _print(connection, sql), lambda: views.create(connection, config))


def write(config: Config, sql: str, kind: Format, path: Path | None) -> None:
    """Write what a statement answers to a file, which appears whole, or, if `path` is None, to standard output.

    CSV has a line of names first, and nothing for null; JSON is one array of objects. A time is
    `2025-10-20 00:00:00+00`.

    Raises:
        ConfigError: there is no such folder, or it is a terminal that Parquet would go to.
        LakeError: DuckDB's complaint about the statement, or the disk's.
    """
    if path is None and kind == "parquet" and sys.stdout.isatty():
        raise ConfigError("--format parquet: a terminal cannot show it; expected --output FILE, or a pipe")
    if path and not path.parent.is_dir():
        raise ConfigError(f"--output {path}: there is no folder {path.parent}")
    connection = connect(config)

    def copy_to(file: Path) -> None:
        asked(lambda: _copy(connection, sql, kind, file), lambda: views.create(connection, config))

    try:
        if path:
            with publish.publishing(path) as temporary:
                copy_to(temporary)
        else:
            _stream(copy_to)
    except OSError as error:
        raise LakeError(f"{path or 'standard output'}: cannot be written: {error.strerror}") from None


def asked(question: Callable[[], _Answer], views_anew: Callable[[], None]) -> _Answer:
    """The answer to a question about views that are there.

    A file that a compaction has removed since they were made is not the asker's fault: made anew, asked again.

    Raises:
        LakeError: DuckDB's complaint about the question.
    """
    try:
        try:
            return question()
        except duckdb.IOException:
            views_anew()
            return question()
    except duckdb.Error as error:
        raise LakeError(str(error).strip()) from None


def _print(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    relation = connection.sql(sql)
    if relation is not None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNBOUNDED
        relation.show(max_width=width, max_rows=_UNBOUNDED if not sys.stdout.isatty() else 40)


def _copy(connection: duckdb.DuckDBPyConnection, sql: str, kind: Format, path: Path) -> None:
    relation = connection.sql(sql)
    if relation is None:
        raise LakeError(f"this statement has no answer to write: {sql}")
    # DuckDB finds the relation by its name here.
    connection.execute(f"COPY (FROM relation) TO {parquet.literal(path)} ({_HOW[kind]})")


def _stream(write_to: Callable[[Path], None]) -> None:
    """What is written to a file, on standard output; nothing of it where it fails half-way."""
    with tempfile.TemporaryDirectory(prefix="crypto-lake-") as folder:
        path = Path(folder) / "answer"
        write_to(path)
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.flush()
        except BrokenPipeError:
            # `| head` has what it wanted; what Python would still flush at its end has nowhere to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
