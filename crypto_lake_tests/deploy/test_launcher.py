"""Whether a run's worker is still there, as the monitor of the daemon is told."""

from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import PRIORITY_TAG
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from crypto_lake.defs import fleet, reach
from crypto_lake.defs.fleet import FleetLauncher

WORKER = "worker-1@host"


class Control:
    """Workers that answer, or do not; None: Redis is away."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] | None = [{WORKER: {"ok": "pong"}}]
        self.asked: list[list[str]] = []

    def ping(self, destination: list[str], timeout: float) -> list[dict[str, Any]]:
        assert timeout > 0
        self.asked.append(destination)
        if self.answers is None:
            raise ConnectionError("redis is away")
        return self.answers


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    now = SimpleNamespace(sec=0.0)
    monkeypatch.setattr(fleet, "time", SimpleNamespace(monotonic=lambda: now.sec))
    return now


@pytest.fixture
def launched(control: Control) -> tuple[FleetLauncher, dg.DagsterInstance, dg.DagsterRun]:
    """A launcher whose one task is being worked on, and its run."""
    launcher = FleetLauncher(default_queue="dagster", broker="memory://", backend="cache+memory://")
    result = SimpleNamespace(state="STARTED", info={"hostname": WORKER})
    launcher.celery = SimpleNamespace(control=control, AsyncResult=lambda _: result)
    instance = dg.DagsterInstance.ephemeral()
    launcher.register_instance(instance)
    tags = {DAGSTER_CELERY_TASK_ID_TAG: "task"}
    run = instance.create_run_for_job(
        dg.GraphDefinition("nothing").to_job(), status=dg.DagsterRunStatus.STARTED, tags=tags
    )
    return launcher, instance, run


Launched = tuple[FleetLauncher, dg.DagsterInstance, dg.DagsterRun]


def test_a_worker_that_answers_is_there(launched: Launched, control: Control, clock: SimpleNamespace) -> None:
    launcher, _, run = launched
    for clock.sec in (0, 100, 200):
        assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    assert control.asked == [[WORKER]] * 3


def test_a_worker_is_gone_that_has_not_answered_for_a_while_and_its_run_begins_before_others(
    launched: Launched, control: Control, clock: SimpleNamespace
) -> None:
    launcher, instance, run = launched
    control.answers = []
    assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING
    clock.sec = 11
    found = launcher.check_run_worker_health(run)
    assert (found.status, found.msg) == (
        WorkerStatus.FAILED,
        f"{WORKER} has not answered for 11 s; expected it there",
    )
    again = instance.get_run_by_id(run.run_id)
    assert again is not None
    assert again.tags[PRIORITY_TAG] == "100"


def test_a_run_that_a_worker_took_and_did_not_begin_before_it_died_begins_before_others(
    launched: Launched, control: Control, clock: SimpleNamespace
) -> None:
    launcher, instance, run = launched
    tags = {DAGSTER_CELERY_TASK_ID_TAG: "another task"}
    taken = instance.create_run_for_job(
        dg.GraphDefinition("nothing").to_job(), status=dg.DagsterRunStatus.STARTING, tags=tags
    )
    control.answers = []
    found = []
    for clock.sec in (0, 11, 16):
        launcher.check_run_worker_health(run)
        again = instance.get_run_by_id(taken.run_id)
        assert again is not None
        found.append((again.status.value, again.tags.get(PRIORITY_TAG)))
    assert found == [("STARTING", None), ("STARTING", None), ("FAILURE", "100")]


def test_while_redis_is_away_no_silence_counts(
    launched: Launched, control: Control, clock: SimpleNamespace
) -> None:
    launcher, _, run = launched
    for clock.sec, answers in ((0, []), (5, None), (60, [])):
        control.answers = answers
        if answers is None:
            with pytest.raises(ConnectionError):
                launcher.check_run_worker_health(run)
        else:
            assert launcher.check_run_worker_health(run).status == WorkerStatus.RUNNING


def test_a_run_of_a_command_has_no_worker_to_be_asked(launched: Launched, control: Control) -> None:
    launcher, instance, _ = launched
    by_command = instance.create_run_for_job(dg.GraphDefinition("nothing").to_job(), tags={})
    assert launcher.check_run_worker_health(by_command).status == WorkerStatus.RUNNING
    assert control.asked == []


def test_a_worker_that_goes_on_for_weeks_takes_days_that_are_older_than_the_lake_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reach, "_whole", [False])
    fleet._reach_back()
    assert reach.is_whole()
