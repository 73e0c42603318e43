"""The end that waits for nothing: a disk that does not answer would keep the process for ever.

The threads that write are joined when an interpreter ends, so this does not let it end in order.
"""

import contextlib
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

_EXIT_CODE = 1


class Ending:
    """See the module. `unwritten` tells how many lines of each symbol were received and are not on disk."""

    def __init__(self) -> None:
        self.unwritten: Callable[[], Counter[str]] = Counter

    def at_once(self) -> NoReturn:
        """End the process, and say in one line what is lost; what is on disk is sealed by the next start.

        Called by the handler of a signal, so neither the log nor a stream is used: both may hold a lock.
        """
        lost = ", ".join(f"{lines} lines of {symbol}" for symbol, lines in self.unwritten().items())
        line = f"error: ended without waiting for the disk; not written: {lost or 'nothing'}\n"
        if sys.stderr is not None:
            with contextlib.suppress(OSError):
                os.write(2, line.encode())
        os._exit(_EXIT_CODE)
