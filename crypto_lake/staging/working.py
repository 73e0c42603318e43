"""A working copy: a private folder in which a run finds the files of the lake that it needs, and leaves what it makes.

It begins as links to cached copies of the store's objects. What the run changed is seen by comparing the folder with
what was put into it, and goes to the store in the order in which a crash between any two steps misleads nobody: the
order in which the core itself makes files appear (`docs/FORMAT.md`).
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

from loguru import logger

from crypto_lake.disk.cache import Cache, link
from crypto_lake.disk.store import Entry, Store
from crypto_lake.errors import LakeBusyError
from crypto_lake.layout import Layout
from crypto_lake.listing import named_day
from crypto_lake.staging import landings

# Folders of this machine alone; of logs the verdicts of checks are the lake's.
_LOCAL = {"state", "logs"}
_day = re.compile(r"([0-9]{4})(?:-|/month=)([0-9]{2})(?:-|/day=)([0-9]{2})")
_DAYS = "state/days"


class _Mark(NamedTuple):
    """By what a file is known to be the same."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: str | Path) -> "_Mark":
        found = os.stat(path)  # noqa: PTH116 - asked of every file of a run
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


class Working:
    """The working copy in a folder, of a store. `fetched` and `put` count bytes that were moved."""

    def __init__(self, store: Store, cache: Cache, layout: Layout) -> None:
        self.store = store
        self.layout = layout
        self.fetched = self.put = 0
        self._cache = cache
        self._known: dict[str, Entry] = {}
        self._marks: dict[str, _Mark] = {}
        self._stamps: dict[Path, int] = {}

    def bring(self, listed: Mapping[str, Entry]) -> bool:
        """Put objects into the folder, as they were listed; return whether all were still so.

        Raises:
            StoreError: the store refuses, or does not answer.
            OSError: the disk refused.
        """
        new = {key: entry for key, entry in listed.items() if self._known.get(key) != entry}
        lacking = self._cache.lacking(new)
        got = self.store.each(lambda key: (key, self._cache.bring(self.store, key, new[key])), lacking)
        found = dict(got)
        self.fetched += sum(entry.size for entry in found.values() if entry)
        if any(entry != new[key] for key, entry in found.items()):
            return False
        try:
            self._link(new)
        except FileNotFoundError:
            # Another process has fetched what took its place, or swept the cache.
            return False
        return True

    def drop_others(self, listed: Iterable[str]) -> None:
        """Take out of the folder what was there when it was listed before, and is not any more."""
        for key in self._known.keys() - set(listed):
            (self.layout.base / key).unlink(missing_ok=True)
            del self._known[key], self._marks[key]

    def _link(self, new: Mapping[str, Entry]) -> None:
        newest: dict[Path, int] = {}
        for key, entry in new.items():
            path = self.layout.base / key
            if path.parent not in newest:
                path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            link(self._cache.place(key, entry), path)
            self._remember(key, entry, path)
            newest[path.parent] = max(newest.get(path.parent, 0), entry.modified_ns)
        self._stamp(newest)

    def _stamp(self, newest: Mapping[Path, int]) -> None:
        """Give folders the times of the newest files in them, by which sensors know whether something came."""
        for folder, modified_ns in newest.items():
            stamp = self._stamps[folder] = max(modified_ns, self._stamps.get(folder, 0))
            os.utime(folder, ns=(stamp, stamp))

    def outline(self, listed: Mapping[str, Entry]) -> None:
        """Put files of the same names, sizes and times into the folder, in which nothing is: nobody is to read them."""
        newest: dict[Path, int] = {}
        for key, entry in listed.items():
            path = self.layout.base / key
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                file.truncate(entry.size)
            os.utime(path, ns=(entry.modified_ns, entry.modified_ns))
            # A folder's time is that of the newest file in it; these come before others, in any order.
            newest[path.parent] = max(newest.get(path.parent, 0), entry.modified_ns)
        self._stamp(newest)

    def _remember(self, key: str, entry: Entry, path: Path) -> None:
        self._known[key] = entry
        self._marks[key] = _Mark.of(path)

    def ship(self) -> None:
        """Bring the store in line with the folder: what was made or changed is put, what was removed is removed.

        Raises:
            StoreError: the store refuses, or does not answer; what was put is whole, and in an order that misleads
                nobody.
            LakeBusyError: another run has put a raw file of the same name meanwhile.
        """
        there = dict(self._files())
        changed = [key for key, mark in there.items() if self._marks.get(key) != mark]
        gone = [key for key in self._known if key not in there]
        self._mark_days(changed)
        self._remove(_outdated(self.layout, changed, self._known))
        self._put_all(key for key in changed if not _comes_last(key))
        self._remove(gone)
        self._put_all(filter(_comes_last, changed))
        self._tell_landed(changed)
        if changed or gone:
            logger.debug("{}: {} objects put, {} removed", self.store, len(changed), len(gone))

    def _tell_landed(self, changed: Iterable[str]) -> None:
        """Say which symbols got raw files: their bars are to be made anew."""
        told: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
        for key in changed:
            top, *parts = key.split("/")
            if top == "raw" and len(parts) == 4 and named_day(parts[2]):  # noqa: PLR2004 - exchange, symbol, day, file
                exchange, symbol, day, _ = parts
                told.setdefault((exchange, symbol), {})[day] = {f"{exchange}/{symbol}": time.time_ns()}
        for where, days in told.items():
            landings.tell_also(self.store, self.layout, "-".join(where), days)

    def _files(self) -> Iterator[tuple[str, _Mark]]:
        """Yield the keys of all files that are the lake's."""
        base = self.layout.base
        verdicts = self.layout.validation(date.min).parent
        folders = [
            one
            for one in base.iterdir()
            if one.is_dir() and not one.name.startswith(".") and one.name not in _LOCAL
        ]
        folders += [verdicts] if verdicts.is_dir() else []
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    # A name that begins with a dot is of something that is being made.
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        folders.append(Path(entry.path))
                    else:
                        yield self.layout.key(Path(entry.path)), _Mark.of(entry.path)

    def _put_all(self, keys: Iterable[str]) -> None:
        for some in _steps(keys, _rank):
            list(self.store.each(self._put, some))

    def _put(self, key: str) -> None:
        path = self.layout.base / key
        mark = _Mark.of(path)
        if key.startswith("raw/") and key not in self._known:
            entry = self._put_new(key, path)
        else:
            entry = self.store.put(key, path)
        self.put += entry.size
        self._known[key], self._marks[key] = entry, mark
        with contextlib.suppress(OSError):
            self._cache.keep(key, entry, path)

    def _put_new(self, key: str, path: Path) -> Entry:
        """Put a raw file whose name was free when the run began."""
        content = path.read_bytes()
        if not self.store.put_new(key, content) and self.store.read(key) != content:
            raise LakeBusyError(
                f"{self.store}: {key}: another run has put it meanwhile; expected a free name"
            )
        entry = self.store.look(key)
        if entry is None or entry.size != len(content):
            return self.store.put(key, path)
        return entry

    def _remove(self, keys: Iterable[str]) -> None:
        # What vouches for a file goes before it.
        for some in _steps(keys, lambda key: -_kind(key)):
            list(self.store.each(self.store.delete, some))
            for key in some:
                self._known.pop(key, None)
                self._marks.pop(key, None)

    def _mark_days(self, changed: Iterable[str]) -> None:
        """Note the days of which there is something, so that nobody lists the whole store to know the first."""
        days = {
            "-".join(found.groups())
            for key in changed
            if key.startswith(("raw/", "parquet/")) and (found := _day.search(key))
        }
        mark_days(self.store, days)


