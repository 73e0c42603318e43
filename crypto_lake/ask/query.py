"""Questions to the lake in SQL: one, or a shell of them, over the views. Reads files only; nothing is locked."""

import contextlib
import io
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import duckdb

from crypto_lake.ask import narrowing, views
from crypto_lake.ask.bring import brought
from crypto_lake.ask.sources import EVERYTHING, Chosen
from crypto_lake.config import Config
from crypto_lake.disk import parquet, publish
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.showing import is_unicode, visible

_Answer = TypeVar("_Answer")
Format = Literal["csv", "json", "parquet"]
_HOW: dict[Format, str] = {
    "csv": "FORMAT csv, HEADER",
    "json": "FORMAT json, ARRAY true",
    "parquet": "FORMAT parquet",
}
_GZIP = ".gz"

_PROMPT, _MORE = "lake> ", "  ... "
_UNBOUNDED = 1_000_000
_HELP = "SQL ends with a semicolon. .views lists the views, .quit (or Ctrl-D) leaves."


def format_of(asked: str | None, output: Path | None) -> Format | None:
    """Return how an answer is written: as asked, else as the name of the file says; None: printed as a table.

    Raises:
        ConfigError: neither says it.
    """
    if output is None and asked in {None, "table"}:
        return None
    named = (output.with_suffix("") if output.suffix == _GZIP else output).suffix if output else ""
    said = asked or named.removeprefix(".").lower()
    for kind in _HOW:
        if said == kind:
            return kind
    raise ConfigError(
        f"--output {output}: expected a name in .csv, .json or .parquet, or one of these by --format"
    )


def connect(config: Config) -> duckdb.DuckDBPyConnection:
    """A DuckDB of one's own in which the views are made; what they lack is said on standard error."""
    connection = parquet.connect()
    _make_views(connection, config)
    return connection


def _make_views(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    chosen: Chosen = EVERYTHING,
    *,
    thorough: bool = False,
) -> None:
    for path in views.create(connection, config, chosen, thorough=thorough):
        print(f"warning: {path}: {views.damage(path)}; left out", file=sys.stderr)  # noqa: T201


def _connect_for(config: Config, sql: str) -> tuple[duckdb.DuckDBPyConnection, Callable[[], None]]:
    """A DuckDB with the views that a question needs, and what makes them anew, looking at each file."""
    connection = parquet.connect()
    chosen = narrowing.chosen(connection, config, sql) if is_unicode(sql) else EVERYTHING
    _make_views(connection, config, chosen)
    return connection, lambda: _make_views(connection, config, chosen, thorough=True)


def ask(config: Config, sql: str) -> None:
    """Print what each statement of a question answers, as a table. Raises as `show`."""
    with brought(config, sql) as local:
        connection, make_anew = _connect_for(local, sql)
        asked(lambda: _print(connection, sql), make_anew)


def show(connection: duckdb.DuckDBPyConnection, config: Config, sql: str) -> None:
    """Print what each statement answers over views that are there, as a table.

    Raises:
        ConfigError: there is no statement.
        LakeError: DuckDB's complaint about one.
    """
    asked(lambda: _print(connection, sql), lambda: _make_views(connection, config, thorough=True))


def write(config: Config, sql: str, kind: Format, path: Path | None) -> None:
    """Write what a statement, or the last of several, answers.

    To a file, which appears whole and is compressed if its name ends in .gz, or to standard output, if `path` is None.
    CSV has a line of names first, and nothing for null; JSON is one array of objects. A time is
    `2025-10-20 00:00:00+00`.

    Raises:
        ConfigError: there is no statement, no such folder, what is there is no file, or Parquet would go to a terminal.
        LakeError: DuckDB's complaint about the statement, or the disk's.
    """
    if path is None and kind == "parquet" and sys.stdout.isatty():
        raise ConfigError("--format parquet: a terminal cannot show it; expected --output FILE, or a pipe")
    if path and not is_unicode(str(path.resolve())):
        raise ConfigError(f"--output {path}: its name is not UTF-8; expected one that is")
    if path and not path.parent.is_dir():
        raise ConfigError(f"--output {path}: there is no folder {path.parent}")
    if path and path.exists() and not path.is_file():
        raise ConfigError(f"--output {path}: is not a file")
    how = _HOW[kind] + (", COMPRESSION gzip" if path and path.suffix == _GZIP and kind != "parquet" else "")
    try:
        with brought(config, sql) as local:
            connection, make_anew = _connect_for(local, sql)

            def copy_to(file: Path) -> None:
                asked(lambda: _copy(connection, sql, how, file), make_anew)

            if path:
                with publish.publishing(path.resolve()) as temporary:
                    copy_to(temporary)
            else:
                _stream(copy_to)
    except OSError as error:
        raise LakeError(f"{path or 'standard output'}: cannot be written: {error.strerror}") from None


