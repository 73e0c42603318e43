"""Ctrl-C, Ctrl-Break and the system's requests, as events that are set."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from crypto_lake.stop_signals import ONE_KEYSTROKE_SEC


def set_on_signals(
    event: asyncio.Event, *numbers: signal.Signals, again: Callable[[], object] | None = None
) -> None:
    """Set `event` on these signals, and call `again` for those that come after the first.

    Outside the main thread, which gets them, do nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()

    asked: float | None = None

    def ask(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        now = time.monotonic()
        if asked is None:
            asked = now
        elif again and now - asked > ONE_KEYSTROKE_SEC:
            again()
        if not loop.is_closed():
            loop.call_soon_threadsafe(event.set)

    for number in numbers:
        # Not `loop.add_signal_handler`, which Windows does not have; the loop wakes for this one everywhere.
        signal.signal(number, ask)
