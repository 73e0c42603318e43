"""One id with two contents: one of the lines is taken whole, the same one by bars, ticks and whoever asks."""

import itertools
import shutil
from datetime import date

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake.disk import parquet
from crypto_lake.raw import journal
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, hours, quote_fit, ticks
from crypto_lake.transform.plan import Carry, Plan
from crypto_lake.transform.quote_fit import Hits
from crypto_lake.transform.workspace import Workspace
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection
AT = START + HOUR
FIRST = trade(5, AT + 1, "100.00000000", "1.00000000", "buy", recv=AT + 80)
SECOND_ONE = trade(5, AT + 400_000, "90.00000000", "3.00000000", "sell", recv=AT + 400_080)
AROUND = [trade(4, AT - SECOND, "95.00000000"), trade(6, AT + SECOND, "95.00000000")]


def bar_at(duck: Duck, series: Series, second: int, now_us: int = AT + 3 * HOUR) -> tuple[object, ...]:
    bars.build_day(duck, series, DAY, now_us)
    scan = parquet.scan(series.layout.bar_files("binance", SYMBOL, DAY))
    columns = "trade_count, open, high, low, close, volume_base, volume_quote, taker_buy_base"
    query = f"SELECT {columns} FROM {scan} WHERE epoch_us(window_start) = {second}"
    return duck.execute(query).fetchall()[0]


@pytest.mark.parametrize("landed", [*itertools.permutations([[FIRST], [SECOND_ONE], AROUND])])
def test_a_bar_has_the_trade_that_was_received_first_and_no_mixture(
    duck: Duck, series: Series, landed: tuple[list[RawLine], ...]
) -> None:
    for lines in landed:
        land(series.config, lines)
    assert bar_at(duck, series, AT) == (1, 100.0, 100.0, 100.0, 100.0, 1.0, 100.0, 1.0)


def test_of_lines_received_together_the_least_is_taken(duck: Duck, series: Series) -> None:
    for price in ("9.50000000", "101.00000000", "100.00000000"):
        land(series.config, [trade(5, AT, price, recv=AT + 80)])
    assert bar_at(duck, series, AT, LATER)[:2] == (1, 9.5)


def test_a_line_of_another_hour_takes_nothing_away_however_files_are_cut(duck: Duck, series: Series) -> None:
    late = trade(5, AT + HOUR, "80.00000000", recv=AT + HOUR + 80)
    found = []
    for files in ([[FIRST, *AROUND, late]], [[FIRST], AROUND, [late]]):
        shutil.rmtree(series.layout.base, ignore_errors=True)
        for lines in files:
            land(series.config, lines)
        found.append((bar_at(duck, series, AT, LATER)[:2], bar_at(duck, series, AT + HOUR, LATER)[:2]))
    assert found == [((1, 100.0), (1, 80.0))] * 2


def test_such_a_day_compacts_and_its_ticks_make_the_same_bars(duck: Duck, series: Series) -> None:
    quotes = [quote(7, AT + 90_000, "99.00000000", "99.50000000"), quote(7, AT + 90_000, "98.00000000")]
    for lines in ([FIRST, quotes[0]], [SECOND_ONE, quotes[1]], AROUND):
        land(series.config, lines)
    before = whole_day(duck, series)
    assert ticks.make(duck, series, DAY, LATER).rows == {"trades": 3, "quotes": 1}  # type: ignore[union-attr]
    shutil.rmtree(series.layout.raw_symbol("binance", SYMBOL))
    shutil.rmtree(series.layout.bars_symbol("binance", SYMBOL))
    assert whole_day(duck, series) == before


def whole_day(duck: Duck, series: Series) -> bytes:
    bars.build_day(duck, series, DAY, LATER)
    done = daily.compact(duck, series, DAY, LATER)
    assert done
    return done.path.read_bytes()


