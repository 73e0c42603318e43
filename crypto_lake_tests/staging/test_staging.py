"""Runs on a lake in a store: what they make is what a plain lake has, whatever a cache holds, and wherever they die."""

from pathlib import Path

import duckdb
import pytest

from crypto_lake.config import Config
from crypto_lake.layout import MINUTE_US
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.raw_lines import DAY
from crypto_lake_tests.recorded_market import MIDNIGHT, NEXT, OVER, record
from crypto_lake_tests.staging.stores import made, put, stored, work

Duck = duckdb.DuckDBPyConnection


@pytest.fixture
def around_midnight(lake: Config, duck: Duck) -> Config:
    """A plain lake of some minutes of two days, of which all is made."""
    record(lake, MIDNIGHT - 5 * MINUTE_US, MIDNIGHT + 5 * MINUTE_US)
    for day in (DAY, NEXT):
        for step in (bars.build_all, daily.compact_all, ticks.make_all):
            step(duck, Series.recorded(lake), day, OVER)
    return lake


def test_runs_on_a_store_make_the_same_bytes_with_an_empty_cache_each_time(
    around_midnight: Config, duck: Duck, tmp_path: Path
) -> None:
    lake = stored(around_midnight, tmp_path)
    put(lake, around_midnight.layout.base)
    work(duck, lake, [DAY, NEXT], keep=False)
    assert made(tmp_path / "store") == made(around_midnight.layout.base)
