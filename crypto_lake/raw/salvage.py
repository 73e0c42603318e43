"""Segments that hold more than raw lines: their lines go on without the rest, and the file as it was is set aside.

A segment was on the disk before it was sealed, so this takes a failing disk, or a file that somebody landed by hand.
Which trades it lost is seen by their ids, and they are fetched again.
"""

import shutil
import time
from collections.abc import Iterable
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path

import pyarrow as pa
from loguru import logger

from crypto_lake.disk import checksums, mending, publish
from crypto_lake.errors import RawDataError
from crypto_lake.layout import COMPRESSED_SUFFIX, Layout
from crypto_lake.raw import segments
from crypto_lake.raw.lines import OF_BOOK, is_book_line, is_raw_line

# A file that is being copied changes more often than that.
SETTLED_SEC = 10.0


def salvage(
    layout: Layout, exchange: str, symbol: str, paths: Iterable[Path], settled_sec: float = 0
) -> list[str]:
    """Mend those segments of a symbol that hold more than its raw lines, under the lock of its bars.

    What is said of each is returned. One whose end alone is wrong, and that changed within `settled_sec`, may be on its
    way here: it is left alone.

    Raises:
        OSError: the disk refused; a segment is as it was, or mended.
    """
    return [
        said
        for path in sorted(set(paths))
        if path.exists() and (said := _mend(layout, exchange, symbol, path, settled_sec))
    ]


def _mend(layout: Layout, exchange: str, symbol: str, path: Path, settled_sec: float) -> str | None:
    is_of_book = segments.family_of(path.name) == OF_BOOK
    is_line = partial(is_book_line if is_of_book else is_raw_line, symbol=symbol)
    folder = layout.set_aside(exchange, symbol, date.fromisoformat(path.parent.name))
    if path.suffix == COMPRESSED_SUFFIX:
        plain = _decompressed(path)
        if plain:
            said = _mend(layout, exchange, symbol, plain, 0)
            # Of a segment that is there in both forms the plain one counts.
            (path if said else plain).unlink()
            return said
        bad = path.stat().st_size
    else:
        first, bad = _bad(path, is_line)
        if first + bad == path.stat().st_size and time.time() - path.stat().st_mtime < settled_sec:
            return None
    if not bad:
        return None
    aside = _copy(path, folder)
    if bad == path.stat().st_size:
        path.unlink()
    else:

        def note(mended: Path) -> None:
            # Before it appears: else a crash between the two would have it called damaged for ever.
            checksums.note(layout.checksum(path), path, checksums.of(mended))

        mending.take_out(path, is_line, ended=True, note=note)
    said = f"{path}: {bad} bytes are no raw lines of {symbol}, and were left out; the file as it was: {aside}"
    logger.error("{}", said)
    return said


def _bad(path: Path, is_line: mending.IsLine) -> tuple[int, int]:
    """Return where the first bytes are that are no line, and how many are none."""
    first, size = 0, 0
    for one in mending.bad(path, is_line, ended=True):
        first, size = first if size else one.offset, size + one.size
    return first, size


def _decompressed(path: Path) -> Path | None:
    """A compressed segment as a plain one beside it; None where it cannot be decompressed."""
    plain, compressed = path.with_name(segments.name_of(path)), path.read_bytes()
    try:
        content = pa.decompress(compressed, segments.size_of(path), codec="zstd", asbytes=True)
    except (RawDataError, pa.ArrowException, OSError):
        return None
    publish.write(plain, content)
    return plain


def _copy(path: Path, folder: Path) -> Path:
    """Copy a file into a folder, under a name that is free there."""
    names = (f"{path.name}.{number}" if number else path.name for number in count())
    target = next(folder / name for name in names if not (folder / name).exists())
    with publish.publishing(target) as temporary:
        shutil.copyfile(path, temporary)
    return target
