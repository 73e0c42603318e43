"""A lock: a file that one process at a time holds, and that the system lets go of with the process, however it ends.

What a lock is for, its callers say; where it lies, the layout. Light: the collector uses it too.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from crypto_lake.errors import LakeBusyError, LakeError

# A round of bars, or a day of one symbol, takes less to make; who holds a lock for longer hangs, and is to be told of.
_PATIENCE_SEC = 300


@contextlib.contextmanager
def hold(path: Path, wait_sec: float | None = None, busy: str | None = None) -> Iterator[None]:
    """Hold a lock for as long as the block lasts, after at most `wait_sec` of waiting; 0: not any, None: some minutes.

    Raises:
        LakeBusyError: somebody else held it all the while; `busy`, if given, is what is said then.
        LakeError: its folder cannot be written.
    """
    wait_sec = _PATIENCE_SEC if wait_sec is None else wait_sec
    # Where a system has no locks an error is wanted, and not a file that a process which dies leaves locked.
    lock = FileLock(path, preserve_lock_file=True, fallback_to_soft=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=wait_sec, blocking=wait_sec > 0)
    except Timeout:
        told = busy or f"{path}: held by another run for {wait_sec} s; expected it free"
        raise LakeBusyError(told) from None
    except OSError as error:
        raise LakeError(f"{path.parent}: cannot be written: {error}") from None
    try:
        yield
    finally:
        # The file stays: one who waits for a file that is removed and one who makes a new one would both hold the lock.
        lock.release()
