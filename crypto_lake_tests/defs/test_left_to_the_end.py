"""What fails of one symbol keeps no other's day from any step of a run, which fails all the same, at its end."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import msgspec
import pytest

from crypto_lake import checks, config, definitions
from crypto_lake.config import ENVIRONMENT_VARIABLE, Config
from crypto_lake.coverage import table as coverage
from crypto_lake.defs import automation, launch
from crypto_lake.errors import LakeError, RawDataError
from crypto_lake.layout import day_start_us
from crypto_lake.pages import validation
from crypto_lake_tests.raw_lines import DAY, HOUR, SYMBOL, quote, trade

# It comes first wherever symbols are sorted.
BAD = "ADAUSDT"
TOMORROW = DAY + timedelta(days=1)


@pytest.fixture
def lake(write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Config:
    """Two symbols with lines of two days; bars of minutes, which cost less."""
    exchange = {
        "name": "binance",
        "symbols": [BAD, SYMBOL],
        "rest_url": "http://127.0.0.1:1/api/v3",
        "wss_url": "ws://127.0.0.1:1/ws",
    }
    path = write_config(exchanges=[exchange], transformer={"resample_interval_sec": 60})
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(path))
    found = config.load(path)
    for symbol in (BAD, SYMBOL):
        for day in (DAY, TOMORROW):
            start = day_start_us(day)
            lines = [trade(1, start + HOUR), quote(1, start + HOUR)]
            target = found.layout.segment("binance", symbol, day, 1)
            target.parent.mkdir(parents=True)
            of_symbol = [msgspec.structs.replace(line, symbol=symbol) for line in lines]
            target.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in of_symbol))
    return found


def run(instance: dg.DagsterInstance, job: str, first: date, last: date) -> dg.ExecuteInProcessResult:
    range_of = {
        "dagster/asset_partition_range_start": str(first),
        "dagster/asset_partition_range_end": str(last),
    }
    tags = range_of if first < last else {"dagster/partition": str(first)}
    return definitions.defs.resolve_job_def(job).execute_in_process(
        instance=instance, tags=tags, run_config=launch._QUIET, raise_on_error=False
    )


def failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """The steps that failed, each with the error at the root of it."""
    found: dict[str, str] = {}
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        while error and error.cause:
            error = error.cause
        found[event.step_key or ""] = error.message if error else ""
    return found


def are_made(lake: Config, symbol: str, day: date) -> bool:
    """Whether a day has all that a compaction makes of it."""
    layout, where = lake.layout, ("binance", symbol)
    return all(
        path.is_file()
        for path in (layout.daily(*where, day), layout.ticks_manifest(*where, day), layout.coverage(day))
    )


def test_a_symbol_whose_bars_cannot_be_made_keeps_no_others_day_from_being_compacted(
    lake: Config, instance: dg.DagsterInstance
) -> None:
    part = lake.layout.part("binance", BAD, DAY, 3)
    part.mkdir(parents=True)
    result = run(instance, "compact", DAY, DAY)
    assert not result.success
    assert are_made(lake, SYMBOL, DAY)
    assert not are_made(lake, BAD, DAY)
    ((step, said),) = failures(result).items()
    assert step == "coverage"
    assert said.startswith(f"crypto_lake.errors.RawDataError: {part}")


def test_a_symbol_without_ticks_of_one_day_keeps_no_day_after_it_from_having_them(
    lake: Config, instance: dg.DagsterInstance
) -> None:
    lake.layout.ticks_manifest("binance", BAD, DAY).mkdir(parents=True)
    result = run(instance, "compact", DAY, TOMORROW)
    assert [are_made(lake, SYMBOL, day) for day in (DAY, TOMORROW)] == [True, True]
    assert are_made(lake, BAD, TOMORROW)
    assert list(failures(result)) == ["coverage"]


def told_of_failure(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> object:
    """Return what follows a compaction that failed."""
    context = dg.build_run_status_sensor_context(
        "validation_after_partial_compaction",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
    ).for_run_failure()
    return automation.validation_after_partial_compaction(context)


def test_a_run_that_makes_bars_alone_fails_where_they_are_made(
    lake: Config, instance: dg.DagsterInstance
) -> None:
    lake.layout.part("binance", BAD, DAY, 3).mkdir(parents=True)
    assert "bars_1s" in failures(run(instance, "make_bars", DAY, DAY))


def test_the_days_of_a_compaction_that_failed_of_some_symbols_are_checked(
    lake: Config, instance: dg.DagsterInstance
) -> None:
    lake.layout.part("binance", BAD, DAY, 3).mkdir(parents=True)
    result = run(instance, "compact", DAY, DAY)
    request = told_of_failure(instance, result)
    assert isinstance(request, dg.RunRequest)
    assert request.tags == {"dagster/partition": str(DAY)}
    checked = run(instance, "validate", DAY, DAY)
    assert failures(checked) == {}
    told = {(one["asset"], one["check"]): one["counts"] for one in validation.read(lake, DAY)}
    assert SYMBOL in told["daily_bars", "no_missing_seconds"]
    assert SYMBOL in told["ticks", "schema_matches"]


def test_a_compaction_that_could_not_be_done_at_all_is_followed_by_no_checks(
    lake: Config, instance: dg.DagsterInstance, write_config: Callable[..., Path]
) -> None:
    write_config(no_such_key=1)
    result = run(instance, "compact", DAY, DAY)
    assert isinstance(told_of_failure(instance, result), dg.SkipReason)


def test_a_command_goes_on_with_days_after_one_that_failed_of_a_symbol(
    lake: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    later = DAY + timedelta(days=3)
    for symbol in (BAD, SYMBOL):
        line = msgspec.structs.replace(trade(5, day_start_us(later) + HOUR), symbol=symbol)
        target = lake.layout.segment("binance", symbol, later, 1)
        target.parent.mkdir(parents=True)
        target.write_bytes(msgspec.json.encode(line) + b"\n")
    manifest = lake.layout.ticks_manifest("binance", BAD, DAY)
    manifest.mkdir(parents=True)
    with pytest.raises(LakeError, match=manifest.name) as said:
        launch.execute(definitions.defs, "compact", [DAY, later])
    assert not isinstance(said.value, RawDataError)
    assert [are_made(lake, SYMBOL, day) for day in (DAY, later)] == [True, True]


def damaged(path: Path) -> Path:
    path.write_bytes(b"PAR1" + b"x" * 200)
    return path


def test_a_folder_where_a_daily_file_of_one_symbol_belongs_keeps_no_other_from_being_checked(
    lake: Config, instance: dg.DagsterInstance
) -> None:
    assert run(instance, "compact", DAY, DAY).success
    daily = lake.layout.daily("binance", BAD, DAY)
    daily.unlink()
    daily.mkdir()
    checked = failures(run(instance, "validate", DAY, DAY))
    assert list(checked) == ["checks_of_daily_bars"]
    # Windows doubles backslashes in the text of its error.
    assert str(daily) in checked["checks_of_daily_bars"].replace(r"\\", "\\")
    told = {(one["asset"], one["check"]): one["counts"] for one in validation.read(lake, DAY)}
    every = {(asset, check.name) for asset, some in checks.ON.items() for check in some}
    assert {key for key in every if SYMBOL in told.get(key, {})} == {
        key for key in every if key[0] != "candles_1m"
    }


def test_a_damaged_daily_file_of_one_symbol_keeps_no_other_from_its_coverage(
    lake: Config, instance: dg.DagsterInstance
) -> None:
    assert run(instance, "compact", DAY, DAY).success
    daily = damaged(lake.layout.daily("binance", BAD, DAY))
    path = lake.layout.coverage(DAY)
    path.unlink()
    assert str(daily) in failures(run(instance, "cover", DAY, DAY))["coverage"]
    assert {row.symbol for row in coverage.read(path)} == {SYMBOL}
