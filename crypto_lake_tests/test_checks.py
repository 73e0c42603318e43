"""Each check passes on a good day and names the offending rows of a bad one."""

import shutil
from datetime import timedelta

import duckdb
import pytest

from crypto_lake import bars, checks, daily, journal
from crypto_lake.bars import Series
from crypto_lake.checks import Check, Verdict
from crypto_lake.errors import LakeError
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, sealed, trade

Duck = duckdb.DuckDBPyConnection
EVERY = {check.name: check for check in (*checks.ON_BARS, *checks.ON_DAILY)}.values()


def run(check: Check, duck: Duck, series: Series, now_us: int = LATER) -> Verdict:
    return checks.run(check, duck, [series], DAY, now_us)


@pytest.fixture
def good(duck: Duck, series: Series) -> Series:
    """A day that was listened to from its first trade to its end."""
    lines = [trade(n, START + n * HOUR, recv=START + n * HOUR) for n in range(1, 24)]
    path = land(series.config, lines)
    record = sealed(path, lines, [(START + HOUR, START + 24 * HOUR)])
    journal.Journal(series.layout, "binance").write(record)
    bars.build_day(duck, series, DAY, LATER)
    return series


@pytest.mark.parametrize("check", EVERY, ids=lambda check: check.name)
def test_a_good_day_passes(duck: Duck, good: Series, check: Check) -> None:
    assert run(check, duck, good).passed


@pytest.mark.parametrize("check", EVERY, ids=lambda check: check.name)
def test_a_good_day_passes_when_compacted(duck: Duck, good: Series, check: Check) -> None:
    daily.compact(duck, good, DAY, LATER)
    assert run(check, duck, good).passed


@pytest.mark.parametrize("check", EVERY, ids=lambda check: check.name)
def test_a_day_without_bars_has_nothing_to_offend(duck: Duck, series: Series, check: Check) -> None:
    assert run(check, duck, series).counts == {}


def test_missing_seconds_are_named_as_a_stretch(duck: Duck, good: Series) -> None:
    good.layout.part("binance", SYMBOL, DAY, 5).unlink()
    verdict = run(checks.NO_MISSING_SECONDS, duck, good)
    assert not verdict.passed
    assert verdict.rows[SYMBOL][0]["bars_missing"] == 3600


def test_the_seconds_of_a_day_in_progress_count_up_to_the_last_sealed_one(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + 10 * SECOND), trade(2, START + 90 * SECOND)])
    now = START + 12 * HOUR
    bars.build_day(duck, series, DAY, now)
    assert run(checks.NO_MISSING_SECONDS, duck, series, now).passed
    assert not run(checks.NO_MISSING_SECONDS, duck, series, LATER).passed


def test_what_was_sealed_since_the_last_run_is_not_missing(duck: Duck, series: Series) -> None:
    now = START + 12 * HOUR
    land(series.config, [trade(1, START + 10 * SECOND), trade(2, START + 90 * SECOND)])
    bars.build_day(duck, series, DAY, now)
    land(series.config, [trade(3, START + 200 * SECOND)])
    assert run(checks.NO_MISSING_SECONDS, duck, series, now).passed


def test_duplicate_seconds_are_named(duck: Duck, good: Series) -> None:
    layout = good.layout
    shutil.copy(layout.part("binance", SYMBOL, DAY, 4), layout.part("binance", SYMBOL, DAY, 5))
    verdict = run(checks.NO_DUPLICATE_SECONDS, duck, good)
    assert verdict.counts == {SYMBOL: 3600}
    assert verdict.rows[SYMBOL][0]["bars"] == 2


def replace_hour(duck: Duck, series: Series, change: str) -> None:
    """Overwrite an hour's part with a changed one, as no transform would make it."""
    path = series.layout.part("binance", SYMBOL, DAY, 5)
    copy = path.with_name("copy.parquet")
    duck.execute(
        f"COPY (SELECT * {change} FROM read_parquet('{path}', hive_partitioning = false)) TO '{copy}'"
    )
    copy.replace(path)


