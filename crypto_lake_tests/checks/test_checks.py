"""Each check passes on a good day and names the offending rows of a bad one."""

import asyncio
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake import checks
from crypto_lake.checks import Check, Means, Verdict, on_raw
from crypto_lake.checks.reference import NINE, ExchangeCandles
from crypto_lake.checks.subject import Subject
from crypto_lake.completeness import backfill
from crypto_lake.config import Config, Exchange, General, load
from crypto_lake.disk import parquet
from crypto_lake.errors import ExchangeError, LakeError
from crypto_lake.exchanges.base import Candle, Usage
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.raw import journal
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection
MINUTE = 60 * SECOND
EVERY = [(asset, check) for asset, some in checks.ON.items() for check in some]
ONCE = pytest.mark.parametrize(("asset", "check"), EVERY, ids=lambda x: x if isinstance(x, str) else x.name)


class Told:
    """An exchange whose candles are those of some lines, in plain decimal arithmetic; or one that is away."""

    candles_at_once = 1440

    def __init__(self, lines: list[RawLine], change: Callable[[list[Candle]], list[Candle]] = list) -> None:
        self.lines = lines
        self.change = change
        self.asked = 0

    @property
    def usage(self) -> Usage:
        return Usage(self.asked, 2 * self.asked)

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        return frozenset(symbols)

    async def candles_1m(self, _symbol: str, start_us: int, end_us: int) -> list[Candle]:
        self.asked += 1
        return self.change(candles_of(self.lines, start_us, end_us))

    async def aclose(self) -> None:
        pass


def candles_of(lines: list[RawLine], start: int, end: int) -> list[Candle]:
    """The candles that the exchange would make of all its trades, from the minute of the first on."""
    trades = sorted((line for line in lines if line.ts_event is not None), key=lambda line: line.id)
    candles: list[Candle] = []
    close: str | None = None
    for minute in range(min(start, trades[0].ts_event or 0) // MINUTE * MINUTE, end, MINUTE):
        inside = [t for t in trades if minute <= (t.ts_event or 0) < minute + MINUTE]
        prices = [t.price or "0" for t in inside]
        close = prices[-1] if prices else close
        if close is None or minute < start:
            continue
        base = [Decimal(t.qty or 0) for t in inside]
        quote = [Decimal(t.price or 0) * Decimal(t.qty or 0) for t in inside]
        bought = [t.side == "buy" for t in inside]
        candles.append(
            Candle(
                minute,
                prices[0] if prices else close,
                max(prices, key=Decimal) if prices else close,
                min(prices, key=Decimal) if prices else close,
                close,
                str(sum(base)),
                minute + MINUTE - 1,
                str(sum(quote)),
                len(inside),
                str(sum(q for q, b in zip(base, bought, strict=True) if b)),
                str(sum(q for q, b in zip(quote, bought, strict=True) if b)),
            )
        )
    return candles


class Away(Told):
    async def candles_1m(self, *_: object) -> list[Candle]:
        self.asked += 1
        raise ExchangeError("http://127.0.0.1:1: no answer")


def run(
    check: Check,
    duck: Duck,
    series: Series,
    now_us: int = LATER,
    asset: str = "bars_1s",
    exchange: Told | None = None,
) -> Verdict:
    with ExchangeCandles(lambda *_: exchange or Told(GOOD)) as reference:
        return checks.run(check, asset, [series], DAY, Means(duck, reference, now_us))


# A trade an hour, at other prices each, since the evening before, and a quote every ten minutes.
GOOD = [
    trade(n + 3, START + n * HOUR + 7 * SECOND, price=f"{190 + n % 5}.12", side=("buy", "sell")[n % 2])
    for n in range(-2, 25)
]
QUOTES = [quote(n, START + n * 10 * MINUTE) for n in range(1, 144)]


def landed(duck: Duck, series: Series, lines: list[RawLine], day: date = DAY, now_us: int = LATER) -> None:
    """A day that was listened to as a whole, and its bars."""
    start = day_start_us(day)
    mine = [line for line in lines if start <= (line.ts_event or line.ts_recv) < start + DAY_US]
    path = land(series.config, mine, day)
    record = sealed(path, mine, [(start, start + DAY_US)])
    journal.Journal(series.layout, "binance").write(record, day)
    bars.build_day(duck, series, day, now_us)


def three_days(duck: Duck, series: Series) -> None:
    """Three days without fault, of which the middle one is looked at."""
    for day in (DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)):
        landed(duck, series, [*GOOD, *QUOTES], day)


