"""Runs that commands start, in their own processes: which of them still have one.

Dagster's monitor, a part of its daemon, ends runs that died, but cannot know of a process that it did not start; and
where only commands run there is no daemon. A dead run would hold its pool's slot, and every later one would wait for
it. So each command holds a lock while its run is under way: the system lets go of it with the process, however that
ends. Where hosts share an instance, PostgreSQL has the locks: a file of one host says nothing to another.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from crypto_lake.defs import turns
from crypto_lake.defs.history import UNDER_WAY
from crypto_lake.disk import locks
from crypto_lake.errors import LakeBusyError

# The tag of a run that a person waits for: it does not sit out the exchange's troubles.
BY_COMMAND = "crypto_lake/by_command"


@contextlib.contextmanager
def living(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    """The run of that id is this process's, for as long as the block lasts."""
    with _held(instance, run_id):
        yield


def end_dead(instance: dg.DagsterInstance) -> list[str]:
    """Fail the runs of commands whose process is gone, and free what they held; their ids."""
    under_way = instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY, tags={BY_COMMAND: "true"}))
    return [run.run_id for run in under_way if _end_if_dead(instance, run)]


def _end_if_dead(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    try:
        with _held(instance, run.run_id, wait_sec=0):
            # It may have ended in good order since it was listed.
            now = instance.get_run_by_id(run.run_id)
            dead = now is not None and now.status in UNDER_WAY
            if dead:
                instance.report_run_failed(run, "the command's process is gone")
                instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    except LakeBusyError:
        return False
    return dead


@contextlib.contextmanager
def _held(instance: dg.DagsterInstance, run_id: str, wait_sec: float | None = None) -> Iterator[None]:
    if turns.are_shared(instance):
        with turns.held(instance, f"the run {run_id}", wait_sec or 0):
            yield
        return
    path = Path(instance.storage_directory()).absolute() / "commands" / f"{run_id}.lock"
    with locks.hold(path, wait_sec):
        yield
    # Held by another that looks whether it is dead (Windows): that one removes it.
    with contextlib.suppress(OSError):
        path.unlink()
