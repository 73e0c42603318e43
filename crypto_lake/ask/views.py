"""The views: `bars_1s` over daily files and, for days without one, parts; longer bars; candles; ticks; coverage.

Which files they are made of is the business of `sources`. A view names them by their places in the lake's folder, which
is asked for each time (`sql/ask/lake_folder.sql`), and a question opens those of its symbols and days
(`sql/ask/files.sql`).
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from loguru import logger

from crypto_lake import sql
from crypto_lake.ask import coverage, instruments, sources, tables
from crypto_lake.ask.sources import EVERYTHING, Chosen, Sources
from crypto_lake.ask.tables import Table
from crypto_lake.config import Config
from crypto_lake.disk import parquet, publish
from crypto_lake.errors import LakeError
from crypto_lake.layout import MINUTE_US, SECOND_US
from crypto_lake.raw.lines import TICKS
from crypto_lake.schema import BAR, BOOK, DEPTH, PROVED_BAR
from crypto_lake.series import Series
from crypto_lake.transform import longer

OF_TICKS = tuple(stream.table for stream in TICKS)
# Those whose time is that of an event.
OF_EVENTS = (*OF_TICKS, "depth")
# Those whose rows are of symbols and days.
OF_DAYS = (
    *OF_EVENTS,
    "book_1s",
    "bars_1s",
    "bars_1m",
    "bars_5m",
    "bars_1h",
    "bars_1d",
    "candles_1m",
    "history_1m",
)
NAMES = (*OF_DAYS, "coverage", "instruments")
_PROVED = ("proved_seconds", "proved_lacking", "proved_minutes")
# Of tables that are not of bars without a proof.
_COLUMNS = (
    {stream.table: stream.columns for stream in TICKS}
    | {"depth": DEPTH, "book_1s": BOOK}
    | dict.fromkeys(_PROVED, PROVED_BAR)
)
# So many symbols' numbers are asked for at once, which bounds the files of a statement.
_AT_ONCE = 200
# An exchange and a symbol.
_Key = tuple[str, str]
# What every DuckDB since 1.0 opens; the version in use would write a file that older ones refuse.
_STORAGE_VERSION = "v1.0.0"


def create(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    chosen: Chosen = EVERYTHING,
    *,
    thorough: bool = False,
) -> list[Path]:
    """Make all views (`NAMES`) in a database, over the files that there are now.

    `coverage` and `instruments` are made of everything only. No table is read for that, but the ends of each of
    theirs are looked at.

    `thorough`: each file's footer is read, and files that cannot be read are left out, so that one bad file does not
    silence the others; they are returned and logged.
    """
    # Patterns of all files are made in no time, and let a question find its own; a list of those chosen is what it
    # needs. In a pattern DuckDB takes a backslash for a slash.
    is_all = chosen == EVERYTHING and not thorough and "\\" not in config.layout.base.as_posix()
    found = sources.of_all_days(config) if is_all else sources.of_days(config, chosen)
    left_out = _leave_out(found) if thorough else []
    _create(connection, config, found, by_place=chosen == EVERYTHING)
    if chosen == EVERYTHING:
        left_out += coverage.create(connection, config, thorough=thorough)
        left_out += instruments.create(connection, config, thorough=thorough)
    return left_out


def damage(path: Path) -> str:
    """Return what is wrong with a file that was left out."""
    return "not a table of instruments" if path.suffix == ".json" else "not a readable Parquet file"


def _leave_out(found: Sources) -> list[Path]:
    """Take the files that cannot be read out of those found, and return them."""
    left_out = {}
    for name, files in found.tables().items():
        for path in files.paths:
            if parquet.row_count(path) is None:
                left_out[path] = name
    for path, name in sorted(left_out.items()):
        logger.warning("{}: not a readable Parquet file; left out of {}", path, name)
    for files in found.tables().values():
        files.paths = [path for path in files.paths if path not in left_out]
    # What has gone since is no damage.
    return sorted(path for path in left_out if path.exists())


def _create(connection: duckdb.DuckDBPyConnection, config: Config, found: Sources, *, by_place: bool) -> None:
    folder = parquet.literal(config.layout.base.as_posix() + "/")
    sql.define(connection, "ask/lake_folder", folder=folder)
    sql.define(connection, "ask/places")
    # Of a lake without any proof there is nothing of it in the views: its questions cost what they did.
    has_proof = bool(found.proved_seconds.paths or found.proved_minutes.paths)
    some = [
        # A snapshot has no time by which a file could be found.
        Table(name, _COLUMNS.get(name, BAR), files, by_place and name != "depth")
        for name, files in found.tables().items()
        if has_proof or name not in _PROVED
    ]
    with tables.standing_in(connection, some):
        for table in some:
            table.define(connection)
        _define_views(connection, config, has_proof=has_proof)
    for table in some:
        table.fill(connection, config)


def _define_views(connection: duckdb.DuckDBPyConnection, config: Config, *, has_proof: bool) -> None:
    for view in ("candles_1m", "book_1s", *OF_EVENTS):
        connection.execute(f"CREATE OR REPLACE VIEW {view} AS FROM rows_of_{view}()")
    connection.execute(f"CREATE OR REPLACE VIEW bars_1s AS {_rows('seconds', has_proof)}")
    _define_intervals(connection, f"({_rows('minutes', has_proof)})")
    longer.add_exactly(connection)
    step = config.transformer.resample_interval_sec * SECOND_US
    _define_seconds(connection, step, has_proof=has_proof)
    for name, length in {"minutes": MINUTE_US, "lacking": step}.items():
        _define_longer(connection, name, length, has_proof=has_proof)
    sql.define(connection, "ask/resampled")


def _define_intervals(connection: duckdb.DuckDBPyConnection, minutes: str) -> None:
    """Make the views of longer bars, before the macros that they read.

    DuckDB plans the query of a view that is made. Tables without rows stand in for the macros, which would be planned
    for each view and take as long as all others together.
    """
    for macro in ("of_lacking", "of_whole_minutes"):
        connection.execute(f"CREATE OR REPLACE MACRO {macro}(length) AS TABLE {tables.nothing(PROVED_BAR)}")
    sql.define(connection, "ask/views", minutes=minutes, lacking="of_lacking", longer="of_whole_minutes")
    sql.define(connection, "ask/history")


def _define_longer(connection: duckdb.DuckDBPyConnection, name: str, length: int, *, has_proof: bool) -> None:
    """Make the macro of longer bars of a table, each of which lies in one day: that has a proof or has none."""
    if not has_proof:
        longer.define(connection, f"of_{name}", f"placed_{name}(length)", length, "s.start", proved=False)
        return
    for kind in (name, f"proved_{name}"):
        bars = f"placed_{kind}(length)"
        longer.define(connection, f"one_of_{kind}", bars, length, "s.start", proved=kind in _PROVED)
    connection.execute(
        f"""CREATE OR REPLACE MACRO of_{name}(length) AS TABLE
            FROM one_of_{name}(length) UNION ALL FROM one_of_proved_{name}(length)"""
    )


def _rows(table: str, has_proof: bool) -> str:
    """Return the rows of a table of bars, and of its days with a proof, in the columns of the latter."""
    plain = f"SELECT *, {longer.NO_PROOF} FROM rows_of_{table}()"
    return f"{plain} UNION ALL FROM rows_of_proved_{table}()" if has_proof else plain


def _define_seconds(connection: duckdb.DuckDBPyConnection, step: int, *, has_proof: bool) -> None:
    """Make the macro of longer bars of seconds, which may lie in days with a proof and in days without."""
    bars = "placed_seconds(length)"
    if has_proof:
        connection.execute(
            f"""CREATE OR REPLACE MACRO all_seconds(length) AS TABLE
                SELECT *, {longer.NO_PROOF} FROM placed_seconds(length)
                UNION ALL BY NAME FROM placed_proved_seconds(length)"""
        )
        bars = "all_seconds(length)"
    longer.define(connection, "of_seconds", bars, step, "s.start", proved=has_proof)


def resample(connection: duckdb.DuckDBPyConnection, config: Config, bars: str) -> None:
    """Make the view `bars_1s` of a table of bars, and the views of longer bars over it; nothing proves their quotes."""
    connection.execute(f"CREATE OR REPLACE VIEW bars_1s AS FROM {bars}")
    longer.add_exactly(connection)
    step = config.transformer.resample_interval_sec * SECOND_US
    longer.define(connection, "resampled", "bars_1s", step, proved=False)
    none = f"({tables.nothing(PROVED_BAR)})"
    sql.define(connection, "ask/views", minutes=none, lacking="resampled", longer="resampled")


def save(config: Config) -> Path:
    """Write `lake.duckdb` anew: the same views, for any DuckDB client, wherever the lake's folder is moved to.

    Raises:
        LakeError: it cannot be written, e.g. because a client on Windows holds it open.
    """
    path = config.layout.database
    try:
        with (
            publish.publishing(path) as temporary,
            # A question mark in a database's path is the beginning of options to DuckDB: so it is made elsewhere.
            tempfile.TemporaryDirectory(prefix="crypto-lake-") as folder,
            parquet.connect() as connection,
        ):
            tables.write_columns(config)
            made = Path(folder) / path.name
            place = parquet.literal(made)
            connection.execute(f"ATTACH {place} AS lake (STORAGE_VERSION '{_STORAGE_VERSION}'); USE lake")
            # At once, or the file waits for the disk after each of some hundred statements.
            connection.execute("BEGIN")
            create(connection, config)
            connection.execute("COMMIT; USE memory; DETACH lake")
            shutil.copyfile(made, temporary)
    except (OSError, duckdb.Error) as error:
        raise LakeError(f"{path}: cannot be written: {' '.join(str(error).split())}") from None
    return path


def whole_files(series: Series, day: date) -> list[Path]:
    """Return the files of a day's bars that can be read; those that cannot are left out."""
    return [
        path
        for path in series.layout.bar_files(series.exchange, series.symbol, day)
        if parquet.is_whole(path)
    ]


