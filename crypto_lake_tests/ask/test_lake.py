"""The lake for Python: tables of what was asked for, and only the files of its days are opened."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from crypto_lake import open_lake
from crypto_lake.ask import views
from crypto_lake.ask.lake import Lake, When
from crypto_lake.config import Transformer
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.raw import instruments
from crypto_lake.raw.instruments import Instrument
from crypto_lake.schema import PROVED_BAR, names
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, SYMBOL, land, trade

Duck = duckdb.DuckDBPyConnection
NEXT = DAY + timedelta(days=1)


def two_days(duck: Duck, series: Series) -> None:
    """A trade in each of 48 hours; the first of two days is compacted."""
    for n, day in enumerate((DAY, NEXT)):
        hours = range(24 * n, 24 * n + 24)
        land(series.config, [trade(hour + 1, START + hour * HOUR, f"{hour + 1}.5") for hour in hours], day)
        bars.build_day(duck, series, day, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)


@pytest.fixture
def path(made: Made, series: Series, tmp_path: Path) -> Path:
    """The configuration of the lake of two days."""
    made(series, two_days)
    return tmp_path / "config.yml"


@pytest.fixture
def here(path: Path) -> Lake[pd.DataFrame]:
    return open_lake(path)


def test_what_a_pattern_means_by_the_newest_table_is_in_the_lake(
    here: Lake[pd.DataFrame], series: Series
) -> None:
    listed = {one: Instrument(one, "TRADING", trading=True) for one in ("NEWUSDT", "NEWEUR")}
    instruments.write(series.layout, "binance", DAY, listed)
    section = msgspec.structs.replace(here.config.exchanges[0], symbols=["*USDT"])
    config = msgspec.structs.replace(here.config, exchanges=[section])
    assert replace(here, config=config).symbols() == ["NEWUSDT", SYMBOL]


def test_bars_are_a_data_frame_in_the_columns_of_a_bar_and_in_order(here: Lake[pd.DataFrame]) -> None:
    found = here.bars(SYMBOL, "1h")
    assert list(found.columns) == names(PROVED_BAR)
    assert found[["quotes_proved", "quote_source"]].isna().all(axis=None)
    assert found["close"].tolist() == [n + 0.5 for n in range(1, 49)]
    assert str(found["window_start"].dtype) == "datetime64[us, UTC]"


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2025-10-20T23:00", "2025-10-21T02:00Z"),
        (datetime(2025, 10, 20, 23), pd.Timestamp("2025-10-21 02:00")),  # noqa: DTZ001 - without a zone it is UTC
        (
            datetime(2025, 10, 21, 1, tzinfo=timezone(timedelta(hours=2))),
            datetime(2025, 10, 21, 2, tzinfo=UTC),
        ),
    ],
)
def test_the_end_is_not_part_of_a_range_and_a_time_without_zone_is_utc(
    here: Lake[pd.DataFrame], start: When, end: When
) -> None:
    assert here.bars(SYMBOL, "1h", start, end)["close"].tolist() == [24.5, 25.5, 26.5]


def test_a_date_is_its_midnight(here: Lake[pd.DataFrame]) -> None:
    assert len(here.bars(SYMBOL, "1s", date(2025, 10, 20), "2025-10-21")) == 86_400


def test_bars_are_not_cut_short_by_a_range_that_begins_within_one(here: Lake[pd.DataFrame]) -> None:
    found = here.bars(SYMBOL, "4h", "2025-10-20T02:00", "2025-10-20T09:00")
    assert found["trade_count"].tolist() == [4, 4]


@pytest.mark.parametrize("content", [b"PAR1 damaged beyond reading PAR1", b"cut short"])
def test_only_the_files_of_the_days_asked_for_are_opened_and_none_of_them_is_left_out(
    here: Lake[pd.DataFrame], content: bytes
) -> None:
    here.config.layout.daily("binance", SYMBOL, DAY).write_bytes(content)
    assert here.bars(SYMBOL, "1s", NEXT)["trade_count"].sum() == 24
    with pytest.raises(LakeError, match=r"2025-10-20\.parquet: not a readable Parquet file"):
        here.bars(SYMBOL, "1s", DAY)


def test_minutes_are_those_of_days_whose_bars_were_shorter_too(here: Lake[pd.DataFrame]) -> None:
    of_seconds = here.bars(SYMBOL, "1m", DAY, NEXT)
    of_minutes = msgspec.structs.replace(here.config, transformer=Transformer(resample_interval_sec=60))
    found = replace(here, config=of_minutes).bars(SYMBOL, "1m", DAY, NEXT)
    pd.testing.assert_frame_equal(found, of_seconds)


def test_every_interval_has_the_same_bars_as_its_view(here: Lake[pd.DataFrame], duck: Duck) -> None:
    views.create(duck, here.config)
    for interval in ("1s", "1m", "5m", "1h", "1d"):
        expected = duck.sql(f"FROM bars_{interval} ORDER BY window_start").df()
        pd.testing.assert_frame_equal(here.bars(SYMBOL, interval), expected)


@pytest.mark.parametrize("interval", ["7m", "1w", "0s", "90", "25h", "", 60, None])
def test_an_interval_that_divides_no_day_is_refused(here: Lake[pd.DataFrame], interval: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match="divides a day"):
        here.bars(SYMBOL, interval)


def test_a_symbol_that_is_not_there_is_refused_with_those_that_are(here: Lake[pd.DataFrame]) -> None:
    with pytest.raises(ConfigError, match="expected one of SOLUSDT"):
        here.bars("SOLUSD")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("20 October", None),
        ("2025-10-21", "2025-10-20"),
        (pd.NaT, None),
        (5, None),
        (datetime.max.replace(tzinfo=timezone(-timedelta(hours=1))), None),
    ],
)
def test_a_time_that_is_none_is_refused(here: Lake[pd.DataFrame], start: Any, end: When) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match="2025-10-20"):
        here.bars(SYMBOL, "1m", start, end)


def test_trades_are_those_of_finished_days(here: Lake[pd.DataFrame]) -> None:
    assert here.trades(SYMBOL, "2025-10-20T22:00")["id"].tolist() == [23, 24]
    assert here.quotes(SYMBOL).empty


def test_history_and_candles_of_a_lake_without_backfill(here: Lake[pd.DataFrame]) -> None:
    assert here.candles(SYMBOL).empty
    minute = here.history(SYMBOL, "2025-10-20T05:00", "2025-10-20T05:01")
    assert minute[["trade_count", "source"]].to_numpy().tolist() == [[1, "live"]]


def test_a_question_in_sql_goes_over_all_views(here: Lake[pd.DataFrame]) -> None:
    found = here.sql("SELECT count(*) AS n FROM bars_1h")
    assert found["n"].tolist() == [48]
    with pytest.raises(LakeError, match="bars_2s"):
        here.sql("FROM bars_2s")
    with pytest.raises(LakeError, match="expected a SELECT"):
        here.sql("")


def test_a_day_that_is_compacted_between_two_questions_is_found_again(
    here: Lake[pd.DataFrame], duck: Duck, series: Series
) -> None:
    before = here.bars(SYMBOL, "1m", NEXT)
    daily.compact(duck, series, NEXT, LATER)
    pd.testing.assert_frame_equal(here.bars(SYMBOL, "1m", NEXT), before)


def test_an_arrow_table_is_given_where_it_was_asked_for(path: Path) -> None:
    found: Any = open_lake(path, frames="arrow").bars(SYMBOL, "1h", NEXT)
    assert isinstance(found, pa.Table)
    assert found.num_rows == 24


def test_frames_that_nobody_knows_are_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of pandas, arrow, polars"):
        open_lake(path, frames="vaex")  # type: ignore[call-overload]


def test_a_data_frame_of_polars_is_given_where_it_was_asked_for(path: Path) -> None:
    found: Any = open_lake(path, frames="polars").bars(SYMBOL, "1d")
    assert isinstance(found, pl.DataFrame)
    assert found.height == 2


def test_the_package_itself_stays_light() -> None:
    heavy = "print([name for name in ('duckdb', 'pandas', 'pyarrow') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, crypto_lake; {heavy}"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == "[]\n"
