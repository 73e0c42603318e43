"""What asks a process to end, while it waits for the exchange."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from crypto_lake.stop_signals import STOP


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C cancels the event loop's work, as asyncio does by itself only where nobody has replaced the handler.

    Dagster has, for all of `STOP`, and its handler raises inside the loop, which swallows it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Of Ctrl-C with this handler asyncio makes a cancellation.
    handlers = dict.fromkeys(STOP, _as_ctrl_c) | {signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_ctrl_c(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
