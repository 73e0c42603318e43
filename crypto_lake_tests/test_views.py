"""The views: never double, first and last by time, sums exact."""

import random
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from crypto_lake import bars, daily, query, ticks, views
from crypto_lake.bars import Series
from crypto_lake.config import Config
from crypto_lake.errors import LakeError
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, trade

Duck = duckdb.DuckDBPyConnection


def test_ticks_of_finished_days_are_views_of_their_own(
    duck: duckdb.DuckDBPyConnection, series: Series
) -> None:
    land(series.config, [trade(7, START + HOUR, "190.12000001"), quote(9, START + HOUR)])
    ticks.make(duck, series, DAY, LATER)
    views.create(duck, series.config)
    assert duck.execute("SELECT symbol, id, price::VARCHAR, side FROM trades").fetchall() == [
        ("SOLUSDT", 7, "190.12000001", "buy")
    ]
    assert duck.execute("SELECT id, ask::VARCHAR FROM quotes").fetchall() == [(9, "190.12000000")]


def test_an_empty_lake_has_all_views_and_no_rows(duck: Duck, lake: Config) -> None:
    views.create(duck, lake)
    assert [duck.execute(f"SELECT count(*) FROM {name}").fetchall() for name in views.NAMES] == [
        [(0,)]
    ] * len(views.NAMES)


def test_daily_files_and_parts_are_one_series_without_a_row_twice(duck: Duck, series: Series) -> None:
    tomorrow = DAY + timedelta(days=1)
    land(series.config, [trade(1, START + HOUR)])
    land(series.config, [trade(2, START + 25 * HOUR)], tomorrow)
    for day in (DAY, tomorrow):
        bars.build_day(duck, series, day, LATER)
    part = series.layout.part("binance", SYMBOL, DAY, 1)
    content = part.read_bytes()
    daily.compact(duck, series, DAY, LATER)
    part.parent.mkdir(parents=True)
    part.write_bytes(content)
    views.create(duck, series.config)
    assert duck.execute(
        "SELECT count(*), count(DISTINCT window_start), sum(trade_count) FROM bars_1s"
    ).fetchall() == [(2 * 86400, 2 * 86400, 2)]


def test_open_and_close_are_the_first_and_last_by_time(duck: Duck, series: Series) -> None:
    prices = ["3", "9", "1", "4"]
    lines = [trade(n, START + (600 + 13 * n) * SECOND, price) for n, price in enumerate(prices, start=1)]
    land(series.config, lines)
    bars.build_day(duck, series, DAY, LATER)
    views.create(duck, series.config)
    found = duck.execute("SELECT open, high, low, close FROM bars_1m WHERE trade_count > 0").fetchall()
    assert found == [(3.0, 9.0, 1.0, 4.0)]


def test_an_interval_without_trades_is_flat_at_the_close_before(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + HOUR, "5"), trade(2, START + 2 * HOUR, "7")])
    bars.build_day(duck, series, DAY, LATER)
    views.create(duck, series.config)
    found = duck.execute(
        f"""SELECT open, high, low, close, volume_base, vwap, trade_count FROM bars_1m
            WHERE epoch_us(window_start) = {START + HOUR + 600 * SECOND}"""
    ).fetchall()
    assert found == [(5.0, 5.0, 5.0, 5.0, 0.0, None, 0)]


def test_volumes_of_longer_intervals_are_exact(duck: Duck, series: Series) -> None:
    seeded = random.Random(5)
    lines = [
        trade(
            n,
            START + n * 700_000,
            f"{seeded.randint(1, 10**7) / 100:.8f}",
            f"{seeded.randint(1, 10**8) / 10**5:.8f}",
        )
        for n in range(1, 400)
    ]
    land(series.config, lines)
    bars.build_day(duck, series, DAY, LATER)
    views.create(duck, series.config)
    base = sum(Decimal(line.qty or 0) for line in lines)
    value = sum(Decimal(line.qty or 0) * Decimal(line.price or 0) for line in lines)
    found = duck.execute("SELECT volume_base, volume_quote, vwap FROM bars_1d").fetchall()
    assert found == [(float(base), float(value), float(value) / float(base))]


@pytest.mark.parametrize("view", ["bars_1m", "bars_5m", "bars_1h"])
def test_every_interval_adds_up_to_the_same_day(duck: Duck, series: Series, view: str) -> None:
    land(
        series.config, [trade(n, START + n * 37 * SECOND) for n in range(1, 2000)] + [quote(5, START + HOUR)]
    )
    bars.build_day(duck, series, DAY, LATER)
    views.create(duck, series.config)
    totals = "SELECT sum(trade_count), sum(quote_count), sum(volume_base), min(low), max(high) FROM"
    assert duck.execute(f"{totals} {view}").fetchall() == duck.execute(f"{totals} bars_1s").fetchall()


def test_a_minute_is_observed_if_each_of_its_seconds_is_there_and_was(duck: Duck, series: Series) -> None:
    land(series.config, [trade(n, START + n * SECOND) for n in range(1, 150)])
    bars.build_day(duck, series, DAY, START + 12 * HOUR)
    views.create(duck, series.config)
    found = duck.execute("SELECT observed FROM bars_1m ORDER BY window_start").fetchall()
    assert found == [(False,), (True,), (False,)]


def test_the_database_file_opens_in_any_client(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    with duckdb.connect(str(views.save(series.config)), read_only=True) as client:
        assert client.execute("SELECT sum(trade_count) FROM bars_5m").fetchall() == [(1,)]


def test_a_question_is_answered_though_a_compaction_came_in_between(
    duck: Duck, series: Series, capsys: pytest.CaptureFixture[str]
) -> None:
    land(series.config, [trade(1, START + HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    connection = query.connect(series.config)
    daily.compact(duck, series, DAY, LATER)
    query.show(connection, series.config, "SELECT count(*) AS n FROM bars_1s")
    assert "86400" in capsys.readouterr().out


def test_a_mistake_in_a_question_is_said(lake: Config) -> None:
    with pytest.raises(LakeError, match="bars_2s"):
        query.show(query.connect(lake), lake, "FROM bars_2s")


def test_the_shell_answers_goes_on_after_a_mistake_and_ends_with_the_input(
    lake: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    typed = iter(["selec 1;", "SELECT 40", "+ 2 AS n;", ".views"])

    def ask(_: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", ask)
    query.shell(lake)
    said = capsys.readouterr()
    assert "42" in said.out
    assert "bars_1m" in said.out
    assert "selec" in said.err


def test_a_file_that_is_no_parquet_does_not_silence_the_others(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    series.layout.part("binance", SYMBOL, DAY, 5).write_bytes(b"")
    views.create(duck, series.config)
    assert duck.execute("SELECT count(*), sum(trade_count) FROM bars_1s").fetchall() == [(23 * 3600, 1)]
