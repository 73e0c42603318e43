"""The views: `bars_1s` over daily files and, for days without one, parts; longer bars from it; candles; ticks.

Which files a view reads is settled when it is made, by the one rule of `Layout.bar_files`; nothing is counted twice. It
names them by their places in the lake's folder, which is asked for each time (`sql/ask/lake_folder.sql`).
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from loguru import logger

from crypto_lake import sql
from crypto_lake.ask import instruments
from crypto_lake.config import Config
from crypto_lake.disk import parquet, publish
from crypto_lake.errors import LakeError
from crypto_lake.layout import SECOND_US
from crypto_lake.raw.lines import TICKS
from crypto_lake.schema import BAR, Column, names
from crypto_lake.series import Series

NAMES = (
    *(stream.table for stream in TICKS),
    "bars_1s",
    "bars_1m",
    "bars_5m",
    "bars_1h",
    "bars_1d",
    "candles_1m",
    "history_1m",
    "instruments",
)
# What every DuckDB since 1.0 opens; the version in use would write a file that older ones refuse.
_STORAGE_VERSION = "v1.0.0"


class Chosen(NamedTuple):
    """The files that views are made of: those of one symbol (None: of all), and of the days from `first` to `last`."""

    symbol: str | None = None
    first: date = date.min
    last: date = date.max


EVERYTHING = Chosen()


def create(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    chosen: Chosen = EVERYTHING,
    *,
    thorough: bool = False,
) -> list[Path]:
    """Make all views (`NAMES`) in a database, over the files that there are now; `instruments` only of everything.

    Files that are not whole are left out, so that one bad file does not silence the others; they are returned and
    logged. `thorough`: each file's footer is read for that, which otherwise DuckDB does as it needs them.

    Raises:
        LakeError: the views cannot be made of the others.
    """
    with contextlib.suppress(duckdb.Error):
        left_out = _create(connection, config, chosen, thorough=thorough)
        if all(path.exists() for path in left_out):
            return left_out
    # A compaction has removed a file since the folders were looked at, or one is damaged inside.
    try:
        return _create(connection, config, chosen, thorough=True)
    except duckdb.Error as error:
        # What follows is the statement, which names every file.
        told = " ".join(str(error).partition("\n\nLINE ")[0].split())
        raise LakeError(f"the views cannot be made: {told}") from None


def _create(
    connection: duckdb.DuckDBPyConnection, config: Config, chosen: Chosen, *, thorough: bool
) -> list[Path]:
    _say_where(connection, config)
    tables = {"bars_1s": (BAR, bar_files(config, chosen)), "candles_1m": (BAR, candle_files(config, chosen))}
    for stream in TICKS:
        tables[stream.table] = (stream.columns, _tick_files(config, chosen, stream.table))
    left_out = []
    for name, (columns, paths) in tables.items():
        readable = [path for path in paths if _is_good(path, thorough=thorough)]
        for path in sorted(set(paths) - set(readable)):
            logger.warning("{}: not a readable Parquet file; left out of {}", path, name)
            left_out.append(path)
        shown = _select(columns, [path.relative_to(config.layout.base) for path in readable])
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS {shown}")
    _resample(connection, config)
    sql.define(connection, "ask/history")
    if chosen == EVERYTHING:
        left_out += instruments.create(connection, config, thorough=thorough)
    return left_out


def damage(path: Path) -> str:
    """Return what is wrong with a file that was left out."""
    return "not a table of instruments" if path.suffix == ".json" else "not a readable Parquet file"


def _is_good(path: Path, *, thorough: bool) -> bool:
    return parquet.row_count(path) is not None if thorough else parquet.is_whole(path)


def resample(connection: duckdb.DuckDBPyConnection, config: Config, bars: str) -> None:
    """Make the view `bars_1s` of a table of bars, and the views of longer bars over it."""
    connection.execute(f"CREATE OR REPLACE VIEW bars_1s AS FROM {bars}")
    _resample(connection, config)


def _resample(connection: duckdb.DuckDBPyConnection, config: Config) -> None:
    add_exactly(connection)
    step = config.transformer.resample_interval_sec * SECOND_US
    sql.define(connection, "ask/longer", macro="resampled", bars="bars_1s", step=str(step))
    sql.define(connection, "ask/views")


def add_exactly(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the macro `exact_sum`, which adds volumes as the decimals that they were rounded from."""
    sql.define(connection, "ask/exact_sum")


def _say_where(connection: duckdb.DuckDBPyConnection, config: Config) -> None:
    folder = parquet.literal(config.layout.base.as_posix() + "/")
    sql.define(connection, "ask/lake_folder", folder=folder)


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
            made = Path(folder) / path.name
            place = parquet.literal(made)
            connection.execute(f"ATTACH {place} AS lake (STORAGE_VERSION '{_STORAGE_VERSION}'); USE lake")
            create(connection, config)
            connection.execute("USE memory; DETACH lake")
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
    found = []
    for one in series:
        if not (paths := whole_files(one, day)):
            continue
        try:
            with parquet.named(paths):
                row = connection.execute(
                    f"""SELECT count(*), sum(trade_count), sum(quote_count), count(*) FILTER (NOT observed)
                        FROM {parquet.scan(paths)}"""
                ).fetchall()[0]
        except LakeError as error:
            logger.error("{}", error)
            continue
        numbers = dict(zip(("rows", "trades", "quotes", "unobserved"), map(int, row), strict=True))
        size = sum(path.stat().st_size for path in paths)
        found.append({"exchange": one.exchange, "symbol": one.symbol, **numbers, "bytes": size})
    return found


def bar_files(config: Config, chosen: Chosen = EVERYTHING) -> list[Path]:
    """The files of bars, by exchange, symbol and day."""
    layout = config.layout
    return _files(config, chosen, layout.bars_symbols, layout.bar_days, layout.bar_files)


def candle_files(config: Config, chosen: Chosen = EVERYTHING) -> list[Path]:
    """The files of backfilled candles, by exchange, symbol and day."""
    layout = config.layout
    return _files(
        config, chosen, layout.candle_symbols, layout.candle_days, lambda *day: [layout.candles(*day)]
    )


def _tick_files(config: Config, chosen: Chosen, table: str) -> list[Path]:
    layout = config.layout
    return _files(
        config,
        chosen,
        layout.ticks_symbols,
        lambda exchange, symbol: layout.ticks_days(exchange, symbol, table),
        lambda exchange, symbol, day: [layout.ticks(exchange, symbol, table, day)],
    )


def _files(
    config: Config,
    chosen: Chosen,
    symbols: Callable[[str], list[str]],
    days: Callable[[str, str], list[date]],
    paths: Callable[[str, str, date], list[Path]],
) -> list[Path]:
    return [
        path
        for exchange in config.exchanges
        for symbol in symbols(exchange.name)
        if chosen.symbol in {None, symbol}
        for day in days(exchange.name, symbol)
        if chosen.first <= day <= chosen.last
        for path in paths(exchange.name, symbol, day)
    ]


def _select(columns: tuple[Column, ...], paths: list[Path]) -> str:
    """The columns of files, whose paths count from the lake's folder; of none, an empty table."""
    if paths:
        shown = ", ".join(names(columns))
        listed = f"[lake_folder() || path FOR path IN {parquet.path_list(paths)}]"
        return f"SELECT {shown} FROM read_parquet({listed}, hive_partitioning = false)"
    nothing = ", ".join(f"NULL::{column.type} AS {column.name}" for column in columns)
    return f"SELECT {nothing} WHERE false"
