"""One trade with an implausible time costs nothing but its own bar: no listening, no other quote, no other day."""

from datetime import date, timedelta

import duckdb
import msgspec
import pytest

from crypto_lake.completeness import holes
from crypto_lake.layout import DAY_US, MINUTE_US, day_of, day_start_us
from crypto_lake.raw import journal
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, plan
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, land, quote, sealed, trade
from crypto_lake_tests.transform.test_bars import at, build, read

Duck = duckdb.DuckDBPyConnection
NOON = START + 12 * HOUR
# The bars of the minute from noon on: a whole day's are 86,400 dictionaries.
OF_MINUTE = f"epoch_us(window_start) >= {NOON} AND epoch_us(window_start) < {NOON + MINUTE_US}"
STRAYS = {
    "tomorrow": START + DAY_US + 5 * HOUR,
    "2018": day_start_us(date(2018, 1, 5)) + HOUR,
    "2099": day_start_us(date(2099, 6, 1)) + HOUR,
    "30 s ahead": NOON + 50 * SECOND,
    "30 s ago": NOON - 10 * SECOND,
}


def minute(first_id: int, start: int, *, stray: int | None = None, late: int = 80_000) -> list[RawLine]:
    """A minute of one trade and one quote a second; the trade of its second 20 says it happened at `stray`."""
    lines: list[RawLine] = []
    for second in range(60):
        ts = start + second * SECOND
        event = stray if stray is not None and second == 20 else ts
        lines.append(trade(first_id + second, event, recv=ts + late))
        lines.append(
            quote(10 * (first_id + second), ts + 400_000 + late, bid=f"{first_id + second}.00000000")
        )
    return lines


def record(
    series: Series, lines: list[RawLine], listened: list[tuple[int, int]], offset: int | None = None
) -> None:
    """What a collector leaves of a segment; `offset` is that of its minute, if it is to be journalled."""
    day = day_of(lines[0].ts_recv)
    path = land(series.config, lines, day)
    notes = JournalWriter(series.layout, "binance")
    one = sealed(path, lines, listened)
    ids = [line.id for line in lines if line.ts_event]
    told = {"first_trade_id": min(ids), "last_trade_id": max(ids)}
    notes.write(
        msgspec.structs.replace(one, offset_us=one.offset_us if offset is None else offset, **told), day
    )
    for event_day in {day_of(line.ts_event) for line in lines if line.ts_event}:
        if abs((event_day - day).days) > 1:
            notes.write(journal.Displaced(at=one.at, symbol=one.symbol, landed=day.isoformat()), event_day)


