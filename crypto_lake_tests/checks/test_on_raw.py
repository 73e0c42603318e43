"""The checks on what was received: ids that are missing or ambiguous, downtime, quotes that stay away, the clock."""

import tempfile
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake import checks
from crypto_lake.checks import Verdict, on_raw
from crypto_lake.checks.batch import Batch
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.checks.subject import Subject
from crypto_lake.config import Config, Exchange, General
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.checks.days import GOOD, MINUTE, QUOTES, Duck, landed, run
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade


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


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kept=st.sets(st.integers(1, 60), min_size=1),
    spacing=st.sampled_from([1, SECOND // 4, 7 * SECOND]),
)
def test_the_holes_told_are_exactly_the_ids_that_are_missing(
    duck: Duck, kept: set[int], spacing: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        exchange = Exchange("binance", [SYMBOL], "http://h", "ws://h")
        config = Config(exchanges=[exchange], general=General(base_path=folder))
        series = Series(config, "binance", SYMBOL)
        land(config, [*(trade(n, START + n * spacing) for n in sorted(kept)), quote(1, START + 500 * SECOND)])
        bars.build_day(duck, series, DAY, START + 20 * HOUR)
        subject = Subject(duck, series, DAY, LATER, checks.files_of("", series, DAY), ExchangeCandles())
        told = [
            n
            for row in on_raw.missing_trades(Batch([subject]))[0]
            for n in range(row["first_id"], row["last_id"] + 1)
        ]
    assert told == sorted(set(range(min(kept), max(kept))) - kept)


def listened(duck: Duck, series: Series, stretches: list[tuple[int, int]]) -> Verdict:
    """The downtime of a day with so much listening."""
    lines = [trade(n, START + n * HOUR, recv=START + n * HOUR) for n in range(1, 24)]
    path = land(series.config, lines)
    JournalWriter(series.layout, "binance").write(sealed(path, lines, stretches))
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


def test_what_healed_trades_prove_stays_downtime_when_only_ticks_are_left(duck: Duck, series: Series) -> None:
    lines = [trade(n, START + n * HOUR, recv=START + n * HOUR) for n in range(1, 24) if n not in {5, 6}]
    path = land(series.config, lines)
    stretches = [(START - HOUR, START + 4 * HOUR), (START + 7 * HOUR, START + 25 * HOUR)]
    JournalWriter(series.layout, "binance").write(sealed(path, lines, stretches))
    healed = land(series.config, [trade(n, START + n * HOUR) for n in (5, 6)], kind="heal")
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)
    before = run(checks.STREAM_DOWNTIME, duck, series, asset="raw_segments")
    assert [row["seconds"] for row in before.rows[SYMBOL]] == [3 * 3600]
    for one in (path, healed):
        one.unlink()
    assert run(checks.STREAM_DOWNTIME, duck, series, asset="raw_segments") == before


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
    JournalWriter(series.layout, "binance").write(record)
    bars.build_day(duck, series, DAY, LATER)
    assert not run(checks.QUOTES_FRESH, duck, series, asset="raw_segments").passed


def clocked(duck: Duck, series: Series, offsets: list[int]) -> Verdict:
    """The day with these clock offsets, in ms, minute by minute."""
    for n, offset in enumerate(offsets):
        record = journal.ClockOffset(
            at=START + n * MINUTE + 1, minute=START + n * MINUTE, offset_us=offset * 1000, trades=9
        )
        JournalWriter(series.layout, "binance").write(record)
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
    JournalWriter(series.layout, "binance").write(record)
    verdict = run(checks.TRADE_IDS_UNAMBIGUOUS, duck, series, START + 2 * HOUR, asset="raw_segments")
    assert verdict.rows[SYMBOL][0]["id"] == 9
