"""What of a folder is not in the store yet, known from names, sizes and times, in little memory.

The segments of a family are numbered in the order in which they are sealed, and are shipped in that order: so one
number says which of them are stored. All else in a folder (journals, registers) may grow or be replaced, and is known
by its size and time.
"""

import contextlib
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct, json

from crypto_lake.disk.store import Entry
from crypto_lake.errors import NOT_JSON
from crypto_lake.layout import COMPRESSED_SUFFIX, OPEN_SUFFIX

_is_sealed = re.compile(r"([^_.].*)_([0-9]{4,})\.jsonl(\.zst)?").fullmatch
_CHECKSUM = ".sha256"
# The kinds of records that tell a sealed segment's checksum.
_OF_SEGMENTS = ("sealed", "depth_sealed")


class _Record(Struct):
    """What is read of a journal's records."""

    kind: str
    segment: str | None = None
    sha256: str | None = None


class File(NamedTuple):
    """A file that may be shipped: a sealed segment (of a family, with a number), or another (`number` 0)."""

    path: Path
    size: int
    modified_ns: int
    family: str = ""
    number: int = 0

    @property
    def name(self) -> str:
        """Its name."""
        return self.path.name


@dataclass
class Folder:
    """A folder of raw files, and what of it is known to be stored.

    `tops` are the highest numbers of the families up to which all is stored but for the `missing`; `others` the sizes
    and times of other files when they were shipped, `read` up to where journals were read, and `checksums` what they
    say of segments that wait; `unread` are journals that the store had at the first look, and `before` is what it has
    of journals that is not on this disk any more.
    """

    path: Path
    key: str
    touched_ns: int = -1
    tops: dict[str, int] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    others: dict[str, tuple[int, int]] = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)
    before: dict[str, bytes] = field(default_factory=dict)

    def learn(self, there: Mapping[str, Entry]) -> None:
        """Take what the store holds of the folder for shipped: once, when the folder is first looked at."""
        stored = {key.rpartition("/")[2]: entry.size for key, entry in there.items()}
        files = self.files()
        self.unread = {name for name in stored if name.endswith(".jsonl") and not _is_sealed(name)}
        # A journal goes after the segments that it describes.
        journals = (one for one in files if one.name.startswith("_") and stored.get(one.name, -1) >= one.size)
        described = {name for one in journals for name, _ in records(one.path)[0]}
        still_open = _open(files)
        for one in files:
            if one.number and one.number < still_open.get(one.family, math.inf):
                self.tops[one.family] = max(one.number, self.tops.get(one.family, 0))
                # Of one that was stored and is not there any more, ticks, or a compressed copy, stand for it.
                was_stored = one.name in described and one.name not in stored
                if not (is_stored(one, stored) or was_stored):
                    self.missing.add(one.name)

    def waiting(self) -> list[File]:
        """Return what is to be shipped now, in the order in which it goes: segments, then what tells of them."""
        files = self.files()
        still_open = _open(files)
        due = [one for one in files if self._is_due(one, still_open)]
        return sorted(due, key=lambda one: (_rank(one), one.family, one.number, one.name))

    def _is_due(self, one: File, still_open: Mapping[str, int]) -> bool:
        if not one.number:
            known = self.others.get(one.name) == (one.size, one.modified_ns)
            return not known and not one.name.endswith(OPEN_SUFFIX)
        # One behind a segment that is still being written waits for it, or that one would be taken for stored.
        is_new = one.number > self.tops.get(one.family, 0) or one.name in self.missing
        return is_new and one.number < still_open.get(one.family, math.inf)

    def shipped(self, one: File) -> None:
        """Remember that a file is stored."""
        if one.number:
            self.missing.discard(one.name)
            self.checksums.pop(one.name, None)
            self.tops[one.family] = max(one.number, self.tops.get(one.family, 0))
        else:
            self.others[one.name] = one.size, one.modified_ns

    def files(self) -> list[File]:
        """Return all files of the folder, those that are being written included."""
        found = []
        with os.scandir(self.path) as entries:
            for entry in entries:
                # A name that begins with a dot is of something that is being made.
                if not entry.name.startswith(".") and entry.is_file():
                    match = _is_sealed(entry.name)
                    of_family = (match[1], int(match[2])) if match else ()
                    at = entry.stat()
                    found.append(File(Path(entry.path), at.st_size, at.st_mtime_ns, *of_family))
        return found


def _open(files: Iterable[File]) -> dict[str, int]:
    """Return the lowest number of each family that is still being written."""
    found: dict[str, int] = {}
    for one in files:
        if one.name.endswith(OPEN_SUFFIX) and (match := _is_sealed(one.name.removesuffix(OPEN_SUFFIX))):
            found[match[1]] = min(int(match[2]), found.get(match[1], int(match[2])))
    return found


def is_stored(one: File, stored: Mapping[str, int]) -> bool:
    """Return whether a segment is stored: as it is, mended, or compressed."""
    if one.name in stored:
        return stored[one.name] == one.size or f"{one.name}{_CHECKSUM}" in stored
    return f"{one.name}{COMPRESSED_SUFFIX}" in stored


def records(path: Path, begin: int = 0) -> tuple[list[tuple[str, str]], int]:
    """Return what a journal says of segments from a place on, name and checksum, and the place up to which it was read.

    A journal that is shorter than that was mended, and is read from its beginning.
    """
    with path.open("rb") as file:
        begin = begin if begin <= file.seek(0, os.SEEK_END) else 0
        file.seek(begin)
        content = file.read()
    # A line that is being written is not one yet.
    whole = content[: content.rfind(b"\n") + 1]
    found = []
    for line in whole.splitlines():
        with contextlib.suppress(*NOT_JSON):
            record = json.decode(line, type=_Record)
            if record.kind in _OF_SEGMENTS and record.segment:
                found.append((record.segment, record.sha256 or ""))
    return found, begin + len(whole)


def earlier(stored: bytes, lines: bytes) -> bytes:
    """Return what of a stored journal lies before the lines that this disk has of it.

    A day that was removed from this disk may get a journal once more, by a trade of that day that comes late.
    """
    first = lines[: lines.find(b"\n") + 1]
    # The same journal, which has grown, or was mended: then it is shorter, or differs further on.
    if first and stored.startswith(first):
        return b""
    at = stored.find(b"\n" + first) + 1 if first else 0
    while at:
        if lines.startswith(stored[at:]):
            return stored[:at]
        at = stored.find(b"\n" + first, at) + 1
    return stored


def _rank(one: File) -> int:
    """Return when a file goes: a checksum before what was fetched later, as when that was landed; journals last."""
    return 0 if one.name.endswith(_CHECKSUM) else 1 if one.number else 2
