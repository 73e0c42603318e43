"""Ctrl-C, Ctrl-Break and the system's request to end, as an event that is set."""

import asyncio
import signal
import threading
from types import FrameType


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` when asked to end. Only the main thread can be asked; elsewhere this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            # Not `loop.add_signal_handler`, which Windows does not have; the loop wakes for this one everywhere.
            signal.signal(number, ask)
