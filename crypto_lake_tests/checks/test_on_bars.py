"""The checks on bars and daily files name the offending rows: seconds, prices, columns, bytes."""

import shutil

import pytest

from crypto_lake import checks
from crypto_lake.errors import LakeError
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests.checks.days import Duck, run
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, trade


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


def test_a_second_after_the_day_stands_for_none_of_it(duck: Duck, good: Series) -> None:
    replace_hour(duck, good, "REPLACE (window_start + INTERVAL 1 SECOND AS window_start)", hour=23)
    assert [row["bars_missing"] for row in run(checks.NO_MISSING_SECONDS, duck, good).rows[SYMBOL]] == [1]


def replace_hour(duck: Duck, series: Series, change: str, hour: int = 5) -> None:
    """Overwrite an hour's part with a changed one, as no transform would make it."""
    path = series.layout.part("binance", SYMBOL, DAY, hour)
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
        "REPLACE (bid - 1 AS ask)",
        "REPLACE (volume_base + 1 AS taker_buy_base)",
        "REPLACE (0 AS volume_base)",
    ],
)
def test_prices_that_contradict_each_other_are_named(duck: Duck, good: Series, change: str) -> None:
    replace_hour(duck, good, change)
    assert not run(checks.PRICES_ARE_CONSISTENT, duck, good).passed


@pytest.mark.parametrize("ask", ["0.00000000", "190.10000000"], ids=["an empty side", "crossed"])
def test_a_quote_of_the_exchange_whose_bid_is_above_its_ask_warns_and_blocks_nothing(
    duck: Duck, series: Series, ask: str
) -> None:
    land(series.config, [trade(1, START + HOUR), quote(1, START + HOUR, bid="190.11000000", ask=ask)])
    bars.build_day(duck, series, DAY, LATER)
    verdict = run(checks.PRICES_ARE_CONSISTENT, duck, series)
    assert (verdict.outcome, verdict.severity) == ("warning", "WARN")
    assert verdict.rows[SYMBOL][0]["reason"] == "the exchange's own quote has its bid above its ask"


def test_another_type_or_column_is_named_with_its_file(duck: Duck, good: Series) -> None:
    replace_hour(duck, good, "REPLACE (trade_count::BIGINT AS trade_count)")
    verdict = run(checks.SCHEMA_MATCHES, duck, good)
    assert verdict.rows[SYMBOL] == [
        {"file": "part-0005.parquet", "difference": "trade_count is int64; expected int32"}
    ]


def test_a_jump_of_the_price_warns_with_the_close_before(duck: Duck, series: Series) -> None:
    prices = ("100", "105", "150")
    land(series.config, [trade(n, START + n * HOUR, price=price) for n, price in enumerate(prices, 1)])
    bars.build_day(duck, series, DAY, LATER)
    verdict = run(checks.NO_ABSURD_JUMP, duck, series)
    (row,) = verdict.rows[SYMBOL]
    assert (verdict.outcome, row["close_before"], row["open"], row["jump"]) == ("warning", 105, 150, 0.4286)


def test_a_jump_inside_one_second_warns(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + HOUR, price="100"), trade(2, START + HOUR + 1, price="120")])
    bars.build_day(duck, series, DAY, LATER)
    assert run(checks.NO_ABSURD_JUMP, duck, series).counts == {SYMBOL: 1}


def test_a_daily_file_with_a_byte_changed_is_found(duck: Duck, finished: Series) -> None:
    assert run(checks.CHECKSUM_MATCHES, duck, finished, asset="daily_bars").passed
    path = finished.layout.daily("binance", SYMBOL, DAY)
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    assert not run(checks.CHECKSUM_MATCHES, duck, finished, asset="daily_bars").passed


def test_a_file_that_is_no_parquet_is_a_difference_of_schema(duck: Duck, good: Series) -> None:
    good.layout.part("binance", SYMBOL, DAY, 5).write_bytes(b"not parquet")
    assert (
        "not a readable Parquet file" in run(checks.SCHEMA_MATCHES, duck, good).rows[SYMBOL][0]["difference"]
    )
    with pytest.raises(LakeError, match=r"part-0005\.parquet"):
        run(checks.NO_DUPLICATE_SECONDS, duck, good)
