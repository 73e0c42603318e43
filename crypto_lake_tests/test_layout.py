import sys
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.layout import DAY_US, Layout, day_of, day_start_us, iso

DAY = date(2025, 10, 20)
# What `ls` might show beside the days, and what Python would read as a day although no path here spells one so.
NO_DAYS = ["20251021", "2025-W43-1", "2025-1-2", "2025-02-30", "2025-10-20.bak", "notes", ".2025-10-22"]
HOSTILE_FOLDERS = ["_journal", "_rejected", ".ipynb_checkpoints"]

instants = st.integers(min_value=day_start_us(date(1970, 1, 1)), max_value=day_start_us(date(9999, 12, 31)))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@given(instants)
def test_an_instant_lies_within_its_day(us: int) -> None:
    assert day_start_us(day_of(us)) <= us < day_start_us(day_of(us)) + DAY_US


@given(instants)
def test_the_day_is_that_of_the_calendar(us: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    assert day_of(us) == moment.date()


def test_midnight_belongs_to_the_day_it_begins() -> None:
    midnight = day_start_us(DAY)
    assert (day_of(midnight - 1), day_of(midnight)) == (DAY - timedelta(days=1), DAY)
    assert midnight == 1_760_918_400_000_000


def test_an_instant_is_shown_in_utc_to_the_microsecond() -> None:
    assert iso(1_760_918_400_098_195) == "2025-10-20T00:00:00.098195Z"


def test_the_paths_are_those_of_the_design(layout: Layout) -> None:
    base, of_symbol = layout.base, ("binance", "SOLUSDT", DAY)
    assert layout.segment(*of_symbol, 1) == base / "raw/binance/SOLUSDT/2025-10-20/part_0001.jsonl"
    assert layout.segment(*of_symbol, 12, "heal") == base / "raw/binance/SOLUSDT/2025-10-20/heal_0012.jsonl"
    assert layout.journal("binance", DAY) == base / "raw/binance/_journal/2025-10-20.jsonl"
    assert layout.symbol_journal(*of_symbol) == base / "raw/binance/SOLUSDT/2025-10-20/_segments.jsonl"
    assert layout.part(*of_symbol, 23) == (
        base / "parquet/binance/SOLUSDT/year=2025/month=10/day=20/part-0023.parquet"
    )
    assert layout.daily(*of_symbol) == base / "parquet/binance/SOLUSDT/2025-10-20.parquet"
    assert layout.minutes(*of_symbol) == base / "bars/1m/binance/SOLUSDT/2025-10-20.parquet"
    assert layout.candles(*of_symbol) == base / "backfill/binance/SOLUSDT/2025-10-20.parquet"
    assert layout.validation(DAY) == base / "logs/validation/2025-10-20.json"
    assert layout.collector_status == base / "state/collector.json"
    assert layout.collector_lock == base / ".collector.lock"
    assert layout.database == base / "lake.duckdb"


def test_checksum_and_manifest_lie_beside_the_daily_file(layout: Layout) -> None:
    daily = layout.daily("binance", "SOLUSDT", DAY)
    assert layout.checksum(daily) == daily.parent / "2025-10-20.parquet.sha256"
    assert layout.manifest(daily) == daily.parent / "2025-10-20.json"


def test_no_two_things_share_a_path(layout: Layout) -> None:
    paths = []
    for symbol in ("SOLUSDT", "ADAUSDT"):
        for day in (DAY, DAY + timedelta(days=1)):
            key = ("binance", symbol, day)
            paths += [
                layout.symbol_journal(*key),
                layout.segment(*key, 1),
                layout.segment(*key, 1, "heal"),
                layout.candles(*key),
            ]
            paths += [layout.part(*key, hour) for hour in range(24)]
            for file in (layout.daily(*key), layout.minutes(*key)):
                paths += [file, layout.checksum(file), layout.manifest(file)]
    paths += [layout.journal("binance", DAY), layout.rejected("binance", DAY)]
    assert len(paths) == len(set(paths))


def test_an_empty_lake_has_nothing(layout: Layout) -> None:
    assert layout.raw_symbols("binance") == layout.bars_symbols("binance") == []
    assert layout.candle_symbols("binance") == layout.minute_symbols("binance") == []
    assert layout.raw_days("binance", "SOLUSDT") == layout.bar_days("binance", "SOLUSDT") == []
    assert layout.candle_days("binance", "SOLUSDT") == []
    assert layout.bar_files("binance", "SOLUSDT", DAY) == []


@given(days=st.sets(st.dates(), max_size=4))
def test_days_that_were_given_a_path_are_listed_again_oldest_first(
    tmp_path_factory: pytest.TempPathFactory, days: set[date]
) -> None:
    layout = Layout(tmp_path_factory.mktemp("lake"))
    for day in days:
        touch(layout.segment("binance", "SOLUSDT", day, 1))
        touch(layout.candles("binance", "SOLUSDT", day))
        touch(layout.minutes("binance", "SOLUSDT", day))
        touch(layout.daily("binance", "ADAUSDT", day))
        touch(layout.part("binance", "SUIUSDT", day, 7))
    expected = sorted(days)
    assert layout.raw_days("binance", "SOLUSDT") == expected
    assert layout.candle_days("binance", "SOLUSDT") == layout.minute_days("binance", "SOLUSDT") == expected
    assert layout.daily_days("binance", "ADAUSDT") == layout.bar_days("binance", "ADAUSDT") == expected
    assert layout.part_days("binance", "SUIUSDT") == layout.bar_days("binance", "SUIUSDT") == expected


@pytest.mark.parametrize("name", NO_DAYS)
def test_a_name_that_is_not_spelled_like_a_day_is_no_day(layout: Layout, name: str) -> None:
    (layout.raw_symbol("binance", "SOLUSDT") / name).mkdir(parents=True)
    touch(layout.bars_symbol("binance", "SOLUSDT") / f"{name}.parquet")
    touch(layout.candles("binance", "SOLUSDT", DAY).with_name(f"{name}.parquet"))
    touch(layout.minutes("binance", "SOLUSDT", DAY).with_name(f"{name}.parquet"))
    assert layout.raw_days("binance", "SOLUSDT") == []
    assert layout.daily_days("binance", "SOLUSDT") == []
    assert layout.candle_days("binance", "SOLUSDT") == []
    assert layout.minute_days("binance", "SOLUSDT") == []


def test_what_lies_beside_a_daily_file_is_no_day(layout: Layout) -> None:
    daily = layout.daily("binance", "SOLUSDT", DAY)
    for path in (layout.checksum(daily), layout.manifest(daily)):
        touch(path)
    assert layout.daily_days("binance", "SOLUSDT") == []


def test_a_folder_named_like_a_daily_file_is_no_day(layout: Layout) -> None:
    layout.daily("binance", "SOLUSDT", DAY).mkdir(parents=True)
    assert layout.daily_days("binance", "SOLUSDT") == []


@pytest.mark.parametrize("name", HOSTILE_FOLDERS)
def test_a_folder_of_another_purpose_is_no_symbol(layout: Layout, name: str) -> None:
    for root in ("raw", "parquet", "backfill", "bars/1m"):
        for folder in (name, "SOLUSDT", "ADAUSDT"):
            (layout.base / root / "binance" / folder).mkdir(parents=True)
    expected = ["ADAUSDT", "SOLUSDT"]
    assert layout.raw_symbols("binance") == expected
    assert layout.bars_symbols("binance") == expected
    assert layout.candle_symbols("binance") == expected
    assert layout.minute_symbols("binance") == expected


def test_a_day_folder_without_parts_is_no_day(layout: Layout) -> None:
    layout.parts_day("binance", "SOLUSDT", DAY).mkdir(parents=True)
    assert layout.part_days("binance", "SOLUSDT") == []


@pytest.mark.parametrize(
    "name",
    ["part-0003 (1).parquet", "part-copy.parquet", ".part-0003.parquet.17.tmp", "part-0003.parquet.bak"],
)
def test_a_copy_of_a_part_is_not_counted(layout: Layout, name: str) -> None:
    part = touch(layout.part("binance", "SOLUSDT", DAY, 3))
    touch(part.with_name(name))
    assert layout.parts("binance", "SOLUSDT", DAY) == [part]


def test_parts_are_listed_in_order_of_time(layout: Layout) -> None:
    for hour in (23, 0, 9, 10):
        touch(layout.part("binance", "SOLUSDT", DAY, hour))
    parts = layout.parts("binance", "SOLUSDT", DAY)
    assert len(parts) == 4
    assert all(before.name < after.name for before, after in pairwise(parts))


def test_a_day_is_read_from_its_parts_until_there_is_a_daily_file(layout: Layout) -> None:
    part = touch(layout.part("binance", "SOLUSDT", DAY, 0))
    assert layout.bar_files("binance", "SOLUSDT", DAY) == [part]
    daily = touch(layout.daily("binance", "SOLUSDT", DAY))
    assert layout.bar_files("binance", "SOLUSDT", DAY) == [daily]
    assert layout.bar_days("binance", "SOLUSDT") == [DAY]


_NOT_ON_WINDOWS = [] if sys.platform == "win32" else ["\x1b[31mX", "X\n"]


@pytest.mark.parametrize("name", ["[red]X", "_journal", ".X", "X copy", "X" * 60, *_NOT_ON_WINDOWS])
def test_a_folder_whose_name_is_no_symbol_is_none(tmp_path: Path, name: str) -> None:
    layout = Layout(tmp_path)
    for folder in (name, "SOLUSDT", "BTC-USD"):
        layout.raw_symbol("binance", folder).mkdir(parents=True)
    assert layout.raw_symbols("binance") == ["BTC-USD", "SOLUSDT"]


def test_a_folder_that_bears_a_files_name_is_not_read(layout: Layout) -> None:
    for path in (layout.part("binance", "SOLUSDT", DAY, 3), layout.daily("binance", "SOLUSDT", DAY)):
        path.mkdir(parents=True)
    part = touch(layout.part("binance", "SOLUSDT", DAY, 4))
    assert layout.bar_files("binance", "SOLUSDT", DAY) == [part]
