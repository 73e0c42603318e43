"""The exchange's own 1-minute candles of past days, in the bar schema, one file a symbol and day.

A finished day is fetched once and kept. A day that still ran when it was fetched says so in its footer
(`complete` false) and is fetched again. What does not add up is not written.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from loguru import logger
from pyarrow import parquet as pq

from crypto_lake import parquet, publish
from crypto_lake.config import Config
from crypto_lake.errors import ExchangeError, LakeError
from crypto_lake.exchanges import known
from crypto_lake.exchanges.base import Candle, RestClient
from crypto_lake.layout import DAY_US, MINUTE_US, day_start_us


@dataclass(frozen=True)
class Backfilled:
    """What a run did to one symbol's day. `fetched` is False where the file was there and complete already.

    `missing` counts the minutes that the exchange itself has no candle for.
    """

    symbol: str
    day: date
    path: Path
    rows: int
    missing: int
    fetched: bool


def backfill_days(
    config: Config, days: Iterable[date], now_us: Callable[[], int]
) -> Iterator[tuple[date, list[Backfilled]]]:
    """Make sure of the candles of all configured symbols, day by day, over one set of connections.

    Yields each day when it is done; what was yielded stays done whatever comes after.

    Raises:
        ExchangeError, LakeError: as `backfill_day`.
    """
    with asyncio.Runner() as runner:
        clients = {
            exchange.name: known.rest_client(exchange.name, exchange.rest_url)
            for exchange in config.exchanges
        }

        async def one_day(day: date) -> list[Backfilled]:
            return await asyncio.gather(
                *(
                    backfill_day(clients[exchange.name], config, exchange.name, symbol, day, now_us())
                    for exchange in config.exchanges
                    for symbol in exchange.symbols
                )
            )

        try:
            for day in days:
                with interruptible():
                    done = runner.run(one_day(day))
                yield day, done
        finally:
            for client in clients.values():
                runner.run(client.aclose())


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C cancels the event loop's work, as asyncio does by itself only where nobody has replaced the handler.

    Dagster has, and its handler raises inside the loop, which swallows it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def backfill_day(
    client: RestClient, config: Config, exchange: str, symbol: str, day: date, now_us: int
) -> Backfilled:
    """Make sure that a symbol's candles of a day are there.

    Raises:
        ExchangeError: no usable answer, or one that contradicts itself; nothing has been written.
        LakeError: the disk refused.
    """
    path = config.layout.candles(exchange, symbol, day)
    start = day_start_us(day)
    end = max(start, min(start + DAY_US, now_us))
    recorded = parquet.footer(path) if path.exists() else None
    if recorded and recorded.get("complete"):
        return Backfilled(symbol, day, path, recorded["rows"], recorded["missing"], fetched=False)
    table = _table(symbol, await client.candles_1m(symbol, start, end), end)
    footer = {
        "complete": now_us >= start + DAY_US,
        "rows": table.num_rows,
        "missing": (end - start) // MINUTE_US - table.num_rows,
    }
    _write(path, table, config.transformer.parquet_compression, footer)
    logger.info("{} {}: {} candles fetched", symbol, day, table.num_rows)
    return Backfilled(symbol, day, path, footer["rows"], footer["missing"], fetched=True)


def _table(symbol: str, candles: list[Candle], end: int) -> pa.Table:
    """Candles as bars: observed, without quotes and trade ids. The one that is still open at `end` is left out."""
    closed = [candle for candle in candles if candle.close_time < end]
    rows = [_bar(symbol, candle) for candle in closed]
    return pa.Table.from_pylist(rows, schema=parquet.arrow_schema())


def _bar(symbol: str, candle: Candle) -> dict[str, Any]:
    try:
        bar: dict[str, Any] = {
            "open": float(candle.open),
            "high": float(candle.high),
            "low": float(candle.low),
            "close": float(candle.close),
            "volume_base": float(candle.volume_base),
            "volume_quote": float(candle.volume_quote),
            "taker_buy_base": float(candle.taker_buy_base),
            "taker_buy_quote": float(candle.taker_buy_quote),
        }
    except ValueError as error:
        raise ExchangeError(f"candle of {symbol} at {candle.open_time}: {error}") from None
    if not bar["low"] <= min(bar["open"], bar["close"]) <= max(bar["open"], bar["close"]) <= bar["high"]:
        raise ExchangeError(f"candle of {symbol} at {candle.open_time}: expected low ≤ open, close ≤ high")
    return bar | {
        "symbol": symbol,
        "window_start": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=candle.open_time),
        "vwap": bar["volume_quote"] / bar["volume_base"] if bar["volume_base"] else None,
        "trade_count": candle.trade_count,
        "quote_count": 0,
        "observed": True,
    }


def _write(path: Path, table: pa.Table, compression: str, footer: dict[str, Any]) -> None:
    metadata = {parquet.FOOTER_KEY: parquet.canonical(footer)}
    codec = {"uncompressed": "none"}.get(compression, compression)
    try:
        with publish.publishing(path) as temporary:
            pq.write_table(table.replace_schema_metadata(metadata), temporary, compression=codec)
    except OSError as error:
        raise LakeError(f"{path}: cannot be written: {error}") from None
