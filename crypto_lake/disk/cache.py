"""Copies of objects on this machine, each under its key, size and tag: what changes in the store is another file.

Any of it may be removed at any moment: it is then fetched again. Copies are handed out as hard links (on file systems
without, as copies), so nobody writes into one.
"""

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from crypto_lake.disk import publish
from crypto_lake.disk.store import Entry, Store

_SWEPT = ".swept"
_SWEEP_SEC = 3_600


class Cache:
    """The copies in one folder; any number of threads and processes may use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, key: str, entry: Entry) -> Path:
        """Return where the copy of an object is, or would be."""
        return self.folder / f"{key}@{entry.size}-{entry.tag}"

    def lacking(self, wanted: Mapping[str, Entry]) -> list[str]:
        """Return the keys of which there is no copy."""
        return [key for key, entry in wanted.items() if not self.place(key, entry).exists()]

    def bring(self, store: Store, key: str, entry: Entry) -> Entry | None:
        """Fetch an object; return what it is by now, or None where it is gone.

        Raises:
            StoreError: the store refuses, or does not answer.
            OSError: the disk refused.
        """
        wanted = self.place(key, entry)
        wanted.parent.mkdir(parents=True, exist_ok=True)
        temporary = publish.temporary_of(wanted)
        try:
            found = store.fetch(key, temporary, entry.size)
            if found:
                # Who goes by the time of a file means when it was put.
                os.utime(temporary, ns=(found.modified_ns, found.modified_ns))
                self._put(temporary, self.place(key, found))
                self._forget_others(key, found)
        finally:
            temporary.unlink(missing_ok=True)
        return found

    def _put(self, temporary: Path, place: Path) -> None:
        try:
            publish.patiently(lambda: temporary.replace(place))
        except PermissionError:
            # Windows: another run has fetched the same, which is what the name says, and reads it.
            if not place.exists():
                raise

    def keep(self, key: str, entry: Entry, path: Path) -> None:
        """Keep a copy of what has just been put, so that it need not be fetched."""
        place = self.place(key, entry)
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            link(path, place)
        self._forget_others(key, entry)

    def _forget_others(self, key: str, entry: Entry) -> None:
        """Remove copies of what the object was before; sealed segments, of which a folder has many, have none."""
        place = self.place(key, entry)
        name = key.rpartition("/")[2]
        if name.endswith((".jsonl", ".zst")) and not name.startswith("_"):
            return
        for other in os.scandir(place.parent):
            if other.name.startswith(f"{name}@") and other.name != place.name:
                # On Windows one that is being read stays until it is swept.
                with contextlib.suppress(OSError):
                    Path(other.path).unlink()

    def sweep(self, hours: float) -> None:
        """Remove copies that nobody has used for so many hours; looked at once an hour."""
        now = time.time()
        mark = self.folder / _SWEPT
        with contextlib.suppress(OSError):
            if now - mark.stat().st_mtime < _SWEEP_SEC:
                return
        self.folder.mkdir(parents=True, exist_ok=True)
        mark.touch()
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = Path(folder) / name
                # Linking changes a file's ctime, so this is when it was last handed out (on Windows: when it came).
                with contextlib.suppress(OSError):
                    if now - path.stat().st_ctime > hours * 3_600 and name != _SWEPT:
                        path.unlink()


def link(source: Path, target: Path) -> None:
    """Give a file another name; where the file system cannot, a copy.

    Raises:
        FileNotFoundError: there is no such file any more.
        FileExistsError: the other name is taken.
    """
    try:
        os.link(source, target)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:
        if target.exists():
            raise FileExistsError(errno.EEXIST, "is there already", str(target)) from None
        # Under its name a copy that was cut short would be taken for the whole.
        with publish.publishing(target) as temporary:
            shutil.copy2(source, temporary)
