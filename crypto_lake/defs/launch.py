"""Runs started by a command: in this process, recorded in the same Dagster instance that the UI shows."""

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import yaml
from alembic.util import CommandError
from dagster._core.errors import (
    DagsterAssetCheckFailedError,
    DagsterExecutionInterruptedError,
    DagsterInvalidConfigError,
)
from dagster._core.instance import InstanceRef
from sqlalchemy.exc import DBAPIError

from crypto_lake import dagster_home, starter
from crypto_lake.checks import OUTCOMES, Outcome
from crypto_lake.defs import commands, history
from crypto_lake.defs.commands import BY_COMMAND
from crypto_lake.defs.failures import AT_ONCE
from crypto_lake.defs.partitions import Portion, range_tags, shares
from crypto_lake.disk import locks
from crypto_lake.errors import (
    ConfigError,
    ExchangeError,
    LakeBusyError,
    LakeError,
    LeftAloneError,
    StoreAwayError,
    together,
)

# Who waits sees whether it hangs, and asks again himself; only one that was killed outright ends for Dagster by time.
_WAITED_FOR = {BY_COMMAND: "true", "dagster/max_runtime": str(2 * 86_400), "dagster/max_retries": "0"}
# A command's output is on the terminal already; capturing it costs two processes, which Ctrl-C makes complain.
NO_CAPTURE = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}
_PATIENCE_SEC = 60
# A store that is updated, or whose network is, comes back within so many attempts.
_STORE_TRIES = 20
# Our own log lines go to the console; Dagster's are in its event log.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@contextlib.contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    """The Dagster instance: in `$DAGSTER_HOME` if set, else in the folder of `config.yml`.

    Raises:
        ConfigError: there is no such folder, or its `dagster.yaml` is none that Dagster takes.
        LakeError: it lacks a `dagster.yaml`, and none can be written there; or the history there is damaged, or cannot
            be written to.
    """
    folder = dagster_home.furnished()
    try:
        with (
            # A `dagster dev` started there takes the paths in its `dagster.yaml` as relative to it.
            contextlib.chdir(folder),
            _described_in(folder) as found,
        ):
            yield found
    except (DBAPIError, CommandError) as error:
        said = " ".join(str(getattr(error, "orig", error)).split())
        raise LakeError(
            f"{folder}: Dagster's history: {said}; if it is damaged, move it away: it begins anew, and the lake needs "
            "nothing of it"
        ) from None


def _described_in(folder: Path) -> dg.DagsterInstance:
    settings, lock = folder / starter.DAGSTER, dagster_home.opening_lock(folder)
    try:
        # Two that make a new history at once leave it with two versions, and Dagster opens it no more.
        with locks.hold(lock, _PATIENCE_SEC):
            return _opened(folder)
    except DagsterInvalidConfigError as error:
        # The sentence goes on with all keys that Dagster knows.
        mistake = str(error.error_messages[0]).partition(" Expected: ")[0]
        raise ConfigError(f"{settings}: {mistake}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{settings}: not valid YAML: {' '.join(str(error).split())}") from None
    except OSError as error:
        raise ConfigError(f"{settings}: what it says cannot be used: {error}") from None


def _opened(folder: Path) -> dg.DagsterInstance:
    def opened() -> dg.DagsterInstance:
        return dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides=NO_CAPTURE))

    try:
        return opened()
    except CommandError:
        # A `dagster dev` that began in the same second does not know the lock.
        history.leave_one_version(dagster_home.opening_lock(folder).parent)
        return opened()


@contextlib.contextmanager
def tried_again(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Iterator[None]:
    """A step that no person waits for is tried again, a minute apart, where what stopped it may pass by itself.

    So may an exchange that gives no usable answer, another process that is at the same files, a store that does not
    answer, and a disk that refuses. Wrong raw lines, or a wrong configuration, do not.
    """
    try:
        yield
    except (ExchangeError, LakeBusyError, StoreAwayError, OSError, duckdb.IOException) as error:
        # Where it wants to be left alone for long, when to ask again is a person's decision.
        if BY_COMMAND in context.run.tags or isinstance(error, LeftAloneError):
            raise
        most = _STORE_TRIES if isinstance(error, StoreAwayError) else 3
        raise dg.RetryRequested(max_retries=most, seconds_to_wait=_PATIENCE_SEC) from error


@dataclass(frozen=True)
class Verdict:
    """An asset check's answer for a day."""

    day: date
    asset: str
    check: str
    outcome: Outcome
    metadata: dict[str, Any]


