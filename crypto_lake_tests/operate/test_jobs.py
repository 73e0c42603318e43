"""What commands tell comes from the runs that they started."""

from datetime import timedelta

import pytest

from crypto_lake.config import Config
from crypto_lake.operate import jobs
from crypto_lake_tests.raw_lines import DAY


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
