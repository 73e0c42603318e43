"""Files of lines that a power loss spoilt: what in them is no line, and how it is taken out.

File systems give blocks of NULs for what they had promised and not yet written, in the middle of a file or at its end,
and a later write may survive an earlier one. What stands whole beside such a block is kept. Light, for the collector.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from crypto_lake.disk import publish

# What a line takes at most, wherever lines are read one by one. The longest that is written, 5,000 levels a side of an
# order book, takes half of it. Little enough for any memory, since what has no end of line is read in pieces of it.
LONGEST = 1 << 20

# One after the other: as a list, those of a damaged piece would take fifty times its size.
_pieces = re.compile(rb"\0+|[^\0]+").finditer

IsLine = Callable[[bytes], bool]


class Bad(NamedTuple):
    """Bytes that are no line, and where they began; of NULs only how many there are (`content` is then empty)."""

    offset: int
    size: int
    content: bytes


def bad(path: Path, is_line: IsLine, *, ended: bool = False) -> Iterator[Bad]:
    """Yield what is bad in a file, in order; a torn line at the end is only where the file has `ended`."""
    with path.open("rb") as file:
        yield from (piece for piece in _read(file, is_line, ended=ended) if isinstance(piece, Bad))


def good(line: bytes, is_line: IsLine) -> Iterator[bytes]:
    """Return what stands whole beside blocks of NULs in one line."""
    return (piece for piece in _judged(0, line, is_line) if not isinstance(piece, Bad))


def take_out(
    path: Path, is_line: IsLine, *, ended: bool = False, note: Callable[[Path], None] = lambda _: None
) -> None:
    """Replace a file, as a whole, by one without what is `bad` in it; `note` is given that one before it appears.

    Raises:
        OSError: the disk refused; the file is as it was.
    """
    with publish.publishing(path) as temporary:
        with path.open("rb") as file, temporary.open("wb") as left:
            for piece in _read(file, is_line, ended=ended):
                if not isinstance(piece, Bad):
                    left.write(piece)
        note(temporary)


def _read(file: BinaryIO, is_line: IsLine, *, ended: bool) -> "Iterator[bytes | Bad]":
    """Tell a file's lines from what is bad in it; NULs that follow each other come as one."""
    nulls: Bad | None = None
    for offset, content in _chunks(file):
        torn = isinstance(content, _Tail) and not ended
        for piece in [content] if torn else _judged(offset, content, is_line):
            if isinstance(piece, Bad) and not piece.content:
                nulls = Bad(nulls.offset, nulls.size + piece.size, b"") if nulls else piece
                continue
            if nulls:
                yield nulls
                nulls = None
            yield piece
    if nulls:
        yield nulls


class _Tail(bytes):
    """The end of a file behind its last newline, or NUL: a line that was being written."""

    __slots__ = ()


def _chunks(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Give a file line by line; a line that is too long in pieces, cut behind a NUL where there is one."""
    offset, rest = 0, b""
    while piece := file.readline(LONGEST):
        chunk = rest + piece
        end = len(chunk)
        if not chunk.endswith(b"\n"):
            # A block of NULs ends anywhere: what follows it may be the beginning of a line.
            end = chunk.rfind(b"\0") + 1 or (end if len(piece) == LONGEST else 0)
        if end:
            yield offset, chunk[:end]
        offset, rest = offset + end, chunk[end:]
    if rest:
        yield offset, _Tail(rest)


def _judged(offset: int, content: bytes, is_line: IsLine) -> "Iterator[bytes | Bad]":
    if content.endswith(b"\n") and is_line(content):
        yield content
        return
    for found in _pieces(content):
        piece = found[0]
        if piece.startswith(b"\0"):
            yield Bad(offset, len(piece), b"")
        elif is_line(piece):
            yield piece.removesuffix(b"\n") + b"\n"
        else:
            yield Bad(offset, len(piece), piece)
        offset += len(piece)
