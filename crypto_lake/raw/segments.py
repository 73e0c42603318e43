"""Raw files: append, seal, recover, list. Where the bytes of a raw line meet the disk; light, for the collector.

A segment is open (`part_0001.jsonl.open`, the only file of the lake that grows) or sealed (the same name without
`.open`, never changed again). A death can tear the tail of an open one alone, and a power loss spoil the rest of it, so
recovery looks at open ones alone: what is no line is taken out, a torn tail cut, the rest sealed. Numbers start at 1
each UTC day of receipt and are never reused: the next one is one above the highest that is there, sealed or open. Those
of a collector with a name (`part_a_0001.jsonl`) are numbered by themselves.
"""

import errno
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice, takewhile
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from crypto_lake.disk import checksums, publish
from crypto_lake.errors import RawDataError
from crypto_lake.layout import COMPRESSED_SUFFIX, OPEN_SUFFIX, RECORDER, Layout
from crypto_lake.raw.lines import FAMILIES, HEALED, RECEIVED, RawLine

_NAME = re.compile(
    rf"({'|'.join(FAMILIES)})(?:(?<!{HEALED})_({RECORDER}))?_([0-9]{{4,}})\.jsonl(\.open|\.zst)?"
)
# Those that hold trades and quotes.
_OF_TICKS = (RECEIVED, HEALED)
_TAIL = 1 << 16
_ZSTD_MAGIC, _SHORTEST_FRAME = b"\x28\xb5\x2f\xfd", 9
_SURELY_LATEST, _LATEST_AT_MOST, _LATEST_SEC = 2, 20, 10
# A size of two bytes counts from 256.
_ADDED = {2: 256}


def sealed(folder: Path, families: Sequence[str] = _OF_TICKS, recorder: str | None = None) -> list[Path]:
    """The sealed segments of a day's folder, in order of family, recorder and number; empty where there is no folder.

    One that is there in both forms, plain and compressed, is taken plain. With `recorder`, those of that one alone.
    """
    return [found.path for found in _sealed(folder, families) if found.is_of(recorder)]


def latest(paths: Sequence[Path]) -> Sequence[Path]:
    """The segments in which may lie what a collector that died had no time to tell: the last two, and those before.

    Of the latter those of ten seconds, 20 at most: a break is told after two seconds, which may be many short segments.
    """
    if len(paths) <= _SURELY_LATEST:
        return paths
    # The last one may have been mended long after.
    since = paths[-_SURELY_LATEST].stat().st_mtime - _LATEST_SEC
    before = reversed(paths[-_LATEST_AT_MOST:-_SURELY_LATEST])
    # One after the other: what lies in one left out between two would be missing.
    count = sum(1 for _ in takewhile(lambda path: path.stat().st_mtime >= since, before))
    return paths[-_SURELY_LATEST - count :]


def _sealed(folder: Path, families: Sequence[str]) -> "list[_Found]":
    entries = (found for found in reversed(_found(folder)) if found.family in families)
    sealed_ones = (found for found in entries if found.is_file and not found.is_open)
    by_name = {name_of(found.path): found for found in sealed_ones}
    return list(reversed(by_name.values()))


def by_recorder(folder: Path) -> dict[str, list[Path]]:
    """The same by recorder, in order of names; what was fetched is with the one without a name."""
    by_name: dict[str, list[Path]] = {}
    for found in _sealed(folder, _OF_TICKS):
        by_name.setdefault(found.recorder, []).append(found.path)
    return dict(sorted(by_name.items()))


def is_healed(path: Path) -> bool:
    """Return whether a segment was fetched rather than received."""
    match = _NAME.fullmatch(path.name)
    return match is not None and match[1] == HEALED


def recorder_of(path: Path) -> str:
    """The name of the collector that wrote a segment; empty where it has none, and of what was fetched."""
    match = _NAME.fullmatch(path.name)
    return (match[2] or "") if match else ""


def days(layout: Layout, exchange: str, symbol: str, latest: int | None = None) -> list[date]:
    """The days whose folders hold a segment of ticks, oldest first; with `latest`, so many of them, the last ones.

    A folder may hold a journal alone: nothing came that day, its segments were removed, or it points to another day.
    """
    folders = reversed(layout.raw_days(exchange, symbol))
    found = (day for day in folders if _holds(layout.raw_day(exchange, symbol, day), _OF_TICKS))
    return sorted(islice(found, latest))


def last_day(layout: Layout, exchange: str, symbol: str, *, of_any: bool = False) -> date | None:
    """The last day whose folder holds a segment, of any family, of the recorder whose layout this is, or `of_any`."""
    recorder = None if of_any else layout.recorder
    folders = reversed(layout.raw_days(exchange, symbol))
    found = (layout.raw_day(exchange, symbol, day) for day in folders)
    last = next((folder for folder in found if _holds(folder, FAMILIES, recorder)), None)
    return date.fromisoformat(last.name) if last else None


