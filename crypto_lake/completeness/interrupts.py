"""What asks a process to end, while it waits for the exchange."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

# By which a process is asked to end: a run of Dagster on Windows by the last.
_WISHES = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C cancels the event loop's work, as asyncio does by itself only where nobody has replaced the handler.

    Dagster has, for all of `_WISHES`, and its handler raises inside the loop, which swallows it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Of Ctrl-C with this handler asyncio makes a cancellation.
    handlers = dict.fromkeys(_WISHES, _as_ctrl_c) | {signal.SIGINT: signal.default_int_handler}
    before = {wish: signal.signal(wish, handler) for wish, handler in handlers.items()}
    try:
        yield
    finally:
        for wish, handler in before.items():
            signal.signal(wish, handler)


def _as_ctrl_c(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)
