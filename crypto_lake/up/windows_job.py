"""A Windows job object: the processes in it, and theirs, end with the process that holds it."""

import ctypes
import sys
from collections.abc import Callable
from ctypes import wintypes
from typing import Any

_EXTENDED_LIMIT_INFORMATION = 9
_KILL_ON_JOB_CLOSE = 0x2000


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
        ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
        ("LimitFlags", wintypes.DWORD),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", wintypes.DWORD),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", wintypes.DWORD),
        ("SchedulingClass", wintypes.DWORD),
    )


class _ExtendedLimits(ctypes.Structure):
    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_ulonglong * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


class Job:
    """The job of this process's children; its handle is closed by the system when this process ends.

    Args:
        kernel: `kernel32`, or what stands in for it; each call gives 0 for a failure.
        failure: the error of the last call that failed.
    """

    def __init__(self, kernel: Any, failure: Callable[[], OSError]) -> None:  # noqa: ANN401 - a DLL has no type
        self._kernel, self._failure = kernel, failure
        self._kernel.CreateJobObjectW.restype = wintypes.HANDLE
        self._job = self._checked(kernel.CreateJobObjectW(None, None))
        limits = _ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
        size = ctypes.sizeof(limits)
        self._checked(
            kernel.SetInformationJobObject(
                wintypes.HANDLE(self._job), _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), size
            )
        )

    @classmethod
    def of_this_system(cls) -> "Job":
        """Made by Windows.

        Raises:
            OSError: the system refuses, or is no Windows.
        """
        if sys.platform == "win32":
            return cls(
                ctypes.WinDLL("kernel32", use_last_error=True),
                lambda: ctypes.WinError(ctypes.get_last_error()),
            )
        raise OSError("job objects are a thing of Windows")

    def take(self, handle: int) -> None:
        """Put a process in, by its handle; what it starts is in as well.

        Raises:
            OSError: the system refuses.
        """
        self._checked(
            self._kernel.AssignProcessToJobObject(wintypes.HANDLE(self._job), wintypes.HANDLE(handle))
        )

    def _checked(self, result: int) -> int:
        if not result:
            raise self._failure()
        return result
