"""Ends the supervisor's children when it is gone, however it went: nothing is left behind.

On Windows a job object does it, which the system closes with its last owner. Elsewhere this file runs as a process of
its own: it reads the numbers of process groups from its standard input, and when that ends, so does the supervisor's
life, and theirs. It imports next to nothing, so that it stays small.
"""

import os
import signal
import sys
import time

KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_POLITE_SEC = 20
_LOOK_SEC = 0.2


def is_alive(group: int) -> bool:
    """Return whether any process of a group is there."""
    if sys.platform == "win32":
        return False
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS, of a group whose processes are all dead but not yet collected
        return False
    return True


def tell(group: int, number: int) -> None:
    """Send a signal to a process group, which may be gone."""
    if sys.platform == "win32":
        return
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def _end(groups: set[int]) -> None:
    """Ask them to end, and kill those that do not."""
    for group in groups:
        tell(group, signal.SIGTERM)
    until = time.monotonic() + _POLITE_SEC
    while any(is_alive(group) for group in groups) and time.monotonic() < until:
        time.sleep(_LOOK_SEC)
    for group in groups:
        tell(group, KILL)


def main() -> None:
    """Lines are `+N` for a group that began, `-N` for one that ended."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    _end(groups)


if __name__ == "__main__":
    main()
