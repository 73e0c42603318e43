"""The table of instruments of a day."""

import json
from datetime import date
from pathlib import Path

import pytest

from crypto_lake.layout import Layout
from crypto_lake.raw import instruments
from crypto_lake.raw.instruments import Instrument

MONDAY, TUESDAY = date(2025, 10, 20), date(2025, 10, 21)


def listed(*symbols: str, status: str = "TRADING") -> dict[str, Instrument]:
    return {one: Instrument(one, status, status == "TRADING", tick="0.01") for one in symbols}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_a_table_is_a_json_array_with_one_instrument_a_line(layout: Layout) -> None:
    table = instruments.entered(listed("SOLUSDT", "ADAUSDT"), MONDAY, {}, {})
    instruments.write(layout, "binance", MONDAY, table)
    path = layout.base / "reference" / "binance" / "2025-10-20.json"
    assert len(path.read_text(encoding="utf-8").splitlines()) == 4
    assert json.loads(path.read_bytes())[0] == {
        "symbol": "ADAUSDT",
        "status": "TRADING",
        "trading": True,
        "base": None,
        "quote": None,
        "tick": "0.01",
        "lot": None,
        "listed_since": "2025-10-20",
    }
    assert instruments.newest(layout, "binance") == (MONDAY, table)


def test_a_symbol_is_listed_since_the_first_day_it_was_seen() -> None:
    monday = instruments.entered(listed("SOLUSDT"), MONDAY, {}, {})
    tuesday = instruments.entered(listed("SOLUSDT", "NEWUSDT"), TUESDAY, monday, {})
    assert {one.symbol: one.listed_since for one in tuesday.values()} == {
        "SOLUSDT": MONDAY,
        "NEWUSDT": TUESDAY,
    }


def test_a_symbol_that_is_gone_stays_in_the_table_of_its_last_day_with_its_last_status() -> None:
    monday = instruments.entered(listed("SOLUSDT", "OLDUSDT"), MONDAY, {}, {})
    later = instruments.entered(listed("SOLUSDT"), MONDAY, monday, monday)
    gone = later["OLDUSDT"]
    assert (gone.status, gone.trading, gone.listed_since) == ("TRADING", False, MONDAY)
    assert set(instruments.entered(listed("SOLUSDT"), TUESDAY, later, {})) == {"SOLUSDT"}


@pytest.mark.parametrize("damage", [b"", b"[\n", b"{}", b'[{"symbol": 1}]', b"\0" * 40])
def test_a_damaged_table_leaves_the_one_before_it(layout: Layout, damage: bytes) -> None:
    instruments.write(layout, "binance", MONDAY, listed("SOLUSDT"))
    layout.reference("binance", TUESDAY).write_bytes(damage)
    found = instruments.newest(layout, "binance")
    assert found is not None
    assert (found[0], set(found[1])) == (MONDAY, {"SOLUSDT"})