def execute(
    defs: dg.Definitions, job_name: str, days: list[date], resources: dict[str, Any] | None = None
) -> list[Verdict]:
    """Run a job over days, one run for each stretch of days that follow each other; its checks' verdicts, day by day.

    `resources` stand in place of the job's own of the same names.

    Raises:
        LakeError: what steps raised, or that a blocking check failed; all days were tried, unless it concerns them all.
        RawDataError: the first of it was wrong with raw files; all that could be done without them is.
    """
    return [verdict for result in _runs(defs, job_name, days, resources) for verdict in _verdicts(result)]


def made(defs: dg.Definitions, job_name: str, days: list[date]) -> list[tuple[date, dict[str, Any]]]:
    """Run a job over days as `execute` does; what its asset told of each partition, by the names of its metadata.

    Raises:
        LakeError: as `execute`.
    """
    told = [
        event.step_materialization_data.materialization
        for result in _runs(defs, job_name, days)
        for event in result.get_asset_materialization_events()
    ]
    # A run of several partitions tells of each as it is done, and of all at its end.
    by_key = {
        one.partition: {name: value.value for name, value in one.metadata.items()}
        for one in told
        if one.partition
    }
    return [(Portion.named(key).day, metadata) for key, metadata in by_key.items()]


def recorded_days(asset: str) -> set[date]:
    """The days of an asset that Dagster's history has, of every shard where there are several."""
    with instance() as where:
        keys = where.get_materialized_partitions(dg.AssetKey(asset))
    found = [{day for key in keys if (day := _day_of_shard(key, share.shard))} for share in shares([])]
    return set.intersection(*found)


def _day_of_shard(key: str, shard: int | None) -> date | None:
    portion = Portion.named(key)
    return portion.day if portion.shard == shard else None


def _runs(
    defs: dg.Definitions, job_name: str, days: list[date], resources: dict[str, Any] | None = None
) -> list[dg.ExecuteInProcessResult]:
    job = defs.resolve_job_def(job_name)
    found: list[dg.ExecuteInProcessResult] = []
    errors: list[LakeError] = []
    with instance() as where:
        commands.end_dead(where)
        for stretch in _stretches(days):
            try:
                found.append(_run(job, where, stretch, resources))
            except AT_ONCE:
                raise
            except LakeError as error:
                errors.append(error)
    if errors:
        raise together(errors)
    return found


def forget_runs(days: int | None) -> None:
    """Forget finished runs older than so many days (None: never), as the sensor `old_runs` does where a daemon runs."""
    if days is not None:
        with instance() as where:
            history.forget(where, datetime.now(UTC) - timedelta(days=days))


def _run(
    job: dg.JobDefinition, where: dg.DagsterInstance, days: list[date], resources: dict[str, Any] | None
) -> dg.ExecuteInProcessResult:
    first, last = days[0], days[-1]
    # Tags, and not `partition_key=`, which a job of checks alone refuses.
    tags = range_tags(first, last) | _WAITED_FOR
    try:
        with commands.living(where, run_id := str(uuid.uuid4())):
            return job.execute_in_process(
                instance=where, run_config=_QUIET, tags=tags, run_id=run_id, resources=resources
            )
    except DagsterAssetCheckFailedError as error:
        raise LakeError(f"{first} to {last}: {str(error).splitlines()[0]}") from None
    except duckdb.Error as error:
        raise LakeError(f"{first} to {last}: {' '.join(str(error).split())}") from None
    except DagsterExecutionInterruptedError:
        raise KeyboardInterrupt from None


def _verdicts(result: dg.ExecuteInProcessResult) -> list[Verdict]:
    """The verdicts of a run: one a day and check, of all shards together."""
    by_check: dict[tuple[date, str, str], list[dict[str, Any]]] = {}
    for found in result.get_asset_check_evaluations():
        if found.partition:
            key = Portion.named(found.partition).day, found.asset_key.to_user_string(), found.check_name
            by_check.setdefault(key, []).append({name: it.value for name, it in found.metadata.items()})
    return [Verdict(*key, *_together(some)) for key, some in by_check.items()]


def _together(some: list[dict[str, Any]]) -> tuple[Outcome, dict[str, Any]]:
    """Return the worst outcome of the shards that looked at anything, and what they told: numbers added up."""
    worst = min(some, key=lambda one: (not one["symbols_checked"], OUTCOMES.index(one["outcome"])))
    added = {name: sum(one[name] for one in some) for name in ("symbols_checked", "offending_rows")}
    return worst["outcome"], worst | added


def _stretches(days: list[date]) -> Iterator[list[date]]:
    stretch: list[date] = []
    for day in sorted(set(days)):
        if stretch and (day - stretch[-1]).days > 1:
            yield stretch
            stretch = []
        stretch.append(day)
    if stretch:
        yield stretch