@pytest.mark.parametrize(
    "change",
    [
        "REPLACE (low + 1 AS low)",
        "REPLACE (high - 1 AS high)",
        "REPLACE (high * 2 AS vwap)",
        "REPLACE (-0.01 AS spread)",
        "REPLACE (volume_base + 1 AS taker_buy_base)",
        "REPLACE (0 AS volume_base)",
    ],
)
def test_prices_that_contradict_each_other_are_named(duck: Duck, good: Series, change: str) -> None:
    replace_hour(duck, good, change)
    assert not run(checks.PRICES_ARE_CONSISTENT, duck, good).passed


def test_another_type_or_column_is_named_with_its_file(duck: Duck, good: Series) -> None:
    replace_hour(duck, good, "REPLACE (trade_count::BIGINT AS trade_count)")
    verdict = run(checks.SCHEMA_MATCHES, duck, good)
    assert verdict.rows[SYMBOL] == [
        {"file": "part-0005.parquet", "difference": "trade_count is int64; expected int32"}
    ]


def test_a_hole_in_the_trade_ids_is_counted(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + HOUR), trade(2, START + 2 * HOUR), trade(8, START + 3 * HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    (row,) = run(checks.TRADE_IDS_CONTIGUOUS, duck, series).rows[SYMBOL]
    assert (row["expected_id"], row["first_trade_id"], row["trades_missing"]) == (3, 8, 5)


def test_a_hole_inside_one_second_is_counted(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + HOUR), trade(3, START + HOUR + 1)])
    bars.build_day(duck, series, DAY, LATER)
    assert run(checks.TRADE_IDS_CONTIGUOUS, duck, series).rows[SYMBOL][0]["trades_missing"] == 1


def test_a_hole_between_two_days_is_counted(duck: Duck, series: Series) -> None:
    yesterday = DAY - timedelta(days=1)
    land(series.config, [trade(1, START - HOUR)], yesterday)
    land(series.config, [trade(4, START + HOUR)])
    for day in (yesterday, DAY):
        bars.build_day(duck, series, day, LATER)
    assert run(checks.TRADE_IDS_CONTIGUOUS, duck, series).rows[SYMBOL][0]["trades_missing"] == 2


def test_downtime_above_the_tolerated_share_is_named_longest_first(duck: Duck, series: Series) -> None:
    lines = [trade(n, START + n * HOUR, recv=START + n * HOUR) for n in range(1, 24)]
    path = land(series.config, lines)
    listened = [(START + HOUR, START + 2 * HOUR), (START + 2 * HOUR + 60 * SECOND, START + 20 * HOUR)]
    journal.Journal(series.layout, "binance").write(sealed(path, lines, listened))
    bars.build_day(duck, series, DAY, LATER)
    found = [row["seconds"] for row in run(checks.STREAM_DOWNTIME, duck, series).rows[SYMBOL]]
    assert found == [4 * 3600, 60]


def test_a_daily_file_with_a_byte_changed_is_found(duck: Duck, good: Series) -> None:
    done = daily.compact(duck, good, DAY, LATER)
    assert done
    content = bytearray(done.path.read_bytes())
    content[1000] ^= 1
    done.path.write_bytes(content)
    assert not run(checks.CHECKSUM_MATCHES, duck, good).passed


def test_a_file_that_is_no_parquet_is_a_difference_of_schema(duck: Duck, good: Series) -> None:
    good.layout.part("binance", SYMBOL, DAY, 5).write_bytes(b"not parquet")
    assert (
        "not a readable Parquet file" in run(checks.SCHEMA_MATCHES, duck, good).rows[SYMBOL][0]["difference"]
    )
    with pytest.raises(LakeError, match=r"part-0005\.parquet"):
        run(checks.NO_DUPLICATE_SECONDS, duck, good)
