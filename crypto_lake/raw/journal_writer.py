"""Append records to journals: a line each, handed to the system one by one. Light, for the collector.

What a record is, and how a journal is read, is told in `journal`.
"""

from datetime import date
from pathlib import Path

import msgspec

from crypto_lake.disk import publish
from crypto_lake.layout import Layout, day_of
from crypto_lake.raw.journal import AnyRecord, OfSymbol
from crypto_lake.raw.segments import truncate_torn_tail, write_whole

# The days that a journal remembers to have been mended. A collector writes to two at a time, and a year of a thousand
# symbols must not stay in memory.
_REMEMBERED_DAYS = 4
_encode = msgspec.json.Encoder().encode


class JournalWriter:
    """Appends records to the files of their days and symbols."""

    def __init__(self, layout: Layout, exchange: str) -> None:
        self.layout = layout
        self.exchange = exchange
        self._mended: dict[date, set[Path]] = {}

    def write(self, record: AnyRecord, day: date | None = None, symbol: str | None = None) -> None:
        """Append one record, and hand it to the system before returning.

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
                write_whole(file, _encode(record) + b"\n")
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