def day_in_numbers(
    connection: duckdb.DuckDBPyConnection, series: Iterable[Series], day: date
) -> list[dict[str, Any]]:
    """A day's bars in a few numbers, a dict for each series that has any."""
    everyone = list(series)
    chunks = [everyone[begin : begin + _AT_ONCE] for begin in range(0, len(everyone), _AT_ONCE)]
    return [row for some in chunks for row in _numbers(connection, some, day)]


def _numbers(
    connection: duckdb.DuckDBPyConnection, some: list[Series], day: date
) -> Iterator[dict[str, Any]]:
    files = {(one.exchange, one.symbol): one.layout.bar_files(one.exchange, one.symbol, day) for one in some}
    try:
        found = _counts(connection, files)
    except duckdb.Error:
        # One of the files is damaged, or gone since: each symbol for itself.
        found = {}
        for one in some:
            key = one.exchange, one.symbol
            files[key] = whole_files(one, day)
            try:
                with parquet.named(files[key]):
                    found |= _counts(connection, {key: files[key]})
            except LakeError as error:
                logger.error("{}", error)
    for key, paths in files.items():
        if key in found:
            size = sum(path.stat().st_size for path in paths)
            yield {"exchange": key[0], "symbol": key[1], **found[key], "bytes": size}


def _counts(
    connection: duckdb.DuckDBPyConnection, files: Mapping[_Key, list[Path]]
) -> dict[_Key, dict[str, int]]:
    """Count what is in the files of some symbols, of those that have rows, by one statement an exchange."""
    found = {}
    for exchange in {exchange for exchange, _ in files}:
        paths = [path for key, some in files.items() if key[0] == exchange for path in some]
        if not paths:
            continue
        rows = connection.execute(
            f"""SELECT symbol, count(*), sum(trade_count), sum(quote_count), count(*) FILTER (NOT observed)
                FROM {parquet.scan(paths)} GROUP BY symbol"""
        ).fetchall()
        for symbol, *numbers in rows:
            counts = dict(zip(("rows", "trades", "quotes", "unobserved"), map(int, numbers), strict=True))
            found[exchange, symbol] = counts
    return found
