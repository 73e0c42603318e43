"""The order book's assets: depth and the book, then what they prove of the quotes, and the daily files with it."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from crypto_lake import config, definitions  # noqa: F401 - beta features are no warnings after it
from crypto_lake.config import ENVIRONMENT_VARIABLE
from crypto_lake.defs import assets
from crypto_lake.defs.resources import RESOURCES, Lake
from crypto_lake.disk import parquet
from crypto_lake.schema import PROVED_BAR
from crypto_lake.series import Series
from crypto_lake_tests.proved_market import EVENTS, record
from crypto_lake_tests.raw_lines import DAY, LATER, SYMBOL

EXCHANGE = {
    "name": "binance",
    "symbols": [SYMBOL],
    "rest_url": "http://127.0.0.1:1/api/v3",
    "wss_url": "ws://127.0.0.1:1/ws",
    "streams": ["trade", "bookTicker", "depth"],
}


@pytest.fixture(autouse=True)
def series(write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Series:
    """A symbol of a lake that records depth; its days are over."""
    path = write_config(exchanges=[EXCHANGE])
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(path))
    monkeypatch.setattr(Lake, "now_us", lambda _: LATER)
    return Series(config.load(path), "binance", SYMBOL)


def made() -> dict[str, dict[str, object]]:
    """Make both assets of the day; by asset, what was told of it."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [assets.depth_of_days, assets.quotes_of_days],
            partition_key=str(DAY),
            resources=RESOURCES,
            instance=instance,
        )
    return {
        event.asset_key.to_user_string(): {
            name: value.value
            for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }


def test_depth_the_book_and_the_proof_are_made_and_told_of(series: Series) -> None:
    with parquet.connect() as connection:
        record(connection, series, is_lost=lambda number: 300 < number < 310, of_book=False)
    told = made()
    assert (told["depth"]["events"], told["depth"]["breaks"]) == (EVENTS, 0)
    assert told["quotes"]["boundaries"] == EVENTS
    assert 0 < int(str(told["quotes"]["quotes_lost"])) < 20
    assert parquet.schema_differences(series.layout.daily("binance", SYMBOL, DAY), PROVED_BAR) == []


def test_without_depth_there_is_nothing_to_do() -> None:
    told = made()
    assert {told[name]["dagster/partition_row_count"] for name in ("depth", "quotes")} == {0}
