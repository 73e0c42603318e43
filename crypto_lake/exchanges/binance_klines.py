"""Binance's klines, from rows of JSON or of its archive to candles: every value is looked at, none is believed."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import Candle
from crypto_lake.layout import MINUTE_US

_FIELDS = 11
_are_decimals = re.compile(r"(?:[0-9]++(?:\.[0-9]++)?+\n)*+").fullmatch


def candles(rows: Any, symbol: str, start_us: int, end_us: int) -> list[Candle]:  # noqa: ANN401 - it is JSON
    """1-minute klines of [start, end) as they were answered, times in µs.

    Raises:
        ExchangeError: one that is not a row of numbers, off the minute, out of the range, or not after the one before.
    """
    where = f"klines of {symbol}"
    found = _typed(rows, where)
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


def _typed(rows: Any, where: str) -> list[Candle]:  # noqa: ANN401 - it is JSON
    """Rows as candles whose times and counts are whole numbers, and all else decimal strings."""
    if not isinstance(rows, list):
        raise ExchangeError(f"{where}: expected a list, got {str(rows)[:80]}")
    for row in rows:
        if not isinstance(row, list) or len(row) < _FIELDS:
            raise ExchangeError(f"{where}: expected rows of 12 values, got {str(row)[:80]}")
    try:
        found = msgspec.convert([row[:_FIELDS] for row in rows], list[Candle])
    except msgspec.ValidationError as error:
        raise ExchangeError(f"{where}: a value of the wrong type in the answer: {error}") from None
    if not _are_numbers(found):
        wrong = next(candle for candle in found if not _are_numbers([candle]))
        raise ExchangeError(f"{where}: a value of the wrong type in {str(list(wrong))[:120]}")
    return found


def _are_numbers(some: Sequence[Candle]) -> bool:
    """Whether all texts are decimal numbers, and no count is negative; a thousand rows in one look."""
    texts = [text for candle in some for text in (*candle[1:6], candle[7], *candle[9:])]
    joined = "".join(f"{text}\n" for text in texts)
    # A text with an end of line in it would pass for two.
    whole = joined.count("\n") == len(texts) and _are_decimals(joined) is not None
    return whole and all(candle.trade_count >= 0 for candle in some)
