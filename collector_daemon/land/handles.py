"""How many files this process may hold open: each symbol that is recorded has open segments. POSIX only.

Windows' own limit of 8,192 cannot be raised, and need not be.
"""

import sys

from loguru import logger

# Sockets, logs, the interpreter's own, and symbols that are listed later.
_OTHERS = 512
# So many rounds of segments may wait open to be sealed: one may wait already when the hour ends another.
WAITING_ROUNDS = 2
# One that is written to, and those that wait.
_A_SEGMENT = 1 + WAITING_ROUNDS


def allow(segments: int) -> None:
    """Raise the limit of open files to what so many open segments need; told where the system does not permit it."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - there is none on Windows

    needed = _A_SEGMENT * segments + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        logger.warning(
            "{} open segments may need {} open files, and this system permits {}; raise it (ulimit -n, LimitNOFILE)",
            segments,
            needed,
            allowed,
        )
