"""The memory of Dagster's instance: which runs are under way, when a day was made, and which may be forgotten.

Dagster forgets ticks by a setting of its own (`retention` in `dagster.yaml`), but no run and no event ever.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import sqlalchemy as sql
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import LAST_KNOWN_STAMPED_SQLITE_ALEMBIC_REVISION

from crypto_lake.defs.partitions import PARTITION

UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
# The version that Dagster writes where it finds tables without any.
STAMPED_WITHOUT_LOOKING = LAST_KNOWN_STAMPED_SQLITE_ALEMBIC_REVISION
# What Dagster keeps for all runs; each run has a file of its own besides.
_DATABASES = ("runs.db", "schedules.db", "index.db")
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
# A tick of a sensor may take a minute; a run is forgotten in milliseconds.
_MOST_AT_ONCE = 500
_IDS_A_QUERY = 500
# Assets that a person materializes by the UI's button run as this job.
_BY_BUTTON = "__ASSET_JOB"


def leave_one_version(folder: Path) -> None:
    """Mend the databases in a folder to which two processes, that made them in the same second, gave a version each.

    One of them saw tables without a version, took them for old ones and wrote a version that is not theirs.
    """
    for path in (path for name in _DATABASES for path in folder.rglob(name)):
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute(
                "DELETE FROM alembic_version WHERE version_num = ? AND (SELECT count(*) FROM alembic_version) > 1",
                [STAMPED_WITHOUT_LOOKING],
            )


def is_under_way(instance: dg.DagsterInstance, key: str, jobs: set[str]) -> bool:
    """Return whether a run of one of these jobs, or one that a person started in the UI, is at work on a partition."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY, tags={PARTITION: key}))
    return any(run.job_name in jobs | {_BY_BUTTON} for run in runs)


def newest(
    instance: dg.DagsterInstance, asset: dg.AssetKey, key: str
) -> tuple[float, dg.AssetMaterialization] | None:
    """Return when a partition was last made (seconds since the epoch) and what was said of it; None if never."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[key]), limit=1
    ).records
    found = records[0].asset_materialization if records else None
    return (records[0].timestamp, found) if found else None


def forget(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete finished runs that are older, with their events and logs; how many. At most some hundreds at once.

    A run that made the newest state of any partition of an asset is kept, since the UI shows that state from it. So is
    the newest verdict of each check on each partition, and the newest landing of each day.
    """
    old = instance.get_run_records(
        dg.RunsFilter(statuses=_FINISHED, created_before=before), order_by="create_timestamp", ascending=True
    )
    needed = _makers(instance) if old else set()
    forgotten = [record.dagster_run.run_id for record in old if record.dagster_run.run_id not in needed]
    for run_id in forgotten[:_MOST_AT_ONCE]:
        instance.delete_run(run_id)
        _remove_files(instance, run_id)
    _forget_events(instance, before)
    return len(forgotten[:_MOST_AT_ONCE])


def _newest_ids(instance: dg.DagsterInstance) -> dict[dg.AssetKey, list[int]]:
    """By asset, the storage ids of the newest materialization of each partition."""
    storage = instance.event_log_storage
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    return {
        key: sorted(storage.get_latest_storage_id_by_partition(key, kind).values())
        for key in instance.all_asset_keys()
    }


def _makers(instance: dg.DagsterInstance) -> set[str]:
    """The runs that made the newest state of any partition of an asset."""
    found = set()
    for key, ids in _newest_ids(instance).items():
        for some in _batches(ids):
            wanted = dg.AssetRecordsFilter(asset_key=key, storage_ids=some)
            found |= {r.run_id for r in instance.fetch_materializations(wanted, limit=len(some)).records}
        unpartitioned = instance.get_latest_materialization_event(key)
        found |= {unpartitioned.run_id} if unpartitioned else set()
    return found


def _batches(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), _IDS_A_QUERY):
        yield ids[start : start + _IDS_A_QUERY]


def _remove_files(instance: dg.DagsterInstance, run_id: str) -> None:
    """The captured output of a run, and, with SQLite, the file of its events. What is held open stays (Windows)."""
    with contextlib.suppress(OSError):
        instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    if isinstance(storage, SqliteEventLogStorage):
        events = Path(storage.path_for_shard(run_id))
        for path in (events, *(events.with_name(events.name + suffix) for suffix in ("-wal", "-shm"))):
            with contextlib.suppress(OSError):
                path.unlink()


def _forget_events(instance: dg.DagsterInstance, before: datetime) -> None:
    """Delete what belongs to no run that is deleted: reported landings, and check verdicts, but for the newest of each.

    There is no public way, so the tables themselves are asked; other kinds of storage are left alone.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return
    then = before.astimezone(UTC).replace(tzinfo=None)
    events, tags, checks = SqlEventLogStorageTable.c, AssetEventTagsTable.c, AssetCheckExecutionsTable.c
    newest = [one for ids in _newest_ids(instance).values() for one in ids]
    with storage.index_connection() as connection:
        runless = sql.select(events.id).where(events.run_id == "", events.timestamp < then)
        old = sorted({row[0] for row in connection.execute(runless)} - {*newest})
        for some in _batches(old):
            connection.execute(SqlEventLogStorageTable.delete().where(events.id.in_(some)))
            connection.execute(AssetEventTagsTable.delete().where(tags.event_id.in_(some)))
        last = sql.select(sql.func.max(checks.id)).group_by(
            checks.asset_key, checks.check_name, checks.partition
        )
        connection.execute(
            AssetCheckExecutionsTable.delete().where(
                checks.create_timestamp < then, checks.id.not_in(last.scalar_subquery())
            )
        )
