"""The signals that ask a process to end, as far as this system has them."""

import signal
import threading

# Ctrl-C, a supervisor's request, and Ctrl-Break: on Windows what a supervisor, and Dagster, sends instead.
STOP: tuple[signal.Signals, ...] = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
)

# What passes a signal on (a shell, a launcher) may send one keystroke twice; a person takes longer.
ONE_KEYSTROKE_SEC = 0.1


def set_on_stop(event: threading.Event) -> None:
    """Set `event` when this process is asked to end."""
    for number in STOP:
        signal.signal(number, lambda *_: event.set())
