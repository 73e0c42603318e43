"""Clients that others wrote for the real exchange, given another address and nothing else.

They are large and not among the project's own dependencies: `pip install ccxt binance-connector` runs these tests.
"""

import asyncio
import json
import time
from typing import Any

import pytest

from crypto_lake.simulator.server.exchange import Address

from .clients import Json, holds_soon
from .conftest import NOON_US

WHY = "is not installed; it is large, and needed for nothing else"


def pointed(client: Any, address: Address) -> Any:  # noqa: ANN401 - a client that may not be there has no types
    client.options["fetchMarkets"] = {"types": ["spot"]}
    client.urls["api"]["public"] = address.rest_url
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"]["spot"] = address.ws_url
    return client


def test_ccxt_asks_for_markets_candles_trades_books_and_tickers(quiet: Address) -> None:
    ccxt = pytest.importorskip("ccxt", reason=f"ccxt {WHY}")
    client = pointed(ccxt.binance(), quiet)
    assert set(client.load_markets()) == {"SOL/USDT", "ADA/USDT"}
    assert client.market("SOL/USDT")["precision"] == {
        "amount": 0.001,
        "price": 0.01,
        "base": 1e-8,
        "quote": 1e-8,
    }
    assert len(str(client.fetch_time())) == 13
    for name in ("1s", "1m", "3m", "1h", "1d"):
        candles = client.fetch_ohlcv("SOL/USDT", name, limit=2)
        assert candles[1][0] - candles[0][0] == client.parse_timeframe(name) * 1000
    trades = client.fetch_trades("SOL/USDT", limit=5)
    assert [int(trade["id"]) for trade in trades] == sorted({int(trade["id"]) for trade in trades})
    since = client.fetch_trades("SOL/USDT", since=trades[0]["timestamp"], limit=1)
    assert since[0]["timestamp"] == trades[0]["timestamp"]
    book, ticker = client.fetch_order_book("SOL/USDT", 5), client.fetch_ticker("SOL/USDT")
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["bids"][0][0] < book["asks"][0][0]
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert ticker["bid"] < ticker["ask"]
    assert set(client.fetch_tickers()) == {"SOL/USDT", "ADA/USDT"}
    client.session.close()


def test_ccxt_watches_trades_books_candles_and_tickers(quiet: Address) -> None:
    ccxt_pro = pytest.importorskip("ccxt.pro", reason=f"ccxt {WHY}")

    async def run() -> dict[str, Json]:
        client = pointed(ccxt_pro.binance(), quiet)
        found = {}
        try:
            for name in ("watch_trades", "watch_order_book", "watch_ohlcv", "watch_ticker"):
                found[name] = await asyncio.wait_for(getattr(client, name)("SOL/USDT"), 20)
            found["watch_bids_asks"] = await asyncio.wait_for(client.watch_bids_asks(["SOL/USDT"]), 20)
            for _ in range(5):
                book = await asyncio.wait_for(client.watch_order_book("SOL/USDT"), 20)
                assert book["bids"][0][0] < book["asks"][0][0]
        finally:
            await client.close()
        return found

    found = asyncio.run(run())
    assert found["watch_trades"][0]["symbol"] == "SOL/USDT"
    assert found["watch_order_book"]["nonce"]
    assert len(found["watch_ohlcv"][0]) == 6
    assert found["watch_ticker"]["last"]
    best = found["watch_bids_asks"]["SOL/USDT"]
    assert best["bid"] < best["ask"]


def test_the_exchanges_own_connector_asks_for_everything_of_the_market(quiet: Address) -> None:
    spot = pytest.importorskip("binance.spot", reason=f"binance-connector {WHY}")
    client = spot.Spot(base_url=quiet.rest_url.removesuffix("/api/v3"))
    for name in ("ping", "time", "exchange_info", "ticker_24hr", "ticker_price", "book_ticker"):
        assert getattr(client, name)() is not None
    single = (
        "depth", "trades", "historical_trades", "agg_trades", "avg_price", "ticker_24hr", "trading_day_ticker",
        "ticker_price", "book_ticker", "rolling_window_ticker",
    )  # fmt: skip
    for name in single:
        assert getattr(client, name)("SOLUSDT")
    assert client.klines("SOLUSDT", "1m", endTime=NOON_US - 1, limit=2) == client.ui_klines(
        "SOLUSDT", "1m", endTime=NOON_US - 1, limit=2
    )
    client.session.close()


def test_the_exchanges_own_connector_hears_all_streams(quiet: Address) -> None:
    stream = pytest.importorskip("binance.websocket.spot.websocket_stream", reason=f"binance-connector {WHY}")
    heard: set[str] = set()

    def note(_: object, text: str) -> None:
        heard.add(json.loads(text).get("stream", ""))

    url = quiet.ws_url.removesuffix("/ws")
    client = stream.SpotWebsocketStreamClient(stream_url=url, on_message=note, is_combined=True)
    try:
        for name in ("agg_trade", "trade", "mini_ticker", "ticker", "book_ticker", "diff_book_depth"):
            getattr(client, name)("SOLUSDT")
            time.sleep(0.05)
        client.kline("SOLUSDT", "1m")
        client.partial_book_depth("SOLUSDT", level=5, speed=100)
        client.rolling_window_ticker("SOLUSDT", "1h")
        client.mini_ticker()
        kinds = (
            "aggTrade",
            "trade",
            "miniTicker",
            "ticker",
            "bookTicker",
            "depth@1000ms",
            "kline_1m",
            "depth5@100ms",
        )
        expected = {f"solusdt@{kind}" for kind in (*kinds, "ticker_1h")} | {"!miniTicker@arr"}
        assert holds_soon(lambda: expected <= heard)
    finally:
        client.stop()
        client.socket_manager.ws.shutdown()  # which the connector leaves open
