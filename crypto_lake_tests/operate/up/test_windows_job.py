"""The job object, by a kernel that writes down what it is asked."""

import ctypes
import sys
from typing import Any, cast

import pytest

from crypto_lake.operate.up.watch import JobWatch
from crypto_lake.operate.up.windows_job import Job

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
        self.QueryInformationJobObject = _Call(1)
        self.TerminateJobObject = _Call(1)
        self.CloseHandle = _Call(1)


class _Native:
    def __init__(self, status: int = 0) -> None:
        self.NtResumeProcess = _Call(status)


def test_its_processes_are_to_end_with_the_last_handle() -> None:
    kernel = _Kernel()
    Job(kernel, _Native(), OSError)
    job, kind, limits, size = kernel.SetInformationJobObject.asked[0]
    raw = ctypes.string_at(ctypes.addressof(limits._obj), size)
    assert (job.value, kind) == (77, 9)
    assert int.from_bytes(raw[_LIMIT_FLAGS_AT : _LIMIT_FLAGS_AT + 4], sys.byteorder) == 0x2000


def test_a_process_is_put_in_by_its_handle_before_it_runs() -> None:
    kernel, native = _Kernel(), _Native()
    Job(kernel, native, OSError).take(5)
    job, process = kernel.AssignProcessToJobObject.asked[0]
    assert (job.value, process.value) == (77, 5)
    assert [words[0].value for words in native.NtResumeProcess.asked] == [5]


def test_a_refusal_is_an_error_and_the_process_stays_suspended() -> None:
    native = _Native()
    job = Job(_Kernel(assigned=0), native, lambda: OSError("refused"))
    with pytest.raises(OSError, match="refused"):
        job.take(5)
    assert native.NtResumeProcess.asked == []


def test_a_process_that_cannot_be_resumed_is_an_error() -> None:
    job = Job(_Kernel(), _Native(status=-1073741790), OSError)
    with pytest.raises(OSError, match="0xc0000022"):
        job.take(5)


def test_the_living_are_counted() -> None:
    kernel = _Kernel()
    job = Job(kernel, _Native(), OSError)
    assert job.alive() == 0
    (_, kind, found, size, _) = kernel.QueryInformationJobObject.asked[0]
    assert (kind, size, type(found._obj).ActiveProcesses.offset) == (1, 48, 40)


def test_the_end_of_a_job_is_that_of_all_in_it() -> None:
    kernel = _Kernel()
    Job(kernel, _Native(), OSError).end()
    (ended,), (closed,) = kernel.TerminateJobObject.asked, kernel.CloseHandle.asked
    assert (ended[0].value, closed[0].value) == (77, 77)


class _Process:
    """A child that ended by itself."""

    def __init__(self, pid: int) -> None:
        self.pid = self._handle = pid
        self.killed = False

    def poll(self) -> int:
        return 0

    def kill(self) -> None:
        self.killed = True


def test_each_child_has_a_job_of_its_own() -> None:
    kernels: list[_Kernel] = []

    def make() -> Job:
        kernels.append(_Kernel())
        return Job(kernels[-1], _Native(), OSError)

    jobs, first, second = JobWatch(make), cast("Any", _Process(1)), cast("Any", _Process(2))
    jobs.began(first)
    jobs.began(second)
    jobs.end(first)
    assert [len(kernel.TerminateJobObject.asked) for kernel in kernels] == [1, 0]
    assert [len(kernel.CloseHandle.asked) for kernel in kernels] == [1, 0]


def test_one_that_gets_no_job_is_not_left_suspended() -> None:
    process = cast("Any", _Process(1))
    jobs = JobWatch(lambda: Job(_Kernel(assigned=0), _Native(), lambda: OSError("refused")))
    with pytest.raises(OSError, match="refused"):
        jobs.began(process)
    assert process.killed


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has job objects")
def test_elsewhere_there_is_none() -> None:
    with pytest.raises(OSError, match="Windows"):
        Job.of_this_system()
