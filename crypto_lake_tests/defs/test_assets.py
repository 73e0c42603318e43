"""Dagster's side on a real instance: assets, checks, ranges, what starts runs and what does not."""

import os
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from crypto_lake import checks, config, dagster_home, definitions
from crypto_lake.ask import views
from crypto_lake.config import ENVIRONMENT_VARIABLE, Config
from crypto_lake.defs import assets, columns, launch
from crypto_lake.defs.commands import BY_COMMAND
from crypto_lake.defs.resources import RESOURCES, Lake
from crypto_lake.errors import LakeBusyError, LakeError
from crypto_lake.layout import DAY_US, day_of
from crypto_lake.pages import validation
from crypto_lake.schema import BAR, RAW_LINE, names
from crypto_lake.transform import bars
from crypto_lake_tests.raw_lines import DAY, HOUR, START, SYMBOL, land, spoil, trade

ROOT = Path(__file__).resolve().parents[2]
TOMORROW = DAY + timedelta(days=1)


@pytest.fixture(autouse=True)
def configured(write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(write_config()))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def two_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is three o'clock of the day, which has no more hours yet than its lines."""
    monkeypatch.setattr(Lake, "now_us", lambda _: START + 3 * HOUR)


def run(
    instance: dg.DagsterInstance, job: str, first: date, last: date | None = None
) -> dg.ExecuteInProcessResult:
    over_days = {
        "dagster/asset_partition_range_start": str(first),
        "dagster/asset_partition_range_end": str(last),
    }
    tags = over_days if last else {"dagster/partition": str(first)}
    definition = definitions.defs.resolve_job_def(job)
    return definition.execute_in_process(
        instance=instance, tags=tags, run_config=launch._QUIET, raise_on_error=False
    )


def verdicts(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str | None], bool]:
    """Whether a check passed on every asset that has it, by name and day."""
    found: dict[tuple[str, str | None], bool] = {}
    for v in result.get_asset_check_evaluations():
        found[v.check_name, v.partition] = v.passed and found.get((v.check_name, v.partition), True)
    return found


def test_the_code_location_loads_without_a_warning() -> None:
    dg.Definitions.validate_loadable(definitions.defs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)
        __import__("importlib").reload(definitions)


def test_a_partition_is_materialized_and_its_checks_are_stored_for_it(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR)])
    result = run(instance, "make_bars", DAY)
    assert result.success
    assert verdicts(result)["no_missing_seconds", str(DAY)]
    event, _ = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert (metadata["trades"].value, metadata["parts_made"].value, event.partition) == (1, 24, str(DAY))


def test_a_range_is_one_run_that_records_each_day_and_its_checks(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR), trade(2, START + 25 * HOUR)])
    result = run(instance, "make_bars", DAY, TOMORROW)
    assert result.success
    latest = {
        str(day): instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey("bars_1s"), asset_partitions=[str(day)]), limit=1
        ).records[0]
        for day in (DAY, TOMORROW)
    }
    assert [
        r.asset_materialization.metadata["trades"].value for r in latest.values() if r.asset_materialization
    ] == [1, 1]
    found = verdicts(result)
    assert {partition for name, partition in found if name == "schema_matches"} >= {str(DAY), str(TOMORROW)}


def test_the_days_before_a_failure_stay_recorded(instance: dg.DagsterInstance, lake: Config) -> None:
    land(lake, [trade(1, START + HOUR)])
    spoil(land(lake, [trade(2, START + 49 * HOUR)], DAY + timedelta(days=2)))
    assert not run(instance, "make_bars", DAY - timedelta(days=1), DAY + timedelta(days=2)).success
    key = dg.AssetKey("bars_1s")
    assert str(DAY - timedelta(days=1)) in instance.get_materialized_partitions(key)
    assert str(DAY + timedelta(days=2)) not in instance.get_materialized_partitions(key)


def test_a_blocking_check_that_fails_keeps_the_day_from_being_compacted(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR)])
    assert run(instance, "make_bars", DAY).success
    layout = lake.layout
    layout.part("binance", SYMBOL, DAY, 5).write_bytes(layout.part("binance", SYMBOL, DAY, 4).read_bytes())
    fingerprints = layout.part("binance", SYMBOL, DAY, 5)
    assert fingerprints.exists()
    result = run(instance, "validate", DAY)
    assert verdicts(result)["no_duplicate_seconds", str(DAY)] is False
    assert not layout.daily("binance", SYMBOL, DAY).exists()


def test_compaction_makes_the_bars_first(instance: dg.DagsterInstance, lake: Config) -> None:
    land(lake, [trade(1, START + HOUR)])
    assert run(instance, "compact", DAY).success
    assert lake.layout.daily("binance", SYMBOL, DAY).exists()


def test_a_configuration_that_is_wrong_fails_the_run_with_its_line(
    write_config: Callable[..., Path], instance: dg.DagsterInstance
) -> None:
    write_config(collector={"no_such_key": 1})
    result = run(instance, "make_bars", DAY)
    failure = result.get_step_failure_events()[0].step_failure_data.error
    assert failure
    assert "collector.no_such_key: unknown key" in failure.to_string()


