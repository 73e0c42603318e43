"""Partitions begin where the lake does; a day before that can be asked for all the same."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crypto_lake.config import ENVIRONMENT_VARIABLE, Config
from crypto_lake.defs import partitions, reach, requests
from crypto_lake.series import Series
from crypto_lake_tests import processes
from crypto_lake_tests.raw_lines import DAY, HOUR, START, SYMBOL, land, trade

BEFORE = DAY - timedelta(days=1)


@pytest.fixture
def lake(write_config: Callable[..., Path], lake: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A lake in a process that is no command's."""
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(write_config()))
    monkeypatch.setattr(reach, "_whole", [False])
    return lake


def test_a_new_lake_begins_today(lake: Config) -> None:
    assert partitions.first_recorded_day() == datetime.now(UTC).date()


def test_a_lake_begins_with_its_first_raw_folder_of_any_symbol(lake: Config) -> None:
    for symbol, day in (("A", DAY), (SYMBOL, BEFORE), ("C", DAY)):
        lake.layout.raw_day("binance", symbol, day).mkdir(parents=True)
    assert partitions.first_recorded_day() == BEFORE


@pytest.mark.parametrize("name", ["2025-10-19.parquet", "year=2025/month=10/day=19/part-0003.parquet"])
def test_a_lake_whose_raw_files_are_gone_begins_with_its_bars(lake: Config, name: str) -> None:
    lake.layout.raw_day("binance", SYMBOL, DAY).mkdir(parents=True)
    path = lake.layout.bars_symbol("binance", SYMBOL) / name
    path.parent.mkdir(parents=True)
    path.touch()
    assert partitions.first_recorded_day() == BEFORE


def test_what_is_no_day_begins_no_lake(lake: Config) -> None:
    lake.layout.raw_day("binance", SYMBOL, DAY).mkdir(parents=True)
    for name in ("2025", "2025-01-01 copy", "0000", "1999-13-45"):
        (lake.layout.raw_symbol("binance", SYMBOL) / name).mkdir()
    assert partitions.first_recorded_day() == DAY


def test_the_partitions_of_a_command_begin_where_any_exchange_does(lake: Config) -> None:
    lake.layout.raw_day("binance", SYMBOL, DAY).mkdir(parents=True)
    reach.back_to_the_first_day_of_all()
    assert partitions.first_recorded_day() == partitions.FIRST_DAY


def test_a_lake_that_cannot_be_read_begins_with_the_exchange(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "none.yml"))
    assert partitions.first_recorded_day() == partitions.FIRST_DAY


def test_a_run_of_a_day_before_all_partitions_finds_it_when_it_begins(
    lake: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(lake, [trade(1, START - 1, recv=START + 10)])
    monkeypatch.setattr(requests, "BEGIN", DAY)
    (series,) = Series.recorded(lake)
    request = requests.of_day(series, BEFORE, "key", "make_bars")
    assert (request.partition_key, request.tags) == (None, {"dagster/partition": str(BEFORE)})
    assert partitions.first_recorded_day() == BEFORE
    assert requests.of_day(series, DAY, "key").partition_key == str(DAY)


def test_a_command_makes_a_day_before_the_first_folder(lake: Config, tmp_path: Path) -> None:
    land(lake, [trade(1, START - 1, recv=START + 10), trade(2, START + HOUR)])
    home = tmp_path / "home"
    home.mkdir()
    done = processes.run("crypto_lake", "transformer", cwd=tmp_path, DAGSTER_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert lake.layout.part_days("binance", SYMBOL) == [BEFORE, DAY]
    assert partitions.first_recorded_day() == BEFORE
