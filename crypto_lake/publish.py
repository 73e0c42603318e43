"""How a finished file appears: written under a temporary name in its own folder, fsynced, renamed into place.

Whoever looks sees the old file, the new one, or none; never half of one. Temporary names start with a dot and
end in `.tmp`, so no reader's pattern matches one that a crash left behind. Light: the collector uses it too.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_RENAME_TRIES = 50
_RENAME_WAIT_SEC = 0.1


@contextlib.contextmanager
def publishing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; at the end of the block it becomes `path`, or vanishes on an error."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync_file(temporary)
        replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, so that they survive a power loss: else a file on the disk has no place."""
    if not folder.is_dir():
        # A drive that is not there is its own parent.
        if folder.parent != folder:
            make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def write(path: Path, content: bytes) -> None:
    """Publish a small file whose content is at hand."""
    with publishing(path) as temporary:
        temporary.write_bytes(content)


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
    sync_folder(target.parent)


def sync_file(path: Path) -> None:
    """Wait until the bytes of a closed file are on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk. Windows has no such call and journals them itself."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
