"""The sensor and schedule that start a heal: for holes in recent days' trade ids, and at night, before compaction.

Whether a day has holes is asked of its bars, as the check `trade_ids_contiguous` does, and only of symbols that it has
not found whole; where past trades are asked for by time, of who listened. What was tried is remembered in the sensor's
cursor, so that what cannot be healed, or an exchange that is away, costs a few runs that lie ever further apart. Bars
and daily files follow by themselves: the sensor on new segments sees the healed ones.
"""

import contextlib
import hashlib
import json
from collections.abc import Container
from datetime import date, timedelta

import dagster as dg
import duckdb
from dagster_duckdb import DuckDBResource

from crypto_lake import checks
from crypto_lake.checks import TRADE_IDS_CONTIGUOUS
from crypto_lake.completeness import holes, unheard
from crypto_lake.completeness.holes import Hole
from crypto_lake.config import Config
from crypto_lake.defs import changes, history, in_store, metadata, requests
from crypto_lake.defs.assets import bars_1s, healed_trades, raw_segments
from crypto_lake.defs.automation import MAKE_BARS
from crypto_lake.defs.history import UNDER_WAY
from crypto_lake.defs.partitions import PARTITION, Portion, Share, nightly, shares
from crypto_lake.defs.resources import Lake, connected
from crypto_lake.layout import SECOND_US, day_of
from crypto_lake.pages import validation
from crypto_lake.raw import segments
from crypto_lake.series import Series
from crypto_lake.staging import recorded
from crypto_lake.transform import plan

# A hole may close by itself when late segments come.
_OLD_ENOUGH_US = 180 * SECOND_US
_RECENT_DAYS = 3
_NIGHTS_TO_CATCH_UP = 7
_MOST_WORDS = 2_000
_FIRST_WAIT_US = 600 * SECOND_US
_MOST_TRIES = 6
# The holes in words, how often their heal was requested, when it may be again (µs).
_Tried = tuple[str, int, int]

# An exchange that is asked for much asks for patience; more than this is a hang.
heal_trades = dg.define_asset_job("heal", selection=[healed_trades], tags={"dagster/max_runtime": "7200"})


