"""What Dagster makes anew each time, kept for the tests' process: they have hundreds of instances, a person has one.

Nothing is replaced: the same revisions of a history's tables, read once, and the same connections to the same files.
"""

from collections.abc import Callable
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage

# As many as the histories that a test or two have open: a file for each run, and three for the instance.
_MOST_ENGINES = 32


def keep() -> None:
    """Let a history's revisions be read once, and its statements be compiled once a file instead of once an event."""
    _keep_revisions()
    for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        storage.create_engine = _kept_by_url(storage.create_engine)  # type: ignore[attr-defined]


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
