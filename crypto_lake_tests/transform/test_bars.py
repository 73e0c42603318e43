"""Raw lines to bars: exact, and in the right place."""

import tempfile
from bisect import bisect_left
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake import config
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine
from crypto_lake.schema import BAR, names
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests.made import Made
from crypto_lake_tests.plain_bars import plain_bars
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade
from crypto_lake_tests.two_recorders import moved

Duck = duckdb.DuckDBPyConnection


NOON_OF_DAY = START + 12 * HOUR


def read(duck: Duck, series: Series, day: date = DAY, where: str = "true") -> list[dict[str, Any]]:
    """The bars of a day, or those of them that a condition holds for; a whole day's are 86,400 dictionaries."""
    paths = series.layout.bar_files(series.exchange, series.symbol, day)
    cursor = duck.execute(
        "SELECT * REPLACE (epoch_us(window_start) AS window_start) "
        f"FROM {parquet.scan(paths)} WHERE {where} ORDER BY window_start"
    )
    columns = [column[0] for column in cursor.description or []]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def build(duck: Duck, series: Series, now_us: int = LATER) -> bars.Built:
    return bars.build_day(duck, series, DAY, now_us)


def one_trade(duck: Duck, series: Series) -> None:
    """A finished day with one trade."""
    land(series.config, [trade(1, START + HOUR)])
    build(duck, series)


def at(found: list[dict[str, Any]], second: int) -> dict[str, Any]:
    """The bar of a second among bars in order."""
    wanted = START + second * SECOND
    bar = found[bisect_left(found, wanted, key=itemgetter("window_start"))]
    assert bar["window_start"] == wanted
    return bar


# Each example is a lake of its own, made with one DuckDB.
lakes = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def recordings(draw: st.DrawFn) -> list[RawLine]:
    """Some seconds of a market, ids rising with time, delays and clock offsets of any size."""
    skew = draw(st.integers(-3_000_000, 3_000_000))
    lines: list[RawLine] = []
    ts = START + draw(st.integers(5 * SECOND, 62 * SECOND))
    for number in range(draw(st.integers(1, 25))):
        ts += draw(st.integers(0, 1_500_000))
        recv = ts + skew + draw(st.integers(1_000, 400_000))
        cents, units = draw(st.integers(1, 10**9)), draw(st.integers(1, 10**10))
        if draw(st.booleans()):
            side = draw(st.sampled_from(["buy", "sell"]))
            price, qty = f"{cents / 100:.8f}", f"{units // 10**8}.{units % 10**8:08d}"
            lines.append(trade(100 + number, ts, price, qty, side, recv))
        else:
            lines.append(quote(5000 + 3 * number, recv, f"{cents / 100:.8f}", f"{cents / 100 + 0.01:.8f}"))
    return lines


@cache
def every(step: int) -> Config:
    """Settings for bars of so many seconds."""
    exchange = {"name": "binance", "symbols": [SYMBOL], "rest_url": "http://h/", "wss_url": "ws://h/"}
    settings = {"exchanges": [exchange], "transformer": {"resample_interval_sec": step}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yml"
        path.write_bytes(msgspec.yaml.encode({"general": {"base_path": "."}} | settings))
        return config.load(path)


def bars_of(duck: Duck, segments: list[list[RawLine]], step: int = 1) -> list[dict[str, Any]]:
    """The bars of the day's first hour, of a lake that holds just these segments."""
    with tempfile.TemporaryDirectory() as folder:
        series = Series(moved(every(step), Path(folder)), "binance", SYMBOL)
        for lines in segments:
            if lines:
                land(series.config, lines)
        bars.build_day(duck, series, DAY, NOON_OF_DAY)
        return read(duck, series) if series.layout.parts("binance", SYMBOL, DAY) else []


@lakes
@given(lines=recordings())
def test_bars_equal_those_of_plain_decimal_arithmetic(duck: Duck, lines: list[RawLine]) -> None:
    found = bars_of(duck, [lines])
    expected = plain_bars(lines, START, START + len(found) * SECOND)
    assert [{k: v for k, v in bar.items() if k not in {"observed", "symbol"}} for bar in found] == [
        {name: bar[name] for name in names(BAR) if name not in {"observed", "symbol"}} for bar in expected
    ]


@lakes
@given(lines=recordings(), data=st.data())
def test_any_split_order_and_duplication_of_the_lines_gives_the_same_bars(
    duck: Duck, lines: list[RawLine], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(lines), max_size=5))
    shuffled = data.draw(st.permutations([*lines, *again]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(shuffled)), max_size=4)))
    split = [shuffled[a:b] for a, b in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]

    def without_observed(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{k: v for k, v in bar.items() if k != "observed"} for bar in found]

    assert without_observed(bars_of(duck, split)) == without_observed(bars_of(duck, [lines]))


