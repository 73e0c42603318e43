"""Ctrl-C, Ctrl-Break and the system's requests, as events that are set."""

import asyncio
import signal
import threading
from types import FrameType


def set_on_signals(event: asyncio.Event, *names: str) -> None:
    """Set `event` on these signals, where the system has them. Outside the main thread, which gets them, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(event.set)

    for name in names:
        number = getattr(signal, name, None)
        if number is not None:
            # Not `loop.add_signal_handler`, which Windows does not have; the loop wakes for this one everywhere.
            signal.signal(number, ask)
