"""A row of coverage tells a day from its files: each number against one that was counted by hand."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import msgspec
import pytest

from crypto_lake import config, schema
from crypto_lake.checks import NO_ABSURD_JUMP, TRADE_IDS_CONTIGUOUS, Verdict
from crypto_lake.coverage import rows, table
from crypto_lake.coverage.page import doubts, page
from crypto_lake.coverage.rows import Row
from crypto_lake.disk import checksums, parquet
from crypto_lake.exchanges.base import Candle
from crypto_lake.layout import DAY_US
from crypto_lake.pages import validation
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.schema import COVERAGE
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.checks.days import GOOD, Told, backfilled, three_days
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection
# Trades 11 to 13 never came.
LINES = [
    *(trade(n, START + n * 600 * SECOND) for n in range(1, 11)),
    *(trade(n, START + n * 600 * SECOND) for n in range(14, 100)),
    *(quote(n, START + n * 700 * SECOND) for n in range(1, 51)),
]
WHOLE_DAY = 86_400


def recorded(duck: Duck, series: Series, *, healed: bool, unheard_sec: float = 0.0) -> None:
    """A day in daily file and ticks. Nobody listened from 01:00:00.5 on for so long."""
    path = land(series.config, LINES)
    gap = START + HOUR + SECOND // 2
    heard = [(START - HOUR, gap), (gap + int(unheard_sec * SECOND), START + DAY_US + HOUR)]
    JournalWriter(series.layout, "binance").write(sealed(path, LINES, heard), DAY)
    if healed:
        land(series.config, [trade(n, START + n * 600 * SECOND) for n in (11, 12, 13)], kind="heal")
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)


def row_of(duck: Duck, series: Series) -> Row:
    (row,) = rows.of_day(duck, [series], DAY, LATER)
    return row


def checked(duck: Duck, series: Series, *verdicts: Verdict) -> None:
    for verdict in verdicts:
        validation.enter(duck, series.config, [series], "raw_segments", [verdict], LATER)


PASSED = Verdict(TRADE_IDS_CONTIGUOUS, DAY, {SYMBOL: 0})


def test_missing_trades_are_counted_and_leave_the_day_in_doubt(
    duck: Duck, series: Series, made: Made
) -> None:
    row = row_of(duck, made(series, recorded, healed=False))
    assert (row.trades, row.trade_ids_missing, row.trades_healed, row.quotes) == (96, 3, 0, 50)
    assert not row.complete
    assert "3 trades missing" in doubts(row)


def test_healed_trades_are_counted_and_are_not_missing(duck: Duck, series: Series, made: Made) -> None:
    row = row_of(duck, made(series, recorded, healed=True))
    assert (row.trades, row.trade_ids_missing, row.trades_healed) == (99, 0, 3)


def test_a_day_that_was_heard_and_checked_throughout_is_complete(
    duck: Duck, series: Series, made: Made
) -> None:
    made(series, recorded, healed=True)
    assert doubts(row_of(duck, series)) == ["no check has looked at it"]
    checked(duck, series, PASSED)
    row = row_of(duck, series)
    assert (row.seconds_observed, row.seconds_listened, row.checks_passed) == (WHOLE_DAY, WHOLE_DAY, 1)
    assert row.complete
    assert doubts(row) == []


def test_a_second_that_was_heard_in_part_was_not_listened_to(duck: Duck, series: Series, made: Made) -> None:
    made(series, recorded, healed=True, unheard_sec=2.7)
    checked(duck, series, PASSED)
    row = row_of(duck, series)
    # From :00.5 to :03.2 touches four seconds.
    assert row.seconds_listened == WHOLE_DAY - 4
    assert not row.complete


def unheard(duck: Duck, series: Series) -> None:
    """A day that nobody listened to for 3,000 s, in which the trades that were healed prove that no other happened."""
    gap = START + HOUR + 2_400 * SECOND, START + HOUR + 5_400 * SECOND
    path = land(series.config, LINES)
    heard = [(START - HOUR, gap[0]), (gap[1], START + DAY_US + HOUR)]
    JournalWriter(series.layout, "binance").write(sealed(path, LINES, heard), DAY)
    land(series.config, [trade(n, START + n * 600 * SECOND) for n in (11, 12, 13)], kind="heal")
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)


def in_ticks(duck: Duck, series: Series) -> None:
    unheard(duck, series)
    ticks.make(duck, series, DAY, LATER)


def pruned(series: Series) -> None:
    for path in series.layout.raw_day("binance", SYMBOL, DAY).glob("*_*.jsonl"):
        path.unlink()


def as_before_it_was_noted(series: Series) -> None:
    """Let the manifest of ticks be one of those that do not tell who listened apart from what was proved."""
    path = series.layout.ticks_manifest("binance", SYMBOL, DAY)
    told = msgspec.json.decode(path.read_bytes())
    told.pop("heard", None)
    path.write_bytes(msgspec.json.encode(told))


# By the exchange's clock, 80 ms from ours, the stretch touches a second more.
HEARD = WHOLE_DAY - 3_001


@pytest.mark.parametrize("make", [unheard, in_ticks])
@pytest.mark.parametrize("is_noted", [True, False])
def test_seconds_that_healed_trades_prove_are_observed_and_were_not_listened_to(
    duck: Duck, series: Series, made: Made, make: Callable[[Duck, Series], None], is_noted: bool
) -> None:
    made(series, make)
    checked(duck, series, PASSED)
    if make is in_ticks and not is_noted:
        as_before_it_was_noted(series)
    row = row_of(duck, series)
    assert (row.seconds_observed, row.seconds_listened, row.complete) == (WHOLE_DAY, HEARD, False)


def test_they_were_not_listened_to_when_the_raw_files_are_gone_either(
    duck: Duck, series: Series, made: Made
) -> None:
    made(series, in_ticks)
    checked(duck, series, PASSED)
    pruned(series)
    assert bars.build_day(duck, series, DAY, LATER).rebuilt
    daily.compact(duck, series, DAY, LATER)
    row = row_of(duck, series)
    assert (row.seconds_observed, row.seconds_listened, row.complete) == (WHOLE_DAY, HEARD, False)


def test_a_segment_that_comes_when_the_others_are_gone_does_not_make_them_heard(
    duck: Duck, series: Series, made: Made
) -> None:
    made(series, in_ticks)
    pruned(series)
    land(series.config, [trade(100, START + 20 * HOUR)], kind="heal")
    again = ticks.make(duck, series, DAY, LATER)
    assert again
    assert again.rewritten
    assert row_of(duck, series).seconds_listened == HEARD


def test_of_a_pruned_day_whose_ticks_do_not_tell_who_listened_what_was_proved_counts_as_heard(
    duck: Duck, series: Series, made: Made
) -> None:
    made(series, in_ticks)
    as_before_it_was_noted(series)
    pruned(series)
    assert row_of(duck, series).seconds_listened == WHOLE_DAY
    land(series.config, [trade(100, START + 20 * HOUR)], kind="heal")
    ticks.make(duck, series, DAY, LATER)
    assert row_of(duck, series).seconds_listened == WHOLE_DAY


def test_verdicts_are_counted_by_how_they_ended(duck: Duck, series: Series, made: Made) -> None:
    made(series, recorded, healed=True)
    checked(
        duck,
        series,
        Verdict(TRADE_IDS_CONTIGUOUS, DAY, {SYMBOL: 0}, unverifiable={SYMBOL: "no ids"}),
        Verdict(NO_ABSURD_JUMP, DAY, {SYMBOL: 2}, severity="WARN"),
    )
    row = row_of(duck, series)
    counts = (row.checks_passed, row.checks_warned, row.checks_failed, row.checks_unverifiable)
    assert (counts, row.complete) == ((0, 1, 0, 1), False)


def test_each_finished_file_is_told_with_size_and_checksum(duck: Duck, series: Series, made: Made) -> None:
    made(series, recorded, healed=True)
    layout = series.layout
    expected = [
        layout.daily("binance", SYMBOL, DAY),
        layout.minutes("binance", SYMBOL, DAY),
        layout.ticks("binance", SYMBOL, "trades", DAY),
        layout.ticks("binance", SYMBOL, "quotes", DAY),
    ]
    found = row_of(duck, series).files
    assert [layout.base / one.path for one in found] == expected
    assert [(one.bytes, one.sha256) for one in found] == [
        (path.stat().st_size, checksums.of(path)) for path in expected
    ]


def test_minutes_are_held_against_the_candles_that_the_lake_has(
    duck: Duck, series: Series, made: Made
) -> None:
    good = made(series, three_days)
    daily.compact(duck, good, DAY, LATER)
    row = row_of(duck, good)
    assert (row.candle_minutes, row.candle_minutes_equal) == (None, None)

    def wrong(candles: list[Candle]) -> list[Candle]:
        return [
            *candles[:65],
            candles[65]._replace(volume_base="1", volume_quote=candles[65].close),
            *candles[66:-1],
        ]

    backfilled(good, Told(GOOD, wrong))
    row = row_of(duck, good)
    assert (row.candle_minutes, row.candle_minutes_equal) == (1439, 1438)
    assert [one.path for one in row.files][-1] == f"backfill/binance/{SYMBOL}/{DAY}.parquet"


def test_bars_that_do_not_make_up_minutes_equal_no_candle(
    duck: Duck, series: Series, write_config: Callable[..., Path], made: Made
) -> None:
    backfilled(made(series, three_days), Told(GOOD))
    longer = Series(config.load(write_config(transformer={"resample_interval_sec": 90})), "binance", SYMBOL)
    bars.build_day(duck, longer, DAY, LATER)
    daily.compact(duck, longer, DAY, LATER)
    row = row_of(duck, longer)
    assert (row.candle_minutes, row.candle_minutes_equal) == (None, None)


def test_of_healed_files_that_are_gone_the_number_of_trades_is_not_known(
    duck: Duck, series: Series, made: Made
) -> None:
    made(series, recorded, healed=True)
    for path in series.layout.raw_day("binance", SYMBOL, DAY).glob("*_*.jsonl"):
        path.unlink()
    row = row_of(duck, series)
    assert (row.trades, row.trade_ids_missing, row.trades_healed) == (99, 0, None)
    assert row.seconds_listened == WHOLE_DAY


def test_a_day_without_a_daily_file_has_no_row(duck: Duck, series: Series) -> None:
    land(series.config, LINES)
    bars.build_day(duck, series, DAY, LATER)
    assert rows.of_day(duck, [series], DAY, LATER) == []


def test_the_fields_of_a_row_are_the_declared_columns() -> None:
    assert list(Row.__struct_fields__) == schema.names(COVERAGE)


def test_a_file_reads_back_as_the_rows_that_were_written_by_any_tool(
    duck: Duck, series: Series, made: Made
) -> None:
    made(series, recorded, healed=True)
    (row,) = table.make(duck, [series], DAY, LATER)
    path = series.layout.coverage(DAY)
    assert table.understood(path) == [row]
    assert parquet.schema_differences(path, COVERAGE) == []
    (told,) = duck.execute(
        "SELECT symbol, day, trades, book_breaks, len(files), files[1].path, typeof(files) FROM read_parquet(?)",
        [str(path)],
    ).fetchall()
    first = "parquet/binance/SOLUSDT/2025-10-20.parquet"
    kind = "STRUCT(path VARCHAR, bytes BIGINT, sha256 VARCHAR)[]"
    assert told == (SYMBOL, DAY, 99, None, 4, first, kind)


def test_the_rows_of_other_symbols_stay_when_one_is_told_anew(duck: Duck, series: Series, made: Made) -> None:
    made(series, recorded, healed=True)
    (row,) = table.make(duck, [series], DAY, LATER)
    other = msgspec.structs.replace(row, symbol="ADAUSDT")
    table._write(series.layout.coverage(DAY), [other])
    assert table.make(duck, [series], DAY, LATER) == [row]
    assert table.understood(series.layout.coverage(DAY)) == [other, row]


def test_a_file_that_says_the_same_is_not_written_again(duck: Duck, series: Series, made: Made) -> None:
    made(series, recorded, healed=True)
    table.make(duck, [series], DAY, LATER)
    before = series.layout.coverage(DAY).stat()
    table.make(duck, [series], DAY, LATER)
    after = series.layout.coverage(DAY).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("count", [1, 700])
def test_the_page_of_any_number_of_symbols_stays_small_and_names_what_is_in_doubt(
    duck: Duck, series: Series, made: Made, count: int
) -> None:
    row = row_of(duck, made(series, recorded, healed=False))
    days = [date(2025, 10, 1 + n) for n in range(30)]
    some = [
        msgspec.structs.replace(row, symbol=f"S{n:03}USDT", day=day, complete=n != 0)
        for n in range(count)
        for day in days
    ]
    text = page(some)
    assert "3 trades missing" in text
    assert "S000USDT" in text
    assert len(text) < 600_000