@lakes
@given(lines=recordings())
def test_a_bars_prices_lie_between_its_extremes_and_takers_bought_no_more_than_all(
    duck: Duck,
    lines: list[RawLine],
) -> None:
    for bar in bars_of(duck, [lines]):
        if bar["open"] is not None:
            assert (
                bar["low"] <= min(bar["open"], bar["close"]) <= max(bar["open"], bar["close"]) <= bar["high"]
            )
        assert bar["taker_buy_base"] <= bar["volume_base"]
        assert bar["taker_buy_quote"] <= bar["volume_quote"]


@lakes
@given(lines=recordings(), step=st.sampled_from([5, 60, 3600]))
def test_longer_intervals_hold_what_the_seconds_in_them_hold(
    duck: Duck, lines: list[RawLine], step: int
) -> None:
    counts = ("trade_count", "quote_count")
    seconds, intervals = bars_of(duck, [lines]), bars_of(duck, [lines], step)
    for number, interval in enumerate(intervals):
        inside = seconds[number * step : (number + 1) * step]
        for name in counts:
            assert interval[name] == sum(bar[name] for bar in inside)
        for name in ("volume_base", "volume_quote", "taker_buy_base"):
            assert interval[name] == pytest.approx(sum(bar[name] for bar in inside), rel=1e-12)
        assert interval["last_trade_id"] == max(
            (bar["last_trade_id"] for bar in inside if bar["last_trade_id"] is not None), default=None
        )


def test_a_finished_day_has_a_bar_for_each_of_its_seconds(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + HOUR)])
    assert build(duck, series).rebuilt == list(range(24))
    assert [bar["window_start"] for bar in read(duck, series)] == list(
        range(START, START + 24 * HOUR, SECOND)
    )


def test_parts_have_the_declared_columns_whatever_is_null_in_them(made: Made, series: Series) -> None:
    made(series, one_trade)
    for part in series.layout.parts("binance", SYMBOL, DAY):
        assert parquet.schema_differences(part) == []


def test_a_trade_belongs_to_the_day_it_happened_on_though_received_after_midnight(
    duck: Duck, series: Series
) -> None:
    late = trade(1, START + 24 * HOUR - 1, recv=START + 24 * HOUR + 60_000)
    land(series.config, [late], DAY + timedelta(days=1))
    build(duck, series)
    assert read(duck, series)[-1]["trade_count"] == 1


def test_a_quote_is_placed_by_the_exchanges_clock_though_the_recorders_was_slow(
    duck: Duck, series: Series
) -> None:
    slow = -1_270_000
    lines = [
        trade(1, START + 10 * SECOND, recv=START + 10 * SECOND + slow),
        quote(7, START + 12 * SECOND + slow + 5),
    ]
    land(series.config, lines)
    build(duck, series)
    found = read(duck, series)
    assert (at(found, 11)["quote_count"], at(found, 12)["quote_count"]) == (0, 1)


def test_an_offset_that_the_collector_measured_wins_over_the_symbols_own(duck: Duck, series: Series) -> None:
    lines = [trade(1, START + 10 * SECOND, recv=START + 11 * SECOND), quote(7, START + 12 * SECOND)]
    land(series.config, lines)
    record = journal.ClockOffset(at=START, minute=START, offset_us=0, trades=9)
    JournalWriter(series.layout, "binance").write(record)
    build(duck, series)
    assert at(read(duck, series), 12)["quote_count"] == 1


def test_healed_lines_say_nothing_about_the_clock(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + 10 * SECOND), quote(7, START + 12 * SECOND + 80_000)])
    land(series.config, [trade(2, START + 11 * SECOND, recv=START + 11 * SECOND - HOUR)], kind="heal")
    build(duck, series)
    found = read(duck, series)
    assert (at(found, 12)["quote_count"], at(found, 11)["trade_count"]) == (1, 1)


