"""The event loop that the collector runs in: uvloop, which makes messages that come one by one cheaper.

Windows has no uvloop, and where it is not installed asyncio's own loop does the same.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

try:
    import uvloop
except ImportError:
    _new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    _new_loop = uvloop.new_event_loop

_STANDARD_STREAMS = 3
_T = TypeVar("_T")


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end, as `asyncio.run` does."""
    _fill_standard_streams()
    with asyncio.Runner(loop_factory=_new_loop) as runner:
        return runner.run(main)


def _fill_standard_streams() -> None:
    """Open those that a service was started without; uvloop aborts the process if a file of its own is among them."""
    for _ in range(_STANDARD_STREAMS):
        number = os.open(os.devnull, os.O_RDWR)
        if number >= _STANDARD_STREAMS:
            os.close(number)
            return
