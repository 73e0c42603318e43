"""What Dagster makes anew each time, kept for the tests' process: they have hundreds of instances, a person has one.

Nothing is replaced: the same revisions of a history's tables, read once, the same connections to the same files, and
files of a history that begin as copies of those that Dagster made first.
"""

import contextlib
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

# As many as the histories that a test or two have open: a file for each run, and three for the instance.
_MOST_ENGINES = 32
_OF_A_RUN = "of a run"
# While the first files are made, none begins as a copy.
_MAKING = threading.Event()


def keep() -> None:
    """Let a history's revisions be read once, and its statements be compiled once a file instead of once an event."""
    _keep_revisions()
    for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        storage.create_engine = _beginning_as_a_copy(_kept_by_url(storage.create_engine))  # type: ignore[attr-defined]


def _keep_revisions() -> None:
    """Read Dagster's revisions, some ninety modules of Python, once a folder of them."""
    read, kept = ScriptDirectory.from_config, dict[str | None, ScriptDirectory]()

    def from_config(config: Config) -> ScriptDirectory:
        folder = config.get_main_option("script_location")
        if folder not in kept:
            kept[folder] = read(config)
        return kept[folder]

    ScriptDirectory.from_config = from_config  # type: ignore[method-assign]


def _kept_by_url(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make an engine once an address: it keeps what it compiled, and (by `NullPool`) no connection."""
    kept: dict[str, Any] = {}

    def create_engine(url: str, **given: Any) -> Any:  # noqa: ANN401 - as `make`
        if url not in kept:
            if len(kept) == _MOST_ENGINES:
                kept.clear()
            kept[url] = make(url, **given)
        return kept[url]

    return create_engine


def _beginning_as_a_copy(make: Callable[..., Any]) -> Callable[..., Any]:
    """Let a file that is not there begin as one without rows, instead of being made table by table."""

    def create_engine(url: str, **given: Any) -> Any:  # noqa: ANN401 - as `make`
        path = Path(url.removeprefix("sqlite:///"))
        if not path.exists() and not _MAKING.is_set():
            # A folder that cannot be written to is Dagster's to tell of, and a file that came meanwhile another's.
            with contextlib.suppress(OSError), path.open("xb") as file:
                file.write(_without_rows().get(path.name, _without_rows()[_OF_A_RUN]))
        return make(url, **given)

    return create_engine


@cache
def _without_rows() -> dict[str, bytes]:
    """A history's files as Dagster makes them, by name; those of runs have ids for names."""
    _MAKING.set()
    with tempfile.TemporaryDirectory() as folder:
        with (
            dg.DagsterInstance.local_temp(folder) as instance,
            instance.event_log_storage.run_connection(_OF_A_RUN),  # type: ignore[attr-defined]
        ):
            _MAKING.clear()
        made = {path.name: path.read_bytes() for path in Path(folder).rglob("*.db")}
    return made | {_OF_A_RUN: made[f"{_OF_A_RUN}.db"]}
