"""A fine wall clock for Windows with a Python before 3.13, whose `time.time_ns` may advance in steps of 15.6 ms.

Elsewhere, and in later versions, `time.time_ns` is as fine; nothing of Windows but its clock belongs here.
"""

import ctypes
from collections.abc import Callable
from typing import Any

# A FILETIME counts 100 ns from 1601 on.
_TICKS_A_US = 10
_EPOCH_US = 11_644_473_600_000_000


def precise(kernel: Any) -> Callable[[], int]:  # noqa: ANN401 - a DLL has no type
    """Return what gives the system's time in microseconds since the epoch, UTC; it follows the clock when it is set.

    `kernel` is `kernel32`, or what stands in for it.
    """
    ask, stamp_of, by_reference = kernel.GetSystemTimePreciseAsFileTime, ctypes.c_ulonglong, ctypes.byref
    ask.restype = None

    def now_us() -> int:
        # A variable of its own for each call: any thread may ask.
        stamp = stamp_of()
        ask(by_reference(stamp))
        return stamp.value // _TICKS_A_US - _EPOCH_US

    return now_us


def of_this_system() -> Callable[[], int]:
    """Return the clock of the Windows that this runs on.

    `PyDLL`, for it keeps the interpreter's lock: with 0.3 us the call is cheaper than letting another thread in, and
    the collector makes it for each read. Both kinds of DLL call alike where programs have 64 bits.
    """
    return precise(ctypes.PyDLL("kernel32"))
