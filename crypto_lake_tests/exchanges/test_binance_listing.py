"""What is made of the whole exchangeInfo."""

from typing import Any

import msgspec
import pytest

from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.binance.rest import BinanceRest
from crypto_lake.raw.instruments import Instrument
from crypto_lake_tests.exchanges.rest_script import Exchange, says


def item(symbol: str, status: str = "TRADING", **changes: object) -> dict[str, Any]:
    """Return a symbol as the exchange lists it, less what nobody looks at."""
    return {
        "symbol": symbol,
        "status": status,
        "baseAsset": symbol[:3],
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "orderTypes": ["LIMIT", "MARKET"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "10000", "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "90000", "stepSize": "0.00100000"},
            {"filterType": "NOTIONAL", "minNotional": "5", "avgPriceMins": 5},
        ],
        "permissionSets": [],
    } | changes


def instruments(body: object) -> dict[str, Instrument]:
    return Exchange(says(body)).ask(BinanceRest.instruments)


def test_status_assets_and_steps_of_every_symbol_are_read_from_one_answer() -> None:
    exchange = Exchange(says({"symbols": [item("SOLUSDT"), item("ADAUSDT", "BREAK")]}))
    found = exchange.ask(BinanceRest.instruments)
    assert found == {
        "SOLUSDT": Instrument("SOLUSDT", "TRADING", True, "SOL", "USDT", "0.01000000", "0.00100000"),
        "ADAUSDT": Instrument("ADAUSDT", "BREAK", False, "ADA", "USDT", "0.01000000", "0.00100000"),
    }
    assert [dict(one.url.params) for one in exchange.asked] == [{"showPermissionSets": "false"}]


def test_a_symbol_of_other_letters_is_listed_as_it_is_spelt() -> None:
    assert set(instruments({"symbols": [item("币安人生USDT")]})) == {"币安人生USDT"}


@pytest.mark.parametrize(
    "odd", [1, None, "SOLUSDT", {}, {"symbol": 3}, {"symbol": None}, [], ["symbol", "X"]]
)
def test_an_item_that_is_none_costs_itself_and_not_the_others(odd: object) -> None:
    assert set(instruments({"symbols": [odd, item("SOLUSDT")]})) == {"SOLUSDT"}


TOLD = Instrument("ADAUSDT", "BREAK", False, "ADA", "USDT", "0.01000000", "0.00100000")
NO_FILTERS = msgspec.structs.replace(TOLD, tick=None, lot=None)


@pytest.mark.parametrize(
    ("field", "odd", "left"),
    [
        ("filters", None, NO_FILTERS),
        ("filters", {}, NO_FILTERS),
        ("filters", [7], NO_FILTERS),
        ("filters", [{"filterType": "PRICE_FILTER", "tickSize": 0.01}], NO_FILTERS),
        ("baseAsset", 7, msgspec.structs.replace(TOLD, base=None)),
        ("quoteAsset", [], msgspec.structs.replace(TOLD, quote=None)),
        ("status", [], msgspec.structs.replace(TOLD, status="", trading=True)),
    ],
)
def test_an_odd_field_of_a_symbol_costs_itself_and_not_the_symbol(
    field: str, odd: object, left: Instrument
) -> None:
    found = instruments({"symbols": [item("ADAUSDT", "BREAK") | {field: odd}, item("SOLUSDT")]})
    assert found["ADAUSDT"] == left
    assert "SOLUSDT" in found


def test_what_is_not_told_of_a_symbol_is_none() -> None:
    assert instruments({"symbols": [{"symbol": "SOLUSDT"}]})["SOLUSDT"] == Instrument(
        "SOLUSDT", "", trading=True
    )


@pytest.mark.parametrize("step", ["1e-2", "-0.01", "0.010000000", "NaN", "", "x"])
def test_a_step_that_is_no_decimal_is_not_believed(step: str) -> None:
    filters = [{"filterType": "PRICE_FILTER", "tickSize": step}]
    assert instruments({"symbols": [item("SOLUSDT", filters=filters)]})["SOLUSDT"].tick is None


def test_a_word_that_steers_a_terminal_is_made_visible() -> None:
    assert instruments({"symbols": [item("SOLUSDT", "\x1b[2J")]})["SOLUSDT"].status == "\\x1b[2J"


@pytest.mark.parametrize(
    "body", [{}, [], None, {"symbols": None}, {"symbols": ["SOLUSDT"]}, {"symbols": [{}]}]
)
def test_an_answer_without_symbols_is_refused(body: object) -> None:
    with pytest.raises(ExchangeError, match="exchangeInfo: expected"):
        instruments(body)


def test_an_answer_that_lists_nothing_is_one() -> None:
    assert instruments({"symbols": []}) == {}
