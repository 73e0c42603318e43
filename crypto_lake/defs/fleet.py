"""Dagster's runs on several hosts: the launcher that `deploy/fleet/dagster.yaml` names, and the workers' Celery app.

Here belongs what Dagster's own launcher for Celery does not know: whether the host at work on a run is still there. A
run whose worker does not answer is failed, and the daemon starts it again on another (`run_retries`). Needs the extra
`fleet`; nothing else imports this.
"""

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg2.extensions
from celery.signals import task_prerun, worker_process_init
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.storage.tags import PRIORITY_TAG
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import unpack_value
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_RUN_PRIORITY_TAG, DAGSTER_CELERY_TASK_ID_TAG
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task
from dagster_postgres import DagsterPostgresStorage
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import Pool

from crypto_lake.defs import reach

if TYPE_CHECKING:
    from celery import Celery, Task

# The tag of a run with the name of the worker that began it.
WORKER = "crypto_lake/worker"
# A worker that is there answers in milliseconds; after a restart of Redis it takes some seconds to connect again.
_ANSWER_SEC = 2.0
_PATIENCE_SEC = 10.0
_LOOK_SEC = 1.0
# To Dagster the highest number is the first, to Celery on Redis the lowest: 0, where none is told.
_FIRST, _LATER = "100", "6"


class FleetLauncher(CeleryRunLauncher):
    """Starts runs as Celery tasks, and asks the worker of each run whether it is still there."""

    def __init__(self, *args: Any, **settings: Any) -> None:  # noqa: ANN401 - handed through as they are
        super().__init__(*args, **settings)
        self._silent_since: dict[str, float] = {}
        # By run that has not begun: its task, whose worker does not answer.
        self._taken: dict[str, str] = {}

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand a run to the workers; one that begins again comes before those that wait for a place."""
        run = context.dagster_run
        if PRIORITY_TAG not in run.tags:
            run = run.with_tags({**run.tags, DAGSTER_CELERY_RUN_PRIORITY_TAG: _LATER})
        super().launch_run(LaunchRunContext(run, context.workspace))

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Return whether a run is being worked on; the monitor of the daemon asks every few seconds."""
        task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task is None:
            # A command's own, in its own process: see `commands`.
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._fail_those_taken()
        found = super().check_run_worker_health(run)
        gone = self._gone(task) if found.status == WorkerStatus.RUNNING else None
        if gone is None:
            return found
        self._put_first(run)
        return CheckRunHealthResult(WorkerStatus.FAILED, gone)

    def _fail_those_taken(self) -> None:
        """Fail runs that a worker has taken, and had not begun when it died.

        The daemon looks at what is begun alone: they would wait for `start_timeout_seconds`, in which others wait for a
        place. A run that begins again has, for an instant, the task of the one before, so a task is looked at twice.
        """
        taken: dict[str, str] = {}
        for run in self._instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING])):
            task = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG, "")
            if not task or self.celery.AsyncResult(task).state != "STARTED":
                continue
            if (gone := self._gone(task)) is None:
                continue
            taken[run.run_id] = task
            if self._taken.get(run.run_id) == task:
                self._put_first(run)
                why = JobFailureData(error=None, failure_reason=RunFailureReason.START_TIMEOUT)
                self._instance.report_run_failed(run, gone, why)
        self._taken = taken

    def _gone(self, task: str) -> str | None:
        """Return why the worker that is at work on a task is taken for dead; None: it is not."""
        worker = self.celery.AsyncResult(task).info["hostname"]
        silent_sec = self._silence(worker)
        if silent_sec < _PATIENCE_SEC:
            return None
        return f"{worker} has not answered for {silent_sec:.0f} s; expected it there"

    def _put_first(self, run: dg.DagsterRun) -> None:
        """Let the run that the daemon begins in its place come before those that wait already: it has its tags."""
        self._instance.add_run_tags(run.run_id, {PRIORITY_TAG: _FIRST})

    def _silence(self, worker: str) -> float:
        """Ask a worker; return for how long it has not answered.

        Raises:
            OperationalError: Redis is away, so that nobody can be asked: no worker's silence counts.
        """
        try:
            answers = self.celery.control.ping(destination=[worker], timeout=_ANSWER_SEC)
        except Exception:
            self._silent_since.clear()
            raise
        if answers:
            self._silent_since.pop(worker, None)
            return 0.0
        now = time.monotonic()
        return now - self._silent_since.setdefault(worker, now)


def app() -> "Celery":
    """Return the Celery app of a worker: that of the launcher in the `dagster.yaml` of `$DAGSTER_HOME`."""
    with dg.DagsterInstance.get() as instance:
        launcher = instance.run_launcher
    if not isinstance(launcher, CeleryRunLauncher):
        raise SystemExit(
            f"{type(launcher).__name__}: expected a run_launcher that is crypto_lake.defs.fleet's"
        )
    create_execute_job_task(launcher.celery)
    create_resume_job_task(launcher.celery)
    return launcher.celery


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SEC)
    os._exit(1)


def _watch_parent(**_: object) -> None:
    """Let a run end with the worker whose process it has: the monitor takes both for dead when that is killed."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _reach_back(**_: object) -> None:
    """Let the partitions of a worker begin where any exchange does, as those of commands.

    It loads them once and goes on for weeks, while the lake may get days that are older than it was then.
    """
    reach.back_to_the_first_day_of_all()


def _note_worker(sender: "Task", kwargs: dict[str, Any], **_: object) -> None:
    """Tag a run with the worker that begins it, for people: the UI shows it beside the run."""
    packed = kwargs.get("execute_job_args_packed")
    if packed is not None:
        with dg.DagsterInstance.get() as instance:
            run_id = unpack_value(packed, as_type=ExecuteRunArgs).run_id
            instance.add_run_tags(run_id, {WORKER: sender.request.hostname})


class FleetStorage(DagsterPostgresStorage):
    """Dagster's own, named in `dagster.yaml` so that each process of a fleet loads this module: see `_is_alive`."""


def _is_alive(connection: Any, *_: object) -> None:  # noqa: ANN401 - psycopg2's, which has no types
    """Look whether a kept connection still leads anywhere; SQLAlchemy then takes a new one.

    Without it each process fails once after a restart of PostgreSQL, the page with an error.
    """
    if not isinstance(connection, psycopg2.extensions.connection):
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.rollback()
    except psycopg2.Error:
        raise DisconnectionError from None


# Dagster offers no setting for that.
event.listen(Pool, "checkout", _is_alive)
worker_process_init.connect(_watch_parent)
worker_process_init.connect(_reach_back)
task_prerun.connect(_note_worker)