def _holds(folder: Path, families: Sequence[str], recorder: str | None = None) -> bool:
    try:
        with os.scandir(folder) as entries:
            matches = (match for entry in entries if (match := _NAME.fullmatch(entry.name)))
            return any(recorder in {None, match[2] or ""} for match in matches if match[1] in families)
    except FileNotFoundError:
        return False  # Pruned since the folders were listed.


def family_of(name: str) -> str | None:
    """The family of a segment, sealed or open, by its file's name; None for what is none."""
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def name_of(path: Path) -> str:
    """A sealed segment's name, whether it is compressed or not."""
    return path.name.removesuffix(COMPRESSED_SUFFIX)


def size_of(path: Path) -> int:
    """Return how many bytes of lines a sealed segment holds, whether it is compressed or not.

    Raises:
        RawDataError: it calls itself compressed, and is not as we compress.
    """
    if path.suffix != COMPRESSED_SUFFIX:
        return path.stat().st_size
    with path.open("rb") as file:
        return _content_size(path, file.read(18))


def _content_size(path: Path, head: bytes) -> int:
    """Return what a Zstandard frame says of its content's size (RFC 8878, 3.1.1.1)."""
    if not head.startswith(_ZSTD_MAGIC) or len(head) < _SHORTEST_FRAME:
        raise RawDataError(f"{path}: not a Zstandard file; expected a compressed segment")
    flags = head[4]
    single, width = flags & 0x20, 1 << (flags >> 6)
    begin = 5 + (0 if single else 1) + (0, 1, 2, 4)[flags & 3]
    if width == 1 and not single:
        raise RawDataError(
            f"{path}: does not say how long its content is; expected a segment compressed by the lake"
        )
    return int.from_bytes(head[begin : begin + width], "little") + _ADDED.get(width, 0)


class _Found(NamedTuple):
    family: str
    recorder: str
    number: int
    is_open: bool
    path: Path
    is_file: bool

    def is_of(self, recorder: str | None) -> bool:
        """Return whether it is a recorder's; None: of any."""
        return recorder is None or self.recorder == recorder


def _found(folder: Path) -> list[_Found]:
    """Return what bears a segment's name; a folder that does, left by hand, holds no lines, but has taken the name."""
    return sorted(
        _Found(
            match[1],
            match[2] or "",
            int(match[3]),
            match[4] == OPEN_SUFFIX,
            folder / entry.name,
            entry.is_file(),
        )
        for match, entry in _named(folder)
    )


def _named(folder: Path) -> list[tuple[re.Match[str], os.DirEntry[str]]]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return [(match, entry) for entry in entries if (match := _NAME.fullmatch(entry.name))]


def next_number(folder: Path, family: str = RECEIVED, recorder: str = "") -> int:
    """The number for a recorder's next segment of a folder: one above its highest there, open ones counted."""
    # From the names alone: a collector asks it of each symbol each minute, and in the evening there are a thousand.
    mine = (match for match, _ in _named(folder) if match[1] == family and (match[2] or "") == recorder)
    return 1 + max((int(match[3]) for match in mine), default=0)


