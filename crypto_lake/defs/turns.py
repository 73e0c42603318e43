"""Locks that several hosts share: PostgreSQL's, where Dagster's instance lies there. Where it does not, files do.

They save work, and tell who is alive: PostgreSQL lets go of a lock with its connection, so with the process, however
that ends. What comes out right does not hang on them: a file is a function of what it is made from, and appears whole.
"""

import contextlib
import time
from collections.abc import Iterator

import dagster as dg
import sqlalchemy as sql
from dagster._core.storage.runs.sql_run_storage import SqlRunStorage
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from crypto_lake.errors import LakeBusyError

_PATIENCE_SEC = 300
_LOOK_SEC = 0.5
_TAKE = sql.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_LET_GO = sql.text("SELECT pg_advisory_unlock(hashtextextended(:name, 0))")


def are_shared(instance: dg.DagsterInstance) -> bool:
    """Return whether the instance lies in PostgreSQL, so that hosts can share locks."""
    with _connection(instance) as connection:
        return connection is not None


@contextlib.contextmanager
def held(instance: dg.DagsterInstance, name: str, wait_sec: float = _PATIENCE_SEC) -> Iterator[None]:
    """Hold the lock of a name for as long as the block lasts, after at most `wait_sec` of waiting.

    Without PostgreSQL there is nothing to hold.

    Raises:
        LakeBusyError: another process held it all the while.
    """
    with _connection(instance) as connection:
        if connection is None:
            yield
            return
        until = time.monotonic() + wait_sec
        while not connection.execute(_TAKE, {"name": name}).scalar_one():
            if time.monotonic() >= until:
                raise LakeBusyError(
                    f"{name}: another process has been at it for {wait_sec} s; expected it free"
                )
            time.sleep(_LOOK_SEC)
        try:
            yield
        finally:
            # A connection that broke has let go already.
            with contextlib.suppress(DBAPIError):
                connection.execute(_LET_GO, {"name": name})


@contextlib.contextmanager
def _connection(instance: dg.DagsterInstance) -> Iterator[Connection | None]:
    storage = instance.run_storage
    if not isinstance(storage, SqlRunStorage):
        yield None
        return
    with storage.connect() as connection:
        yield connection if connection.dialect.name == "postgresql" else None
