"""The views: never double, first and last by time, sums exact."""

import random
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crypto_lake import config
from crypto_lake.ask import query, sources, views
from crypto_lake.ask.sources import Sources
from crypto_lake.completeness import candles
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.exchanges.base import Candle
from crypto_lake.layout import MINUTE_US
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, longer, ticks
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, trade

Duck = duckdb.DuckDBPyConnection


def one_trade(duck: Duck, series: Series) -> None:
    """A finished day with one trade."""
    land(series.config, [trade(1, START + HOUR)])
    bars.build_day(duck, series, DAY, LATER)


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


def trades_of_a_day(duck: Duck, series: Series) -> None:
    """Bars of trades all over a day."""
    land(
        series.config, [trade(n, START + n * 37 * SECOND) for n in range(1, 2000)] + [quote(5, START + HOUR)]
    )
    bars.build_day(duck, series, DAY, LATER)


@pytest.mark.parametrize("view", ["bars_1m", "bars_5m", "bars_1h"])
def test_every_interval_adds_up_to_the_same_day(duck: Duck, made: Made, series: Series, view: str) -> None:
    made(series, trades_of_a_day)
    views.create(duck, series.config)
    totals = "SELECT sum(trade_count), sum(quote_count), sum(volume_base), min(low), max(high) FROM"
    assert duck.execute(f"{totals} {view}").fetchall() == duck.execute(f"{totals} bars_1s").fetchall()


def test_a_minute_is_observed_if_each_of_its_seconds_is_there_and_was(duck: Duck, series: Series) -> None:
    land(series.config, [trade(n, START + n * SECOND) for n in range(1, 150)])
    bars.build_day(duck, series, DAY, START + 12 * HOUR)
    views.create(duck, series.config)
    found = duck.execute("SELECT observed FROM bars_1m ORDER BY window_start").fetchall()
    assert found == [(False,), (True,), (False,)]


def test_a_minute_that_is_not_made_of_whole_bars_is_not_observed_whole(
    duck: Duck, write_config: Callable[..., Path]
) -> None:
    lake = config.load(write_config(transformer={"resample_interval_sec": 40}))
    land(lake, [trade(n, START + n * SECOND) for n in range(1, 400)])
    bars.build_day(duck, Series(lake, "binance", SYMBOL), DAY, START + 12 * HOUR)
    views.create(duck, lake)
    assert duck.execute("FROM history_1m").fetchall() == []


def test_the_database_file_opens_in_any_client(made: Made, series: Series) -> None:
    made(series, one_trade)
    assert answer(views.save(series.config), "SELECT sum(trade_count) FROM bars_5m") == [(1,)]


def answer(database: Path, question: str) -> list[tuple[Any, ...]]:
    """What any client is told that opens the file."""
    with duckdb.connect(str(database), read_only=True) as client:
        return client.execute(question).fetchall()


@pytest.mark.parametrize("name", ["elsewhere", "a folder [of] é*"])
def test_the_database_file_stays_right_when_the_lake_is_moved(
    made: Made, series: Series, tmp_path: Path, name: str
) -> None:
    made(series, one_trade)
    views.save(series.config)
    moved = series.layout.base.rename(tmp_path / name.replace("*", "" if sys.platform == "win32" else "*"))
    assert answer(moved / "lake.duckdb", "SELECT sum(trade_count) FROM bars_5m") == [(1,)]