def test_every_check_is_evaluated_for_each_day_of_a_range_and_is_in_its_report(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR), trade(2, START + 25 * HOUR), trade(5, START + 26 * HOUR)])
    assert run(instance, "compact", DAY, TOMORROW).success
    result = run(instance, "validate", DAY, TOMORROW)
    found = {
        (v.asset_key.to_user_string(), v.check_name, v.partition)
        for v in result.get_asset_check_evaluations()
    }
    every = {(asset, check.name) for asset, some in checks.ON.items() for check in some}
    assert {(asset, name, str(day)) for asset, name in every for day in (DAY, TOMORROW)} <= found
    assert verdicts(result)["trade_ids_contiguous", str(DAY)]
    assert not verdicts(result)["trade_ids_contiguous", str(TOMORROW)]
    for day in (DAY, TOMORROW):
        reported = {(check["asset"], check["check"]) for check in validation.read(lake, day)}
        assert reported == {(asset, name) for asset, name in every if asset != "candles_1m"}
        assert lake.layout.validation_page(day).exists()


def test_bars_and_daily_files_do_not_wait_for_the_exchange_to_be_compared_with_it(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR)])
    names = {name for name, _ in verdicts(run(instance, "compact", DAY))}
    assert "trade_ids_contiguous" in names
    assert "equals_exchange_candles" not in names


def test_a_severity_is_that_of_what_was_found(instance: dg.DagsterInstance, lake: Config) -> None:
    """Nobody answers where the exchange should be: no failure of the day, and no proof."""
    land(lake, [trade(1, START + HOUR)])
    assert run(instance, "compact", DAY).success
    (found,) = [
        v
        for v in run(instance, "validate", DAY).get_asset_check_evaluations()
        if v.check_name == "equals_exchange_candles"
    ]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)


@pytest.mark.usefixtures("two_hours")
def test_a_database_that_a_client_holds_open_is_no_failure_of_the_run(
    instance: dg.DagsterInstance, lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held(_: Config) -> Path:
        raise LakeError("lake.duckdb: cannot be written: held open")

    monkeypatch.setattr(views, "save", held)
    land(lake, [trade(1, START + HOUR)])
    assert run(instance, "make_bars", DAY).success


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "dagster home"
    folder.mkdir()
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


@pytest.mark.usefixtures("two_hours")
def test_a_run_of_a_command_is_in_the_instance_that_the_ui_shows(home: Path, lake: Config) -> None:
    land(lake, [trade(1, START + HOUR)])
    launch.execute(definitions.defs, "make_bars", [DAY])
    with dg.DagsterInstance.get() as found:
        assert [record.job_name for record in found.get_runs()] == ["make_bars"]


def test_days_that_do_not_follow_each_other_are_runs_of_their_own(home: Path, lake: Config) -> None:
    land(lake, [trade(1, START + HOUR)])
    days = [DAY, TOMORROW, DAY + timedelta(days=5)]
    assert {str(v.day) for v in launch.execute(definitions.defs, "make_bars", days)} == {
        str(day) for day in days
    }
    with dg.DagsterInstance.get() as found:
        assert len(found.get_runs()) == 2


def test_what_a_step_raises_reaches_the_command_as_it_is(home: Path, lake: Config) -> None:
    # Today when the test runs: the suite may have begun before midnight.
    now_us = time.time_ns() // 1000
    land(lake, [trade(1, now_us)], day_of(now_us))
    with pytest.raises(LakeError, match="is not over"):
        launch.execute(definitions.defs, "compact", [day_of(now_us)])


def test_the_projects_own_instance_keeps_its_history_under_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(ROOT / "config.yml"))
    before = Path.cwd()
    with launch.instance() as found:
        storage = found.get_ref().run_storage_data
    assert storage
    assert storage.config_dict["base_dir"].startswith(".dagster/storage")
    assert Path.cwd() == before
    assert (ROOT / "workspace.yaml").is_file()


