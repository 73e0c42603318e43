"""Binance's klines, from rows of JSON or of its archive to candles: every value is looked at, none is believed."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import Candle
from crypto_lake.layout import MINUTE_US

_FIELDS = 11
_are_decimals = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?\n)*").fullmatch


def candles(rows: Any, symbol: str, start_us: int, end_us: int) -> list[Candle]:  # noqa: ANN401 - it is JSON
    """1-minute klines of [start, end) as they were answered, times in µs.

    Raises:
        ExchangeError: one that is not a row of numbers, off the minute, out of the range, or not after the one before.
    """
    where = f"klines of {symbol}"
    if not isinstance(rows, list):
        raise ExchangeError(f"{where}: expected a list, got {str(rows)[:80]}")
    for row in rows:
        if not isinstance(row, list) or len(row) < _FIELDS:
            raise ExchangeError(f"{where}: expected rows of 12 values, got {str(row)[:80]}")
    found = [Candle._make(row[:_FIELDS]) for row in rows]
    if not _typed(found):
        wrong = next(candle for candle in found if not _typed([candle]))
        raise ExchangeError(f"{where}: a value of the wrong type in {str(list(wrong))[:120]}")
    for candle in found:
        if not start_us <= candle.open_time < end_us or candle.open_time % MINUTE_US:
            raise ExchangeError(
                f"{where}: open time {candle.open_time} is not a whole minute in [{start_us}, {end_us})"
            )
        if not candle.open_time <= candle.close_time < candle.open_time + MINUTE_US:
            raise ExchangeError(
                f"{where}: close time {candle.close_time} is not in the minute of {candle.open_time}"
            )
    for before, after in itertools.pairwise(found):
        if after.open_time <= before.open_time:
            raise ExchangeError(f"{where}: {after.open_time} comes after {before.open_time}")
    return found


def _typed(some: Sequence[Candle]) -> bool:
    """Whether times and counts are whole numbers, and all else decimal strings; a thousand in one look."""
    columns = list(zip(*some, strict=True))
    times = [value for name in ("open_time", "close_time", "trade_count") for value in _of(columns, name)]
    numbers = [value for name in _NUMBERS for value in _of(columns, name)]
    if {*map(type, times)} - {int} or {*map(type, numbers)} - {str} or (times and min(times) < 0):
        return False
    text = "".join(f"{number}\n" for number in numbers)
    return text.count("\n") == len(numbers) and _are_decimals(text) is not None


_NUMBERS = tuple(name for name in Candle._fields if name not in {"open_time", "close_time", "trade_count"})


def _of(columns: list[tuple[Any, ...]], name: str) -> tuple[Any, ...]:
    return columns[Candle._fields.index(name)] if columns else ()
