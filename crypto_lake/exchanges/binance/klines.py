"""Binance's klines, from rows of JSON or of its archive to candles: every value is looked at, none is believed."""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import MOST_TRADES, Candle
from crypto_lake.layout import MINUTE_US

_FIELDS = 11
# Prices as on the wire; a minute's volumes may have more digits than one trade's, and values the decimals of a product.
# No possessive quantifiers: Python 3.11 before 3.11.5 lets "5." pass with them.
_are_prices = re.compile(r"(?:[0-9]{1,10}(?:\.[0-9]{1,8})?\n)*").fullmatch
_are_volumes = re.compile(r"(?:[0-9]{1,16}(?:\.[0-9]{1,8})?\n)*").fullmatch
_are_values = re.compile(r"(?:[0-9]{1,22}(?:\.[0-9]{1,16})?\n)*").fullmatch
_are_decimals = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?\n)*").fullmatch
# So much of a value that is none is shown.
_SHOWN = 40


def candles(
    rows: Any,  # noqa: ANN401 - it is JSON
    symbol: str,
    start_us: int,
    end_us: int,
    quoted: Callable[[str], str] = str,
) -> list[Candle]:
    """1-minute klines of [start, end) as they were answered, times in µs. `quoted` is how an error may tell a value.

    Raises:
        ExchangeError: one that is not a row of numbers, off the minute, out of the range, or not after the one before.
    """
    where = f"klines of {symbol}"
    found = _typed(rows, where, quoted)
    for candle in found:
        if not start_us <= candle.open_time < end_us or candle.open_time % MINUTE_US:
            raise ExchangeError(
                f"{where}: open time {_cut(candle.open_time)} is not a whole minute in [{start_us}, {end_us})"
            )
        if not candle.open_time <= candle.close_time < candle.open_time + MINUTE_US:
            raise ExchangeError(
                f"{where}: close time {_cut(candle.close_time)} is not in the minute of {candle.open_time}"
            )
    for before, after in itertools.pairwise(found):
        if after.open_time <= before.open_time:
            raise ExchangeError(f"{where}: {after.open_time} comes after {before.open_time}")
    return found


def _typed(rows: Any, where: str, quoted: Callable[[str], str]) -> list[Candle]:  # noqa: ANN401 - it is JSON
    """Rows as candles whose times and counts are whole numbers, and all else decimal strings."""
    if not isinstance(rows, list):
        raise ExchangeError(f"{where}: expected a list, got {quoted(str(rows))[:80]}")
    for row in rows:
        if not isinstance(row, list) or len(row) < _FIELDS:
            raise ExchangeError(f"{where}: expected rows of 12 values, got {quoted(str(row))[:80]}")
    try:
        found = msgspec.convert([row[:_FIELDS] for row in rows], list[Candle])
    except msgspec.ValidationError as error:
        raise ExchangeError(f"{where}: a value of the wrong type in the answer: {error}") from None
    if not _are_sane(found):
        wrong = next(candle for candle in found if not _are_sane([candle]))
        texts = [*wrong[1:6], wrong[7], *wrong[9:]]
        typed = _all_match(_are_decimals, texts) and wrong.trade_count >= 0
        what = "an absurd value" if typed else "a value of the wrong type"
        raise ExchangeError(
            f"{where}: {what} in [{', '.join(_cut(quoted(str(value))) for value in wrong)}]"[: _SHOWN * 5]
        )
    return found


def _are_sane(some: Sequence[Candle]) -> bool:
    """Return whether all texts and counts are numbers that a market may have; a thousand rows in one look."""
    return (
        _all_match(_are_prices, [text for candle in some for text in candle[1:5]])
        and _all_match(_are_volumes, [text for c in some for text in (c.volume_base, c.taker_buy_base)])
        and _all_match(_are_values, [text for c in some for text in (c.volume_quote, c.taker_buy_quote)])
        and all(0 <= candle.trade_count <= MOST_TRADES for candle in some)
    )


def _all_match(pattern: Callable[[str], object], texts: Sequence[str | None]) -> bool:
    """Return whether all are texts that a pattern fits; this exchange tells all of a candle, so None is none."""
    told = [text for text in texts if text is not None]
    joined = "\n".join([*told, ""])
    # A text with an end of line in it would pass for two.
    return len(told) == len(texts) == joined.count("\n") and pattern(joined) is not None


def _cut(value: object) -> str:
    """A value as an error shows it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
