"""Which symbols are worked on is decided by who calls: all, a share, one."""

import ast
from pathlib import Path

import pytest

import crypto_lake
from crypto_lake.config import Config
from crypto_lake.series import Series

PACKAGE = Path(crypto_lake.__file__).parent
CORE = ["raw", "transform", "completeness", "checks", "ask", "pages"]
LISTINGS = {"raw_symbols", "bars_symbols", "ticks_symbols", "candle_symbols"}
OF_ALL = {"Series.recorded", "Series.known"}
# What is about the whole lake, whoever asks: its views and symbols, one file for all halts, what a death left open.
OF_THE_LAKE = {"ask/sources.py", "ask/lake.py", "completeness/halts.py", "raw/segments.py"}


@pytest.mark.parametrize("room", CORE)
def test_no_function_of_the_core_lists_the_symbols_that_it_works_on(room: str) -> None:
    listing = {
        path.relative_to(PACKAGE).as_posix()
        for path in (PACKAGE / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and (node.attr in LISTINGS or ast.unparse(node) in OF_ALL)
    }
    assert listing <= OF_THE_LAKE


def test_known_are_symbols_with_files_of_any_kind_and_recorded_those_with_raw_files_or_bars(
    lake: Config,
) -> None:
    layout = lake.layout
    folders = {
        "RAWUSDT": layout.raw_symbol,
        "BARUSDT": layout.bars_symbol,
        "TICKUSDT": layout.ticks_symbol,
    }
    for symbol, folder in folders.items():
        folder("binance", symbol).mkdir(parents=True)
    (layout.base / "backfill" / "binance" / "CANDLEUSDT").mkdir(parents=True)
    assert [one.symbol for one in Series.recorded(lake)] == ["BARUSDT", "RAWUSDT"]
    assert [one.symbol for one in Series.known(lake)] == ["BARUSDT", "CANDLEUSDT", "RAWUSDT", "TICKUSDT"]
