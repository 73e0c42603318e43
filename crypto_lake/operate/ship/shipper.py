"""One look after another: what waits is put into the store, verified, and in time taken off this disk.

A folder of a symbol's day is looked into when its time, or that of the journal in it, has changed since. Segments go
before the journal that describes them, so whoever reads the journal finds them.
"""

import contextlib
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from loguru import logger

from crypto_lake import clock
from crypto_lake.config import Config
from crypto_lake.disk import checksums, publish
from crypto_lake.disk.store import Store
from crypto_lake.errors import StoreError
from crypto_lake.layout import DAY_US, HOUR_US, day_start_us
from crypto_lake.listing import named_day
from crypto_lake.operate.ship.waiting import File, Folder, earlier, is_stored, records
from crypto_lake.staging import identity, landings
from crypto_lake.staging.working import mark_days

# A segment whose record is not in the journal yet waits for it so long: the record follows within the same second.
RECORD_SEC = 30.0
_STEP_NS = 2_000_000_000
# One that was landed by hand may be too large for memory.
_LARGE = 64 << 20
# Whatever the setting, a day that is over may still be written to: lines that were received before midnight.
_OVER_US = HOUR_US


class Shipper:
    """What one lake's disk has that its store may lack. `files` and `size` are what was put."""

    def __init__(self, config: Config, record_sec: float = RECORD_SEC) -> None:
        self.files = self.size = 0
        self._config = config
        self._record_ns = record_sec * 1e9
        self._layout = config.collector_layout
        self._folders: dict[Path, Folder] = {}
        self._damaged: set[Path] = set()
        self._landed: dict[str, dict[str, int]] = {}
        self._lock = threading.Lock()

    @property
    def _store(self) -> Store:
        return identity.opened(self._config)

    def waiting(self) -> Iterator[File]:
        """Yield what waits."""
        for folder in self._touched():
            with contextlib.suppress(FileNotFoundError):
                yield from folder.waiting()

    def round(self) -> int:
        """Ship what waits, of the newest days first; return how many files that were.

        Raises:
            StoreError: the store refuses, or does not answer: what was put is whole, and not put again.
            OSError: the disk refused.
        """
        before = self.files
        looks = sorted(self._touched(), key=lambda one: one.path.name, reverse=True)
        for _ in self._store.each(self._ship, looks):
            pass
        return self.files - before

    def _touched(self) -> list[Folder]:
        """Return the folders that changed since all in them was shipped; those that are gone are forgotten."""
        there = set(self._paths())
        for path in self._folders.keys() - there:
            del self._folders[path]
        for path in there - self._folders.keys():
            self._folders[path] = Folder(path, self._layout.key(path))
        return [one for one in self._folders.values() if self._touched_ns(one.path) != one.touched_ns]

    def _paths(self) -> Iterator[Path]:
        """Yield the folders in which files lie: of each symbol's days, and what all symbols share."""
        for exchange in _folders(self._layout.raw_symbol("", "")):
            for above in _folders(exchange):
                if above.name.startswith("_"):
                    yield from (Path(folder) for folder, _, _ in os.walk(above))
                else:
                    yield from (folder for folder in _folders(above) if named_day(folder.name))
        for section in self._config.exchanges:
            tables = self._layout.reference(section.name, date.min).parent
            if tables.is_dir():
                yield tables

    def _touched_ns(self, path: Path) -> int:
        """Return when something came into a folder, or was added to its journal; of one with few files, never."""
        day = named_day(path.name)
        if day is None:
            return time.time_ns()
        journal = self._layout.symbol_journal("", "", day).name
        return max(_changed_ns(path), _changed_ns(path / journal))

    def _ship(self, folder: Folder) -> None:
        touched_ns = self._touched_ns(folder.path)
        try:
            if folder.touched_ns < 0 and not folder.tops:
                folder.learn(self._store.entries(folder.key))
            some = folder.waiting()
            self._read_records(folder, some)
            if some and (day := named_day(folder.path.name)):
                mark_days(self._store, [day.isoformat()])
            # What comes behind a segment that is not its turn yet waits with it.
            is_done = all(self._put(folder, one) for one in some)
        except FileNotFoundError:
            return  # Removed since it was listed.
        # Times move in steps: what comes within the same step is seen by a look that begins after it.
        if is_done and time.time_ns() - touched_ns > _STEP_NS:
            folder.touched_ns = touched_ns

    def _read_records(self, folder: Folder, some: list[File]) -> None:
        """Learn from what was added to a folder's journals which checksums its segments have."""
        names = {one.name for one in some if one.number}
        for one in some if names else []:
            if one.name.startswith("_segments"):
                found, folder.read[one.name] = records(one.path, folder.read.get(one.name, 0))
                folder.checksums |= {name: checksum for name, checksum in found if name in names}

    def _put(self, folder: Folder, one: File) -> bool:
        """Put a file, if it is time; return whether it was."""
        key = f"{folder.key}/{one.name}"
        if one.number:
            wanted = folder.checksums.get(one.name)
            if wanted is None and time.time_ns() - one.modified_ns < self._record_ns:
                return False
            self._put_segment(key, one, wanted)
        elif one.name.endswith(".jsonl"):
            self._put_journal(folder, key, one)
        else:
            self._store.put(key, one.path)
        folder.shipped(one)
        self._count(folder, one)
        return True

    def _put_journal(self, folder: Folder, key: str, one: File) -> None:
        """Put a journal, after what the store has of it from before this disk's was removed."""
        content = publish.read(one.path)
        # A line that is being written is not one yet.
        lines = content[: content.rfind(b"\n") + 1]
        if one.name in folder.unread:
            folder.before[one.name] = earlier(self._store.read(key) or b"", lines)
            folder.unread.remove(one.name)
        self._store.put_bytes(key, folder.before.get(one.name, b"") + lines)

    def _count(self, folder: Folder, one: File) -> None:
        with self._lock:
            self.files, self.size = self.files + 1, self.size + one.size
            if day := named_day(folder.path.name):
                self._landed.setdefault(day.isoformat(), {})["/".join(folder.key.split("/")[1:3])] = (
                    time.time_ns()
                )

    def _put_segment(self, key: str, one: File, wanted: str | None) -> None:
        """Put a sealed segment under its name, which is free, or has it already.

        Raises:
            StoreError: there is another file of that name.
        """
        if wanted and checksums.of(one.path) != wanted:
            # What is whole in it is not to be lost: who makes bars of it sets aside what is no line.
            logger.error(
                "{}: is not what was received, by its checksum; it is shipped as it is, and kept", one.path
            )
            self._damaged.add(one.path.parent)
        if one.size > _LARGE:
            if (found := self._store.look(key)) is None or found.size != one.size:
                self._store.put(key, one.path)
            return
        content = publish.read(one.path)
        is_new = self._store.put_new(key, content)
        found = self._store.look(key)
        there = content if is_new and found and found.size == one.size else self._store.read(key) or b""
        if there == content or self._store.look(f"{key}.sha256"):
            return  # Or what was no line was taken out of it there.
        if not content.startswith(there):
            raise StoreError(
                f"{self._store}: {key}: another file of that name is there; expected a collector.name of its own for "
                "each collector of a lake"
            )
        self._store.put_bytes(key, content)

    def free(self) -> int:
        """Remove from this disk days that are over for long enough, and all of which is stored; of how many folders.

        Raises:
            StoreError: the store refuses, or does not answer.
        """
        keep_us = (self._config.store.keep_local_hours if self._config.store else math.inf) * HOUR_US
        latest = clock.now_us(self._config) - max(keep_us, _OVER_US) - DAY_US
        due = [
            folder
            for path, folder in self._folders.items()
            if (day := named_day(path.name)) and day_start_us(day) < latest and path not in self._damaged
        ]
        return sum(self._store.each(self._free, due))

    def _free(self, folder: Folder) -> bool:
        files = folder.files()
        stored = {
            key.rpartition("/")[2]: entry.size for key, entry in self._store.entries(folder.key).items()
        }
        # What was replaced by another of its size since it was shipped waits to be shipped again.
        if folder.waiting() or not all(
            _is_safe(one, stored, folder.before.get(one.name, b"")) for one in files
        ):
            return False
        # The journal last: without it a segment would be taken for one that nobody described, and entered anew.
        for one in sorted(files, key=lambda one: not one.number):
            one.path.unlink()
        # What is made here from now on is looked at anew: it is no part of what was known.
        self._folders.pop(folder.path, None)
        # A name with a dot is of something that is being made, or was when a process died: not for this one to remove.
        if any(folder.path.iterdir()):
            return False
        folder.path.rmdir()
        logger.info("{}: removed from this disk: all of it is stored", folder.path)
        return True

    def landed(self) -> dict[str, dict[str, int]]:
        """Return, by day and symbol, when something was last put, of the last days."""
        with self._lock:
            for day in sorted(self._landed)[: -landings.DAYS_TOLD]:
                del self._landed[day]
            return {day: dict(symbols) for day, symbols in self._landed.items()}


def _is_safe(one: File, stored: Mapping[str, int], before: bytes) -> bool:
    if one.number:
        return is_stored(one, stored)
    if one.name.endswith(".open"):
        return False
    return stored.get(one.name) == len(before) + one.size


def _folders(above: Path) -> list[Path]:
    try:
        with os.scandir(above) as entries:
            return [
                Path(entry.path) for entry in entries if entry.is_dir() and not entry.name.startswith(".")
            ]
    except FileNotFoundError:
        return []


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