_marked: set[tuple[str, str]] = set()


def mark_days(store: Store, days: Iterable[str]) -> None:
    """Note that there is something of some days; what this process has noted is not noted again."""
    for day in days:
        if (store.shown, day) not in _marked:
            store.put_new(f"{_DAYS}/{day}", b"")
            _marked.add((store.shown, day))


def _steps(keys: Iterable[str], rank: Callable[[str], int]) -> list[list[str]]:
    """Part keys by their rank, the lowest first."""
    found: dict[int, list[str]] = {}
    for key in keys:
        found.setdefault(rank(key), []).append(key)
    return [found[number] for number in sorted(found)]


def _kind(key: str) -> int:
    return 1 if key.endswith(".sha256") else 2 if key.endswith(".json") else 0


def _rank(key: str) -> int:
    """Return when a file is put: a checksum and a manifest after what they vouch for, of raw files before it."""
    return (1, 0, 2)[_kind(key)] if key.startswith("raw/") else 10 + _kind(key)


def _comes_last(key: str) -> bool:
    """Minutes stand for nothing, and are made of the daily file as it is then: they come last.

    So do proofs: where there is one, a daily file has the columns that it adds.
    """
    return key.startswith(("bars/", "proof/"))


# The folders of files that are whole, or of use, only beside others.
_VOUCHED = ("parquet", "ticks", "depth", "book", "proof")


def _outdated(layout: Layout, changed: Iterable[str], known: Mapping[str, Entry]) -> list[str]:
    """Return what must not stand beside what is about to be put.

    Minutes of a daily file that is replaced, and the manifest of ticks, depth, a book or a proof that is.
    """
    found: set[Path] = set()
    for key in changed:
        top, *_, name = key.split("/")
        day = named_day(name.removesuffix(".parquet"))
        if day is None or not name.endswith(".parquet") or top not in _VOUCHED:
            continue
        exchange, symbol = key.split("/")[1:3]
        if top == "parquet":
            minutes = layout.minutes(exchange, symbol, day)
            found |= {minutes, layout.checksum(minutes), layout.manifest(minutes)}
        elif top == "ticks":
            found.add(layout.ticks_manifest(exchange, symbol, day))
        else:
            places = {"depth": layout.depth, "book": layout.book, "proof": layout.proof}
            found.add(layout.manifest(places[top](exchange, symbol, day)))
    return [key for path in found if (key := layout.key(path)) in known]
