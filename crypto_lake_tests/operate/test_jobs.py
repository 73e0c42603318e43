"""What commands tell comes from the runs that they started, and nothing is started where there is nothing to do."""

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from crypto_lake.ask import views
from crypto_lake.completeness import candles
from crypto_lake.config import ENVIRONMENT_VARIABLE, Config
from crypto_lake.defs import launch
from crypto_lake.disk import parquet
from crypto_lake.operate import jobs
from crypto_lake_tests.raw_lines import DAY, SYMBOL

_NOTHING_NEW = """
import sys
from crypto_lake import config
from crypto_lake.operate import jobs
assert jobs.transform(config.load(config.find()), None) == []
assert "dagster" not in sys.modules
"""


def test_a_backfill_is_told_by_its_run_and_no_file_is_read_again(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {
        DAY: {"fetched": 1, "dagster/partition_row_count": 1438, "minutes_missing": 2},
        DAY + timedelta(days=1): {"fetched": 0, "dagster/partition_row_count": 1440, "minutes_missing": 0},
    }
    jobs.report_candles(lake, told)
    said = capsys.readouterr().out
    assert "already there: 1 days" in said
    assert "fetched: 1 days" in said
    assert "candles of all 2 days: 2,878" in said
    assert "no candle for: 2 (" in said


def test_dagster_is_not_even_loaded_where_no_segment_is_new(write_config: Callable[..., Path]) -> None:
    path = write_config()
    subprocess.run([sys.executable, "-c", _NOTHING_NEW], check=True, cwd=path.parent)


def test_days_whose_candles_are_there_start_no_run_once_the_history_knows_them(
    lake: Config, write_config: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(write_config()))
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    days = [DAY, DAY + timedelta(days=1)]
    for day in days:
        footer = {"complete": True, "rows": 0, "missing": 1440}
        parquet.write_table(
            candles.table(SYMBOL, []), lake.layout.candles("binance", SYMBOL, day), "snappy", footer=footer
        )
    runs: list[int] = []
    told = []
    for _ in range(2):
        told.append(jobs.backfill(lake, days))
        with launch.instance() as where:
            runs.append(where.get_runs_count())
    assert runs == [1, 1]
    shown = ("fetched", "dagster/partition_row_count", "minutes_missing")
    assert [{day: [one[name] for name in shown] for day, one in found.items()} for found in told] == [
        {day: [0, 0, 1440] for day in days}
    ] * 2


def test_of_a_day_of_many_symbols_all_together_and_the_worst_are_told(
    lake: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"symbol": f"S{n}", "rows": 1000, "trades": 1, "quotes": 1, "unobserved": n, "bytes": 1}
        for n in range(500)
    ]
    monkeypatch.setattr(views, "day_in_numbers", lambda *_: rows)
    jobs.report_days(lake, [DAY])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 60
    first, second, *_ = [line.replace("│", " ").split() for line in lines if str(DAY) in line]
    assert first == [str(DAY), "all", "500", "500,000", "500", "500", "124,750", "500"]
    assert second == [str(DAY), "S499", "1,000", "1", "1", "499", "1"]
