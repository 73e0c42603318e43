"""Move what a power loss left in files that were being written to the refused frames of their day.

It is kept there as far as a person may want to look at it; blocks of NULs are told by their length alone.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
from loguru import logger

from crypto_lake.disk import mending, publish
from crypto_lake.disk.mending import Bad, IsLine
from crypto_lake.errors import NOT_JSON
from crypto_lake.layout import Layout
from crypto_lake.raw import journal, segments
from crypto_lake.raw.lines import OF_BOOK, is_book_line, is_raw_line
from crypto_lake.raw.segments import truncate_torn_tail, write_whole

# Of one file so many bytes are kept at most, since a whole disk may be damaged.
_KEPT_BYTES = 16 << 20
# What a kept piece costs beside its content, roughly.
_RECORD_SIZE = 256
_Line = TypeVar("_Line")


class Mending:
    """One exchange's files; the lake's lock must be held. `now` is µs UTC."""

    def __init__(self, layout: Layout, exchange: str, now: int, kept_bytes: int = _KEPT_BYTES) -> None:
        self._layout = layout
        self._exchange = exchange
        self._now = now
        self._kept_bytes = kept_bytes

    def segment(self, path: Path, symbol: str, day: date) -> int:
        """Take out of an open segment what is no line of its family and symbol; how many bytes went is returned.

        Raises:
            OSError: the disk refused; the segment is as it was.
        """
        is_line = is_book_line if segments.family_of(path.name) == OF_BOOK else is_raw_line
        return self._mend(path, day, partial(is_line, symbol=symbol))

    def journal(self, path: Path, day: date) -> int:
        """Take out of a journal of a day what is no record; how many bytes went is returned.

        Raises:
            OSError: the disk refused; the journal is as it was.
        """
        return self._mend(path, day, journal.is_record) if path.exists() else 0

    def _mend(self, path: Path, day: date, is_line: IsLine) -> int:
        moved = self._keep(path, self._layout.rejected(self._exchange, day), is_line)
        if moved:
            mending.take_out(path, is_line)
            logger.error("{}: {} bytes are no lines, and were moved to _rejected", path, moved)
        return moved

    def _keep(self, path: Path, target: Path, is_line: IsLine) -> int:
        """Append what is bad in a file to the refused frames of a day; how many bytes it is.

        It is on the disk before it goes from where it was: a second power loss leaves it in both, never in none.
        """
        moved = room = 0
        with contextlib.ExitStack() as opened:
            file: BinaryIO | None = None
            for one in mending.bad(path, is_line):
                file = file or opened.enter_context(_appending(target))
                moved += one.size
                room += _RECORD_SIZE + len(one.content)
                if room <= self._kept_bytes:
                    write_whole(file, self._line(path, one))
            if file:
                os.fsync(file.fileno())
        return moved

    def _line(self, path: Path, one: Bad) -> bytes:
        said = {
            "ts_recv": self._now,
            "reason": "no line" if one.content else "NULs, as a power loss leaves them",
            "frame": one.content.decode(errors="backslashreplace"),
            "file": self._layout.key(path),
            "offset": one.offset,
            "size": one.size,
        }
        return msgspec.json.encode(said) + b"\n"


@contextlib.contextmanager
def _appending(path: Path) -> Iterator[BinaryIO]:
    publish.make_folder(path.parent)
    path.touch()
    # Its name as well: what is moved here goes from where it was.
    publish.sync_folder(path.parent)
    # A death while this file was written may have left half a line, onto which the next would be written.
    truncate_torn_tail(path)
    with path.open("ab", buffering=0) as file:
        yield file


def lines_of(path: Path, decode: Callable[[bytes], _Line], what: str) -> Iterator[_Line]:
    """A segment's lines. What is none (a power loss can leave such) is told to be not `what`, and left out."""
    with path.open("rb") as file:
        # A sealed segment was not mended: on a failing disk it may be one line of any size.
        for number, line in enumerate(iter(partial(file.readline, mending.LONGEST), b""), start=1):
            try:
                yield decode(line)
            except NOT_JSON as error:
                logger.error("{}: line {}: not {}: {}", path, number, what, error)
