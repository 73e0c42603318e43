"""Schedules and sensors that start runs: bars every five minutes and when segments were sealed, compaction at night.

Whether a day needs a run is asked of the files (`plan.is_stale`), never of the clock: nothing starts for nothing. The
nightly schedule names its days itself: the ready-made one would ask for today, since today's partition exists.
"""

import contextlib
import itertools
import time
from datetime import UTC, date
from functools import partial

import dagster as dg
import msgspec
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from crypto_lake.config import Config
from crypto_lake.coverage import rows
from crypto_lake.defs import changes, history, in_store, landings, requests
from crypto_lake.defs.assets import (
    OF_BOOK,
    bars_1s,
    candles_1m,
    coverage_of_days,
    daily_bars,
    raw_segments,
    ticks_of_days,
)
from crypto_lake.defs.changes import Seen
from crypto_lake.defs.failures import LAST
from crypto_lake.defs.partitions import (
    PARTITION,
    RANGE_END,
    RANGE_START,
    Portion,
    Share,
    days_tags,
    nightly,
    range_tags,
    shard_of,
    shares,
)
from crypto_lake.defs.resources import Lake, connected
from crypto_lake.layout import day_of
from crypto_lake.series import Series
from crypto_lake.staging import holdings, known, recorded
from crypto_lake.staging import landings as landings_in_store
from crypto_lake.staging.holdings import Kind
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
    selection=(
        dg.AssetSelection.assets(bars_1s, daily_bars, ticks_of_days, coverage_of_days, *OF_BOOK) | _proof
    )
    - _comparison,
    tags=_ENDS,
)
validate = dg.define_asset_job("validate", selection=dg.AssetSelection.all_asset_checks(), tags=_ENDS)
cover = dg.define_asset_job("cover", selection=[coverage_of_days], tags=_ENDS)
backfill_candles = dg.define_asset_job("backfill_candles", selection=[candles_1m])
MAKE_BARS = {make_bars.name, compact.name}