def compacted(duck: Duck, series: Series) -> None:
    """The three days, the middle one in a daily file and ticks."""
    three_days(duck, series)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)


@pytest.fixture
def good(made: Made, series: Series) -> Series:
    """The three days, to spoil."""
    return made(series, three_days)


def backfilled(series: Series, exchange: Told) -> None:
    """The candles of the day in a file of the lake."""
    asyncio.run(backfill.backfill_day(exchange, series.config, "binance", SYMBOL, DAY, LATER))


@ONCE
def test_a_good_day_passes(duck: Duck, good: Series, asset: str, check: Check) -> None:
    backfilled(good, Told(GOOD))
    verdict = run(check, duck, good, asset=asset)
    assert (verdict.rows, verdict.outcome) == ({}, "passed")
    assert verdict.counts == ({} if asset in {"daily_bars", "ticks"} else {SYMBOL: 0})


@ONCE
def test_a_good_day_passes_when_compacted(
    duck: Duck, made: Made, series: Series, asset: str, check: Check
) -> None:
    verdict = run(check, duck, made(series, compacted), asset=asset)
    assert (verdict.rows, verdict.outcome) == ({}, "passed")
    assert verdict.counts == ({} if asset == "candles_1m" else {SYMBOL: 0})


@ONCE
def test_a_day_without_files_has_nothing_to_offend(
    duck: Duck, series: Series, asset: str, check: Check
) -> None:
    assert run(check, duck, series, asset=asset).counts == {}


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


def holes(duck: Duck, series: Series, ids: list[int], spacing: int) -> list[tuple[int, ...]]:
    """Land trades of these ids, so far apart; the holes that are then told."""
    land(series.config, [trade(n, START + HOUR + k * spacing) for k, n in enumerate(ids)])
    bars.build_day(duck, series, DAY, LATER)
    rows = run(checks.TRADE_IDS_CONTIGUOUS, duck, series, asset="raw_segments").rows.get(SYMBOL, [])
    return [(row["first_id"], row["last_id"], row["trades_missing"]) for row in rows]


def test_a_hole_between_two_seconds_is_told_by_its_ids(duck: Duck, series: Series) -> None:
    assert holes(duck, series, [1, 2, 8], HOUR) == [(3, 7, 5)]


def test_holes_inside_one_second_are_told_by_their_ids(duck: Duck, series: Series) -> None:
    assert holes(duck, series, [1, 2, 5, 6, 9, 20], 1) == [(3, 4, 2), (7, 8, 2), (10, 19, 10)]


def test_a_hole_inside_a_second_whose_raw_lines_are_gone_is_told_by_the_seconds_ends(
    duck: Duck, series: Series
) -> None:
    holes(duck, series, [1, 3, 5], 1)
    for path in series.layout.raw_day("binance", SYMBOL, DAY).iterdir():
        path.unlink()
    verdict = run(checks.TRADE_IDS_CONTIGUOUS, duck, series, asset="raw_segments")
    (row,) = verdict.rows[SYMBOL]
    assert (row["first_id"], row["last_id"], row["trades_missing"]) == (2, 4, 2)


def test_a_hole_between_two_days_is_told_by_its_ids(duck: Duck, series: Series) -> None:
    yesterday = DAY - timedelta(days=1)
    land(series.config, [trade(1, START - HOUR)], yesterday)
    bars.build_day(duck, series, yesterday, LATER)
    assert holes(duck, series, [4], 1) == [(2, 3, 2)]


