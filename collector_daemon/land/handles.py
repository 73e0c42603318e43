"""How many files this process may hold open: each symbol that is recorded has an open segment. POSIX only.

Windows' own limit of 8,192 cannot be raised, and need not be.
"""

import sys

from loguru import logger

# Sockets, logs, the interpreter's own, and symbols that are listed later.
_OTHERS = 512
# A symbol's open segment, and one more that waits to be sealed.
_A_SYMBOL = 2


def allow(symbols: int) -> None:
    """Raise the limit of open files to what so many symbols need; told where the system does not permit it."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - there is none on Windows

    needed = _A_SYMBOL * symbols + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        logger.warning(
            "{} symbols may need {} open files, and this system permits {}; raise it (ulimit -n, LimitNOFILE)",
            symbols,
            needed,
            allowed,
        )
