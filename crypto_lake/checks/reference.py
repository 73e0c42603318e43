"""The exchange's own 1-minute candles to compare with: from the lake's backfilled file of a day, else asked for."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import pyarrow as pa
from pyarrow import parquet as pq

from crypto_lake.completeness import candles
from crypto_lake.disk import parquet
from crypto_lake.errors import ExchangeError, LeftAloneError, UnreachableError
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.base import Candle, RestClient
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.series import Series

# What a candle and a bar of ours have in common. A bar's vwap is a quotient of these.
NINE = (
    "open",
    "high",
    "low",
    "close",
    "volume_base",
    "volume_quote",
    "trade_count",
    "taker_buy_base",
    "taker_buy_quote",
)
# Those that candles without taker volumes have.
SEVEN = NINE[:-2]
_SCHEMA = pa.schema([field for field in parquet.arrow_schema() if field.name in {"window_start", *NINE}])


class ExchangeCandles:
    """The reference of one run of a check. In it nothing is asked twice that got no usable answer.

    One symbol that the exchange refuses, or says nothing of, keeps no other from being asked about.

    `client` makes the REST client of an exchange, by name and address. Used as a context manager, it closes them.
    """

    def __init__(self, client: Callable[[str, str], RestClient] = registry.rest_client) -> None:
        self._make = client
        self._clients: dict[str, RestClient] = {}
        # By the exchange, and by the exchange and symbol.
        self._silent: dict[str | tuple[str, str], ExchangeError] = {}
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            self._runner.run(client.aclose())
        self._runner.close()

    def of(self, series: Series, day: date) -> pa.Table:
        """A finished day's candles: `window_start` and the columns `NINE`, fewer rows where the exchange has none.

        Raises:
            ExchangeError: there is no finished file that can be read, and the exchange gave no usable answer.
        """
        path = series.layout.candles(series.exchange, series.symbol, day)
        if candles.finished(path):
            return pq.read_table(path, columns=_SCHEMA.names)
        return pa.Table.from_pylist([_row(candle) for candle in self._ask(series, day)], schema=_SCHEMA)

    def _ask(self, series: Series, day: date) -> list[Candle]:
        name, symbol = series.exchange, (series.exchange, series.symbol)
        if error := self._silent.get(name) or self._silent.get(symbol):
            raise error
        try:
            if name not in self._clients:
                url = series.source.rest_url
                self._clients[name] = self._make(name, url)
            start = day_start_us(day)
            return self._runner.run(self._clients[name].candles_1m(series.symbol, start, start + DAY_US))
        except (LeftAloneError, UnreachableError) as error:
            self._silent[name] = error
            raise
        except ExchangeError as error:
            self._silent[symbol] = error
            raise


def _row(candle: Candle) -> dict[str, Any]:
    values = {name: getattr(candle, name) for name in NINE}
    opened = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=candle.open_time)
    numbers = {
        name: value if value is None or name == "trade_count" else float(value)
        for name, value in values.items()
    }
    return {"window_start": opened, **numbers}
