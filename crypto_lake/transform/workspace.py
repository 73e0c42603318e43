"""The workspace of some symbols' lines: so much memory, the rest on disk, and long files read once.

A collector's segments hold a minute, so an hour reads its own. A file that was landed by hand may hold a day: it is
copied to Parquet at the first question, and each hour then reads its stretch of the copy.
"""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import duckdb

from crypto_lake.disk import locks, parquet
from crypto_lake.layout import HOUR_US
from crypto_lake.raw import book_scan, scan
from crypto_lake.raw.sources import Source, paths_of, selects
from crypto_lake.series import Series

# What DuckDB may take before it spills; with Python and its libraries a run stays below 400 MB.
_MEMORY = "256MB"
_UNSET = ".tmp"
_LONG_US = 2 * HOUR_US
_LARGE_BYTES = 32_000_000
# A line of the book takes some kilobytes. DuckDB's least.
_LINES_A_GROUP = 2_048


class Workspace(AbstractContextManager["Workspace"]):
    """For symbols of one lake, whose locks are held; what it wrote, and what a crash left there before, is removed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *series: Series) -> None:
        self._connection = connection
        self._spill = series[0].layout.spill
        # The first one's holds all that is copied now; its lock keeps others from it.
        self._folders = [one.layout.workspace(one.exchange, one.symbol) for one in series]
        self._copies: dict[Path, Path] = {}

    def __enter__(self) -> Self:
        self._clear()
        self._spill.parent.mkdir(parents=True, exist_ok=True)
        # It cannot be changed once it was used: of several lakes on one connection, the first one's serves.
        ((spill,),) = self._connection.execute("SELECT current_setting('temp_directory')").fetchall()
        if spill == _UNSET:
            self._connection.execute(f"SET temp_directory = {parquet.literal(self._spill)}")
        self._connection.execute(f"SET memory_limit = '{_MEMORY}'")
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.execute("RESET memory_limit")
        self._clear()

    def _clear(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def lines(self, sources: Sequence[Source], window: scan.Window | None = None) -> str:
        """The lines of sources as an SQL table, as `scan.table` has it.

        Raises:
            duckdb.Error: a long file holds something other than raw lines, or the disk refused.
        """
        long = [source for source in sources if _is_long(source)]
        copies = [self._copy(path) for path in paths_of(long)]
        short = [source for source in sources if not _is_long(source)]
        return scan.table(
            [*selects(short, window), *(one for c in copies for one in scan.of_copy(c, window))]
        )

    def slotted(self, wanted: Sequence[tuple[Sequence[Source], scan.Window]]) -> str:
        """The lines that are wanted for each slot, its sources and its window, as `scan.slotted_table` has them.

        Raises:
            duckdb.Error: as `lines`.
        """
        landed: list[tuple[Path, int]] = []
        selects: list[str] = []
        for slot, (sources, window) in enumerate(wanted):
            landed += [(path, slot) for path in paths_of(one for one in sources if _is_short(one))]
            if others := [one for one in sources if not _is_short(one)]:
                selects.append(scan.in_slot(slot, self.lines(others, window)))
        paths, slots = [path for path, _ in landed], [slot for _, slot in landed]
        return scan.slotted_table([*scan.of_slots(paths, slots), *selects])

    def _copy(self, path: Path) -> Path:
        """A segment as Parquet, made at the first question."""
        if path not in self._copies:
            self._copies[path] = self._free()
            parquet.copy(self._connection, f"FROM {scan.lines([path])}", self._copies[path])
        return self._copies[path]

    def of_book(self, path: Path) -> Path | None:
        """A long segment of the book as Parquet, in small row groups, so that its lines are parsed once; else None.

        Raises:
            duckdb.Error: it holds something other than lines, or the disk refused.
        """
        if path.stat().st_size <= _LARGE_BYTES:
            return None
        if path not in self._copies:
            self._copies[path] = self._free()
            self._connection.execute(
                f"COPY (FROM {book_scan.lines([path])}) TO {parquet.literal(self._copies[path])} "
                f"(FORMAT parquet, ROW_GROUP_SIZE {_LINES_A_GROUP})"
            )
        return self._copies[path]

    def _free(self) -> Path:
        self._folders[0].mkdir(parents=True, exist_ok=True)
        return self._folders[0] / f"{len(self._copies):04d}.parquet"


@contextlib.contextmanager
def locked(*series: Series) -> Iterator[None]:
    """Let nobody else write these symbols' bars meanwhile.

    Raises:
        LakeBusyError: somebody else has been at one of them for minutes.
        LakeError: the lake cannot be written.
    """
    with contextlib.ExitStack() as held:
        # In one order, or two runs that hold some of each other's would wait for ever.
        for path in sorted(one.layout.bars_lock(one.exchange, one.symbol) for one in series):
            held.enter_context(locks.hold(path))
        yield


def _is_short(source: Source) -> bool:
    return not source.is_ticks and not _is_long(source)


def _is_long(source: Source) -> bool:
    if source.is_ticks or source.received is None:
        return False
    first, last = source.received
    return last - first > _LONG_US and source.size > _LARGE_BYTES