@dataclass
class OpenSegment:
    """A segment that is being written. Made by `create`; ended by `seal` (or by `recover`, after a crash)."""

    path: Path
    day: date
    size: int = 0
    _file: BinaryIO = field(init=False, repr=False)
    _is_refused: bool = field(init=False, repr=False, default=False)
    _hash: "hashlib._Hash" = field(init=False, repr=False, default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        # Unbuffered: what `append` was given has left the process when it returns. Exclusive: a number that somebody
        # else has taken is an error, and never lines in his file.
        self._file = self.path.open("xb", buffering=0)

    @classmethod
    def create(
        cls, layout: Layout, exchange: str, symbol: str, day: date, family: str = RECEIVED
    ) -> "OpenSegment":
        """Open the next segment of a family of a symbol's day, of the recorder whose layout this is.

        Raises:
            OSError: the disk refused.
        """
        folder = layout.raw_day(exchange, symbol, day)
        # Synced by `seal`: at midnight thousands of symbols need one, and their lines are not to wait for the disk.
        publish.make_folder_unsynced(folder)
        number = next_number(folder, family, layout.recorder)
        final = layout.segment(exchange, symbol, day, number, family)
        return cls(final.with_name(final.name + OPEN_SUFFIX), day)

    def append(self, lines: bytes) -> None:
        """Write whole lines, each ending in a newline.

        A disk that takes only a part of them leaves the file as it was before, or (if it refuses that as well)
        with a torn tail that `recover` removes.

        Raises:
            OSError: the disk refused; nothing of `lines` counts as written.
        """
        write_whole(self._file, lines)
        # Only now: lines that the disk refused are appended again, and count once.
        self.size += len(lines)
        self._hash.update(lines)

    @property
    def sha256(self) -> str:
        """The checksum of what was appended, in hex."""
        return self._hash.hexdigest()

    def seal(self) -> Path:
        """Close the segment for good and give it its final name; that path is returned. It may be tried again.

        Raises:
            OSError: the disk refused; somebody holds the file (`PermissionError`), or took it (`FileNotFoundError`).
        """
        if not self._file.closed:
            if self._is_refused and publish.write_anew(self.path) != self.sha256:
                raise OSError(errno.EIO, "the disk failed to write, and bytes are lost", str(self.path))
            self._is_refused = True
            # Before there is a sealed name: such a file is believed without a look at its last line.
            os.fsync(self._file.fileno())
            # Windows renames no file that is open.
            self._file.close()
        # Before the rename: else a sealed name may stand in a folder that a power loss takes away.
        publish.sync_folders_above(self.path)
        final = _final(self.path)
        # An attempt before may have come as far as the last line, and no further.
        if self.path.exists() or not final.exists():
            # Once only: while a program holds it on Windows, no other segment would be sealed.
            self.path.replace(final)
        publish.sync_folder(final.parent)
        return final

    def abandon(self) -> None:
        """Close the file and leave it to `recover`, after an error."""
        self._file.close()


def _final(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(OPEN_SUFFIX))


def write_whole(file: BinaryIO, lines: bytes) -> None:
    """Write all of `lines` at the end of an unbuffered file, or nothing: a full disk takes only a part of a write.

    Raises:
        OSError: the disk refused; what it did take was cut off again, unless it refused that as well.
    """
    end = file.tell()
    try:
        rest = memoryview(lines)
        while rest:
            # An unbuffered write may take a part and say so, without an error.
            rest = rest[file.write(rest) :]
    except OSError:
        # Else the caller's next attempt would go on in the middle of a line; or behind a block of NULs, where the bytes
        # cannot be cut off and do not last.
        file.seek(end)
        file.truncate(end)
        raise


_encode_lines = msgspec.json.Encoder().encode_lines


def land_healed(layout: Layout, exchange: str, symbol: str, day: date, lines: Sequence[RawLine]) -> Path:
    """Publish fetched lines as the next `heal_NNNN.jsonl` of a day, at once or not at all; its path is returned.

    Its checksum comes first: if a crash follows, the next file takes this number, and writes it anew.

    Raises:
        OSError: the disk refused; nothing has appeared.
    """
    number = next_number(layout.raw_day(exchange, symbol, day), HEALED)
    path = layout.segment(exchange, symbol, day, number, HEALED)
    content = _encode_lines(lines)
    checksums.note(layout.checksum(path), path, checksums.of_bytes(content))
    publish.write(path, content)
    return path


@dataclass(frozen=True)
class Recovered:
    """The result of recovering one open segment. `path` is None where no whole line was left (file removed).

    `torn_bytes` were cut from its end, `moved_bytes` in it were no raw lines.
    """

    symbol: str
    day: date
    path: Path | None
    torn_bytes: int
    moved_bytes: int = 0


# Takes what is no line out of an open segment of a symbol's day; how many bytes went is returned.
Mend = Callable[[Path, str, date], int]


def recover(layout: Layout, exchange: str, mend: Mend = lambda _path, _symbol, _day: 0) -> list[Recovered]:
    """Seal what a crash left open: mend each open segment, truncate it to its last whole line, then rename it.

    Only those of the recorder whose layout this is: another one may be writing to its own. Call it with its lock held,
    before the first segment is created.

    Raises:
        OSError: the disk refused; call it again.
    """
    recovered = [
        _recover(layout, found, symbol, day, mend(found.path, symbol, day))
        for symbol in layout.raw_symbols(exchange)
        for day in layout.raw_days(exchange, symbol)
        for found in _found(layout.raw_day(exchange, symbol, day))
        if found.is_open and found.is_file and found.is_of(layout.recorder)
    ]
    # The dead one may have made these as well: for a first symbol, or a new one.
    for folder in layout.raw_symbol(exchange, recovered[0].symbol).parents[:3] if recovered else ():
        publish.sync_folder(folder)
    return recovered


def _recover(layout: Layout, found: _Found, symbol: str, day: date, moved: int) -> Recovered:
    path = found.path
    torn = truncate_torn_tail(path)
    if path.stat().st_size == 0:
        path.unlink()
        return Recovered(symbol, day, None, torn, moved)
    final = _final(path)
    if final.exists() or final.with_name(final.name + COMPRESSED_SUFFIX).exists():
        # The copy of a lake that was being recorded can hold a segment in both forms; a sealed one never changes, and a
        # plain name hides a compressed one.
        number = next_number(path.parent, found.family, found.recorder)
        final = path.with_name(layout.segment("", symbol, day, number, found.family).name)
    # The dead one's sync may have failed, and Linux says yes to the next.
    publish.write_anew(path)
    publish.replace(path, final)
    # The dead one may have made the day's folder and not come to sync its name.
    publish.sync_folder(path.parent.parent)
    return Recovered(symbol, day, final, torn, moved)


def truncate_torn_tail(path: Path) -> int:
    """Cut a file back to its last newline; how many bytes went is returned."""
    with path.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        keep = _end_of_last_line(file, size)
        if keep < size:
            file.truncate(keep)
        # Also where nothing was cut: the dead one never synced it, and the sealed name that follows is believed.
        os.fsync(file.fileno())
    return size - keep


def _end_of_last_line(file: BinaryIO, end: int) -> int:
    while end:
        start = max(0, end - _TAIL)
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
