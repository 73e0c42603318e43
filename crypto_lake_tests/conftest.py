"""What most tests start from: a lake in a temporary folder, and a DuckDB."""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import settings

from crypto_lake import config
from crypto_lake.config import Config
from crypto_lake.defs import reach
from crypto_lake.disk import parquet
from crypto_lake.series import Series
from crypto_lake_tests.made import Made

# What tests write is gone with them, and need not wait for a disk: on Linux it is in memory, if there is enough of it.
_IN_MEMORY, _ENOUGH_BYTES = "/dev/shm", 4 << 30  # noqa: S108 - everybody's, as /tmp is
if (
    sys.platform == "linux"
    and "TMPDIR" not in os.environ
    and Path(_IN_MEMORY).is_dir()
    and shutil.disk_usage(_IN_MEMORY).free > _ENOUGH_BYTES
):
    tempfile.tempdir = os.environ["TMPDIR"] = _IN_MEMORY

# More processes than there are cores run tests (see below): threads of each DuckDB would only take turns with those of
# the others. They are what they are anywhere in processes that tests start, and two where bytes must not depend on them
# (see transform/conftest.py).
_connect = duckdb.connect


def _connect_with_one_thread(
    database: str | Path = ":memory:", *, read_only: bool = False, config: dict[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    return _connect(database, read_only=read_only, config={"threads": 1} | (config or {}))


duckdb.connect = _connect_with_one_thread  # type: ignore[assignment]

# One process has lakes that begin on any day.
reach.back_to_the_first_day_of_all()

# Modules and tests are some 300,000 objects that stay. To look for garbage after each 700 new ones, as Python does by
# itself, took a twentieth of the time of tests that run Dagster: it is looked for after as many as stay.
gc.set_threshold(300_000)

# How long an example takes says how busy the machine is.
settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")

_CONFIG = {
    "general": {"base_path": "./lake"},
    "exchanges": [
        {
            "name": "binance",
            "symbols": ["SOLUSDT"],
            "rest_url": "http://127.0.0.1:1/api/v3",
            "wss_url": "ws://127.0.0.1:1/ws",
        }
    ],
}


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[..., Path]:
    """Write a config.yml of a lake beside it; sections given replace the default ones."""

    def write(**sections: object) -> Path:
        path = tmp_path / "config.yml"
        path.write_bytes(msgspec.yaml.encode(_CONFIG | sections))
        return path

    return write


@pytest.fixture
def lake(write_config: Callable[..., Path]) -> Config:
    return config.load(write_config())


@pytest.fixture
def series(lake: Config) -> Series:
    return Series(lake, "binance", "SOLUSDT")


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    """One for all tests of a file, which leave nothing in it: to open it takes longer than most answers."""
    with parquet.connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Make a lake once, for all tests of this process that want it."""
    return Made(tmp_path_factory)


# Optional, so that `-o addopts=` serves where pytest-xdist is not installed.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Take two processes more than there are cores: while two wait for a clock (see below), others use the cores."""
    return (os.cpu_count() or 1) + 2


# Last, after `-m` has left tests out: the second process begins with the first of its own then, which is long, and not
# with the one after it.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let tests that wait for a clock come first, in two processes, beside those that compute.

    Of several processes each is given as many tests as the others, in order, and takes over from others in the end.
    """
    waiting = [item for item in items if item.get_closest_marker("waits")]
    others = [item for item in items if not item.get_closest_marker("waits")]
    modules = list(dict.fromkeys(item.path for item in waiting))
    first, second = ([item for item in waiting if item.path in modules[n::2]] for n in (0, 1))
    begin = len(items) // getattr(config, "workerinput", {}).get("workercount", 1) - len(first)
    items[:] = [*first, *others[:begin], *second, *others[begin:]] if begin >= 0 else [*waiting, *others]


def pytest_collection_finish() -> None:
    """Spare tests what Dagster does again and again, unless it is none of those that are collected that loads it."""
    if "dagster" in sys.modules:
        from crypto_lake_tests import dagster_kept  # noqa: PLC0415 - it loads Dagster

        dagster_kept.keep()


def pytest_unconfigure() -> None:
    """Let everything go at the end, or DuckDB's binding counts it as leaked, in eighty lines after the summary.

    Hypothesis hangs a function on the garbage collector, which is the last to go when Python ends. Through the
    function's module, its loader (which is pytest's) and pytest's session, that holds all tests and the types in
    their annotations.
    """
    gc.callbacks[:] = [one for one in gc.callbacks if not one.__module__.startswith("hypothesis.")]