def test_a_contradiction_that_comes_when_ticks_stand_for_the_first_changes_nothing(
    duck: Duck, series: Series
) -> None:
    land(series.config, [FIRST, *AROUND])
    before = whole_day(duck, series)
    ticks.make(duck, series, DAY, LATER)
    shutil.rmtree(series.layout.raw_symbol("binance", SYMBOL))
    land(series.config, [SECOND_ONE], kind="heal")
    assert whole_day(duck, series) == before
    ticks.make(duck, series, DAY, LATER)
    shutil.rmtree(series.layout.raw_symbol("binance", SYMBOL))
    assert whole_day(duck, series) == before


def fit_of(duck: Duck, series: Series, day: date, hour: int) -> Hits:
    """How well an hour's quotes fit its trades, as its raw lines are read for that alone."""
    with Workspace(duck, series) as workspace:
        plan = Plan(Recording(duck, series).around(day), series, day, LATER)
        alone = hours.Hour(plan, hour, plan.made_from(hour), hours.Run(Carry()))
        lines = hours.once(hours.lines_of(workspace, [alone]), hours.needs(alone))
        (found,) = quote_fit.hits(duck, lines, hours.clocks_of([alone]))
        return found


def test_the_fit_of_quotes_counts_such_a_trade_once(duck: Duck, series: Series) -> None:
    before, at = AT + 10 * SECOND, AT + 20 * SECOND
    first = [quote(1, before, "99.00000000", "100.00000000"), trade(5, at, "100.00000000", recv=at + 80)]
    second = [quote(1, before, "99.00000000", "200.00000000"), trade(5, at, "90.00000000", recv=at + 90)]
    for lines in (second, first):
        land(series.config, lines)
    assert fit_of(duck, series, DAY, 1) == Hits(as_received=1.0, corrected=1.0)


_contents = st.tuples(
    st.integers(1, 4), st.integers(0, 3), st.sampled_from(["9.00000000", "10.00000000"]), st.integers(0, 2)
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_contents, min_size=1, max_size=12), st.data())
def test_whatever_the_files_and_their_order_bars_and_ticks_are_the_same(
    duck: Duck, series: Series, drawn: list[tuple[int, int, str, int]], data: st.DataObject
) -> None:
    # Times further apart than a clock drifts are another matter: which of them is believed is asked of each file.
    lines = [trade(n, AT + at * 1_600_000, price, recv=AT + late) for n, at, price, late in drawn]
    lines += [quote(n, AT + late, price, "11.00000000") for n, _, price, late in drawn]
    made = []
    for _ in range(2):
        shutil.rmtree(series.layout.base, ignore_errors=True)
        some = data.draw(st.permutations(lines))
        cut = data.draw(st.integers(0, len(some)))
        for part in (some[:cut], some[cut:]):
            if part:
                land(series.config, part)
        # Between files, as between two recordings, nobody was listening. The day still runs: its other hours are empty.
        bars.build_day(duck, series, DAY, AT + HOUR)
        scan = parquet.scan(series.layout.bar_files("binance", SYMBOL, DAY))
        rows = duck.sql(f"SELECT * EXCLUDE (observed) FROM {scan} ORDER BY window_start").to_arrow_table()
        done = ticks.make(duck, series, DAY, LATER)
        assert done
        made.append([rows, *(path.read_bytes() for path in done.paths.values())])
    assert made[0] == made[1]


def test_what_the_collector_kept_twice_in_one_segment_is_counted_once(duck: Duck, series: Series) -> None:
    lines = [*AROUND, FIRST, SECOND_ONE]
    path = land(series.config, lines)
    record = msgspec.structs.replace(
        sealed(path, lines, [(AT, AT + SECOND)]), first_trade_id=4, last_trade_id=6
    )
    first, second = (
        journal.Contents(line.ts_event, line.price, line.qty, line.side) for line in (FIRST, SECOND_ONE)
    )
    diary = JournalWriter(series.layout, "binance")
    diary.write(journal.Conflict(at=record.at, symbol=SYMBOL, id=5, first=first, second=second), DAY)
    diary.write(record, DAY)
    assert bar_at(duck, series, AT)[:2] == (1, 100.0)