def observed(duck: Duck, series: Series, day: date = DAY) -> set[int]:
    return {(bar["window_start"] - START) // SECOND for bar in read(duck, series, day, "observed")}


@pytest.mark.parametrize("how", ["journalled", "as before", "without a journal"])
@pytest.mark.parametrize("when", list(STRAYS))
def test_a_stray_moves_no_quote_and_observes_nothing(duck: Duck, series: Series, how: str, when: str) -> None:
    lines = minute(1000, NOON, stray=STRAYS[when])
    if how == "without a journal":
        land(series.config, lines)
    else:
        record(series, lines, [(NOON, NOON + MINUTE_US)], 80_000 if how == "journalled" else None)
    build(duck, series)
    noon = 12 * 3600
    seen = observed(duck, series)
    assert {noon + n for n in range(2, 58)} <= seen <= {noon + n for n in range(-1, 61)}
    found = read(duck, series, where=OF_MINUTE)
    assert [at(found, noon + n)["quote_count"] for n in range(60)] == [1] * 60
    assert [at(found, noon + n)["bid"] for n in range(60)] == [1000.0 + n for n in range(60)]


@pytest.mark.parametrize("when", ["2018", "tomorrow", "2099"])
def test_a_stray_touches_its_own_day_alone(duck: Duck, series: Series, when: str) -> None:
    record(series, minute(1000, NOON, stray=STRAYS[when]), [(NOON, NOON + MINUTE_US)], 80_000)
    recording = Recording(duck, series)
    assert recording.event_days(DAY) == {DAY, day_of(STRAYS[when])}
    stale = plan.stale_days(duck, series, None, START + DAY_US + HOUR)
    assert set(stale) <= {DAY, day_of(STRAYS[when])}
    assert not recording.around(DAY - timedelta(days=1)).touches(DAY - timedelta(days=2))
    assert len(holes.known_days(series)) < 4


def test_a_stray_lands_in_the_bar_of_its_own_second(duck: Duck, series: Series) -> None:
    record(series, minute(1000, NOON, stray=STRAYS["2018"]), [(NOON, NOON + MINUTE_US)], 80_000)
    day = day_of(STRAYS["2018"])
    bars.build_day(duck, series, day, LATER)
    traded = read(duck, series, day, "trade_count > 0")
    assert [(bar["window_start"], bar["first_trade_id"]) for bar in traded] == [(STRAYS["2018"], 1020)]
    assert not observed(duck, series, day)


def test_a_stray_ahead_does_not_end_a_day_in_progress_later(duck: Duck, series: Series) -> None:
    record(series, minute(1000, NOON, stray=STRAYS["30 s ahead"] + HOUR), [(NOON, NOON + MINUTE_US)], 80_000)
    build(duck, series, NOON + 10 * MINUTE_US)
    ends = read(duck, series, where=f"epoch_us(window_start) >= {NOON}")
    assert ends[-1]["window_start"] < NOON + MINUTE_US


def test_an_old_capture_that_is_replayed_is_placed_by_its_own_clock(duck: Duck, series: Series) -> None:
    year = 365 * DAY_US
    lines = minute(1000, NOON, late=year + 80_000)
    record(series, lines, [(NOON + year, NOON + year + MINUTE_US)])
    build(duck, series)
    assert len(observed(duck, series)) >= 58
    found = read(duck, series, where=OF_MINUTE)
    assert [at(found, 12 * 3600 + n)["quote_count"] for n in range(60)] == [1] * 60


def test_a_clock_that_was_set_back_by_a_little_joins_no_stretch_that_nobody_heard(
    duck: Duck, series: Series
) -> None:
    # One connection dies at second 20; the clock is set back by three; another one listens from second 22 on.
    record(series, minute(1000, NOON)[:40], [(NOON, NOON + 20 * SECOND)])
    after = [trade(1100 + n, NOON + n * SECOND, recv=NOON + (n - 3) * SECOND + 80_000) for n in range(25, 60)]
    record(series, after, [(NOON + 19 * SECOND, NOON + 57 * SECOND)])
    build(duck, series)
    noon = 12 * 3600
    assert not observed(duck, series) & {noon + 20, noon + 21}


def test_a_trade_heard_by_another_connection_later_widens_no_stretch(duck: Duck, series: Series) -> None:
    lines = [*minute(1000, NOON)[:20], trade(1100, NOON + 50 * SECOND)]
    record(series, lines, [(NOON, NOON + 10 * SECOND)])
    build(duck, series)
    assert not observed(duck, series) & {12 * 3600 + n for n in range(11, 60)}


def test_a_machine_that_slept_observed_nothing_though_its_last_trades_came_afterwards(
    duck: Duck, series: Series
) -> None:
    record(series, minute(1000, NOON), [(NOON, NOON + MINUTE_US)])
    woke = NOON + HOUR
    late = [trade(1060, NOON + MINUTE_US, recv=woke), *minute(2000, woke)]
    record(series, late, [(woke, woke + MINUTE_US)])
    build(duck, series)
    seen = observed(duck, series)
    assert not seen & {12 * 3600 + n for n in range(62, 3598)}
    assert {13 * 3600 + n for n in range(1, 58)} <= seen


@pytest.mark.parametrize("slept", [3 * SECOND, HOUR])
def test_a_line_that_had_waited_observes_nothing_before_the_next_connection_listens(
    duck: Duck, series: Series, slept: int
) -> None:
    record(series, minute(1000, NOON), [(NOON, NOON + MINUTE_US)])
    woke = NOON + MINUTE_US + slept
    late = [trade(1060, NOON + MINUTE_US, recv=woke), *minute(2000, woke + 4 * SECOND)]
    record(series, late, [(woke + 4 * SECOND, woke + MINUTE_US)])
    build(duck, series)
    seen = observed(duck, series)
    second = (woke - START) // SECOND
    assert not seen & set(range(second - 2, second + 3))
    assert {second + n for n in range(5, 58)} <= seen


@pytest.mark.parametrize("count", [4, 6])
def test_a_few_strays_among_many_trades_move_no_quote(duck: Duck, series: Series, count: int) -> None:
    lines = [
        trade(1000 + n, NOON + n * SECOND // 5, recv=NOON + n * SECOND // 5 + 80_000) for n in range(300)
    ]
    for number in range(count):
        lines[20 + number].ts_event = STRAYS["tomorrow"] + number * 1000
    lines.append(quote(9, NOON + 30 * SECOND))
    land(series.config, lines)
    build(duck, series)
    assert at(read(duck, series, where=OF_MINUTE), 12 * 3600 + 29)["quote_count"] == 1


def test_one_stray_alone_in_its_segment_is_outvoted_by_its_minute(duck: Duck, series: Series) -> None:
    stray = [trade(1, STRAYS["tomorrow"], recv=NOON + SECOND), quote(5, NOON + 9 * SECOND)]
    record(series, stray, [(NOON, NOON + 10 * SECOND)])
    measured = journal.ClockOffset(at=NOON, minute=NOON, offset_us=80_000, trades=50, set_aside=1)
    JournalWriter(series.layout, "binance").write(measured, DAY)
    build(duck, series)
    noon = 12 * 3600
    assert {noon + n for n in range(9)} <= observed(duck, series) <= {noon + n for n in range(-1, 10)}
    bars.build_day(duck, series, DAY + timedelta(days=1), LATER)
    assert read(duck, series, DAY + timedelta(days=1), "observed") == []


def test_what_two_files_prove_by_their_ids_is_not_taken_away_by_healing(duck: Duck, series: Series) -> None:
    first = [trade(n, NOON + n * SECOND) for n in range(1, 40) if not 10 <= n < 20]
    land(series.config, first)
    land(series.config, [trade(n, NOON + HOUR + n * SECOND) for n in range(40, 60)])
    build(duck, series)
    before = observed(duck, series)
    assert 13 * 3600 in before
    land(series.config, [trade(n, NOON + n * SECOND, recv=LATER) for n in range(10, 20)], kind="heal")
    build(duck, series)
    assert before <= observed(duck, series)