def test_the_lake_resource_reads_the_configuration_each_time(write_config: Callable[..., Path]) -> None:
    found = Lake()
    write_config(transformer={"parquet_compression": "zstd"})
    assert found.config().transformer.parquet_compression == "zstd"
    assert config.find() == Path(os.environ[ENVIRONMENT_VARIABLE])
    assert abs(found.now_us() - time.time_ns() // 1000) < DAY_US


def test_a_home_of_its_own_has_the_projects_settings_and_lies_in_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert dagster_home.furnished() == tmp_path
    with dg.DagsterInstance.get() as found:
        assert found.root_directory == str(tmp_path)
        assert found.run_monitoring_max_runtime_seconds > 0
        assert (found.run_retries_enabled, found.run_retries_retry_on_asset_or_op_failure) == (True, False)
        assert not found.telemetry_enabled
        assert found.get_concurrency_config().pool_config.default_pool_limit == 1


@pytest.mark.usefixtures("two_hours")
def test_a_days_bars_are_described_by_pictures_numbers_files_and_columns(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR), trade(4, START + 2 * HOUR)])
    event = run(instance, "make_bars", DAY).asset_materializations_for_node("bars_1s")[0]
    found = event.metadata
    small, large = found["day_of_SOLUSDT"].value, found["preview"].value
    assert isinstance(small, str)
    assert isinstance(large, str)
    assert small.startswith("![SOLUSDT](data:image/svg+xml;base64,")
    # Dagster's UI shows less than 1,000 characters of Markdown as they are, and more behind a click.
    assert (len(small) < 1000, 1000 < len(large) < 30_000) == (True, True)
    numbers = (
        "dagster/partition_row_count",
        "trades",
        "trades_missing",
        "unobserved_seconds",
        "bytes",
        "gaps",
    )
    assert all(isinstance(found[name].value, int) for name in numbers)
    assert isinstance(found["seconds_of_work"].value, float)
    assert found["file_SOLUSDT"].value == str(lake.layout.parts_day("binance", SYMBOL, DAY))
    lineage = found["dagster/column_lineage"]
    assert isinstance(lineage, dg.TableColumnLineageMetadataValue)
    assert set(lineage.column_lineage.deps_by_column) == {column.name for column in BAR}


def test_a_compacted_day_names_its_files_and_how_long_its_trades_took(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR), trade(2, START + 2 * HOUR)])
    result = run(instance, "compact", DAY)
    (daily,) = result.asset_materializations_for_node("daily_bars")[:1]
    (ticks,) = result.asset_materializations_for_node("ticks")[:1]
    assert daily.metadata["file_SOLUSDT"].value == str(lake.layout.daily("binance", SYMBOL, DAY))
    assert (ticks.metadata["latency_p99_ms"].value, ticks.metadata["trades"].value) == (80, 2)


@pytest.mark.usefixtures("two_hours")
def test_what_makes_files_says_that_the_views_are_new(instance: dg.DagsterInstance, lake: Config) -> None:
    land(lake, [trade(1, START + HOUR)])
    run(instance, "make_bars", DAY)
    event = instance.get_latest_materialization_event(dg.AssetKey("lake_views"))
    assert event
    assert event.asset_materialization
    assert event.asset_materialization.metadata["file"].value == str(lake.layout.database)


def test_the_views_are_made_anew_by_hand_too(instance: dg.DagsterInstance, lake: Config) -> None:
    made = dg.materialize([assets.lake_views], instance=instance, resources=RESOURCES)
    assert made.success
    assert lake.layout.database.exists()


def test_every_asset_says_whose_it_is_what_it_is_and_of_which_kind() -> None:
    for spec in definitions.defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.owners == ["team:crypto-lake"], spec.key
        assert 0 < len(spec.kinds) <= 3, spec.key
        has_columns = "dagster/column_schema" in spec.metadata
        assert has_columns == (spec.key.to_user_string() != "lake_views"), spec.key
    groups = {spec.group_name for spec in definitions.defs.resolve_all_asset_specs()}
    assert groups == {"raw", "bars", "daily", "backfill", "views"}


def test_columns_are_traced_to_columns_that_are_there() -> None:
    tables = {"raw_segments": names(RAW_LINE), "bars_1s": names(BAR)}
    for lineage in (columns.BARS_LINEAGE, columns.DAILY_LINEAGE, columns.TICKS_LINEAGE):
        for sources in lineage["dagster/column_lineage"].deps_by_column.values():
            assert all(one.column_name in tables[one.asset_key.to_user_string()] for one in sources)


def held_by_another(*_: object, **__: object) -> None:
    raise LakeBusyError("SOLUSDT.lock: held by another run")


@pytest.mark.parametrize("by_command", [True, False])
def test_a_symbol_that_another_process_holds_is_tried_again_unless_a_person_waits(
    instance: dg.DagsterInstance, lake: Config, monkeypatch: pytest.MonkeyPatch, by_command: bool
) -> None:
    monkeypatch.setattr(bars, "build_all", held_by_another)
    monkeypatch.setattr(launch, "_PATIENCE_SEC", 0)
    tags = {"dagster/partition": str(DAY)} | ({BY_COMMAND: "true"} if by_command else {})
    result = definitions.defs.resolve_job_def("make_bars").execute_in_process(
        instance=instance, tags=tags, run_config=launch._QUIET, raise_on_error=False
    )
    tries = [e for e in result.all_events if e.event_type_value == "STEP_UP_FOR_RETRY"]
    assert (result.success, len(tries)) == (False, 0 if by_command else 3)


def test_raw_lines_that_are_wrong_are_not_tried_again(instance: dg.DagsterInstance, lake: Config) -> None:
    spoil(land(lake, [trade(1, START + HOUR)]))
    result = run(instance, "make_bars", DAY)
    assert not [e for e in result.all_events if e.event_type_value == "STEP_UP_FOR_RETRY"]
