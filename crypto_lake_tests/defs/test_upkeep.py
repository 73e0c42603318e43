"""What keeps the instance in order: which runs are forgotten, which never, and who is told of a failure."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import msgspec
import pytest
from dagster._core.execution import compute_logs

from crypto_lake import config, definitions
from crypto_lake.config import ENVIRONMENT_VARIABLE, Config
from crypto_lake.defs import commands, history, launch, upkeep
from crypto_lake.defs.resources import RESOURCES, Lake
from crypto_lake.operate import jobs
from crypto_lake_tests.raw_lines import DAY, HOUR, START, land, spoil, trade

NEXT = DAY + timedelta(days=1)
RAW, BARS = dg.AssetKey("raw_segments"), dg.AssetKey("bars_1s")


@pytest.fixture(autouse=True)
def configured(write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(write_config()))
    # Runs are what is looked at, and not the many hours of a day that is over.
    monkeypatch.setattr(Lake, "now_us", lambda _: START + 3 * HOUR)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "instance"


@pytest.fixture
def instance(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    # What a run prints is captured all the same; two processes a step, which print it once more, are left out.
    monkeypatch.setattr(compute_logs, "tail_to_stream", lambda *_: nullcontext())
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder)) as found:
        yield found


def run(instance: dg.DagsterInstance, day: str = str(DAY), **tags: str) -> dg.ExecuteInProcessResult:
    return definitions.defs.resolve_job_def("make_bars").execute_in_process(
        instance=instance,
        tags={"dagster/partition": day} | tags,
        run_config=launch._QUIET,
        raise_on_error=False,
    )


def later() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def remembered(instance: dg.DagsterInstance) -> set[str]:
    return {one.run_id for one in instance.get_runs()}


def test_a_run_that_made_a_partitions_newest_state_is_kept_and_those_before_it_go(
    instance: dg.DagsterInstance, lake: Config, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lake, "now_us", lambda _: START + 27 * HOUR)
    land(lake, [trade(1, START + HOUR), trade(2, START + 25 * HOUR)])
    old, kept, other = run(instance), run(instance), run(instance, str(NEXT))
    assert history.forget(instance, later()) == 1
    assert remembered(instance) == {kept.run_id, other.run_id}
    assert [path.name for path in folder.rglob(f"*{old.run_id}*")] == []
    assert instance.get_materialized_partitions(BARS) == {str(DAY), str(NEXT)}
    assert instance.fetch_materializations(BARS, limit=9).records[0].run_id == other.run_id


def test_younger_runs_and_those_under_way_are_kept(instance: dg.DagsterInstance, lake: Config) -> None:
    land(lake, [trade(1, START + HOUR)])
    run(instance)
    run(instance)
    assert history.forget(instance, datetime.now(UTC) - timedelta(days=1)) == 0
    job = definitions.defs.resolve_job_def("make_bars")
    working = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    history.forget(instance, later())
    assert working.run_id in remembered(instance)


def test_a_run_that_failed_is_forgotten(instance: dg.DagsterInstance, lake: Config) -> None:
    spoil(land(lake, [trade(1, START + HOUR)]))
    assert not run(instance).success
    assert history.forget(instance, later()) == 1


def test_of_reported_landings_the_newest_of_each_day_stays(instance: dg.DagsterInstance) -> None:
    for number, day in enumerate((DAY, DAY, NEXT)):
        landed = dg.AssetMaterialization(RAW, partition=str(day), metadata={"number": number})
        instance.report_runless_asset_event(landed)
    history.forget(instance, later())
    left = instance.fetch_materializations(RAW, limit=9).records
    found = [one.asset_materialization.metadata["number"].value for one in left if one.asset_materialization]
    assert sorted(found, key=str) == [1, 2]


def test_of_verdicts_the_newest_of_each_check_and_day_stays(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR)])
    run(instance)
    kept = run(instance)
    history.forget(instance, later())
    key = dg.AssetCheckKey(BARS, "no_missing_seconds")
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=9)
    assert [record.run_id for record in records] == [kept.run_id]


def said(result: object) -> str:
    assert isinstance(result, dg.SkipReason)
    return result.skip_message or ""


def old_runs(instance: dg.DagsterInstance) -> str:
    with dg.build_sensor_context(instance=instance, resources=RESOURCES) as context:
        return said(upkeep.old_runs(context))


def test_the_sensor_forgets_by_the_configured_number_of_days(
    instance: dg.DagsterInstance, lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(lake, [trade(1, START + HOUR)])
    run(instance)
    run(instance)
    assert old_runs(instance) == "0 runs older than 14 days forgotten"
    monkeypatch.setattr(upkeep, "_now", lambda: later() + timedelta(days=14))
    assert old_runs(instance) == "1 runs older than 14 days forgotten"


def test_runs_are_kept_for_good_where_the_configuration_says_so(
    instance: dg.DagsterInstance, write_config: Callable[..., Path]
) -> None:
    write_config(dagster={"keep_runs_days": None})
    assert "for good" in old_runs(instance)


def alerted(instance: dg.DagsterInstance, failed: dg.ExecuteInProcessResult) -> str:
    event = next(one for one in failed.all_events if one.event_type_value == "PIPELINE_FAILURE")
    context = dg.build_run_status_sensor_context(
        "failed_runs",
        dagster_event=event,
        dagster_instance=instance,
        dagster_run=failed.dagster_run,
        resources=RESOURCES,
    ).for_run_failure()
    return said(upkeep.failed_runs(context))


@pytest.fixture
def told(tmp_path: Path, write_config: Callable[..., Path]) -> Path:
    """Where the configured command writes what it is told, a line each."""
    path = tmp_path / "told.jsonl"
    code = f"import sys; open({str(path)!r}, 'ab').write(sys.stdin.buffer.read() + b'\\n')"
    write_config(alerts={"command": [sys.executable, "-c", code]})
    return path


def broken(lake: Config) -> Path:
    return spoil(land(lake, [trade(1, START + HOUR)]))


def test_of_a_failed_run_the_command_is_told_what_and_why(
    instance: dg.DagsterInstance, lake: Config, told: Path
) -> None:
    path = broken(lake)
    failed = run(instance)
    assert alerted(instance, failed).endswith(": told")
    payload = json.loads(told.read_text(encoding="utf-8"))
    assert (payload["event"], payload["job"], payload["days"]) == ("run_failed", "make_bars", str(DAY))
    assert payload["run_id"] == failed.run_id
    assert any(path.name in line for line in payload["errors"])


def test_the_same_failure_again_is_not_told_until_a_run_succeeded(
    instance: dg.DagsterInstance, lake: Config, told: Path
) -> None:
    path = broken(lake)
    alerted(instance, run(instance))
    assert "was told of" in alerted(instance, run(instance))
    path.unlink()
    assert run(instance).success
    broken(lake)
    assert alerted(instance, run(instance)).endswith(": told")
    assert len(told.read_text(encoding="utf-8").splitlines()) == 2


def test_whoever_started_a_run_by_a_command_is_not_told_again(
    instance: dg.DagsterInstance, lake: Config, told: Path
) -> None:
    broken(lake)
    failed = run(instance, **{commands.BY_COMMAND: "true"})
    assert "by a command" in alerted(instance, failed)
    assert not told.exists()


def test_a_command_that_fails_is_said_and_raises_nothing(
    instance: dg.DagsterInstance, lake: Config, write_config: Callable[..., Path]
) -> None:
    config.load(write_config(alerts={"command": ["no-such-program-here"]}))
    broken(lake)
    assert "no-such-program-here" in alerted(instance, run(instance))


@pytest.mark.parametrize(("days", "left"), [(0, 1), (1, 2), (None, 2)])
def test_without_a_daemon_a_compaction_by_command_forgets_old_runs(
    lake: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int | None, left: int
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    land(lake, [trade(1, START + HOUR)])
    with launch.instance() as instance:
        run(instance)
        run(instance)
    dagster = msgspec.structs.replace(lake.dagster, keep_runs_days=days)
    jobs.compact(msgspec.structs.replace(lake, dagster=dagster), [])
    with launch.instance() as instance:
        assert len(remembered(instance)) == left


def test_the_sensor_on_old_runs_ends_those_of_commands_that_died(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    job = definitions.defs.resolve_job_def("make_bars")
    tags = {commands.BY_COMMAND: "true"}
    dead = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    upkeep.old_runs(dg.build_sensor_context(instance=instance, resources=RESOURCES))
    found = instance.get_run_by_id(dead.run_id)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.FAILURE
