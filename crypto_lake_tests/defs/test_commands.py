"""Runs of commands whose process is gone: they are ended, and hold nothing up."""

import time
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from crypto_lake.config import Config
from crypto_lake.defs import commands
from crypto_lake_tests import processes
from crypto_lake_tests.raw_lines import DAY, HOUR, START, SYMBOL, land, trade

POOL = "bars"


@pytest.fixture(autouse=True)
def one_slot(instance: dg.DagsterInstance) -> None:
    instance.event_log_storage.set_concurrency_slots(POOL, 1)


def run_that_holds(instance: dg.DagsterInstance, tags: dict[str, str]) -> str:
    run = instance.create_run_for_job(
        dg.GraphDefinition("nothing").to_job(), status=dg.DagsterRunStatus.STARTED, tags=tags
    )
    instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "step")
    return run.run_id


def held(instance: dg.DagsterInstance) -> int:
    return instance.event_log_storage.get_concurrency_info(POOL).active_slot_count


def test_a_run_without_a_process_is_failed_and_holds_no_slot(instance: dg.DagsterInstance) -> None:
    run_id = run_that_holds(instance, {commands.BY_COMMAND: "true"})
    assert held(instance) == 1
    assert commands.end_dead(instance) == [run_id]
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert (run.status, held(instance)) == (dg.DagsterRunStatus.FAILURE, 0)


def test_a_run_whose_process_lives_is_left_alone(instance: dg.DagsterInstance) -> None:
    run_id = run_that_holds(instance, {commands.BY_COMMAND: "true"})
    with commands.living(instance, run_id):
        assert commands.end_dead(instance) == []
    assert held(instance) == 1


def test_a_run_of_the_daemon_s_is_the_daemon_s(instance: dg.DagsterInstance) -> None:
    run_that_holds(instance, {})
    assert commands.end_dead(instance) == []
    assert held(instance) == 1


def test_no_lock_is_left_behind(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    with commands.living(instance, "one"):
        assert list(tmp_path.rglob("*.lock")) != []
    run_that_holds(instance, {commands.BY_COMMAND: "true"})
    commands.end_dead(instance)
    assert list(tmp_path.rglob("*.lock")) == []


def test_a_transformer_that_was_killed_does_not_keep_the_next_one_waiting(
    lake: Config, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    days = [DAY + timedelta(days=n) for n in range(6)]
    for n, day in enumerate(days):
        land(lake, [trade(n + 1, START + (24 * n + 1) * HOUR)], day)
    words = ("crypto_lake", "transformer")
    with processes.started(*words, cwd=tmp_path, log=tmp_path / "said", DAGSTER_HOME=str(home)) as process:
        for _ in range(600):
            if len(lake.layout.bar_days("binance", SYMBOL)) > 1 or process.poll() is not None:
                break
            time.sleep(0.05)
        process.kill()
        process.wait()
    assert len(lake.layout.bar_days("binance", SYMBOL)) < len(days)
    done = processes.run(*words, cwd=tmp_path, DAGSTER_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert lake.layout.bar_days("binance", SYMBOL) == days
