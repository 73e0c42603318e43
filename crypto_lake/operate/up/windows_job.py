"""A Windows job object: the processes in it, and theirs, end together, and with the process that holds it."""

import ctypes
import sys
from collections.abc import Callable
from ctypes import wintypes
from typing import Any

# A process created with it waits until `Job.take`: what it started before it was in the job would not be in it.
CREATE_SUSPENDED = 0x4
_BASIC_ACCOUNTING_INFORMATION = 1
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


class _BasicAccounting(ctypes.Structure):
    _fields_ = (
        ("Times", ctypes.c_int64 * 4),
        ("TotalPageFaultCount", ctypes.c_uint32),
        ("TotalProcesses", ctypes.c_uint32),
        ("ActiveProcesses", ctypes.c_uint32),
        ("TotalTerminatedProcesses", ctypes.c_uint32),
    )


class Job:
    """The job of one child; its handle is closed by the system when this process ends.

    Args:
        kernel: `kernel32`, or what stands in for it; each call gives 0 for a failure.
        native: `ntdll`, or what stands in for it.
        failure: the error of the last call of `kernel` that failed.
    """

    def __init__(self, kernel: Any, native: Any, failure: Callable[[], OSError]) -> None:  # noqa: ANN401 - a DLL has no type
        self._kernel, self._native, self._failure = kernel, native, failure
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
                ctypes.WinDLL("ntdll"),
                lambda: ctypes.WinError(ctypes.get_last_error()),
            )
        raise OSError("job objects are a thing of Windows")

    def take(self, handle: int) -> None:
        """Put a suspended process in, by its handle, and let it run; what it starts is in as well.

        Raises:
            OSError: the system refuses.
        """
        self._checked(
            self._kernel.AssignProcessToJobObject(wintypes.HANDLE(self._job), wintypes.HANDLE(handle))
        )
        # `ResumeThread` wants the thread's handle, which Popen closes.
        if status := self._native.NtResumeProcess(wintypes.HANDLE(handle)):
            raise OSError(f"the process cannot be resumed: status {status & 0xFFFFFFFF:#x}")

    def alive(self) -> int:
        """Return how many processes are in it.

        Raises:
            OSError: the system refuses.
        """
        found = _BasicAccounting()
        self._checked(
            self._kernel.QueryInformationJobObject(
                wintypes.HANDLE(self._job),
                _BASIC_ACCOUNTING_INFORMATION,
                ctypes.byref(found),
                ctypes.sizeof(found),
                None,
            )
        )
        return int(found.ActiveProcesses)

    def end(self) -> None:
        """End all processes in it, and the job.

        Raises:
            OSError: the system refuses.
        """
        self._checked(self._kernel.TerminateJobObject(wintypes.HANDLE(self._job), 1))
        self._checked(self._kernel.CloseHandle(wintypes.HANDLE(self._job)))

    def _checked(self, result: int) -> int:
        if not result:
            raise self._failure()
        return result
