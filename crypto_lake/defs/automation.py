"""Schedules and sensors that start runs: bars every five minutes and when segments were sealed, compaction at night.

Whether a day needs a run is asked of the files (`plan.is_stale`), never of the clock: nothing starts for nothing. The
nightly schedule names its days itself: the ready-made one would ask for today, since today's partition exists.
"""

import contextlib
import itertools
import time
from datetime import UTC, date

import dagster as dg
import msgspec
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from crypto_lake.defs import changes, history, landings, requests
from crypto_lake.defs.assets import bars_1s, candles_1m, daily_bars, raw_segments, ticks_of_days
from crypto_lake.defs.changes import Seen
from crypto_lake.defs.partitions import days_tags, nightly
from crypto_lake.defs.resources import Lake, connected
from crypto_lake.layout import day_of
from crypto_lake.series import Series
from crypto_lake.transform import minutes

# How far back is looked at night, whatever the sensor saw.
_NIGHTLY_FOLDERS = 30
_NIGHTS_TO_CATCH_UP = 7
_CADENCE_SEC = 300
_SCHEDULE_SEC = 300
# So long before and after the schedule's time today is its business alone: both would start the same run.
_SCHEDULES_TURN_SEC = 30
# None of these takes minutes; one that runs for an hour hangs. (A person's own runs have the instance's limit.)
_ENDS = {"dagster/max_runtime": "3600"}

_proof = dg.AssetSelection.checks(dg.AssetCheckKey(raw_segments.key, "trade_ids_contiguous"))
# What wants the exchange is asked by `validate`: neither bars nor daily files wait for it.
_comparison = dg.AssetSelection.checks(dg.AssetCheckKey(daily_bars.key, "equals_exchange_candles"))

make_bars = dg.define_asset_job("make_bars", selection=dg.AssetSelection.assets(bars_1s) | _proof, tags=_ENDS)
compact = dg.define_asset_job(
    "compact",
    selection=(dg.AssetSelection.assets(bars_1s, daily_bars, ticks_of_days) | _proof) - _comparison,
    tags=_ENDS,
)
validate = dg.define_asset_job("validate", selection=dg.AssetSelection.all_asset_checks(), tags=_ENDS)
backfill_candles = dg.define_asset_job("backfill_candles", selection=[candles_1m])
_MAKE_BARS = {make_bars.name, compact.name}


@dg.schedule(
    job=make_bars,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def bars_every_5_minutes(
    context: dg.ScheduleEvaluationContext, lake: Lake, duckdb: DuckDBResource
) -> dg.RunRequest | dg.SkipReason:
    """Today's bars, while new segments come."""
    today = day_of(lake.now_us())
    with connected(duckdb) as db:
        stale = changes.is_any_stale(db, Series.recorded(lake.config()), today, lake.now_us())
    if not stale:
        return dg.SkipReason("no new segments since today's bars were made")
    if history.is_under_way(context.instance, today, _MAKE_BARS):
        return dg.SkipReason("today's bars are being made")
    turn = f"{context.scheduled_execution_time.astimezone(UTC):%Y-%m-%dT%H:%M}"
    return dg.RunRequest(run_key=turn, partition_key=today.isoformat())


@dg.schedule(
    job=compact,
    cron_schedule=nightly("00:20"),
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def compaction_nightly(
    context: dg.ScheduleEvaluationContext, lake: Lake, duckdb: DuckDBResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Finished days that lie in parts (nights may have been missed), or whose segments of the last weeks changed.

    Of days compacted without minutes one will do: the run makes those of all.
    """
    config, now_us = lake.config(), lake.at_us(context.scheduled_execution_time)
    today = day_of(now_us)
    series = Series.recorded(config)
    waiting = {day: one for one in series for day in one.layout.part_days(one.exchange, one.symbol)}
    with connected(duckdb) as db:
        waiting |= changes.stale_of_last(db, series, _NIGHTLY_FOLDERS, lake.now_us(), today)
    waiting |= {day: one for one in series for day in itertools.islice(minutes.lacking([one]), 1)}
    waiting = {
        day: one
        for day, one in waiting.items()
        if day < today and not history.is_under_way(context.instance, day, {compact.name})
    }
    if not waiting:
        return dg.SkipReason("no finished day lies in parts, and no segment changed")
    return [
        requests.of_day(waiting[day], day, f"{today} {day}") for day in sorted(waiting)[-_NIGHTS_TO_CATCH_UP:]
    ]


@dg.sensor(
    jobs=[make_bars, compact], minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING
)
def new_segments(context: dg.SensorEvaluationContext, lake: Lake, duckdb: DuckDBResource) -> dg.SensorResult:
    """Days whose segments changed, late and displaced ones too, however old; each at most every five minutes."""
    series, seen, now_us = Series.recorded(lake.config()), _seen(context.cursor), lake.now_us()
    with connected(duckdb) as db:
        look = changes.Look(db, series, now_us, lambda day: _left_alone(context.instance, day, now_us))
        due = changes.find(look, seen, day_of(now_us))
        events = _landing(db, series, seen, day_of(now_us))
    skip = None if due else "no day's segments changed, or its bars were made less than five minutes ago"
    return dg.SensorResult(
        run_requests=[
            requests.of_day(one.series, one.day, f"{one.day}|{one.touched_ns}", _job_for(series, one.day))
            for one in due
        ],
        skip_reason=skip,
        cursor=msgspec.json.encode(seen).decode(),
        asset_events=events,
    )


def _seen(cursor: str | None) -> Seen:
    """A cursor that cannot be understood, of another version, counts as none: what is in line asks for no run."""
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(cursor or "{}", type=Seen)
    return Seen()


def _left_alone(instance: dg.DagsterInstance, day: date, now_us: int) -> bool:
    """Return whether a day's bars are being made, were made a short while ago, or are the schedule's to make now.

    What Dagster does has this machine's time, whatever the lake's `now_us` is.
    """
    made = history.newest(instance, bars_1s.key, day)
    if made and time.time() - made[0] < _CADENCE_SEC:
        return True
    if day == day_of(now_us) and _is_schedules_turn(time.time()):
        return True
    return history.is_under_way(instance, day, _MAKE_BARS)


def _is_schedules_turn(now: float) -> bool:
    return (now + _SCHEDULES_TURN_SEC) % _SCHEDULE_SEC < 2 * _SCHEDULES_TURN_SEC


def _landing(
    connection: DuckDBPyConnection, series: list[Series], seen: Seen, today: date
) -> list[dg.AssetMaterialization]:
    """Return what landed today, where that is more than was reported: freshness goes by it, so no other day counts."""
    newest = landings.newest_ns(series, today, seen.landed_ns)
    if not newest:
        return []
    seen.landed_ns = newest
    return [landings.landing(connection, series, today)]


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[compact],
    request_job=validate,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def validation_after_compaction(context: dg.RunStatusSensorContext) -> dg.RunRequest:
    """All checks of the days of a compaction, when it is done: the end of the night's work."""
    return dg.RunRequest(run_key=context.dagster_run.run_id, tags=days_tags(context.dagster_run.tags))


def _job_for(series: list[Series], day: date) -> str:
    """Bars, and where the day was compacted already, the daily files as well."""
    compacted = any(one.layout.daily(one.exchange, one.symbol, day).exists() for one in series)
    return compact.name if compacted else make_bars.name
