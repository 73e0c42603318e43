"""Append records to journals: a line each, handed to the system one by one. Light, for the collector.

What a record is, and how a journal is read, is told in `journal`.
"""

import os
from datetime import date
from pathlib import Path
from typing import BinaryIO

import msgspec

from crypto_lake.disk import publish
from crypto_lake.layout import Layout, day_of
from crypto_lake.raw.journal import (
    AnyRecord,
    Away,
    Disconnected,
    Mended,
    OfSymbol,
    Started,
    Stopped,
    Subscribed,
)
from crypto_lake.raw.segments import truncate_torn_tail, write_whole

# The days that a journal remembers to have been mended. A collector writes to two at a time, and a year of a thousand
# symbols must not stay in memory.
_REMEMBERED_DAYS = 4
# Recovery concludes from these who listened: without one of them it would join what was heard before and after. They
# are rare. The others are not synced: what they tell of lines, recovery finds in the last segments again.
_LASTING = (Started, Stopped, Subscribed, Disconnected, Away, Mended)
_encode = msgspec.json.Encoder().encode


class JournalWriter:
    """Appends records to the files of their days and symbols."""

    def __init__(self, layout: Layout, exchange: str) -> None:
        self.layout = layout
        self.exchange = exchange
        self._mended: dict[date, set[Path]] = {}

    def write(self, record: AnyRecord, day: date | None = None, symbol: str | None = None) -> None:
        """Append one record, and hand it to the system before returning; one that says who listened, to the disk.

        It goes to the journal of `day`, or of the day of its `at`: its symbol's own, if it has a symbol. `symbol` is
        for a `Mended`, which tells of the file that it lies in.

        Raises:
            OSError: the disk refused.
        """
        day = day or day_of(record.at)
        path = self.path(day, record.symbol if isinstance(record, OfSymbol) else symbol)
        mended = self._mended_of(day)
        if path not in mended:
            self._mend(path)
            mended.add(path)
        try:
            with path.open("ab", buffering=0) as file:
                end = file.tell()
                write_whole(file, _encode(record) + b"\n")
                if isinstance(record, _LASTING):
                    # Before the lines that follow are written: those may reach the disk at any time, in any order.
                    _sync(file, end, path.parent)
        except OSError:
            mended.discard(path)
            raise

    def path(self, day: date, symbol: str | None = None) -> Path:
        """The file of a day: a symbol's own, or that which all share."""
        if symbol is None:
            return self.layout.journal(self.exchange, day)
        return self.layout.symbol_journal(self.exchange, symbol, day)

    def _mended_of(self, day: date) -> set[Path]:
        # The day used last stands last, so the one to forget is the first.
        found = self._mended[day] = self._mended.pop(day, set())
        if len(self._mended) > _REMEMBERED_DAYS:
            del self._mended[next(iter(self._mended))]
        return found

    def _mend(self, path: Path) -> None:
        """Before the first append, and after a failed one: a death or a full disk may have torn the last record."""
        # As lasting as a segment's: the folder may be made here, and a segment then be sealed in it.
        publish.make_folder(path.parent)
        if path.exists() and path.stat().st_size:
            truncate_torn_tail(path)


def _sync(file: BinaryIO, end: int, folder: Path) -> None:
    """Wait until a journal is on the disk, and its name, since it may be new; else cut it back to where it ended."""
    try:
        os.fsync(file.fileno())
        publish.sync_folder(folder)
    except OSError:
        # The record is written again, and is to be there once.
        file.truncate(end)
        raise
