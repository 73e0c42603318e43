"""What the command `export` does: the ticks of some days, in files of another program's."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import duckdb

from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError
from crypto_lake.export import hftbacktest, local, nautilus
from crypto_lake.raw.lines import TICKS
from crypto_lake.series import Series

# By the name of the format.
FORMATS = {"hftbacktest": hftbacktest.write, "nautilus": nautilus.write}


def export(
    config: Config, kind: str, days: Sequence[date], symbol: str | None, folder: Path
) -> Iterator[Path]:
    """Write the files of days, of one symbol or of all that have ticks of them, and yield where each is.

    Raises:
        LakeError: there is nothing of these days, a file cannot be read, or the disk refused.
    """
    write: Callable[..., list[Path]] = FORMATS[kind]
    known = [one for one in Series.known(config) if symbol in {None, one.symbol}]
    if not known:
        raise LakeError(
            f"{config.layout.base}: nothing of {symbol or 'any symbol'}; expected what was recorded"
        )
    there = [{*one.layout.ticks_days(one.exchange, one.symbol)} for one in known]
    found = [
        (one, day) for day in days for one, its in zip(known, there, strict=True) if symbol or day in its
    ]
    if not found:
        raise LakeError(
            f"{config.layout.base}: no ticks of these days; crypto-lake compact --date makes them of finished days"
        )
    with parquet.connect() as connection:
        for one, day in found:
            with _told(one, day):
                written = write(connection, local.of(connection, one, day), folder)
            yield from written


@contextlib.contextmanager
def _told(series: Series, day: date) -> Iterator[None]:
    """Turn what DuckDB says of a day's files into a line."""
    ticks = [series.layout.ticks(series.exchange, series.symbol, one.table, day) for one in TICKS]
    try:
        with parquet.named(ticks):
            yield
    except duckdb.Error as error:
        raise LakeError(f"{series.symbol} {day}: {' '.join(str(error).split())}") from None