def test_the_database_file_answers_from_another_folder_and_where_it_is_attached(
    made: Made, series: Series, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(series, one_trade)
    path = views.save(series.config)
    with duckdb.connect() as client:
        client.execute(f"ATTACH '{path}' AS the_lake (READ_ONLY)")
        assert client.execute("SELECT sum(trade_count) FROM the_lake.bars_5m").fetchall() == [(1,)]
    monkeypatch.chdir(path.parent)
    assert answer(Path("lake.duckdb"), "SELECT sum(trade_count) FROM bars_5m") == [(1,)]


@pytest.mark.parametrize(
    ("folder", "shown"),
    [
        ("D:\\Crypto Data é\\", "D:\\Crypto Data é\\"),
        ("\\\\nas\\lakes\\", "\\\\nas\\lakes\\"),
        ("", ""),
        ("my_", None),
        ("/srv/what?/[1]*/", "/srv/what[?]/[[]1][*]/"),
    ],
)
def test_the_folder_is_that_of_the_open_database_on_every_system(
    duck: Duck, lake: Config, folder: str, shown: str | None
) -> None:
    views.create(duck, lake)
    duck.execute(f"SET temp_directory = '{folder}lake.duckdb.tmp'")
    expected = f"{lake.layout.base.as_posix()}/" if shown is None else shown
    assert duck.execute("SELECT lake_folder()").fetchall() == [(expected,)]


def test_older_clients_can_open_the_database_file(lake: Config) -> None:
    path = views.save(lake)
    found = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'lake'"
    assert answer(path, found) == [("v1.0.0+",)]


def candle(minute: int, close: float) -> Candle:
    """The exchange's candle of a minute of the day, with one trade."""
    begin, price = START + minute * MINUTE_US, str(close)
    return Candle(begin, price, price, price, price, "1", begin + MINUTE_US - 1, price, 1, "0", "0")


def test_history_is_live_where_a_minute_was_observed_whole_and_else_the_candle(
    duck: Duck, series: Series
) -> None:
    land(series.config, [trade(n, START + n * SECOND, "5") for n in range(1, 150)])
    bars.build_day(duck, series, DAY, START + 12 * HOUR)
    found = candles.table(SYMBOL, [candle(minute, 7) for minute in (0, 1, 60)])
    parquet.write_table(found, series.layout.candles("binance", SYMBOL, DAY), "snappy", footer={})
    views.create(duck, series.config)
    rows = duck.execute(
        "SELECT epoch_us(window_start), close, source FROM history_1m ORDER BY window_start"
    ).fetchall()
    assert rows == [
        (START, 7.0, "backfill"),
        (START + MINUTE_US, 5.0, "live"),
        (START + HOUR, 7.0, "backfill"),
    ]


def test_a_day_that_is_compacted_after_the_folders_were_listed_is_not_missed(
    duck: Duck,
    made: Made,
    series: Series,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made(series, one_trade)
    listed = sources.of_all_days

    def compacted_afterwards(config: Config) -> Sources:
        found = listed(config)
        daily.compact(duck, series, DAY, LATER)
        return found

    monkeypatch.setattr(sources, "of_all_days", compacted_afterwards)
    query.ask(series.config, "SELECT count(*) AS n FROM bars_1s")
    said = capsys.readouterr()
    assert "86400" in said.out
    assert not said.err


def test_a_file_that_is_no_parquet_does_not_silence_the_others(
    made: Made, series: Series, capsys: pytest.CaptureFixture[str]
) -> None:
    made(series, one_trade)
    part = series.layout.part("binance", SYMBOL, DAY, 5)
    part.write_bytes(b"")
    query.ask(series.config, "SELECT count(*) AS n, sum(trade_count) AS trades FROM bars_1s")
    said = capsys.readouterr()
    assert re.search(rf"{23 * 3600} .* 1 ", said.out)
    assert said.err == f"warning: {part}: not a readable Parquet file; left out\n"


DECIMALS = st.integers(min_value=0, max_value=8)


@st.composite
def fine_trades(draw: st.DrawFn) -> list[tuple[Decimal, Decimal]]:
    """(price, quantity) of one second each, whose product has at most 15 digits."""
    price_scale, qty_scale = draw(DECIMALS), draw(DECIMALS)
    most = 10**15 - 1
    found = []
    for price in draw(st.lists(st.integers(min_value=1, max_value=10**10), min_size=1, max_size=60)):
        qty = draw(st.integers(min_value=1, max_value=most // price))
        found.append((Decimal(price).scaleb(-price_scale), Decimal(qty).scaleb(-qty_scale)))
    return found


@given(some=fine_trades())
@example(some=[(Decimal("1e-8"), Decimal("1e-8"))] * 2)
@example(some=[(Decimal("0.00000003"), Decimal("70.12345679"))] * 3)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_volumes_are_exact_however_fine_price_and_quantity(
    exact: Duck, some: list[tuple[Decimal, Decimal]]
) -> None:
    values = [price * qty for price, qty in some]
    assert sum_of(exact, [float(value) for value in values]) == float(sum(values))


@given(values=st.lists(st.integers(min_value=1, max_value=10**10 * 10**12), min_size=1, max_size=60))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_sum_of_absurd_volumes_does_not_overflow(exact: Duck, values: list[int]) -> None:
    assert sum_of(exact, [float(value) for value in values]) == float(
        sum(Decimal(repr(float(value))) for value in values)
    )


@pytest.fixture
def exact(duck: Duck) -> Duck:
    longer.add_exactly(duck)
    return duck


def sum_of(exact: Duck, seconds: list[float]) -> float:
    ((found,),) = exact.execute(
        "SELECT exact_sum(volume) FROM (SELECT unnest($seconds::DOUBLE[]) AS volume)",
        {"seconds": seconds},
    ).fetchall()
    return float(found)


def test_bars_of_a_fine_priced_symbol_are_exact(duck: Duck, series: Series) -> None:
    seeded = random.Random(7)
    lines = [
        trade(
            n, START + n * 700_000, f"0.0000{seeded.randint(1, 9999):04d}", f"{seeded.randint(1, 10**7)}.1234"
        )
        for n in range(1, 400)
    ]
    land(series.config, lines)
    bars.build_day(duck, series, DAY, LATER)
    views.create(duck, series.config)
    value = sum(Decimal(line.qty or 0) * Decimal(line.price or 0) for line in lines)
    minutes: dict[int, Decimal] = {}
    for line in lines:
        minute = ((line.ts_event or 0) - START) // MINUTE_US
        minutes[minute] = minutes.get(minute, Decimal(0)) + Decimal(line.qty or 0) * Decimal(line.price or 0)
    found = duck.execute(
        "SELECT volume_quote FROM bars_1m WHERE trade_count > 0 ORDER BY window_start"
    ).fetchall()
    assert found == [(float(one),) for _, one in sorted(minutes.items())]
    assert duck.execute("SELECT volume_quote FROM bars_1d").fetchall() == [(float(value),)]


def fine_prices_and_dust(duck: Duck, series: Series) -> None:
    """Minutes of one trade each: their vwap is a quotient of rounded numbers, or of dust that was rounded away."""
    seeded = random.Random(9)
    lines = [
        trade(
            n, START + n * 61 * SECOND, f"{seeded.randint(1, 30)}.{n:08d}", f"0.{seeded.randint(1, 9999):08d}"
        )
        for n in range(1, 800)
    ]
    lines.append(trade(900, START + 20 * HOUR, "0.00000001", "0.00000001"))
    land(series.config, lines)
    bars.build_day(duck, series, DAY, LATER)


@pytest.mark.parametrize("view", ["bars_1s", "bars_1m", "bars_1d"])
def test_a_vwap_never_leaves_the_range_of_prices(duck: Duck, made: Made, series: Series, view: str) -> None:
    """A quotient of rounded numbers may by its last bit, and one of dust by all of it."""
    made(series, fine_prices_and_dust)
    views.create(duck, series.config)
    traded, outside = duck.execute(
        f"SELECT count(vwap), count(*) FILTER (vwap < low OR vwap > high) FROM {view} WHERE trade_count > 0"
    ).fetchall()[0]
    assert traded > 0
    assert outside == 0
    assert duck.execute(f"SELECT count(vwap) FROM {view} WHERE trade_count = 0").fetchall() == [(0,)]
