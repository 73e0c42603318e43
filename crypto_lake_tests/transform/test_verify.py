"""Every finished file is read against its checksum, and whatever is not as it was made is named."""

import os
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake.disk import checksums
from crypto_lake.raw import segments
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, retention, ticks, verify
from crypto_lake.transform.bars import PartlyBuiltError
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection


def finish(duck: Duck, series: Series) -> None:
    """A day in its daily file and in ticks."""
    land(series.config, [trade(1, START + HOUR), quote(1, START + HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)


@pytest.fixture
def finished(made: Made, series: Series) -> Series:
    return made(series, finish)


def damaged(series: Series) -> dict[Path, str]:
    found = verify.damages(series.config, verify.finished_files(Series.known(series.config)))
    return {one.path: one.what for one in found if one}


def files(series: Series) -> list[Path]:
    layout = series.layout
    return [
        layout.daily("binance", SYMBOL, DAY),
        layout.minutes("binance", SYMBOL, DAY),
        layout.ticks("binance", SYMBOL, "trades", DAY),
        layout.ticks("binance", SYMBOL, "quotes", DAY),
    ]


def test_files_that_are_as_they_were_made_are_all_read_and_none_is_named(finished: Series) -> None:
    assert verify.finished_files(Series.known(finished.config)) == sorted(files(finished))
    assert damaged(finished) == {}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 3), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
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
    bars_file, minutes, trades, quotes = files(finished)
    finished.layout.checksum(bars_file).unlink()
    minutes.unlink()
    trades.unlink()
    finished.layout.checksum(quotes).write_text("what?")
    assert damaged(finished) == {
        bars_file: "has no checksum beside it",
        minutes: "is missing; its checksum is there",
        trades: "is missing; its checksum is there",
        quotes: "has a checksum file that cannot be understood",
    }


LINES = [trade(n, START + n * HOUR, "190.12000000") for n in range(1, 4)]


def recorded(series: Series, *, checksum: bool = True) -> Path:
    """A segment as the collector leaves it: sealed, and described in the journal."""
    path = land(series.config, LINES)
    record = sealed(path, LINES, [(START, START + 4 * HOUR)])
    noted = checksums.of(path) if checksum else None
    JournalWriter(series.layout, "binance").write(msgspec.structs.replace(record, sha256=noted), DAY)
    return path


def raw(series: Series) -> verify.RawLook:
    """All folders' looks in one."""
    found = verify.RawLook()
    for look in verify.raw_looks(series.config, verify.raw_folders(Series.known(series.config))):
        found.read, found.without = found.read + look.read, found.without + look.without
        found.damages += look.damages
    return found


def flip_a_digit(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"190.12000000", b"190.13000000", 1))


@pytest.mark.parametrize("compressed", [False, True])
def test_a_digit_flipped_in_a_sealed_segment_is_found(series: Series, compressed: bool) -> None:
    path = recorded(series)
    assert (raw(series).read, raw(series).damages) == (1, [])
    flip_a_digit(path)
    damaged_one = retention.compress(path) if compressed else path
    ((found, what),) = raw(series).damages
    assert found == damaged_one
    assert "has lines with the checksum" in what


def test_a_digit_flipped_in_healed_trades_is_found(series: Series) -> None:
    path = segments.land_healed(series.layout, "binance", SYMBOL, DAY, LINES)
    assert (raw(series).read, raw(series).damages) == (1, [])
    flip_a_digit(path)
    assert [one.path for one in raw(series).damages] == [path]


def test_a_compressed_segment_that_cannot_be_unpacked_is_found(series: Series) -> None:
    path = retention.compress(recorded(series))
    path.write_bytes(path.read_bytes()[:-3])
    assert [one.path for one in raw(series).damages] == [path]


def test_segments_without_a_checksum_are_told_and_not_failed(series: Series) -> None:
    recorded(series, checksum=False)
    land(series.config, [trade(9, START + 9 * HOUR)], kind="heal")
    assert raw(series) == verify.RawLook(read=0, without=2)


def test_a_segment_whose_record_cannot_be_understood_has_no_checksum(series: Series) -> None:
    recorded(series)
    series.layout.symbol_journal("binance", SYMBOL, DAY).write_bytes(b"what?\n")
    assert raw(series) == verify.RawLook(read=0, without=1)


def test_a_segment_whose_damage_was_taken_out_is_not_named_any_more(duck: Duck, series: Series) -> None:
    path = recorded(series)
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\0" * 50 + content[150:])
    with pytest.raises(PartlyBuiltError):
        bars.build_day(duck, series, DAY, LATER)
    assert (raw(series).read, raw(series).damages) == (1, [])
    flip_a_digit(path)
    assert [one.path for one in raw(series).damages] == [path]


def test_healed_trades_whose_damage_was_taken_out_are_not_named_any_more(duck: Duck, series: Series) -> None:
    path = segments.land_healed(series.layout, "binance", SYMBOL, DAY, LINES)
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\0" * 50 + content[150:])
    os.utime(path, (0, 0))
    with pytest.raises(PartlyBuiltError):
        bars.build_day(duck, series, DAY, LATER)
    assert (raw(series).read, raw(series).damages) == (1, [])


@pytest.mark.parametrize("which", ["file", "checksum"])
def test_a_file_that_cannot_be_read_is_named_and_the_others_are_looked_at(
    finished: Series, which: str
) -> None:
    """A folder in its place stands for a disk that gives an error."""
    bars_file, trades = files(finished)[0], files(finished)[2]
    spoilt = bars_file if which == "file" else finished.layout.checksum(bars_file)
    spoilt.unlink()
    spoilt.mkdir()
    trades.write_bytes(b"x")
    found = damaged(finished)
    assert sorted(found) == sorted([bars_file, trades])
    assert found[bars_file].startswith("cannot be read, or its checksum cannot: ")
