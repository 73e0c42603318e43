"""What starts runs and what does not: the schedules, and the sensor on new segments, asked one tick at a time."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from crypto_lake import definitions
from crypto_lake.config import ENVIRONMENT_VARIABLE, Config
from crypto_lake.defs import automation, launch
from crypto_lake.defs.resources import RESOURCES, Lake
from crypto_lake.layout import day_of, day_start_us
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake_tests.raw_lines import DAY, HOUR, SECOND, START, SYMBOL, land, sealed, trade

TODAY = datetime.now(UTC).date()


@pytest.fixture(autouse=True)
def configured(write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(write_config()))


def run(instance: dg.DagsterInstance, job: str, day: date) -> dg.ExecuteInProcessResult:
    return definitions.defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        tags={"dagster/partition": str(day)},
        run_config=launch._QUIET,
        raise_on_error=False,
    )


def test_a_compaction_is_followed_by_all_checks_of_its_days(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR)])
    result = run(instance, "compact", DAY)
    context = dg.build_run_status_sensor_context(
        "validation_after_compaction",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_success_event(),
    )
    request = automation.validation_after_compaction(context)
    assert isinstance(request, dg.RunRequest)
    assert request.tags == {"dagster/partition": str(DAY)}


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=RESOURCES) as context:
        result = automation.new_segments(context)
    assert isinstance(result, dg.SensorResult)
    return result


def requested(result: dg.SensorResult) -> list[str | None]:
    return [request.partition_key for request in result.run_requests or []]


def test_newly_sealed_segments_of_an_old_day_request_a_run_of_it(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR)])
    assert requested(tick(instance)) == [str(DAY)]


def test_segments_that_were_dealt_with_request_nothing(instance: dg.DagsterInstance, lake: Config) -> None:
    land(lake, [trade(1, START + HOUR)])
    first = tick(instance)
    assert requested(tick(instance, first.cursor)) == []


def test_one_more_segment_requests_the_day_again(instance: dg.DagsterInstance, lake: Config) -> None:
    land(lake, [trade(1, START + HOUR)])
    first = tick(instance)
    land(lake, [trade(2, START + 2 * HOUR)])
    assert requested(tick(instance, first.cursor)) == [str(DAY)]


def test_segments_whose_bars_are_made_request_nothing_whatever_the_cursor(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR)])
    run(instance, "make_bars", DAY)
    assert requested(tick(instance)) == []


def test_a_day_is_not_made_again_within_five_minutes_but_not_forgotten(
    instance: dg.DagsterInstance, lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(lake, [trade(1, START + HOUR)])
    run(instance, "make_bars", DAY)
    seen = tick(instance)
    land(lake, [trade(2, START + 2 * HOUR)])
    soon = tick(instance, seen.cursor)
    assert requested(soon) == []
    monkeypatch.setattr(automation, "_CADENCE_SEC", 0)
    assert requested(tick(instance, soon.cursor)) == [str(DAY)]


def test_late_segments_of_a_compacted_day_request_its_compaction(
    instance: dg.DagsterInstance, lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "_CADENCE_SEC", 0)
    land(lake, [trade(1, START + HOUR)])
    run(instance, "compact", DAY)
    land(lake, [trade(2, START + 2 * HOUR)])
    (request,) = tick(instance).run_requests or []
    assert (request.job_name, request.partition_key) == ("compact", str(DAY))


def test_a_trade_on_the_other_side_of_midnight_requests_the_day_it_happened_on(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START - 1, recv=START + 10), trade(2, START + HOUR)])
    assert requested(tick(instance)) == [str(DAY - timedelta(days=1)), str(DAY)]


def test_todays_landings_are_reported_as_materializations_of_raw(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    now = time.time_ns() // 1000
    path = land(lake, [trade(1, now - SECOND), trade(2, now, recv=now + 120_000)], day_of(now))
    (event,) = tick(instance).asset_events
    assert isinstance(event, dg.AssetMaterialization)
    said = {name: value.value for name, value in event.metadata.items()}
    assert (event.asset_key.to_user_string(), event.partition) == ("raw_segments", str(day_of(now)))
    assert (said["segments"], said["bytes"], said["latency_p50_ms"]) == (1, path.stat().st_size, 100)
    assert said["newest_SOLUSDT"] == str(path)


def test_what_the_journal_says_of_a_landing_is_reported(instance: dg.DagsterInstance, lake: Config) -> None:
    now = time.time_ns() // 1000
    lines = [trade(1, now - SECOND), trade(5, now)]
    path = land(lake, lines, day_of(now))
    written = JournalWriter(lake.layout, "binance")
    written.write(sealed(path, lines, [(now - SECOND, now)]), day_of(now))
    gap = journal.Gap(at=now, symbol=SYMBOL, first_id=2, last_id=4, event_from=now - SECOND, event_to=now)
    written.write(gap, day_of(now))
    (event,) = tick(instance).asset_events
    said = {name: value.value for name, value in event.metadata.items()}
    assert (said["dagster/partition_row_count"], said["holes_at_first"], said["trades_missing_at_first"]) == (
        2,
        1,
        3,
    )


def test_a_landing_is_reported_once(instance: dg.DagsterInstance, lake: Config) -> None:
    now = time.time_ns() // 1000
    land(lake, [trade(1, now - SECOND)], day_of(now))
    assert tick(instance, tick(instance).cursor).asset_events == []


@pytest.mark.parametrize(("day", "kind"), [(DAY, "part"), (TODAY, "heal")])
def test_freshness_is_not_told_by_old_days_or_by_what_was_fetched(
    instance: dg.DagsterInstance, lake: Config, day: date, kind: str
) -> None:
    land(lake, [trade(1, day_start_us(day) + 1)], day, kind)
    assert tick(instance).asset_events == []


def test_late_segments_of_a_day_older_than_the_last_folders_request_it_too(
    instance: dg.DagsterInstance, lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "_CADENCE_SEC", 0)
    days = [DAY + timedelta(days=n) for n in range(6)]
    for number, day in enumerate(days, 1):
        land(lake, [trade(10 * number, day_start_us(day) + HOUR)], day)
        run(instance, "make_bars", day)
    settled = tick(instance)
    assert requested(settled) == []
    land(lake, [trade(11, START + 2 * HOUR)], DAY)
    late = tick(instance, settled.cursor)
    assert requested(late) == [str(DAY)]
    assert requested(tick(instance, late.cursor)) == []


def test_old_folders_are_looked_at_a_few_a_tick_and_none_is_forgotten(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    days = [DAY + timedelta(days=n) for n in range(9)]
    for number, day in enumerate(days, 1):
        land(lake, [trade(number, day_start_us(day) + HOUR)], day)
    found: list[str | None] = []
    cursor = None
    for _ in range(3):
        result = tick(instance, cursor)
        found, cursor = found + requested(result), result.cursor
    assert sorted(str(day) for day in found) == [str(day) for day in days]


def test_a_cursor_of_another_version_counts_as_none(instance: dg.DagsterInstance, lake: Config) -> None:
    land(lake, [trade(1, START + HOUR)])
    assert requested(tick(instance, '{"2025-10-20": "0123"}')) == [str(DAY)]


def test_a_day_whose_bars_are_being_made_is_left_alone_and_not_forgotten(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR)])
    job = definitions.defs.resolve_job_def("make_bars")
    under_way = instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": str(DAY)}
    )
    waiting = tick(instance)
    assert requested(waiting) == []
    instance.delete_run(under_way.run_id)
    assert requested(tick(instance, waiting.cursor)) == [str(DAY)]


@pytest.mark.parametrize(("seconds", "expected"), [(-20, True), (20, True), (60, False), (240, False)])
def test_around_its_time_it_is_the_schedules_turn(seconds: int, expected: bool) -> None:
    noon = datetime(2025, 10, 20, 12, tzinfo=UTC).timestamp()
    assert automation._is_schedules_turn(noon + seconds) is expected


@pytest.mark.parametrize("turn", [True, False])
def test_today_is_the_schedules_alone_in_its_turn_and_not_forgotten(
    instance: dg.DagsterInstance, lake: Config, monkeypatch: pytest.MonkeyPatch, turn: bool
) -> None:
    noon = START + 12 * HOUR
    monkeypatch.setattr(Lake, "now_us", lambda _: noon)
    monkeypatch.setattr(automation, "_is_schedules_turn", lambda _: turn)
    land(lake, [trade(1, noon - 3 * SECOND), trade(2, noon - SECOND)])
    first = tick(instance)
    assert requested(first) == ([] if turn else [str(DAY)])
    monkeypatch.setattr(automation, "_is_schedules_turn", lambda _: False)
    assert requested(tick(instance, first.cursor)) == ([str(DAY)] if turn else [])


def test_every_five_minutes_nothing_is_requested_while_a_run_of_today_is_under_way(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    now = datetime.now(UTC)
    microseconds = int(now.timestamp() * 1e6)
    land(lake, [trade(1, microseconds - 3 * SECOND), trade(2, microseconds - SECOND)], now.date())
    instance.create_run_for_job(
        definitions.defs.resolve_job_def("make_bars"),
        status=dg.DagsterRunStatus.STARTING,
        tags={"dagster/partition": str(now.date())},
    )
    assert evaluate(instance, automation.bars_every_5_minutes, now) == []


def test_every_schedule_and_sensor_is_on_where_nobody_said_otherwise() -> None:
    repository = definitions.defs.get_repository_def()
    schedules = [one.default_status.name for one in repository.schedule_defs]
    sensors = [
        one.default_status.name
        for one in repository.sensor_defs
        if one.name != "default_automation_condition_sensor"
    ]
    assert (set(schedules), set(sensors)) == ({"RUNNING"}, {"RUNNING"})


def evaluate(instance: dg.DagsterInstance, schedule: dg.ScheduleDefinition, at: datetime) -> list[str | None]:
    with dg.build_schedule_context(instance, scheduled_execution_time=at, resources=RESOURCES) as context:
        found = schedule(context)
    requests = found if isinstance(found, list) else [found]
    return [request.partition_key for request in requests if isinstance(request, dg.RunRequest)]


def test_every_five_minutes_today_is_requested_if_anything_was_sealed(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    now = datetime.now(UTC)
    assert evaluate(instance, automation.bars_every_5_minutes, now) == []
    microseconds = int(now.timestamp() * 1e6)
    land(lake, [trade(1, microseconds - 3 * SECOND), trade(2, microseconds - SECOND)], now.date())
    assert evaluate(instance, automation.bars_every_5_minutes, now) == [str(now.date())]


def test_at_night_every_finished_day_in_parts_is_requested_and_never_today(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    today = TODAY
    start = day_start_us(today)
    land(lake, [trade(1, START + HOUR)])
    land(lake, [trade(2, start - HOUR), trade(3, start + 1), trade(4, start + 3 * SECOND)], today)
    for day in (DAY, today - timedelta(days=1), today):
        run(instance, "make_bars", day)
    night = datetime.combine(today, datetime.min.time(), UTC) + timedelta(minutes=20)
    assert evaluate(instance, automation.compaction_nightly, night) == [
        str(DAY),
        str(today - timedelta(days=1)),
    ]


def test_at_night_nothing_is_requested_where_everything_is_compacted(
    instance: dg.DagsterInstance, lake: Config
) -> None:
    land(lake, [trade(1, START + HOUR)])
    run(instance, "compact", DAY)
    night = datetime(2025, 10, 22, 0, 20, tzinfo=UTC)
    assert evaluate(instance, automation.compaction_nightly, night) == []
    # As a day has none that was compacted before there were minutes.
    lake.layout.minutes("binance", SYMBOL, DAY).unlink()
    assert evaluate(instance, automation.compaction_nightly, night) == [str(DAY)]
