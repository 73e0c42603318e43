"""The job object, by a kernel that writes down what it is asked."""

import ctypes
import sys
from typing import Any

import pytest

from crypto_lake.up.windows_job import Job

_LIMIT_FLAGS_AT = 16


class _Call:
    """A function of a DLL: its results are given, its arguments kept."""

    restype: Any = None

    def __init__(self, result: int) -> None:
        self.result = result
        self.asked: list[tuple[Any, ...]] = []

    def __call__(self, *words: object) -> int:
        self.asked.append(words)
        return self.result


class _Kernel:
    def __init__(self, assigned: int = 1) -> None:
        self.CreateJobObjectW = _Call(77)
        self.SetInformationJobObject = _Call(1)
        self.AssignProcessToJobObject = _Call(assigned)


def test_its_processes_are_to_end_with_the_last_handle() -> None:
    kernel = _Kernel()
    Job(kernel, OSError)
    job, kind, limits, size = kernel.SetInformationJobObject.asked[0]
    raw = ctypes.string_at(ctypes.addressof(limits._obj), size)
    assert (job.value, kind) == (77, 9)
    assert int.from_bytes(raw[_LIMIT_FLAGS_AT : _LIMIT_FLAGS_AT + 4], sys.byteorder) == 0x2000


def test_a_process_is_put_in_by_its_handle() -> None:
    kernel = _Kernel()
    Job(kernel, OSError).take(5)
    job, process = kernel.AssignProcessToJobObject.asked[0]
    assert (job.value, process.value) == (77, 5)


def test_a_refusal_is_an_error() -> None:
    job = Job(_Kernel(assigned=0), lambda: OSError("refused"))
    with pytest.raises(OSError, match="refused"):
        job.take(5)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has job objects")
def test_elsewhere_there_is_none() -> None:
    with pytest.raises(OSError, match="Windows"):
        Job.of_this_system()