@dg.schedule(
    job=heal_trades,
    cron_schedule=nightly("00:08"),
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def heal_nightly(
    context: dg.ScheduleEvaluationContext, lake: Lake, duckdb: DuckDBResource
) -> list[dg.RunRequest] | dg.SkipReason:
    """Finished days of the last week that have holes, whatever was tried before; compaction comes after."""
    now_us = lake.at_us(context.scheduled_execution_time)
    today = day_of(now_us)
    days = [today - timedelta(days=n) for n in range(_NIGHTS_TO_CATCH_UP, 0, -1)]
    config = lake.config()
    with connected(duckdb) as db:
        missing = {
            Portion(day, share.shard): share.series[0]
            for share in shares(recorded(config))
            for day in _missing_of(db, config, share, days, lake.now_us(), being_made=())
        }
    if not missing:
        return dg.SkipReason("no trade is missing in the last week")
    return [requests.of_day(one, portion.day, f"{today} {portion.key}") for portion, one in missing.items()]


@dg.sensor(job=heal_trades, minimum_interval_seconds=120, default_status=dg.DefaultSensorStatus.RUNNING)
def missing_trades(
    context: dg.SensorEvaluationContext, lake: Lake, duckdb: DuckDBResource
) -> dg.SensorResult:
    """Recent days with holes that are some minutes old, of shards of which no heal is under way.

    The cursor is a JSON object: partition → [the holes, how often their heal was requested, when it may be again (µs)].
    """
    config, now = lake.config(), lake.now_us()
    series = recorded(config)
    tried: dict[str, _Tried] = {key: tuple(it) for key, it in json.loads(context.cursor or "{}").items()}
    busy = _being_healed(context.instance)
    cursor = {key: state for key, state in tried.items() if Portion.named(key).shard in busy}
    idle = [share for share in shares(series) if share.shard not in busy and share.series]
    requested: list[dg.RunRequest] = []
    with connected(duckdb) as db:
        for share in idle:
            recent = _recent_days(share.series) if config.store is None else in_store.recent_days(config)
            # The check of a run that is under way follows: of thousands of symbols after minutes.
            being_made = {
                day for day in recent if history.is_under_way(context.instance, share.key(day), MAKE_BARS)
            }
            for day, said in _missing_of(db, config, share, recent, now, being_made).items():
                key = share.key(day)
                before = tried.get(key)
                waits = before and _waits_for_bars(context.instance, key)
                cursor[key] = before if before and waits else _next(before, said, now)
                if cursor[key] != before:
                    requested.append(requests.of_day(share.series[0], day, f"{key}|{now}"))
    why = "no trade is missing, or its heal was tried a short while ago" if idle else "a heal is under way"
    return dg.SensorResult(
        run_requests=requested, skip_reason=None if requested else why, cursor=json.dumps(cursor)
    )


def _being_healed(instance: dg.DagsterInstance) -> set[int | None]:
    """The shards of which a heal is under way, or all where one is that has several."""
    runs = instance.get_runs(dg.RunsFilter(job_name=heal_trades.name, statuses=UNDER_WAY))
    if all(PARTITION in run.tags for run in runs):
        return {Portion.named(run.tags[PARTITION]).shard for run in runs}
    return {share.shard for share in shares([])}


def _waits_for_bars(instance: dg.DagsterInstance, key: str) -> bool:
    """Return whether trades were healed since the day's bars were made: then these still say that they are missing."""
    healed = history.newest(instance, healed_trades.key, key)
    made = history.newest(instance, bars_1s.key, key)
    if healed is None:
        return False
    fetched = healed[1].metadata.get(metadata.TRADES_FETCHED)
    return bool(fetched and fetched.value and (made is None or made[0] < healed[0]))


def _next(before: _Tried | None, said: str, now_us: int) -> _Tried:
    """Return what to remember of a day's holes; something new where a heal is due."""
    tries = before[1] if before and before[0] == said else 0
    if before and tries and (tries >= _MOST_TRIES or now_us < before[2]):
        return before[0], before[1], before[2]
    return said, tries + 1, now_us + _FIRST_WAIT_US * 2**tries


def _missing_of(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    share: Share,
    days: list[date],
    now_us: int,
    being_made: Container[date],
) -> dict[date, str]:
    """`_missing` of a share, in a store of those symbols that may lack trades: the days that lack any."""
    found: dict[date, str] = {}
    for day in days:
        some = (
            contextlib.nullcontext(share.series)
            if config.store is None
            else in_store.suspects(config, share, day)
        )
        with some as series:
            said = _missing(connection, series, day, now_us, stands=day in being_made)
        if said:
            found[day] = said
    return found


def _missing(
    connection: duckdb.DuckDBPyConnection, series: list[Series], day: date, now_us: int, *, stands: bool
) -> str:
    """What a day lacks, or may, for long enough, in words; `stands` as for `_suspects`."""
    suspects = _suspects(series, day, stands=stands)
    holes_of = holes.find_all(connection, suspects, day, now_us)
    said = [
        f"{one.symbol} {hole.first_id}-{hole.last_id}"
        for one, some in zip(suspects, holes_of, strict=True)
        for hole in _old(connection, one, some, day, now_us)
    ]
    said += [
        f"{one.symbol} {start}-{stop} µs"
        for one in series
        for start, stop in unheard.find(connection, one, day, now_us - _OLD_ENOUGH_US)
    ]
    return _in_short(" ".join(said))


def _in_short(said: str) -> str:
    """Return what is missing, to be told from what was missing before; of very much its beginning, and a digest."""
    if len(said) <= _MOST_WORDS:
        return said
    return f"{said[:_MOST_WORDS]} … {hashlib.sha256(said.encode()).hexdigest()[:16]}"


def _suspects(series: list[Series], day: date, *, stands: bool) -> list[Series]:
    """Those that may lack trades: all with bars but those that the check of these, made after them, has found whole.

    Every run that makes bars is followed by it, so of thousands of symbols few are left to be asked. While such a run
    is under way what was found before `stands`, and of a symbol that was never looked at nothing is known yet.
    """
    if not series:
        return []
    config = series[0].config
    counts = validation.counts(config, day, raw_segments.key.to_user_string(), TRADE_IDS_CONTIGUOUS.name)
    names = checks.names(Series.known(config))
    checked_ns = changes.changed_ns(validation.place(config, day, series[0].shard))

    def is_suspect(one: Series) -> bool:
        lacked = counts.get(names[one.exchange, one.symbol])
        return bool(lacked) if stands else lacked != 0 or changes.made_ns(one, day) > checked_ns

    return [one for one in series if _has_begun(one, day) and is_suspect(one)]


def _has_begun(series: Series, day: date) -> bool:
    """Return whether there are bars that may lack trades of a day: a symbol lacks none before its recording began.

    A day without any bars may be all hole, where the recording is older.
    """
    where = series.exchange, series.symbol
    if not series.layout.bars_symbol(*where).is_dir():
        return False
    received = series.layout.raw_days(*where)
    return not received or received[0] <= day or bool(series.layout.bar_files(*where, day))


def _old(
    connection: duckdb.DuckDBPyConnection, series: Series, found: list[Hole], day: date, now_us: int
) -> list[Hole]:
    """Those holes that are some minutes old; none where bars are yet to be made."""
    old = [hole for hole in found if hole.before_us < now_us - _OLD_ENOUGH_US]
    # Bars that are yet to be made look like missing trades; of today there always are some, but none follow them.
    finished = [day - timedelta(days=1), *([day] if day < day_of(now_us) else [])]
    in_line = not old or not any(plan.is_stale(connection, series, one, now_us) for one in finished)
    return old if in_line else []


def _recent_days(series: list[Series]) -> list[date]:
    """The last days of each symbol's recording; a day may be all hole, and have no folder."""
    newest = {day for one in series if (day := _newest(one))}
    return sorted({day - timedelta(days=n) for day in newest for n in range(_RECENT_DAYS)})


def _newest(series: Series) -> date | None:
    where = series.exchange, series.symbol
    # A trade with a time to come makes a folder of that day, in which no segment lies.
    if day := segments.last_day(series.layout, *where, of_any=True):
        return day
    # All were removed when ticks had been made of them.
    return next(reversed(series.layout.raw_days(*where)), None)
