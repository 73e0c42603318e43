"""What starts runs: bars every five minutes and when segments were sealed, compaction at night.

Whether a day needs a run is asked of the files (`bars.is_stale`), never of the clock: nothing starts for nothing. The
nightly schedule names its days itself: the ready-made one would ask for today, since today's partition exists.
"""

import hashlib
import json
from datetime import UTC, date, datetime

import dagster as dg
from dagster_duckdb import DuckDBResource

from crypto_lake import bars, segments
from crypto_lake.bars import Series
from crypto_lake.config import Config
from crypto_lake.defs.assets import bars_1s, candles_1m, daily_bars, raw_segments, ticks_of_days
from crypto_lake.defs.partitions import days_tags
from crypto_lake.defs.resources import Lake, connected

# How far back the sensor looks each minute, and how far at night; older folders change by hand, and are then asked
# for by hand: `crypto-lake transformer` looks at all.
_RECENT_FOLDERS = 3
_NIGHTLY_FOLDERS = 30
_DAYS_A_TICK = 3
_NIGHTS_TO_CATCH_UP = 7
_CADENCE_SEC = 300

_proof = dg.AssetSelection.checks(dg.AssetCheckKey(raw_segments.key, "trade_ids_contiguous"))
# What wants the exchange is asked by `validate`: neither bars nor daily files wait for it.
_comparison = dg.AssetSelection.checks(dg.AssetCheckKey(daily_bars.key, "equals_exchange_candles"))

make_bars = dg.define_asset_job("make_bars", selection=dg.AssetSelection.assets(bars_1s) | _proof)
compact = dg.define_asset_job(
    "compact",
    selection=(dg.AssetSelection.assets(bars_1s, daily_bars, ticks_of_days) | _proof) - _comparison,
)
validate = dg.define_asset_job("validate", selection=dg.AssetSelection.all_asset_checks())
backfill_candles = dg.define_asset_job("backfill_candles", selection=[candles_1m])


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
    now = context.scheduled_execution_time.astimezone(UTC)
    with connected(duckdb) as db:
        stale = any(bars.is_stale(db, s, now.date(), lake.now_us()) for s in Series.recorded(lake.config()))
    if not stale:
        return dg.SkipReason("no new segments since today's bars were made")
    return dg.RunRequest(run_key=f"{now:%Y-%m-%dT%H:%M}", partition_key=now.date().isoformat())


@dg.schedule(
    job=compact,
    cron_schedule="20 0 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def compaction_nightly(
    context: dg.ScheduleEvaluationContext, lake: Lake, duckdb: DuckDBResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Finished days that lie in parts (nights may have been missed), or whose segments of the last weeks changed."""
    now = context.scheduled_execution_time.astimezone(UTC)
    config = lake.config()
    with connected(duckdb) as db:
        waiting = {
            day
            for series in Series.recorded(config)
            for day in [
                *series.layout.part_days(series.exchange, series.symbol),
                *bars.stale_days(db, series, _last_folders(series, _NIGHTLY_FOLDERS), lake.now_us()),
            ]
            if day < now.date()
        }
    if not waiting:
        return dg.SkipReason("no finished day lies in parts, and no segment changed")
    return [
        dg.RunRequest(run_key=f"{now:%Y-%m-%d} {day}", partition_key=day.isoformat())
        for day in sorted(waiting)[-_NIGHTS_TO_CATCH_UP:]
    ]


@dg.sensor(
    jobs=[make_bars, compact], minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING
)
def new_segments(context: dg.SensorEvaluationContext, lake: Lake, duckdb: DuckDBResource) -> dg.SensorResult:
    """Days whose segments changed, late and displaced ones too; each at most every five minutes.

    The cursor is a JSON object: received day → fingerprint (names and sizes) of its sealed segments when it was last
    dealt with.
    """
    config = lake.config()
    seen: dict[str, str] = json.loads(context.cursor or "{}")
    landed = {day: _fingerprint(config, day) for day in _recent_days(config)}
    changed = [day for day, fingerprint in landed.items() if seen.get(day.isoformat()) != fingerprint]
    requests: list[dg.RunRequest] = []
    for received in changed[:_DAYS_A_TICK]:
        with connected(duckdb) as db:
            stale = {
                d for s in Series.recorded(config) for d in bars.stale_days(db, s, [received], lake.now_us())
            }
        due = [day for day in sorted(stale) if not _just_made(context.instance, day, lake.now_us())]
        requests += [
            dg.RunRequest(
                run_key=f"{day}|{landed[received]}",
                job_name=_job_for(config, day),
                partition_key=day.isoformat(),
            )
            for day in due
        ]
        if len(due) == len(stale):
            seen[received.isoformat()] = landed[received]
    cursor = json.dumps({day.isoformat(): seen[day.isoformat()] for day in landed if day.isoformat() in seen})
    skip = None if requests else "no day's segments changed, or its bars were made less than five minutes ago"
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=skip,
        cursor=cursor,
        asset_events=[_landing(config, day) for day in changed[-1:] if day == _today(lake)],
    )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    monitored_jobs=[compact],
    request_job=validate,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def validation_after_compaction(context: dg.RunStatusSensorContext) -> dg.RunRequest:
    """All checks of the days of a compaction, when it is done: the end of the night's work."""
    return dg.RunRequest(run_key=context.dagster_run.run_id, tags=days_tags(context.dagster_run.tags))


def _job_for(config: Config, day: date) -> str:
    """Bars, and where the day was compacted already, the daily files as well."""
    compacted = any(s.layout.daily(s.exchange, s.symbol, day).exists() for s in Series.recorded(config))
    return compact.name if compacted else make_bars.name


def _today(lake: Lake) -> date:
    return datetime.fromtimestamp(lake.now_us() / 1e6, UTC).date()


def _recent_days(config: Config) -> list[date]:
    """The last folders of each symbol."""
    return sorted(
        {day for series in Series.recorded(config) for day in _last_folders(series, _RECENT_FOLDERS)}
    )


def _last_folders(series: Series, count: int) -> list[date]:
    return series.layout.raw_days(series.exchange, series.symbol)[-count:]


def _sealed(config: Config, day: date) -> list[tuple[str, int]]:
    return [
        (f"{series.exchange}/{series.symbol}/{segments.name_of(path)}", segments.size_of(path))
        for series in Series.recorded(config)
        for path in segments.sealed(series.layout.raw_day(series.exchange, series.symbol, day))
    ]


def _fingerprint(config: Config, day: date) -> str:
    return hashlib.sha256(json.dumps(_sealed(config, day)).encode()).hexdigest()[:16]


def _just_made(instance: dg.DagsterInstance, day: date, now_us: int) -> bool:
    """Whether this day's bars were made less than the cadence ago."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=bars_1s.key, asset_partitions=[day.isoformat()]), limit=1
    ).records
    return bool(records) and now_us / 1e6 - records[0].timestamp < _CADENCE_SEC


def _landing(config: Config, day: date) -> dg.AssetMaterialization:
    sealed = _sealed(config, day)
    return dg.AssetMaterialization(
        raw_segments.key,
        partition=day.isoformat(),
        metadata={"segments": len(sealed), "bytes": sum(size for _, size in sealed)},
    )
