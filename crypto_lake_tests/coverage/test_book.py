"""Coverage tells of the order book what its files say, and a changed number or byte of them is named."""

from datetime import timedelta

import duckdb
import msgspec
import pytest

from crypto_lake import checks
from crypto_lake.checks import Means
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.coverage import book, proof, table
from crypto_lake.series import Series
from crypto_lake.transform import book as transformed
from crypto_lake.transform import daily, depth
from crypto_lake_tests.book_lines import event, land
from crypto_lake_tests.made import Made
from crypto_lake_tests.proved_market import EVENTS, record
from crypto_lake_tests.raw_lines import DAY, LATER, SECOND, START, SYMBOL

Duck = duckdb.DuckDBPyConnection


def lossy(duck: Duck, series: Series) -> None:
    record(
        duck,
        series,
        is_lost=lambda number: 300 < number < 310,
        event_is_lost=lambda number: 450 < number < 500,
    )
    daily.prove(duck, series, DAY)


@pytest.fixture
def covered(duck: Duck, made: Made, series: Series) -> Series:
    made(series, lossy)
    table.make(duck, [series], DAY, LATER)
    return series


def differences(duck: Duck, series: Series) -> list[str]:
    return list(proof.differences(duck, series.config, [series], DAY, LATER))


def test_a_row_tells_what_was_compared_and_names_the_files(duck: Duck, covered: Series) -> None:
    (row,) = table.read(covered.layout.coverage(DAY))
    assert row.book_boundaries == (row.boundaries_proved or 0) + (row.boundaries_contradicted or 0)
    assert 0 < (row.boundaries_contradicted or 0) < 20 < (row.boundaries_proved or 0) < EVENTS
    assert row.book_breaks == 1
    folders = [one.path.split("/")[0] for one in row.files]
    assert folders == ["parquet", "bars", "ticks", "ticks", "depth", "book", "book", "proof"]
    assert differences(duck, covered) == []


@pytest.mark.parametrize("which", ["depth", "book", "boundaries", "proof"])
def test_a_flipped_byte_of_the_books_files_is_named(duck: Duck, covered: Series, which: str) -> None:
    path = getattr(covered.layout, which)("binance", SYMBOL, DAY)
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    assert any(covered.layout.key(path) in said for said in differences(duck, covered))


@pytest.mark.parametrize(
    "name", ["book_boundaries", "boundaries_proved", "boundaries_contradicted", "book_breaks"]
)
def test_a_changed_number_of_the_book_is_named(duck: Duck, covered: Series, name: str) -> None:
    path = covered.layout.coverage(DAY)
    (row,) = table.understood(path)
    table._write(path, [msgspec.structs.replace(row, **{name: 7})])
    (said,) = differences(duck, covered)
    assert said.startswith(f"{DAY} {SYMBOL}: {name} is noted as 7; its files say ")


def test_checks_name_the_break_and_the_quotes_that_were_lost(duck: Duck, covered: Series) -> None:
    with ExchangeCandles() as reference:
        means = Means(duck, reference, LATER)
        told = {
            check.name: checks.run(check, asset, [covered], DAY, means)
            for asset, some in checks.OF_BOOK.items()
            for check in some
        }
    (hole,) = told["depth_chain_unbroken"].rows[SYMBOL]
    assert (hole["after_id"], hole["first_id"], hole["breaks"]) == (450, 499, 1)
    assert told["quotes_equal_book"].outcome == "warning"
    assert {row["why"] for row in told["quotes_equal_book"].rows[SYMBOL]} == {"a quote was lost"}
    assert told["book_equals_snapshot"].outcome == "unverifiable"


def test_a_book_that_ended_with_the_highest_number_there_is_has_breaks_to_count(
    duck: Duck, series: Series
) -> None:
    land(series.config, [event(2**63 - 1, 2**63 - 1, START - SECOND)], day=DAY - timedelta(days=1))
    land(series.config, [event(1, 2, START), event(5, 6, START + SECOND)])
    for day in (DAY - timedelta(days=1), DAY):
        depth.make(duck, series, day, LATER)
        transformed.make_all(duck, [series], day, LATER)
    assert book._breaks(duck, series, DAY) == 1
