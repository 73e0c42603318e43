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

from crypto_lake.defs import history, landings, requests
from crypto_lake.defs.assets import bars_1s, candles_1m, daily_bars, raw_segments, ticks_of_days
from crypto_lake.defs.partitions import FIRST_DAY, days_tags, nightly
from crypto_lake.defs.resources import Lake, connected
from crypto_lake.layout import day_of
from crypto_lake.series import Series
from crypto_lake.transform import minutes, plan

# How far back is looked at night, whatever the sensor saw.
_NIGHTLY_FOLDERS = 30
# Of older folders that were touched, so many a tick: a tick that takes a minute is ended.
_OLD_FOLDERS_A_TICK = 3
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
        stale = any(plan.is_stale(db, s, today, lake.now_us()) for s in Series.recorded(lake.config()))
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
    with connected(duckdb) as db:
        waiting = {
            day: series
            for series in Series.recorded(config)
            for day in [
                *series.layout.part_days(series.exchange, series.symbol),
                *plan.stale_days(db, series, landings.last_folders(series, _NIGHTLY_FOLDERS), lake.now_us()),
                *itertools.islice(minutes.lacking([series]), 1),
            ]
            if day < today and not history.is_under_way(context.instance, day, {compact.name})
        }
    if not waiting:
        return dg.SkipReason("no finished day lies in parts, and no segment changed")
    return [
        requests.of_day(waiting[day], day, f"{today} {day}") for day in sorted(waiting)[-_NIGHTS_TO_CATCH_UP:]
    ]


class _Seen(msgspec.Struct, forbid_unknown_fields=True):
    """The sensor's cursor.

    `days`: received day → fingerprint of its sealed segments when it was last dealt with. `landed`: the fingerprint of
    today's received ones when they were last reported. `looked_ns`: older folders touched before have been dealt with.
    """

    days: dict[str, str] = {}
    landed: str = ""
    looked_ns: int = 0


@dg.sensor(
    jobs=[make_bars, compact], minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING
)
def new_segments(context: dg.SensorEvaluationContext, lake: Lake, duckdb: DuckDBResource) -> dg.SensorResult:
    """Days whose segments changed, late and displaced ones too, however old; each at most every five minutes."""
    series, seen = Series.recorded(lake.config()), _seen(context.cursor)
    touched = landings.touched(series, seen.looked_ns)[:_OLD_FOLDERS_A_TICK]
    days = sorted(landings.recent_days(series) | {day for _, day in touched})
    found = {day.isoformat(): landings.fingerprint(series, day) for day in days}
    before = seen.days
    seen.days = {day: said for day, said in before.items() if day in found}
    due_runs: list[dg.RunRequest] = []
    with connected(duckdb) as db:
        for received, said in found.items():
            if before.get(received) == said:
                continue
            stale = _stale_days(db, series, date.fromisoformat(received), lake.now_us())
            due = [day for day in stale if not _left_alone(context.instance, day, lake.now_us())]
            due_runs += [_request(series, day, said) for day in due]
            if len(due) == len(stale):
                seen.days[received] = said
        for touched_ns, day in touched:
            if seen.days.get(day.isoformat()) != found[day.isoformat()]:
                break
            seen.looked_ns = touched_ns
        events = _landing(db, series, seen, day_of(lake.now_us()))
    skip = None if due_runs else "no day's segments changed, or its bars were made less than five minutes ago"
    cursor = msgspec.json.encode(seen).decode()
    return dg.SensorResult(run_requests=due_runs, skip_reason=skip, cursor=cursor, asset_events=events)


def _seen(cursor: str | None) -> _Seen:
    """A cursor that cannot be understood, of another version, counts as none: what is in line asks for no run."""
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(cursor or "{}", type=_Seen)
    return _Seen()


def _stale_days(
    connection: DuckDBPyConnection, series: list[Series], received: date, now_us: int
) -> list[date]:
    found = (plan.stale_days(connection, one, [received], now_us) for one in series)
    # A trade may say that it happened before there were any: its day is no partition.
    return sorted({day for days in found for day in days if day >= FIRST_DAY})


def _request(series: list[Series], day: date, fingerprint: str) -> dg.RunRequest:
    return requests.of_day(series[0], day, f"{day}|{fingerprint}", _job_for(series, day))


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
    connection: DuckDBPyConnection, series: list[Series], seen: _Seen, today: date
) -> list[dg.AssetMaterialization]:
    """Return what landed today, where that is more than was reported: freshness goes by it, so no other day counts."""
    landed = landings.fingerprint(series, today, landings.is_received)
    if landed in {"", seen.landed}:
        return []
    seen.landed = landed
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