def test_before_the_first_trade_nothing_is_invented(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + 10 * SECOND)])
    build(duck, series)
    before = at(read(duck, series), 9)
    assert [before[name] for name in ("open", "high", "low", "close", "vwap", "bid", "spread")] == [None] * 7
    assert (before["volume_base"], before["trade_count"], before["observed"]) == (0, 0, False)


def test_close_and_quote_are_carried_over_hours_and_days(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + 10 * SECOND, "5.5"), quote(7, START + 10 * SECOND, "5.4", "5.6")])
    tomorrow = DAY + timedelta(days=1)
    land(series.config, [trade(2, START + 47 * HOUR)], tomorrow)
    build(duck, series)
    bars.build_day(duck, series, tomorrow, LATER)
    noon = read(duck, series, tomorrow)[12 * 3600]
    assert (noon["open"], noon["close"], noon["bid"], noon["ask"], noon["spread"]) == (
        5.5,
        5.5,
        5.4,
        5.6,
        0.2,
    )


def test_seconds_are_observed_where_the_journal_says_that_somebody_listened(
    duck: Duck, series: Series
) -> None:
    lines = [
        trade(1, START + 10 * SECOND, recv=START + 10 * SECOND),
        trade(2, START + 29 * SECOND, recv=START + 29 * SECOND),
    ]
    path = land(series.config, lines)
    listened = [(START + 9_500_000, START + 15 * SECOND), (START + 20 * SECOND, START + 30 * SECOND)]
    JournalWriter(series.layout, "binance").write(sealed(path, lines, listened))
    build(duck, series)
    observed = [(bar["window_start"] - START) // SECOND for bar in read(duck, series, where="observed")]
    assert observed == [*range(10, 15), *range(20, 30)]


def test_files_without_a_hole_between_them_were_listened_to_without_a_break(
    duck: Duck, series: Series
) -> None:
    first, second = START + 10 * SECOND, START + 14 * SECOND
    land(series.config, [trade(1, first), trade(2, first + 1)])
    land(series.config, [trade(3, second), trade(4, second + SECOND)])
    land(series.config, [trade(9, second + 5 * SECOND), trade(10, second + 6 * SECOND)])
    build(duck, series)
    observed = [(bar["window_start"] - START) // SECOND for bar in read(duck, series, where="observed")]
    assert observed == [*range(10, 15), 19]


def test_trades_received_days_away_are_found_through_the_journal_of_their_day(
    duck: Duck, series: Series
) -> None:
    landed = DAY + timedelta(days=300)
    land(series.config, [trade(1, START + HOUR, recv=START + 300 * 24 * HOUR)], landed)
    record = journal.Displaced(at=START, symbol=SYMBOL, landed=landed.isoformat())
    JournalWriter(series.layout, "binance").write(record, DAY)
    build(duck, series)
    assert at(read(duck, series), 3600)["trade_count"] == 1


def test_a_day_in_progress_ends_with_its_last_whole_sealed_second(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + 10 * SECOND), trade(2, START + 12 * SECOND + 400_000)])
    assert build(duck, series, NOON_OF_DAY).rebuilt == [0]
    assert read(duck, series)[-1]["window_start"] == START + 11 * SECOND


def test_a_day_without_any_event_has_no_bars(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + 50 * HOUR)], DAY + timedelta(days=2))
    assert build(duck, series).rebuilt == []


def test_the_interval_is_a_setting(duck: Duck, write_config: Callable[..., Path]) -> None:
    lake = config.load(write_config(transformer={"resample_interval_sec": 300}))
    series = Series(lake, "binance", SYMBOL)
    land(
        lake,
        [
            trade(1, START + 10 * SECOND, "5"),
            trade(2, START + 299 * SECOND, "7"),
            trade(3, START + 300 * SECOND),
        ],
    )
    build(duck, series)
    found = read(duck, series)
    assert (len(found), found[0]["open"], found[0]["close"], found[0]["trade_count"]) == (288, 5.0, 7.0, 2)


def test_a_clock_that_was_set_back_joins_no_stretches_that_lie_apart(duck: Duck, series: Series) -> None:
    fast = [trade(n, START + n * 60 * SECOND, recv=START + HOUR + n * 60 * SECOND) for n in range(1, 6)]
    right = [
        trade(n, START + (30 + n) * 60 * SECOND, recv=START + (30 + n) * 60 * SECOND) for n in range(6, 41)
    ]
    notes = JournalWriter(series.layout, "binance")
    for lines in (fast, right):
        path = land(series.config, lines)
        notes.write(sealed(path, lines, [(lines[0].ts_recv, lines[-1].ts_recv)]))
    build(duck, series)
    found = read(duck, series)
    assert at(found, 200)["observed"]
    assert not at(found, 1000)["observed"]
    assert at(found, 3000)["observed"]