def test_trades_before_midnight_whose_bars_are_yet_to_be_made_are_not_missing(
    duck: Duck, series: Series
) -> None:
    yesterday = DAY - timedelta(days=1)
    land(series.config, [trade(1, START - HOUR)], yesterday)
    bars.build_day(duck, series, yesterday, LATER)
    land(series.config, [trade(2, START - 60 * SECOND)], yesterday)
    assert holes(duck, series, [4], 1) == []
    bars.build_day(duck, series, yesterday, LATER)
    verdict = run(checks.TRADE_IDS_CONTIGUOUS, duck, series, asset="raw_segments")
    assert [row["first_id"] for row in verdict.rows[SYMBOL]] == [3]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=st.sets(st.integers(1, 60), min_size=1),
    spacing=st.sampled_from([1, SECOND // 4, 7 * SECOND]),
)
def test_the_holes_told_are_exactly_the_ids_that_are_missing(kept: set[int], spacing: int) -> None:
    with tempfile.TemporaryDirectory() as folder, parquet.connect() as duck:
        exchange = Exchange("binance", [SYMBOL], "http://h", "ws://h")
        config = Config(exchanges=[exchange], general=General(base_path=folder))
        series = Series(config, "binance", SYMBOL)
        land(config, [*(trade(n, START + n * spacing) for n in sorted(kept)), quote(1, START + 500 * SECOND)])
        bars.build_day(duck, series, DAY, START + 20 * HOUR)
        subject = Subject(duck, series, DAY, LATER, checks.files_of("", series, DAY), ExchangeCandles())
        told = [
            n for row in on_raw.missing_trades(subject) for n in range(row["first_id"], row["last_id"] + 1)
        ]
    assert told == sorted(set(range(min(kept), max(kept))) - kept)


def listened(duck: Duck, series: Series, stretches: list[tuple[int, int]]) -> Verdict:
    """The downtime of a day with so much listening."""
    lines = [trade(n, START + n * HOUR, recv=START + n * HOUR) for n in range(1, 24)]
    path = land(series.config, lines)
    journal.Journal(series.layout, "binance").write(sealed(path, lines, stretches))
    bars.build_day(duck, series, DAY, LATER)
    return run(checks.STREAM_DOWNTIME, duck, series, asset="raw_segments")


def test_downtime_above_the_tolerated_share_is_named_longest_first(duck: Duck, series: Series) -> None:
    stretches = [(START + HOUR, START + 2 * HOUR), (START + 2 * HOUR + 60 * SECOND, START + 20 * HOUR)]
    verdict = listened(duck, series, stretches)
    assert [row["seconds"] for row in verdict.rows[SYMBOL]] == [4 * 3600, 60]
    assert verdict.outcome == "warning"


def test_downtime_below_the_tolerated_share_passes(duck: Duck, series: Series) -> None:
    stretches = [(START + HOUR, START + 2 * HOUR), (START + 2 * HOUR + 60 * SECOND, START + 24 * HOUR)]
    assert listened(duck, series, stretches).passed


def test_a_day_whose_raw_files_are_gone_tells_no_downtime(duck: Duck, good: Series) -> None:
    for path in good.layout.raw_day("binance", SYMBOL, DAY).iterdir():
        path.unlink()
    assert run(checks.STREAM_DOWNTIME, duck, good, asset="raw_segments").passed


def quoted(duck: Duck, series: Series, quotes: list[RawLine]) -> Verdict:
    landed(duck, series, [*GOOD, *quotes])
    return run(checks.QUOTES_FRESH, duck, series, asset="raw_segments")


def test_quotes_that_stay_away_for_long_warn_with_the_stretch(duck: Duck, series: Series) -> None:
    verdict = quoted(duck, series, QUOTES[:60] + QUOTES[66:])
    (row,) = verdict.rows[SYMBOL]
    assert (verdict.outcome, row["seconds"] // 60) == ("warning", 69)


def test_trades_without_any_quote_warn_however_short_the_recording(duck: Duck, series: Series) -> None:
    lines = [trade(1, START + HOUR), trade(2, START + HOUR + 10 * SECOND)]
    path = land(series.config, lines)
    record = sealed(path, lines, [(START + HOUR, START + HOUR + 20 * SECOND)])
    journal.Journal(series.layout, "binance").write(record)
    bars.build_day(duck, series, DAY, LATER)
    assert not run(checks.QUOTES_FRESH, duck, series, asset="raw_segments").passed


def clocked(duck: Duck, series: Series, offsets: list[int]) -> Verdict:
    """The day with these clock offsets, in ms, minute by minute."""
    for n, offset in enumerate(offsets):
        record = journal.ClockOffset(
            at=START + n * MINUTE + 1, minute=START + n * MINUTE, offset_us=offset * 1000, trades=9
        )
        journal.Journal(series.layout, "binance").write(record)
    return run(checks.CLOCK_OFFSET, duck, series, asset="raw_segments")


@pytest.mark.parametrize(
    ("offsets", "offending"),
    [([80, 90, -20], 0), ([-2500] * 3, 3), ([80, 90, 1500, 85], 1)],
    ids=["right", "off", "drifted"],
)
def test_a_clock_that_is_off_or_drifts_warns_by_the_minute(
    duck: Duck, good: Series, offsets: list[int], offending: int
) -> None:
    assert clocked(duck, good, offsets).counts == {SYMBOL: offending}


def compared(duck: Duck, series: Series, exchange: Told) -> Verdict:
    """The daily file of the day held against an exchange."""
    daily.compact(duck, series, DAY, LATER)
    return run(checks.EQUALS_EXCHANGE_CANDLES, duck, series, asset="daily_bars", exchange=exchange)


@pytest.mark.parametrize("name", NINE)
def test_any_of_the_nine_columns_that_differs_on_a_complete_day_fails(
    duck: Duck, good: Series, name: str
) -> None:
    def lie(candles: list[Candle]) -> list[Candle]:
        value = getattr(candles[65], name)
        other = value + 1 if name == "trade_count" else str(math.nextafter(float(value), 1e9))
        changed = Candle(**candles[65]._asdict() | {name: other})
        return [*candles[:65], changed, *candles[66:]]

    verdict = compared(duck, good, Told(GOOD, lie))
    (row,) = verdict.rows[SYMBOL]
    assert verdict.outcome == "failed"
    assert str(row["minute"]) == "2025-10-20 01:05:00+00:00"
    assert row["difference"].startswith(f"{name} ")


def without(*ids: int) -> list[RawLine]:
    return [line for line in GOOD if line.id not in ids]


def day_before(duck: Duck, series: Series) -> None:
    landed(duck, series, [*GOOD, *QUOTES], DAY - timedelta(days=1))


@pytest.fixture
def incomplete(made: Made, duck: Duck, series: Series) -> Callable[..., Series]:
    """Three days, of which the middle one lacks some trades and the last has just begun."""

    def lacking(*ids: int) -> Series:
        made(series, day_before)
        landed(duck, series, [*without(*ids), *QUOTES])
        landed(duck, series, [*GOOD, *QUOTES], DAY + timedelta(days=1), START + 25 * HOUR)
        return series

    return lacking


def test_minutes_touched_by_a_hole_in_the_ids_warn_with_the_reason(
    duck: Duck, incomplete: Callable[..., Series]
) -> None:
    verdict = compared(duck, incomplete(9), Told(GOOD))
    (row,) = verdict.rows[SYMBOL]
    assert (verdict.outcome, row["reason"], row["minutes"]) == ("warning", "trade ids are missing", 60)


def test_a_difference_outside_the_hole_fails_all_the_same(
    duck: Duck, incomplete: Callable[..., Series]
) -> None:
    def lie(candles: list[Candle]) -> list[Candle]:
        return [*candles[:-5], candles[-5]._replace(high="999"), *candles[-4:]]

    verdict = compared(duck, incomplete(9), Told(GOOD, lie))
    assert (verdict.outcome, verdict.counts) == ("failed", {SYMBOL: 2})


@pytest.mark.parametrize("lost", [3, 26], ids=["first", "last"])
def test_a_hole_at_an_end_of_the_day_warns(duck: Duck, incomplete: Callable[..., Series], lost: int) -> None:
    assert compared(duck, incomplete(lost), Told(GOOD)).outcome == "warning"


def test_a_hole_at_the_end_of_the_recording_that_only_the_journal_knows_of_warns(
    duck: Duck, series: Series
) -> None:
    landed(duck, series, [*without(25, 26), *QUOTES])
    ends = (START + 21 * HOUR, START + 23 * HOUR + 7 * SECOND)
    gap = journal.Gap(
        at=ends[1], symbol=SYMBOL, first_id=25, last_id=26, event_from=ends[0], event_to=ends[1]
    )
    journal.Journal(series.layout, "binance").write(gap)
    verdict = compared(duck, series, Told(GOOD))
    assert verdict.outcome == "warning"
    assert "trade ids are missing" in {row["reason"] for row in verdict.rows[SYMBOL]}


def test_what_came_before_the_very_first_recording_warns_with_the_reason(duck: Duck, series: Series) -> None:
    landed(duck, series, [line for line in GOOD if line.id > 10])
    verdict = compared(duck, series, Told(GOOD))
    assert verdict.outcome == "warning"
    assert {row["reason"] for row in verdict.rows[SYMBOL]} == {"no trade is known before"}


def test_what_was_healed_is_compared_though_nobody_listened(duck: Duck, series: Series) -> None:
    for day in (DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)):
        start = day_start_us(day)
        mine = [line for line in GOOD if start <= (line.ts_event or 0) < start + DAY_US]
        land(series.config, mine, day, kind="heal")
        bars.build_day(duck, series, day, LATER)
    assert compared(duck, series, Told(GOOD)).passed

    def lie(candles: list[Candle]) -> list[Candle]:
        return [*candles[:-5], candles[-5]._replace(high="999"), *candles[-4:]]

    assert compared(duck, series, Told(GOOD, lie)).outcome == "failed"


def test_minutes_in_which_the_exchange_was_halted_are_no_difference(duck: Duck, good: Series) -> None:
    def halted(candles: list[Candle]) -> list[Candle]:
        short = candles[100]._replace(close_time=candles[100].open_time + 41 * SECOND)
        return [*candles[:100], short, *candles[111:]]

    assert compared(duck, good, Told(GOOD, halted)).passed


def test_trades_in_a_minute_without_a_candle_fail(duck: Duck, good: Series) -> None:
    verdict = compared(duck, good, Told(GOOD, lambda candles: candles[:60] + candles[61:]))
    assert verdict.outcome == "failed"
    assert verdict.rows[SYMBOL][0]["difference"] == "1 trades, the exchange has no candle"


def test_an_exchange_that_is_away_warns_and_is_asked_once(duck: Duck, good: Series) -> None:
    daily.compact(duck, good, DAY, LATER)
    exchange = Away([])
    with ExchangeCandles(lambda *_: exchange) as reference:
        for _ in range(3):
            means = Means(duck, reference, LATER)
            verdict = checks.run(checks.EQUALS_EXCHANGE_CANDLES, "daily_bars", [good], DAY, means)
    assert (verdict.outcome, exchange.asked) == ("warning", 1)
    assert "no answer" in verdict.rows[SYMBOL][0]["reason"]


def test_candles_in_the_lake_are_compared_with_without_asking(duck: Duck, good: Series) -> None:
    backfilled(good, Told(GOOD))
    exchange = Away([])
    assert compared(duck, good, exchange).passed
    assert not exchange.asked


def test_a_backfilled_candle_that_differs_from_the_recorded_minute_warns(duck: Duck, good: Series) -> None:
    backfilled(
        good,
        Told(
            GOOD,
            lambda c: [*c[:65], c[65]._replace(volume_base="1", volume_quote=c[65].close), *c[66:]],
        ),
    )
    verdict = run(checks.BACKFILL_AGREES_WITH_LIVE, duck, good, asset="candles_1m")
    assert (verdict.outcome, verdict.counts) == ("warning", {SYMBOL: 1})
    assert verdict.rows[SYMBOL][0]["difference"] == (
        "volume_base 0.0, the exchange's 1.0; volume_quote 0.0, the exchange's 191.12"
    )


def test_backfilled_candles_of_minutes_that_were_not_recorded_agree(duck: Duck, series: Series) -> None:
    landed(duck, series, [line for line in GOOD if line.id > 10])
    backfilled(series, Told(GOOD))
    verdict = run(checks.BACKFILL_AGREES_WITH_LIVE, duck, series, asset="candles_1m")
    assert verdict.counts == {SYMBOL: 0}


def test_bars_that_make_up_no_minutes_cannot_be_compared_and_say_so(
    duck: Duck, write_config: Callable[..., Path]
) -> None:
    lake = load(write_config(transformer={"resample_interval_sec": 45}))
    series = Series(lake, "binance", SYMBOL)
    landed(duck, series, GOOD)
    verdict = compared(duck, series, Told(GOOD))
    assert verdict.outcome == "warning"
    assert "do not make up minutes" in verdict.rows[SYMBOL][0]["reason"]


def test_a_daily_file_with_a_byte_changed_is_found(duck: Duck, good: Series) -> None:
    done = daily.compact(duck, good, DAY, LATER)
    assert done
    content = bytearray(done.path.read_bytes())
    content[1000] ^= 1
    done.path.write_bytes(content)
    assert not run(checks.CHECKSUM_MATCHES, duck, good, asset="daily_bars").passed


def test_a_file_that_is_no_parquet_is_a_difference_of_schema(duck: Duck, good: Series) -> None:
    good.layout.part("binance", SYMBOL, DAY, 5).write_bytes(b"not parquet")
    assert (
        "not a readable Parquet file" in run(checks.SCHEMA_MATCHES, duck, good).rows[SYMBOL][0]["difference"]
    )
    with pytest.raises(LakeError, match=r"part-0005\.parquet"):
        run(checks.NO_DUPLICATE_SECONDS, duck, good)


def on_ticks(duck: Duck, series: Series, name: str) -> Verdict:
    (check,) = (check for check in checks.ON["ticks"] if check.name == name)
    return run(check, duck, series, asset="ticks")


def test_ticks_that_lack_trades_are_told_by_the_ids(duck: Duck, incomplete: Callable[..., Series]) -> None:
    series = incomplete(3, 9, 10)
    ticks.make(duck, series, DAY, LATER)
    verdict = on_ticks(duck, series, "trade_ids_contiguous")
    assert verdict.outcome == "warning"
    assert [(row["first_id"], row["last_id"]) for row in verdict.rows[SYMBOL]] == [(3, 3), (9, 10)]


def test_ticks_of_other_columns_are_named_by_their_kind(duck: Duck, good: Series) -> None:
    ticks.make(duck, good, DAY, LATER)
    path = good.layout.ticks("binance", SYMBOL, "quotes", DAY)
    duck.execute(f"COPY (SELECT 1 AS x) TO '{path}' (FORMAT parquet)")
    (row,) = on_ticks(duck, good, "schema_matches").rows[SYMBOL]
    assert row["file"] == f"quotes/{DAY}.parquet"


def test_ticks_with_a_byte_changed_are_found(duck: Duck, good: Series) -> None:
    ticks.make(duck, good, DAY, LATER)
    path = good.layout.ticks("binance", SYMBOL, "trades", DAY)
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert on_ticks(duck, good, "checksum_matches").outcome == "failed"


def test_an_id_with_two_contents_is_told_with_both(duck: Duck, series: Series) -> None:
    for late, (price, side) in enumerate((("190.12", "buy"), ("90.50", "sell"), ("190.12", "buy"))):
        one = trade(7, START + HOUR, price, side=side, recv=START + HOUR + late % 2)
        land(series.config, [one, trade(8, START + 2 * HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    verdict = run(checks.TRADE_IDS_UNAMBIGUOUS, duck, series, asset="raw_segments")
    assert (verdict.outcome, verdict.counts) == ("warning", {SYMBOL: 1})
    (row,) = verdict.rows[SYMBOL]
    assert row["id"] == 7
    assert ("190.12" in row["first"], "90.5" in row["last"]) == (True, True)


def test_copies_of_a_trade_and_a_time_in_milliseconds_are_unambiguous(duck: Duck, series: Series) -> None:
    for us in (123_456, 123_000):
        land(series.config, [trade(7, START + HOUR + us)])
    bars.build_day(duck, series, DAY, LATER)
    assert run(checks.TRADE_IDS_UNAMBIGUOUS, duck, series, asset="raw_segments").passed


def test_ids_that_start_anew_are_ambiguous_and_nothing_is_missing(duck: Duck, series: Series) -> None:
    ids = [*range(1_000_100, 1_000_103), *range(1, 4), (1 << 63) - 1]
    land(series.config, [trade(n, START + at * SECOND) for at, n in enumerate(ids)])
    bars.build_day(duck, series, DAY, LATER)
    assert run(checks.TRADE_IDS_CONTIGUOUS, duck, series, asset="raw_segments").passed
    verdict = run(checks.TRADE_IDS_UNAMBIGUOUS, duck, series, asset="raw_segments")
    assert [(row["id"], row["expected"]) for row in verdict.rows[SYMBOL]] == [
        (1, 1_000_103),
        ((1 << 63) - 1, 4),
    ]


def test_what_the_journal_says_of_one_id_with_two_contents_is_told_while_the_day_lasts(
    duck: Duck, series: Series
) -> None:
    landed(duck, series, GOOD)
    said = journal.Contents(START, "1.5", "2", "buy")
    record = journal.Conflict(at=START + HOUR, symbol=SYMBOL, id=9, first=said, second=said)
    journal.Journal(series.layout, "binance").write(record)
    verdict = run(checks.TRADE_IDS_UNAMBIGUOUS, duck, series, START + 2 * HOUR, asset="raw_segments")
    assert verdict.rows[SYMBOL][0]["id"] == 9


def test_in_ticks_a_jump_of_the_ids_is_no_missing_trade(duck: Duck, series: Series) -> None:
    ids = [1_000_100, 1_000_101, 1, 2, 5, 10**12]
    landed(duck, series, [trade(n, START + at * SECOND) for at, n in enumerate(ids)])
    ticks.make(duck, series, DAY, LATER)
    verdict = on_ticks(duck, series, "trade_ids_contiguous")
    assert [(row["first_id"], row["last_id"]) for row in verdict.rows[SYMBOL]] == [(3, 4)]


def ids_at_both_ends(duck: Duck, series: Series) -> None:
    landed(duck, series, [trade(0, START + SECOND), trade((1 << 63) - 1, START + 2 * SECOND)])
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)


@pytest.mark.parametrize("asset", ["raw_segments", "bars_1s", "daily_bars", "ticks"])
def test_ids_at_both_ends_of_what_there_is_stop_no_check(
    duck: Duck, made: Made, series: Series, asset: str
) -> None:
    made(series, ids_at_both_ends)
    for check in checks.ON[asset]:
        run(check, duck, series, asset=asset)
