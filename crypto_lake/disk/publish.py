"""Let a finished file appear: written under a temporary name in its own folder, fsynced, renamed into place.

Whoever looks sees the old file, the new one, or none; never half of one. Temporary names start with a dot and
end in `.tmp`, so no reader's pattern matches one that a crash left behind. Light: the collector uses it too.

That the writer of a temporary file is dead is known by its age alone: a process number may be another machine's.
"""

import contextlib
import errno
import hashlib
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from crypto_lake.errors import NoFileError

_RENAME_TRIES = 50
_RENAME_WAIT_SEC = 0.1
# The second is DuckDB's log of a database that is being written.
_is_temporary = re.compile(r"\..+\.[0-9]+\.tmp(\.wal)?").fullmatch
_is_day = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_LEFT_SEC = 3_600
_UNCHANGED_SEC = 30 * 86_400
# Elsewhere a refusal is about rights, and does not pass.
_READ_TRIES = 20 if sys.platform == "win32" else 1
_READ_WAIT_SEC = 0.02
_PIECE = 1 << 20

# The folders that got a new one and were not synced since, each with a mark of the last one. Not a file's own matter:
# the attempt that made them may have failed, and another file may be relied on first.
_unsynced: dict[Path, object] = {}
_marking = threading.Lock()

_Found = TypeVar("_Found")


@contextlib.contextmanager
def publishing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; at the end of the block it becomes `path`, or vanishes on an error.

    Raises:
        IsADirectoryError: somebody has made a folder of that name, onto which no file can be renamed.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "is a folder; expected a file, or nothing there yet", str(path))
    make_folder(path.parent)
    temporary = temporary_of(path)
    try:
        yield temporary
        # Before the rename: a name may reach the disk before the bytes, and a power loss then leaves an empty file.
        sync_file(temporary)
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_of(path: Path) -> Path:
    """Return the name under which this thread writes what is to become `path`."""
    # Its own, so that two that publish one path at once do not write into one file; the last rename wins.
    return path.with_name(f".{path.name}.{os.getpid()}{threading.get_ident()}.tmp")


@contextlib.contextmanager
def told_of_folders() -> Iterator[None]:
    """Turn the system's refusal to take a folder for a file into a line.

    Raises:
        NoFileError: it refused so.
    """
    try:
        yield
    except IsADirectoryError as error:
        raise NoFileError(f"{error.filename}: {error.strerror}") from None
    except PermissionError as error:
        # Windows says of a folder that it may not be opened.
        if error.filename is None or not Path(error.filename).is_dir():
            raise
        raise NoFileError(f"{error.filename}: is a folder; expected a file") from None


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that they survive a power loss: else a file on the disk has no place."""
    make_folder_unsynced(folder)
    sync_folders_above(folder)


def make_folder_unsynced(folder: Path) -> None:
    """Make a folder, and those above it; before what lies in it is relied on, call `sync_folders_above`."""
    if folder.is_dir():
        return
    # A drive that is not there is its own parent.
    if folder.parent != folder:
        make_folder_unsynced(folder.parent)
    # Before it is made: who finds it there is to know. And after: another thread may have synced in between.
    _mark(folder.parent)
    folder.mkdir(exist_ok=True)
    _mark(folder.parent)


def _mark(folder: Path) -> None:
    with _marking:
        _unsynced[folder] = object()


def sync_folders_above(path: Path) -> None:
    """Wait until the names of all folders above a path are on the disk, whoever in this process made them, and when."""
    for folder in [above for above in reversed(path.parents) if above in _unsynced]:
        # Marked until it is synced: another thread may rely on it meanwhile, or make the next one in it.
        mark = _unsynced.get(folder)
        sync_folder(folder)
        with _marking:
            if _unsynced.get(folder) is mark:
                _unsynced.pop(folder, None)


def write(path: Path, content: bytes) -> None:
    """Publish a small file whose content is at hand."""
    with publishing(path) as temporary:
        temporary.write_bytes(content)


def sweep(folder: Path, now: float) -> list[Path]:
    """Remove the temporary files below a folder that nobody has written to for an hour; they are returned.

    `now` is the time of this machine, seconds since the epoch. A writer that stood still for so long, and whose file is
    taken away, fails at its rename and is tried again.
    """
    removed = []
    for path in _leftovers(folder, now):
        # On Windows a file cannot be removed while its writer lives.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            path.unlink()
            removed.append(path)
    return removed


def _leftovers(folder: Path, now: float) -> Iterator[Path]:
    try:
        entries = list(os.scandir(folder))
    except (FileNotFoundError, PermissionError):
        return  # Another run's, and gone by now; or none of the lake's.
    for entry in entries:
        with contextlib.suppress(FileNotFoundError):
            age = now - entry.stat(follow_symlinks=False).st_mtime
            if entry.is_dir(follow_symlinks=False):
                # A day's folder of a busy lake holds thousands of segments; unchanged, it has no new leftovers.
                if not (_is_day(entry.name) and age > _UNCHANGED_SEC):
                    yield from _leftovers(Path(entry.path), now)
            elif _is_temporary(entry.name) and age > _LEFT_SEC:
                yield Path(entry.path)


def read(path: Path) -> bytes:
    """Return the content of a file that may be replaced at any time.

    Raises:
        OSError: there is none, or it cannot be read, see `patiently`.
    """
    return patiently(path.read_bytes)


def patiently(look: Callable[[], _Found], sleep: Callable[[float], None] = time.sleep) -> _Found:
    """Return what `look` finds in a file that may be replaced at any time.

    Windows refuses to open a file in the instant in which it is replaced: tried again for 0.4 seconds (of `sleep`).

    Raises:
        PermissionError: it was still refused after that.
    """
    for _ in range(_READ_TRIES - 1):
        try:
            return look()
        except PermissionError:
            sleep(_READ_WAIT_SEC)
    return look()


def replace(source: Path, target: Path, sleep: Callable[[float], None] = time.sleep) -> None:
    """Rename onto `target`, and make the rename itself survive a power loss.

    Windows refuses to rename onto a file that a reader holds open: tried again for 5 seconds (of `sleep`).

    Raises:
        PermissionError: the target was still held after that.
    """
    for _ in range(_RENAME_TRIES):
        try:
            source.replace(target)
            break
        except PermissionError:
            sleep(_RENAME_WAIT_SEC)
    else:
        source.replace(target)
    # Until its folder is on the disk a rename can be undone by a power loss, and callers remove next what the new file
    # stands for.
    sync_folder(target.parent)


def sync_file(path: Path) -> None:
    """Wait until the bytes of a closed file are on the disk."""
    # Windows flushes only through a handle that may write.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_anew(path: Path) -> str:
    """Write a file's bytes to their places again, and sync, after a sync that failed; return their SHA-256, in hex.

    Linux takes for written what it failed to write: the next sync says yes, and the bytes are in memory alone, at best.
    """
    found = hashlib.sha256()
    with path.open("rb+") as file:
        while piece := file.read(_PIECE):
            found.update(piece)
            file.seek(-len(piece), os.SEEK_CUR)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return found.hexdigest()


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk. Windows has no such call and journals them itself."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
