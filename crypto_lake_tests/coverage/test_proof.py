"""Coverage is held against the files: a flipped byte, a removed file, a changed number are each named."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import pytest

from crypto_lake.coverage import proof, table
from crypto_lake.series import Series
from crypto_lake_tests.coverage.test_rows import recorded
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, LATER, SYMBOL

Duck = duckdb.DuckDBPyConnection


@pytest.fixture
def covered(duck: Duck, series: Series, made: Made) -> Series:
    made(series, recorded, healed=True)
    table.make(duck, [series], DAY, LATER)
    return series


def differences(duck: Duck, series: Series) -> list[str]:
    return list(proof.differences(duck, series.config, [series], DAY, LATER))


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_coverage_that_agrees_with_its_files_has_no_difference(duck: Duck, covered: Series) -> None:
    assert differences(duck, covered) == []


@pytest.mark.parametrize("which", ["trades", "quotes"])
def test_a_flipped_byte_of_a_file_is_named(duck: Duck, covered: Series, which: str) -> None:
    path = covered.layout.ticks("binance", SYMBOL, which, DAY)
    flip(path, 200)
    (said,) = differences(duck, covered)
    assert said.startswith(f"{DAY} {SYMBOL}: ticks/binance/{SYMBOL}/{which}/{DAY}.parquet: ")
    assert "of sha256" in said


def test_a_flipped_byte_of_bars_is_named(duck: Duck, covered: Series) -> None:
    flip(covered.layout.daily("binance", SYMBOL, DAY), 2000)
    assert any(f"parquet/binance/{SYMBOL}/{DAY}.parquet" in said for said in differences(duck, covered))


def test_a_removed_file_is_named(duck: Duck, covered: Series) -> None:
    covered.layout.minutes("binance", SYMBOL, DAY).unlink()
    assert differences(duck, covered) == [f"{DAY} {SYMBOL}: bars/1m/binance/{SYMBOL}/{DAY}.parquet: is gone"]


def test_a_removed_daily_file_is_named(duck: Duck, covered: Series) -> None:
    covered.layout.daily("binance", SYMBOL, DAY).unlink()
    (said,) = differences(duck, covered)
    assert "has a row, and no daily file" in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"trades": 98}, "trades is noted as 98; its files say 99"),
        ({"trade_ids_missing": None}, "trade_ids_missing is noted as null; its files say 0"),
        ({"complete": True}, "complete is noted as True; its files say False"),
        ({"book_breaks": 0}, "book_breaks is noted as 0; its files say null"),
    ],
)
def test_a_changed_number_is_named(duck: Duck, covered: Series, change: dict[str, object], told: str) -> None:
    path = covered.layout.coverage(DAY)
    (row,) = table.understood(path)
    table._write(path, [msgspec.structs.replace(row, **change)])
    assert differences(duck, covered) == [f"{DAY} {SYMBOL}: {told}"]


def test_a_row_that_was_taken_out_or_put_in_is_named(duck: Duck, covered: Series) -> None:
    path = covered.layout.coverage(DAY)
    (row,) = table.understood(path)
    table._write(path, [msgspec.structs.replace(row, symbol="ADAUSDT")])
    missing, added = differences(duck, covered)
    assert missing.startswith(f"{DAY} {SYMBOL}: has a daily file, and no row in ")
    assert added.startswith(f"{DAY} ADAUSDT: has a row, and no daily file")


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"PAR1"), lambda path: flip(path, -30)])
def test_a_file_of_coverage_that_cannot_be_read_is_named(
    duck: Duck, covered: Series, spoil: Callable[[Path], None]
) -> None:
    spoil(covered.layout.coverage(DAY))
    (said,) = differences(duck, covered)
    assert str(covered.layout.coverage(DAY)) in said
