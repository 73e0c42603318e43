"""The view over the tables of instruments."""

from datetime import date, timedelta
from decimal import Decimal

import duckdb
import pytest

from crypto_lake.ask import views
from crypto_lake.config import Config
from crypto_lake.raw import instruments
from crypto_lake.raw.instruments import Instrument
from crypto_lake_tests.raw_lines import DAY

Duck = duckdb.DuckDBPyConnection
NEXT = DAY + timedelta(days=1)


def listed(lake: Config, day: date, *symbols: str, tick: str | None = "0.01000000") -> None:
    table = {
        one: Instrument(one, "TRADING", True, one[:3], one[3:], tick, "0.001", listed_since=DAY)
        for one in symbols
    }
    instruments.write(lake.layout, "binance", day, table)


def test_a_row_is_a_symbol_of_a_day_with_its_steps_as_numbers(duck: Duck, lake: Config) -> None:
    listed(lake, DAY, "SOLUSDT")
    listed(lake, NEXT, "SOLUSDT", "币安USDT")
    views.create(duck, lake)
    assert duck.execute("FROM instruments WHERE day = DATE '2025-10-20'").fetchall() == [
        ("binance", DAY, "SOLUSDT", "TRADING", "SOL", "USDT", Decimal("0.01"), Decimal("0.001"), DAY, True)
    ]
    assert duck.execute("SELECT symbol FROM instruments WHERE day > $1 ORDER BY 1", [DAY]).fetchall() == [
        ("SOLUSDT",),
        ("币安USDT",),
    ]


def test_without_a_table_it_is_empty_and_of_the_same_types(duck: Duck, lake: Config) -> None:
    views.create(duck, lake)
    types = duck.execute("DESCRIBE instruments").fetchall()
    assert duck.execute("FROM instruments").fetchall() == []
    listed(lake, DAY, "SOLUSDT")
    views.create(duck, lake)
    assert duck.execute("DESCRIBE instruments").fetchall() == types


@pytest.mark.parametrize("thorough", [False, True])
@pytest.mark.parametrize(
    "damage", [b"", b'[\n{"symbol":"SOLUSDT"', b"\0" * 99, b"\xff\xfe\x00{]", b"\0" * 99 + b"\n]\n"]
)
def test_a_file_that_was_cut_or_zeroed_is_left_out_of_it(
    duck: Duck, lake: Config, damage: bytes, thorough: bool
) -> None:
    listed(lake, DAY, "SOLUSDT")
    path = lake.layout.reference("binance", NEXT)
    path.write_bytes(damage)
    assert views.create(duck, lake, thorough=thorough) == [path]
    assert duck.execute("SELECT count(*) FROM instruments").fetchall() == [(1,)]


def test_a_file_that_is_damaged_inside_is_left_out_by_a_thorough_look(duck: Duck, lake: Config) -> None:
    listed(lake, DAY, "SOLUSDT")
    path = lake.layout.reference("binance", NEXT)
    path.write_bytes(b"[\n{\0\0\0}\n]\n")
    assert views.create(duck, lake, thorough=True) == [path]


def test_bytes_that_are_no_utf8_in_what_nobody_reads_are_found_by_a_thorough_look(
    duck: Duck, lake: Config
) -> None:
    listed(lake, DAY, "SOLUSDT")
    listed(lake, NEXT, "SOLUSDT")
    path = lake.layout.reference("binance", NEXT)
    path.write_bytes(path.read_bytes().replace(b'{"symbol"', b'{"more":"\xff","symbol"'))
    assert views.create(duck, lake, thorough=True) == [path]
    assert duck.execute("SELECT count(*) FROM instruments").fetchall() == [(1,)]


def test_a_step_that_is_no_number_is_none(duck: Duck, lake: Config) -> None:
    listed(lake, DAY, "SOLUSDT", tick="much")
    views.create(duck, lake)
    assert duck.execute("SELECT tick FROM instruments").fetchall() == [(None,)]


def test_a_condition_on_the_day_opens_the_file_of_that_day_alone(duck: Duck, lake: Config) -> None:
    listed(lake, DAY, "SOLUSDT")
    listed(lake, NEXT, "SOLUSDT")
    views.create(duck, lake)
    lake.layout.reference("binance", NEXT).write_bytes(b"no table any more ]")
    assert duck.execute(f"SELECT symbol FROM instruments WHERE day = DATE '{DAY}'").fetchall() == [
        ("SOLUSDT",)
    ]
