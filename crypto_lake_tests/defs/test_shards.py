"""A lake whose work is parted into three shards: partitions, runs, sensors, checks and commands of a share each."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from crypto_lake import config
from crypto_lake.config import ENVIRONMENT_VARIABLE, Config
from crypto_lake.errors import ConfigError
from crypto_lake.layout import day_of
from crypto_lake.operate import jobs
from crypto_lake.pages import validation
from crypto_lake.series import Series
from crypto_lake_tests.raw_lines import DAY, HOUR, SECOND, START, land, spoil, trade

# The shard of each, of three. None is in shard 1.
SYMBOLS = {"BTCUSDT": 0, "ADAUSDT": 2, "SOLUSDT": 2}
SHARDS = {"cluster": {"shards": 3}}


@pytest.fixture
def lake(write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Config:
    path = write_config(**SHARDS)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(path))
    return config.load(path)


def _of_dagster() -> dict[str, ModuleType]:
    rooms = ("crypto_lake.definitions", "crypto_lake.defs")
    return {name: module for name, module in sys.modules.items() if name.startswith(rooms)}


@pytest.fixture
def defs(lake: Config) -> Iterator[dg.Definitions]:
    """The definitions as a process has them that begins with three shards; then as they were."""
    before = _of_dagster()
    for name in before.keys() - {"crypto_lake.defs.reach"}:
        del sys.modules[name]
    yield importlib.import_module("crypto_lake.definitions").defs
    for name in _of_dagster().keys() - before.keys():
        del sys.modules[name]
    for name, module in before.items():
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        setattr(sys.modules[parent], last, module)


def land_all(lake: Config, day: date = DAY, at: int = START + HOUR) -> None:
    for symbol in SYMBOLS:
        land_of(lake, symbol, at, day)


def land_of(lake: Config, symbol: str, at: int, day: date) -> None:
    path = land(lake, [trade(1, at), trade(2, at + SECOND)], day)
    path.write_bytes(path.read_bytes().replace(b"SOLUSDT", symbol.encode()))
    target = lake.layout.segment("binance", symbol, day, 1)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)


def run(
    defs: dg.Definitions, instance: dg.DagsterInstance, job: str, key: str, last: str | None = None
) -> dg.ExecuteInProcessResult:
    over = {"dagster/asset_partition_range_start": key, "dagster/asset_partition_range_end": last or key}
    return defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        tags=over if last else {},
        partition_key=None if last else key,
        raise_on_error=False,
    )


def compacted(lake: Config) -> set[str]:
    return {symbol for symbol in SYMBOLS if lake.layout.daily("binance", symbol, DAY).exists()}


def test_a_run_of_a_shard_makes_the_files_of_its_symbols(
    defs: dg.Definitions, instance: dg.DagsterInstance, lake: Config
) -> None:
    land_all(lake)
    result = run(defs, instance, "compact", f"{DAY}|2")
    assert result.success
    assert result.dagster_run.tags["dagster/partition/shard"] == "2"
    assert compacted(lake) == {"ADAUSDT", "SOLUSDT"}
    assert instance.get_materialized_partitions(dg.AssetKey("ticks")) == {f"{DAY}|2"}


def test_a_range_of_days_and_shards_is_one_run_that_tells_of_each(
    defs: dg.Definitions, instance: dg.DagsterInstance, lake: Config
) -> None:
    land_all(lake)
    result = run(defs, instance, "compact", f"{DAY - timedelta(days=1)}|0", f"{DAY}|2")
    assert (result.success, compacted(lake)) == (True, set(SYMBOLS))
    days = (DAY - timedelta(days=1), DAY)
    assert instance.get_materialized_partitions(dg.AssetKey("daily_bars")) == {
        f"{day}|{shard}" for day in days for shard in range(3)
    }
    checked = {one.partition for one in result.get_asset_check_evaluations()}
    assert {f"{DAY}|{shard}" for shard in range(3)} <= checked


def test_a_shard_that_fails_keeps_no_other_from_its_work(
    defs: dg.Definitions, instance: dg.DagsterInstance, lake: Config
) -> None:
    land_all(lake)
    spoil(lake.layout.segment("binance", "BTCUSDT", DAY, 1))
    assert not run(defs, instance, "make_bars", f"{DAY}|0", f"{DAY}|2").success
    assert instance.get_materialized_partitions(dg.AssetKey("bars_1s")) >= {f"{DAY}|1", f"{DAY}|2"}
    assert lake.layout.parts("binance", "ADAUSDT", DAY)


def test_the_validation_of_a_day_has_the_verdicts_of_all_shards(
    defs: dg.Definitions, instance: dg.DagsterInstance, lake: Config
) -> None:
    land_all(lake)
    for shard in (0, 2, 0):
        assert run(defs, instance, "make_bars", f"{DAY}|{shard}").success
    (found,) = [one for one in validation.read(lake, DAY) if one["check"] == "trade_ids_contiguous"]
    assert found["counts"] == dict.fromkeys(SYMBOLS, 0)
    told = json.loads(lake.layout.validation(DAY).read_bytes())
    assert [row["symbol"] for row in told["coverage"]] == sorted(SYMBOLS)
    assert lake.layout.validation_page(DAY).exists()


def test_the_sensor_requests_the_shards_whose_segments_changed(
    defs: dg.Definitions, instance: dg.DagsterInstance, lake: Config
) -> None:
    land_all(lake)
    assert requested(defs, instance, "new_segments", None) == [f"{DAY}|0", f"{DAY}|2"]
    run(defs, instance, "make_bars", f"{DAY}|0")
    assert requested(defs, instance, "new_segments", None) == [f"{DAY}|2"]


def test_a_shard_that_is_at_work_keeps_no_other_waiting(
    defs: dg.Definitions, instance: dg.DagsterInstance, lake: Config
) -> None:
    land_all(lake)
    job = defs.resolve_job_def("make_bars")
    tags = {"dagster/partition": f"{DAY}|0"}
    under_way = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
    tick = sensor(defs, instance, "new_segments", None)
    assert keys(tick) == [f"{DAY}|2"]
    instance.delete_run(under_way.run_id)
    assert requested(defs, instance, "new_segments", tick.cursor) == [f"{DAY}|0"]


def sensor(
    defs: dg.Definitions, instance: dg.DagsterInstance, name: str, cursor: str | None
) -> dg.SensorResult:
    found = importlib.import_module("crypto_lake.defs.resources").RESOURCES
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=found) as context:
        result = defs.get_repository_def().get_sensor_def(name)(context)
    assert isinstance(result, dg.SensorResult)
    return result


def keys(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or []]


def requested(
    defs: dg.Definitions, instance: dg.DagsterInstance, name: str, cursor: str | None
) -> list[str | None]:
    return keys(sensor(defs, instance, name, cursor))


def test_schedules_request_each_shard_that_has_something_to_do(
    defs: dg.Definitions, instance: dg.DagsterInstance, lake: Config
) -> None:
    now = datetime.now(UTC)
    microseconds = int(now.timestamp() * 1e6)
    today = day_of(microseconds)
    land_all(lake, today, microseconds - 10 * SECOND)
    yesterday = today - timedelta(days=1)
    land_of(lake, "ADAUSDT", microseconds - 24 * HOUR, yesterday)
    found = importlib.import_module("crypto_lake.defs.resources").RESOURCES
    asked: dict[str, list[str | None]] = {}
    for name in ("bars_every_5_minutes", "compaction_nightly"):
        with dg.build_schedule_context(instance, scheduled_execution_time=now, resources=found) as context:
            requests = defs.get_repository_def().get_schedule_def(name)(context)
        assert isinstance(requests, list)
        asked[name] = [request.partition_key for request in requests]
    assert asked == {
        "bars_every_5_minutes": [f"{today}|0", f"{today}|2"],
        "compaction_nightly": [f"{yesterday}|2"],
    }


def test_commands_work_on_all_shards_and_tell_of_them_together(
    defs: dg.Definitions, lake: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    land_all(lake)
    jobs.compact(lake, [DAY])
    assert compacted(lake) == set(SYMBOLS)
    verdicts = jobs.validate(lake, [DAY])
    (found,) = [one for one in verdicts if (one.asset, one.check) == ("daily_bars", "no_missing_seconds")]
    assert (found.outcome, found.metadata["symbols_checked"]) == ("passed", 3)


def test_a_number_of_shards_that_changed_is_told(
    defs: dg.Definitions, instance: dg.DagsterInstance, lake: Config, write_config: Callable[..., Path]
) -> None:
    land_all(lake)
    changed = config.load(write_config(cluster={"shards": 4}))
    partitions = importlib.import_module("crypto_lake.defs.partitions")
    with pytest.raises(ConfigError, match=r"cluster\.shards: 4, and 3 when this process was started"):
        partitions.shares(Series.recorded(changed))
