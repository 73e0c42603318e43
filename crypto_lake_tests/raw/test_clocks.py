"""A clock that was set, in a lake where little is traded: minutes lie on the clock that they were recorded by."""

import duckdb
import msgspec
import pytest

from crypto_lake.layout import MINUTE_US
from crypto_lake.raw import journal
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake_tests.raw_lines import DAY, HOUR, SECOND, START, SYMBOL, land, quote, sealed, trade

NOON = START + 12 * HOUR
M = MINUTE_US


class Thin:
    """A recording in which quotes alone come unless a trade is told; `at` is true time, `off` the clock's error."""

    def __init__(self, series: Series, off: int = 0) -> None:
        self.series, self.off, self.at, self.ids = series, off, NOON, 0
        self.notes = JournalWriter(series.layout, "binance")
        self.start()

    def start(self) -> None:
        self.notes.write(journal.Started(at=self.at + self.off, version="", pid=1, symbols=[SYMBOL]), DAY)

    def window(self, length: int, *, at: int | None = None, offset: int | None = None) -> Interval:
        """Listen for so long, and seal it at the end, or at `at`; the true time of it is returned."""
        begin, self.at = self.at, self.at + length
        self.ids += 1
        recv = begin + self.off
        self._seal([quote(self.ids, recv)], (recv, self.at + self.off), at, offset)
        return begin, self.at

    def traded(self, late: int = 0) -> None:
        """Enter the offset of a minute in which something was traded."""
        now = self.at + self.off
        self.notes.write(
            journal.ClockOffset(at=now, minute=now - now % M, offset_us=self.off + late, trades=1), DAY
        )

    def set_by(self, step: int, *, slept: bool = False) -> None:
        """Set the clock, or let the machine sleep for so long."""
        left = self.at + self.off
        self.off, self.at = self.off + (0 if slept else step), self.at + (step if slept else 0)
        now = self.at + self.off
        self.notes.write(journal.Away(at=now, left=left, last_frame=left, step_us=step), DAY)

    def _seal(self, lines: list[RawLine], heard: Interval, at: int | None, offset: int | None) -> None:
        record = sealed(land(self.series.config, lines), lines, [heard])
        when = heard[1] if at is None else at
        self.notes.write(msgspec.structs.replace(record, at=when, offset_us=offset), DAY)

    def listened(self, duck: duckdb.DuckDBPyConnection) -> list[Interval]:
        return Recording(duck, self.series).around(DAY).listened


def test_a_clock_that_was_an_hour_ahead_for_minutes_without_a_trade_is_put_right_afterwards(
    duck: duckdb.DuckDBPyConnection, series: Series
) -> None:
    thin = Thin(series)
    thin.traded()
    first, _ = thin.window(10 * M, offset=0)
    thin.set_by(HOUR)
    thin.window(2 * M)
    thin.window(2 * M, at=thin.at + 2 * M)
    thin.set_by(-HOUR)
    thin.window(M)
    thin.traded()
    _, last = thin.window(M, offset=0)
    assert thin.listened(duck) == [(first, last)]


@pytest.mark.parametrize("slept", [False, True])
@pytest.mark.parametrize("is_traded", [False, True])
def test_where_nothing_tells_whether_the_clock_was_set_or_the_machine_slept_nothing_is_observed(
    duck: duckdb.DuckDBPyConnection, series: Series, slept: bool, is_traded: bool
) -> None:
    thin = Thin(series)
    thin.traded()
    known = thin.window(10 * M, offset=0)
    thin.set_by(HOUR, slept=slept)
    doubtful = [thin.window(M), thin.window(M)]
    if is_traded:
        thin.traded()
    told = [known, (doubtful[0][0], doubtful[1][1])] if slept else [(known[0], doubtful[1][1])]
    assert thin.listened(duck) == (told if is_traded else [known])


@pytest.mark.parametrize("off", [-HOUR, -3 * HOUR])
def test_a_clock_that_was_slow_from_the_start_and_put_right_before_a_trade_observes_nothing_by_the_run_before(
    duck: duckdb.DuckDBPyConnection, series: Series, off: int
) -> None:
    thin = Thin(series)
    thin.traded()
    known = thin.window(10 * M, offset=0)
    thin.at += 2 * HOUR
    thin.off = off
    thin.start()
    thin.window(M)
    thin.set_by(-off)
    after = thin.window(M)
    thin.traded()
    assert thin.listened(duck) == [known, after]


def test_a_start_before_the_first_trade_is_put_where_the_next_trade_says(
    duck: duckdb.DuckDBPyConnection, series: Series
) -> None:
    thin = Thin(series, off=HOUR)
    before = thin.window(M)
    thin.traded()
    assert thin.listened(duck) == [before]


def test_a_recording_in_which_nothing_is_ever_traded_is_observed_by_its_clock(
    duck: duckdb.DuckDBPyConnection, series: Series
) -> None:
    thin = Thin(series)
    begin, _ = thin.window(M)
    _, end = thin.window(M)
    assert thin.listened(duck) == [(begin, end)]


def test_a_minute_that_a_clock_had_twice_outvotes_no_offset_of_its_first_time(
    duck: duckdb.DuckDBPyConnection, series: Series
) -> None:
    notes = JournalWriter(series.layout, "binance")
    lines = [trade(number, NOON + number * SECOND) for number in (1, 2)]
    first_id = {"first_trade_id": 1, "last_trade_id": 2}
    record = sealed(land(series.config, lines), lines, [(NOON, NOON + 9 * SECOND)])
    notes.write(msgspec.structs.replace(record, **first_id), DAY)
    for offset, trades in ((80_000, 2), (-45 * SECOND, 400)):
        notes.write(journal.ClockOffset(at=NOON, minute=NOON, offset_us=offset, trades=trades), DAY)
    listened = Recording(duck, series).around(DAY).listened
    assert listened == [(NOON - 80_000, NOON + 9 * SECOND - 80_000)]