@dg.schedule(
    job=make_bars,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def bars_every_5_minutes(
    context: dg.ScheduleEvaluationContext, lake: Lake, duckdb: DuckDBResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Today's bars, while new segments come."""
    config, today = lake.config(), day_of(lake.now_us())
    all_shares = shares(recorded(config))
    if config.store is not None:
        stale = _landed_in_store(context.instance, config, all_shares, today)
    else:
        with connected(duckdb) as db:
            stale = [
                share.key(today)
                for share in all_shares
                if changes.is_any_stale(db, share.series, today, lake.now_us(), len(all_shares))
            ]
    if not stale:
        return dg.SkipReason("no new segments since today's bars were made")
    due = [key for key in stale if not history.is_under_way(context.instance, key, MAKE_BARS)]
    if not due:
        return dg.SkipReason("today's bars are being made")
    turn = f"{context.scheduled_execution_time.astimezone(UTC):%Y-%m-%dT%H:%M}"
    return [dg.RunRequest(run_key=f"{turn} {key}", partition_key=key) for key in due]


def _landed_in_store(
    instance: dg.DagsterInstance, config: Config, all_shares: list[Share], day: date
) -> list[str]:
    """Return the partitions of a day of which something was shipped since their bars were made."""
    landed = landings_in_store.told(config)
    found = []
    for share in all_shares:
        made = history.newest(instance, bars_1s.key, share.key(day))
        if in_store.landed_since(share, landed, day, made[0] if made else 0):
            found.append(share.key(day))
    return found


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
    series = recorded(config)
    if config.store is not None:
        found = in_store.waiting(config, series, today, _NIGHTLY_FOLDERS)
    else:
        found = [(day, one) for one in series for day in one.layout.part_days(one.exchange, one.symbol)]
        all_shares = shares(series)
        with connected(duckdb) as db:
            for share in all_shares:
                look = changes.Nightly(_NIGHTLY_FOLDERS, lake.now_us(), today, len(all_shares))
                found += changes.stale_of_last(db, share.series, look).items()
        found += [(day, one) for one in series for day in itertools.islice(minutes.lacking([one]), 1)]
    waiting = {Portion(day, shard_of(one)): one for day, one in found if day < today}
    waiting = {
        portion: one
        for portion, one in waiting.items()
        if not history.is_under_way(context.instance, portion.key, {compact.name})
    }
    if not waiting:
        return dg.SkipReason("no finished day lies in parts, and no segment changed")
    last = sorted({portion.day for portion in waiting})[-_NIGHTS_TO_CATCH_UP:]
    return [
        requests.of_day(waiting[portion], portion.day, f"{today} {portion.key}")
        for portion in sorted(waiting)
        if portion.day in last
    ]


@dg.sensor(
    jobs=[make_bars, compact], minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING
)
def new_segments(context: dg.SensorEvaluationContext, lake: Lake, duckdb: DuckDBResource) -> dg.SensorResult:
    """Days whose segments changed, late and displaced ones too, however old; each at most every five minutes."""
    config, now_us = lake.config(), lake.now_us()
    all_shares = shares(recorded(config))
    landed = landings_in_store.told(config) if config.store is not None else {}
    seen = _seen(context.cursor, len(all_shares))
    wanted: list[dg.RunRequest] = []
    events: list[dg.AssetMaterialization] = []
    with connected(duckdb) as db:
        for share, its in zip(all_shares, seen, strict=True):
            left_alone = partial(_left_alone, context.instance, share, now_us)
            with in_store.touched(config, share, landed, its, left_alone) as series:
                look = changes.Look(db, series, now_us, left_alone, len(all_shares))
                for one in changes.find(look, its, day_of(now_us)):
                    key, job = f"{share.key(one.day)}|{one.touched_ns}", _job_for(series, one.day)
                    in_store.begin_with(config, [one.day])
                    wanted.append(requests.of_day(one.series, one.day, key, job))
            if config.store is None:
                events += _landing(db, share, its, day_of(now_us))
            else:
                events += _landing_in_store(share, landed, its, day_of(now_us))
    skip = None if wanted else "no day's segments changed, or its bars were made less than five minutes ago"
    return dg.SensorResult(
        run_requests=wanted,
        skip_reason=skip,
        cursor=msgspec.json.encode(seen if len(seen) > 1 else seen[0]).decode(),
        asset_events=events,
    )


def _seen(cursor: str | None, shards: int) -> list[Seen]:
    """The cursor: what was seen, of each shard where there are several.

    One that cannot be understood, of another version or number of shards, counts as none: what is in line asks for no
    run.
    """
    with contextlib.suppress(msgspec.MsgspecError):
        found = msgspec.json.decode(cursor or "{}", type=Seen | list[Seen])
        some = found if isinstance(found, list) else [found]
        if len(some) == shards:
            return some
    return [Seen() for _ in range(shards)]


def _left_alone(instance: dg.DagsterInstance, share: Share, now_us: int, day: date) -> bool:
    """Return whether a day's bars are being made, were made a short while ago, or are the schedule's to make now.

    What Dagster does has this machine's time, whatever the lake's `now_us` is.
    """
    made = history.newest(instance, bars_1s.key, share.key(day))
    if made and time.time() - made[0] < _CADENCE_SEC:
        return True
    if day == day_of(now_us) and _is_schedules_turn(time.time()):
        return True
    return history.is_under_way(instance, share.key(day), MAKE_BARS)


def _is_schedules_turn(now: float) -> bool:
    return (now + _SCHEDULES_TURN_SEC) % _SCHEDULE_SEC < 2 * _SCHEDULES_TURN_SEC


def _landing(
    connection: DuckDBPyConnection, share: Share, seen: Seen, today: date
) -> list[dg.AssetMaterialization]:
    """Return what landed today, where that is more than was reported: freshness goes by it, so no other day counts."""
    newest = landings.newest_ns(share.series, today, seen.landed_ns)
    if not newest:
        return []
    seen.landed_ns = newest
    return [landings.landing(connection, share, today)]


def _landing_in_store(
    share: Share, landed: in_store.Landed, seen: Seen, today: date
) -> list[dg.AssetMaterialization]:
    """Return the same of a store: what came of how many symbols, as those who shipped it told."""
    newest = in_store.newest_ns(share, landed, today)
    if newest <= seen.landed_ns:
        return []
    seen.landed_ns = newest
    symbols = sum(today in landed.get((one.exchange, one.symbol), {}) for one in share.series)
    return [
        dg.AssetMaterialization(raw_segments.key, partition=share.key(today), metadata={"symbols": symbols})
    ]


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[compact],
    request_job=validate,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def validation_after_compaction(context: dg.RunStatusSensorContext) -> dg.RunRequest:
    """All checks of the days of a compaction, when it is done: the end of the night's work."""
    return dg.RunRequest(run_key=context.dagster_run.run_id, tags=days_tags(context.dagster_run.tags))


@dg.run_failure_sensor(
    monitored_jobs=[compact],
    request_job=validate,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
)
def validation_after_partial_compaction(
    context: dg.RunFailureSensorContext,
) -> dg.RunRequest | dg.SkipReason:
    """The same after one that failed of some symbols, which it says at its end: all of the others is done."""
    if {event.step_key for event in context.get_step_failure_events()} != {LAST}:
        return dg.SkipReason(f"{context.dagster_run.run_id} was not done to its end")
    return dg.RunRequest(run_key=context.dagster_run.run_id, tags=days_tags(context.dagster_run.tags))


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[validate, backfill_candles],
    request_job=cover,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def coverage_after_validation(
    context: dg.RunStatusSensorContext, lake: Lake
) -> dg.RunRequest | dg.SkipReason:
    """The coverage of the days of a validation, or of candles, when it is done: it tells what they say."""
    tags = context.dagster_run.tags
    first, last = (Portion.named(tags.get(name) or tags[PARTITION]) for name in (RANGE_START, RANGE_END))
    config = lake.config()
    if config.store is None:
        compacted = rows.days_with_rows(Series.known(config))
    else:
        compacted = sorted(holdings.days(config, known(config), Kind.DAILY))
    days = [day for day in compacted if first.day <= day <= last.day]
    if not days:
        return dg.SkipReason("none of its days is compacted")
    wanted = first.tags if first == last else range_tags(days[0], days[-1])
    return dg.RunRequest(run_key=context.dagster_run.run_id, tags=wanted)


def _job_for(series: list[Series], day: date) -> str:
    """Bars, and where the day was compacted already, the daily files as well."""
    compacted = any(one.layout.daily(one.exchange, one.symbol, day).exists() for one in series)
    return compact.name if compacted else make_bars.name
