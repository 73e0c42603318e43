"""Where lines are worked on: long files are read once, memory is bounded, nothing stays behind."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import compute as pc

from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.raw import scan
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.lines import RawLine, TradeLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, ticks, workspace
from crypto_lake.transform.workspace import Workspace
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, trade

Duck = duckdb.DuckDBPyConnection
HOURS = 4
STEP = 20 * SECOND
# Lines of a second that has any.
A_SECOND = 14


@pytest.fixture(autouse=True)
def _large_from_a_megabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of 32 megabytes, which are copied, take seconds to write."""
    monkeypatch.setattr(workspace, "_LARGE_BYTES", 1_000_000)


@pytest.fixture
def duck() -> Iterator[Duck]:
    """One for each test, whose lake alone it spills into."""
    with parquet.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def lines() -> list[RawLine]:
    """Four hours of trades and quotes, together more than a megabyte; one trade came half an hour late."""
    found = []
    for number, at in enumerate(range(0, HOURS * HOUR, STEP)):
        ts = START + at
        for n in range(A_SECOND):
            if n % 2:
                found.append(trade(number * A_SECOND + n, ts + n, price=f"{190 + number % 7}.12000000"))
            else:
                found.append(
                    quote(number * A_SECOND + n, ts + n + 80_000, bid=f"{180 + number % 9}.11000000")
                )
    late = HOURS * HOUR // STEP * A_SECOND
    return [*found, trade(late, START + HOUR - 1, price="500.00000000", recv=START + HOUR + 1_800 * SECOND)]


def of_hours(lines: list[RawLine]) -> list[list[RawLine]]:
    return [[line for line in lines if (line.ts_recv - START) // HOUR == hour] for hour in range(HOURS + 1)]


def rows(duck: Duck, series: Series) -> pa.Table:
    paths = series.layout.bar_files("binance", SYMBOL, DAY)
    # Between files, as between two recordings, nobody was listening.
    columns = "SELECT * EXCLUDE (observed)"
    return duck.sql(f"{columns} FROM {parquet.scan(paths)} ORDER BY window_start").to_arrow_table()


def test_a_file_of_many_hours_gives_the_bars_of_the_same_lines_in_files_of_an_hour(
    duck: Duck, lake: Config, series: Series, lines: list[RawLine]
) -> None:
    paths = [land(lake, some) for some in of_hours(lines) if some]
    bars.build_day(duck, series, DAY, LATER)
    expected = rows(duck, series)
    for path in paths:
        path.unlink()
    path = land(lake, sorted(lines, key=lambda line: line.id or 0, reverse=True), number=99)
    assert path.stat().st_size > workspace._LARGE_BYTES
    bars.build_day(duck, series, DAY, LATER)
    assert rows(duck, series) == expected
    assert pc.max(expected["high"]).as_py() == 500.0


def test_ticks_of_a_file_of_many_hours_hold_each_line(
    duck: Duck, lake: Config, series: Series, lines: list[RawLine]
) -> None:
    land(lake, lines)
    made = ticks.make(duck, series, DAY, LATER)
    assert made is not None
    trades = sum(isinstance(line, TradeLine) for line in lines)
    assert made.rows == {"trades": trades, "quotes": len(lines) - trades}


def test_a_long_file_is_read_once_and_its_copy_is_gone_afterwards(
    duck: Duck, lake: Config, series: Series, lines: list[RawLine]
) -> None:
    path = land(lake, lines)
    sources = Recording(duck, series).around(DAY).sources
    with Workspace(duck, series) as space:
        first, second = space.lines(sources), space.lines(sources)
        assert str(path) not in first
        assert first == second
        assert [p.suffix for p in work(lake)] == [".parquet"]
    assert work(lake) == []


def test_a_short_file_is_read_where_it_is(duck: Duck, lake: Config, series: Series) -> None:
    path = land(lake, [trade(1, START), trade(2, START + 3 * HOUR)])
    sources = Recording(duck, series).around(DAY).sources
    with Workspace(duck, series) as space:
        assert path.as_posix() in space.lines(sources)
    assert work(lake) == []


def test_what_a_crash_left_is_removed(duck: Duck, lake: Config, series: Series) -> None:
    left = lake.layout.workspace("binance", SYMBOL) / "0000.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"torn")
    with Workspace(duck, series):
        assert not left.exists()


def test_memory_is_bounded_within_and_as_before_afterwards(duck: Duck, series: Series) -> None:
    before = limit(duck)
    with Workspace(duck, series):
        assert limit(duck) == "244.1 MiB"
    assert limit(duck) == before


def test_what_exceeds_the_memory_is_spilt_into_the_lake(duck: Duck, lake: Config) -> None:
    grouped = "SELECT range::VARCHAR || repeat('x', 60) AS a, count(*) FROM range(5_000_000) GROUP BY a"
    with Workspace(duck, Series(lake, "binance", SYMBOL)):
        duck.execute(f"CREATE TEMP TABLE counted AS SELECT count(*) AS n FROM ({grouped})")
        assert duck.execute("SELECT current_setting('temp_directory')").fetchall() == [
            (str(lake.layout.spill),)
        ]
    assert duck.execute("FROM counted").fetchall() == [(5_000_000,)]


def test_a_file_is_scanned_once_and_again_when_it_is_another(
    duck: Duck, lake: Config, tmp_path: Path
) -> None:
    path = land(lake, [trade(1, START)])
    first = scan.scan_files(duck, [path], SYMBOL)[path]
    assert scan.scan_files(duck, [path], SYMBOL)[path] is first
    path.unlink()
    land(lake, [trade(7, START)], number=1)
    again = scan.scan_files(duck, [path], SYMBOL)[path]
    assert isinstance(again, scan.Scanned)
    assert again.record.first_trade_id == 7


def limit(duck: Duck) -> str:
    return str(duck.execute("SELECT current_setting('memory_limit')").fetchall()[0][0])


def work(lake: Config) -> list[Path]:
    return list(lake.layout.workspace("binance", SYMBOL).glob("*"))