def test_quotes_of_a_symbol_without_trades_go_by_the_offset_that_the_collector_measured(
    duck: Duck, series: Series
) -> None:
    wrong = 3 * HOUR
    lines = [quote(n, START + 10 * HOUR + wrong + n * SECOND) for n in range(1, 60)]
    path = land(series.config, lines)
    notes = JournalWriter(series.layout, "binance")
    notes.write(journal.ClockOffset(at=START, minute=START + 10 * HOUR + wrong, offset_us=wrong, trades=5))
    notes.write(sealed(path, lines, [(lines[0].ts_recv, lines[-1].ts_recv)]))
    build(duck, series)
    found = read(duck, series)
    assert sum(bar["quote_count"] for bar in found[36000:36060]) == 59
    assert at(found, 36030)["observed"]


def test_a_day_in_which_somebody_listened_in_vain_has_its_bars(duck: Duck, series: Series) -> None:
    lines = [trade(1, START + HOUR)]
    silence = sealed(land(series.config, lines), lines, [(START + 2 * HOUR, START + 3 * HOUR)])
    series.layout.segment("binance", SYMBOL, DAY, 1).unlink()
    nothing = dict.fromkeys(("segment", "recv_from", "recv_to", "event_from", "event_to", "offset_us"))
    record = msgspec.structs.replace(silence, lines=0, size=0, **nothing)
    JournalWriter(series.layout, "binance").write(record, DAY)
    assert build(duck, series).rebuilt == list(range(24))
    assert sum(bar["observed"] for bar in read(duck, series)) == 3600


def test_a_file_of_quotes_between_two_of_trades_does_not_break_the_proof(duck: Duck, series: Series) -> None:
    land(series.config, [trade(1, START + 10 * SECOND), quote(1, START + 12 * SECOND)])
    land(series.config, [quote(2, START + 14 * SECOND), quote(3, START + 16 * SECOND)])
    land(series.config, [trade(2, START + 18 * SECOND), trade(3, START + 20 * SECOND)])
    build(duck, series)
    observed = [(bar["window_start"] - START) // SECOND for bar in read(duck, series, where="observed")]
    assert observed == list(range(10, 20))


@pytest.mark.parametrize(
    "name", ["with a space", "Börse-данные", "a[b]c*d" if __import__("os").name != "nt" else "a[b]c"]
)
def test_the_lakes_folder_may_have_any_name(duck: Duck, write_config: Callable[..., Path], name: str) -> None:
    lake = config.load(write_config(general={"base_path": f"./{name}"}))
    land(lake, [trade(1, START + HOUR)])
    series = Series(lake, "binance", SYMBOL)
    build(duck, series)
    assert at(read(duck, series), 3600)["trade_count"] == 1


def test_symbols_are_those_that_were_recorded_not_those_configured_now(lake: Config) -> None:
    lake.layout.raw_day("binance", "OLDUSDT", DAY).mkdir(parents=True)
    assert [series.symbol for series in Series.recorded(lake)] == ["OLDUSDT"]


def test_absurd_trades_do_not_overflow_a_sum(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    """The largest that the exchange's spelling allows; a hundred of them, and an ordinary one in the same second."""
    most = ("9999999999.00000000", "999999999999.00000000")
    lines = [trade(n, START + HOUR, *most) for n in range(1, 101)]
    lines.append(trade(101, START + HOUR, "0.00000001", "0.00000001"))
    land(series.config, lines)
    bars.build_day(duck, series, DAY, LATER)
    rows = duck.execute(
        f"""SELECT volume_base, volume_quote, taker_buy_quote, trade_count
            FROM {parquet.scan(series.layout.bar_files("binance", SYMBOL, DAY))} WHERE trade_count > 0"""
    ).fetchall()
    base = sum(Decimal(line.qty or 0) for line in lines)
    value = sum(Decimal(line.qty or 0) * Decimal(line.price or 0) for line in lines)
    assert rows == [(float(base), float(value), float(value), 101)]
