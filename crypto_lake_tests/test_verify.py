"""Every finished file is read against its checksum, and whatever is not as it was made is named."""

from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake import bars, daily, ticks, verify
from crypto_lake.bars import Series
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, SYMBOL, land, quote, trade

Duck = duckdb.DuckDBPyConnection


@pytest.fixture
def finished(duck: Duck, series: Series) -> Series:
    """A day in its daily file and in ticks."""
    land(series.config, [trade(1, START + HOUR), quote(1, START + HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)
    return series


def damaged(series: Series) -> dict[Path, str]:
    found = verify.damages(series.config, verify.finished_files(series.config))
    return {one.path: one.what for one in found if one}


def files(series: Series) -> list[Path]:
    layout = series.layout
    return [
        layout.daily("binance", SYMBOL, DAY),
        layout.ticks("binance", SYMBOL, "trades", DAY),
        layout.ticks("binance", SYMBOL, "quotes", DAY),
    ]


def test_files_that_are_as_they_were_made_are_all_read_and_none_is_named(finished: Series) -> None:
    assert verify.finished_files(finished.config) == sorted(files(finished))
    assert damaged(finished) == {}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_flipped_byte_anywhere_is_found(finished: Series, which: int, where: float, flip: int) -> None:
    path = files(finished)[which]
    whole = path.read_bytes()
    content = bytearray(whole)
    content[int(where * len(content))] ^= flip
    path.write_bytes(content)
    found = damaged(finished)
    path.write_bytes(whole)
    assert list(found) == [path]


def test_a_file_cut_short_is_named(finished: Series) -> None:
    path = files(finished)[0]
    path.write_bytes(path.read_bytes()[:-1])
    assert "expected" in damaged(finished)[path]


def test_a_file_without_a_checksum_and_a_checksum_without_a_file_are_named(finished: Series) -> None:
    bars_file, trades, quotes = files(finished)
    finished.layout.checksum(bars_file).unlink()
    trades.unlink()
    finished.layout.checksum(quotes).write_text("what?")
    assert damaged(finished) == {
        bars_file: "has no checksum beside it",
        trades: "is missing; its checksum is there",
        quotes: "has a checksum file that cannot be understood",
    }