def asked(question: Callable[[], _Answer], views_anew: Callable[[], None]) -> _Answer:
    """The answer to a question about views that are there.

    A file that a compaction has removed since they were made, or one that is damaged, is not the asker's fault: they
    are made anew by `views_anew`, which looks at each file, and asked again.

    Raises:
        LakeError: DuckDB's complaint about the question.
    """
    try:
        try:
            return question()
        except (duckdb.Error, UnicodeDecodeError) as error:
            if not _is_of_a_file(error):
                raise
            views_anew()
            return question()
    except UnicodeDecodeError as error:
        # DuckDB's complaint quotes bytes of a file that are no UTF-8, which its binding cannot tell.
        raise LakeError(error.object.decode(errors="replace").strip()) from None
    except duckdb.Error as error:
        raise LakeError(str(error).strip()) from None


def _is_of_a_file(error: duckdb.Error | UnicodeDecodeError) -> bool:
    """Return whether a file may be to blame: one that is not there, whose footer is wrong, or that is no text."""
    of_files = duckdb.IOException | duckdb.InvalidInputException | UnicodeDecodeError
    return isinstance(error, of_files) or type(error) is duckdb.Error


def _statements(connection: duckdb.DuckDBPyConnection, sql: str) -> list[duckdb.Statement]:
    # DuckDB's binding takes it for no text at all.
    if not is_unicode(sql):
        raise ConfigError("the question is not UTF-8; expected SQL in it")
    found = connection.extract_statements(sql)
    if not found:
        raise ConfigError("no question; expected SQL")
    return found


def _print(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    for statement in _statements(connection, sql):
        relation = connection.sql(statement)
        if relation is not None:
            width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNBOUNDED
            table = io.StringIO()
            with contextlib.redirect_stdout(table):
                relation.show(max_width=width, max_rows=_UNBOUNDED if not sys.stdout.isatty() else 40)
            # DuckDB leaves some control characters as they are. Not `printable`: a value is shown as it is.
            print("\n".join(visible(line) for line in table.getvalue().split("\n")), end="")  # noqa: T201


def _copy(connection: duckdb.DuckDBPyConnection, sql: str, how: str, path: Path) -> None:
    connection.execute("SET python_enable_replacements = false")
    *before, last = _statements(connection, sql)
    for statement in before:
        connection.execute(statement)
    the_last_answer = connection.sql(last)
    if the_last_answer is None:
        raise LakeError(f"this statement has no answer to write: {sql}")
    connection.execute("SET python_enable_replacements = true")
    connection.execute(f"COPY (FROM the_last_answer) TO {parquet.literal(path)} ({how})")


def _stream(write_to: Callable[[Path], None]) -> None:
    """Print what is written to a file; print nothing where that fails half-way."""
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
    connection = connect(config) if config.store is None else parquet.connect()
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
    if statement:
        _answer(connection, config, statement)


def _ask(prompt: str) -> str | None:
    try:
        return input(prompt)
    except (EOFError, KeyboardInterrupt):
        print()  # noqa: T201
        return None


def _answer(connection: duckdb.DuckDBPyConnection, config: Config, statement: str) -> None:
    try:
        with brought(config, statement) as local:
            if config.store is not None:
                _make_views(connection, local)
            show(connection, local, statement)
    except LakeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
