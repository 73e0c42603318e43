"""The views: `bars_1s` over daily files and, for days without one, parts; longer bars from it; `candles_1m`; ticks.

Which files a view reads is settled when it is made, by the one rule of `Layout.bar_files`; nothing is counted twice.
"""

from collections.abc import Iterator
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
from loguru import logger

from crypto_lake import parquet, publish, ticks
from crypto_lake.config import Config
from crypto_lake.errors import LakeError
from crypto_lake.layout import SECOND_US
from crypto_lake.schema import BAR, TICKS, Column, names

NAMES = ("trades", "quotes", "bars_1s", "bars_1m", "bars_5m", "bars_1h", "bars_1d", "candles_1m")


def create(connection: duckdb.DuckDBPyConnection, config: Config) -> None:
    """Make all views (`NAMES`) in a database, over the files that there are now.

    Files that cannot be read are left out, with a warning for each: one bad file does not silence the others.
    """
    tables = {"bars_1s": (BAR, bar_files(config)), "candles_1m": (BAR, candle_files(config))}
    for kind, columns in TICKS.items():
        tables[kind] = (columns, [path for path in ticks.all_paths(config) if path.parent.name == kind])
    for name, (columns, paths) in tables.items():
        readable = [path for path in paths if parquet.is_whole(path)]
        for path in sorted(set(paths) - set(readable)):
            logger.warning("{}: not a readable Parquet file; left out of {}", path, name)
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS {_select(columns, readable)}")
    resample(connection, config)


def resample(connection: duckdb.DuckDBPyConnection, config: Config) -> None:
    """Make the views of longer bars, over a `bars_1s` that is there."""
    template = (files("crypto_lake") / "sql" / "views.sql").read_text(encoding="utf-8")
    step = config.transformer.resample_interval_sec * SECOND_US
    connection.execute(template.replace("{step}", str(step)))


def save(config: Config) -> Path:
    """Write `lake.duckdb` anew: the same views, for any DuckDB client.

    Raises:
        LakeError: it cannot be written, e.g. because a client on Windows holds it open.
    """
    path = config.layout.database
    try:
        with publish.publishing(path) as temporary, duckdb.connect(str(temporary)) as connection:
            create(parquet.ready(connection), config)
            connection.close()
    except (OSError, duckdb.Error) as error:
        raise LakeError(f"{path}: cannot be written: {' '.join(str(error).split())}") from None
    return path


def day_in_numbers(connection: duckdb.DuckDBPyConnection, config: Config, day: date) -> list[dict[str, Any]]:
    """A day's bars in a few numbers, a dict for each symbol that has any."""
    found = []
    for exchange, symbol, paths in _bar_files_by_symbol(config, day):
        row = connection.execute(
            f"""SELECT count(*), sum(trade_count), sum(quote_count), count(*) FILTER (NOT observed)
                FROM {parquet.scan(paths)}"""
        ).fetchall()[0]
        numbers = dict(zip(("rows", "trades", "quotes", "unobserved"), map(int, row), strict=True))
        size = sum(path.stat().st_size for path in paths)
        found.append({"exchange": exchange, "symbol": symbol, **numbers, "bytes": size})
    return found


def _bar_files_by_symbol(config: Config, day: date) -> Iterator[tuple[str, str, list[Path]]]:
    layout = config.layout
    for exchange in config.exchanges:
        for symbol in layout.bars_symbols(exchange.name):
            found = layout.bar_files(exchange.name, symbol, day)
            if paths := [path for path in found if parquet.is_whole(path)]:
                yield exchange.name, symbol, paths


def bar_files(config: Config) -> list[Path]:
    """The files of all bars, by exchange, symbol and day."""
    layout = config.layout
    return [
        path
        for exchange in config.exchanges
        for symbol in layout.bars_symbols(exchange.name)
        for day in layout.bar_days(exchange.name, symbol)
        for path in layout.bar_files(exchange.name, symbol, day)
    ]


def candle_files(config: Config) -> list[Path]:
    """The files of all backfilled candles, by exchange, symbol and day."""
    layout = config.layout
    return [
        layout.candles(exchange.name, symbol, day)
        for exchange in config.exchanges
        for symbol in layout.candle_symbols(exchange.name)
        for day in layout.candle_days(exchange.name, symbol)
    ]


def _select(columns: tuple[Column, ...], paths: list[Path]) -> str:
    if paths:
        return f"SELECT {', '.join(names(columns))} FROM {parquet.scan(paths)}"
    nothing = ", ".join(f"NULL::{column.type} AS {column.name}" for column in columns)
    return f"SELECT {nothing} WHERE false"
