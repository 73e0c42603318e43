"""Assets, schedules and sensors of a lake in a store."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from crypto_lake import config, definitions
from crypto_lake.config import ENVIRONMENT_VARIABLE, Config
from crypto_lake.defs import automation, healing, launch
from crypto_lake.defs.resources import RESOURCES
from crypto_lake.disk import parquet
from crypto_lake.disk.store import Store
from crypto_lake.errors import StoreAwayError
from crypto_lake.layout import MINUTE_US
from crypto_lake.operate.ship import loop
from crypto_lake.staging import identity
from crypto_lake_tests.raw_lines import DAY, land, trade
from crypto_lake_tests.recorded_market import MIDNIGHT, NEXT, record
from crypto_lake_tests.staging.stores import work


@pytest.fixture
def lake(write_config: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A lake in a store, into which the minutes around midnight were shipped."""
    identity.forget()
    path = write_config(store={"url": (tmp_path / "store").as_uri()})
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(path))
    loaded = config.load(path)
    record(loaded, MIDNIGHT - MINUTE_US, MIDNIGHT + MINUTE_US)
    loop.run(loaded, path, once=True)
    return loaded


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=RESOURCES) as context:
        result = automation.new_segments(context)
    assert isinstance(result, dg.SensorResult)
    return result


def requested(result: dg.SensorResult) -> list[tuple[str | None, str | None]]:
    """The days of runs that are asked for, by partition or by tag, and their jobs."""
    runs = result.run_requests or []
    return [(run.partition_key or run.tags["dagster/partition"], run.job_name) for run in runs]


def evaluate(instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition) -> list[str]:
    now = datetime.now(UTC)
    with dg.build_schedule_context(instance, scheduled_execution_time=now, resources=RESOURCES) as context:
        found = schedule(context)
    runs = found if isinstance(found, list) else [found]
    return [
        run.partition_key or run.tags["dagster/partition"] for run in runs if isinstance(run, dg.RunRequest)
    ]


def test_what_was_shipped_asks_for_runs_of_its_days_once_and_late_files_ask_again(
    instance: dg.DagsterInstance, lake: Config, tmp_path: Path
) -> None:
    first = tick(instance)
    assert requested(first) == [(str(DAY), "make_bars"), (str(NEXT), "make_bars")]
    assert requested(tick(instance, first.cursor)) == []
    assert evaluate(instance, automation.compaction_nightly) == [str(DAY), str(NEXT)]
    assert evaluate(instance, automation.bars_every_5_minutes) == []
    with parquet.connect() as duck:
        work(duck, lake, [DAY, NEXT])
    assert evaluate(instance, automation.compaction_nightly) == []
    assert evaluate(instance, healing.heal_nightly) == []
    land(lake, [trade(10**9, MIDNIGHT + MINUTE_US)], NEXT, number=99)
    loop.run(lake, tmp_path / "config.yml", once=True)
    assert requested(tick(instance, first.cursor)) == [(str(NEXT), "compact")]


def test_a_run_tries_again_while_the_store_is_away(
    instance: dg.DagsterInstance, lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreAwayError("away")

    monkeypatch.setattr(launch, "_PATIENCE_SEC", 0)
    monkeypatch.setattr(launch, "_STORE_TRIES", 2)
    monkeypatch.setattr(Store, "entries", away)
    job = definitions.defs.resolve_job_def("make_bars")
    tags = {"dagster/partition": str(DAY)}
    done = job.execute_in_process(
        instance=instance, tags=tags, run_config=launch._QUIET, raise_on_error=False
    )
    assert not done.success
    events = [event.event_type_value for event in done.all_events]
    assert events.count("STEP_UP_FOR_RETRY") == 2
