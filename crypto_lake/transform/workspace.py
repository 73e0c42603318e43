"""The workspace of one symbol's lines: so much memory, the rest on disk, and long files read once.

A collector's segments hold a minute, so an hour reads its own. A file that was landed by hand may hold a day: it is
copied to Parquet at the first question, and each hour then reads its stretch of the copy.
"""

import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import duckdb

from crypto_lake.disk import locks, parquet
from crypto_lake.layout import HOUR_US
from crypto_lake.raw import scan
from crypto_lake.raw.sources import Source, lines_of, paths_of, selects
from crypto_lake.series import Series

# What DuckDB may take before it spills; with Python and its libraries a run stays below 400 MB.
_MEMORY = "256MB"
_UNSET = ".tmp"
_LONG_US = 2 * HOUR_US
_LARGE_BYTES = 32_000_000
_KEPT = "kept_lines"


class Workspace(AbstractContextManager["Workspace"]):
    """For one symbol, whose lock is held; what it wrote, and what a crash left there before, is removed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, series: Series) -> None:
        self._connection = connection
        self._spill = series.layout.spill
        self._folder = series.layout.workspace(series.exchange, series.symbol)
        self._copies: dict[Path, Path] = {}
        self._kept: list[tuple[str, int]] = []

    def __enter__(self) -> Self:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._spill.parent.mkdir(parents=True, exist_ok=True)
        # It cannot be changed once it was used: of several lakes on one connection, the first one's serves.
        ((spill,),) = self._connection.execute("SELECT current_setting('temp_directory')").fetchall()
        if spill == _UNSET:
            self._connection.execute(f"SET temp_directory = {parquet.literal(self._spill)}")
        self._connection.execute(f"SET memory_limit = '{_MEMORY}'")
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.execute(f"DROP TABLE IF EXISTS {_KEPT}; RESET memory_limit")
        shutil.rmtree(self._folder, ignore_errors=True)

    def lines(self, sources: Sequence[Source], window: scan.Window | None = None) -> str:
        """The lines of sources as an SQL table, as `scan.table` has it.

        Raises:
            duckdb.Error: a long file holds something other than raw lines, or the disk refused.
        """
        if sources and _names(sources) == self._kept:
            return _KEPT
        long = [source for source in sources if _is_long(source)]
        copies = [self._copy(path) for path in paths_of(long)]
        short = [source for source in sources if not _is_long(source)]
        return scan.table(
            [*selects(short, window), *(one for c in copies for one in scan.of_copy(c, window))]
        )

    def keep(self, sources: Sequence[Source]) -> None:
        """Parse the lines of sources once for all that asks for exactly these, in the place of those kept before.

        Only segments that hold an hour or so are: copies and ticks are read by the stretch, and need no parsing.

        Raises:
            duckdb.Error: a segment holds something other than raw lines.
        """
        if not any(source.is_ticks or _is_long(source) for source in sources):
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {_KEPT} AS FROM {lines_of(sources)}")
            self._kept = _names(sources)

    def _copy(self, path: Path) -> Path:
        """A segment as Parquet, made at the first question."""
        if path not in self._copies:
            self._folder.mkdir(parents=True, exist_ok=True)
            copy = self._folder / f"{len(self._copies):04d}.parquet"
            parquet.copy(self._connection, f"FROM {scan.lines([path])}", copy)
            self._copies[path] = copy
        return self._copies[path]


def locked(series: Series) -> AbstractContextManager[None]:
    """Let nobody else write this symbol's bars meanwhile.

    Raises:
        LakeBusyError: somebody else has been at it for minutes.
        LakeError: the lake cannot be written.
    """
    return locks.hold(series.layout.bars_lock(series.exchange, series.symbol))


def _names(sources: Sequence[Source]) -> list[tuple[str, int]]:
    """Return what tells lines from others: a segment that is mended meanwhile has another size."""
    return [(source.name, source.size) for source in sources]


def _is_long(source: Source) -> bool:
    if source.is_ticks or source.received is None:
        return False
    first, last = source.received
    return last - first > _LONG_US and source.size > _LARGE_BYTES
