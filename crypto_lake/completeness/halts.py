"""The register of halts: minutes of finished days for which the exchange, asked for them, has no candle.

One JSON object in `state/halts.json`: exchange → symbol → day → list of `[from, to)`, ISO 8601 in UTC. Backfilling a
day enters its halts anew; whoever compares bars with candles reads them, so that a halt is not a loss for ever. A
register that is damaged is made anew from the candle files, which lack the same minutes.
"""

import json
from datetime import date, datetime, timedelta
from typing import Annotated

import msgspec
from loguru import logger
from msgspec import Meta

from crypto_lake.completeness import candles
from crypto_lake.disk import locks, publish
from crypto_lake.errors import NOT_JSON, LakeError
from crypto_lake.layout import EPOCH, Layout, day_start_us, iso

Stretches = list[tuple[int, int]]
_Register = dict[str, dict[str, dict[str, Stretches]]]
_Time = Annotated[datetime, Meta(tz=True)]
_Spelt = dict[str, dict[str, dict[str, list[tuple[_Time, _Time]]]]]


def of_day(layout: Layout, exchange: str, symbol: str, day: date) -> Stretches:
    """The registered `[from, to)` of a day in µs UTC, in order; none where nothing was registered.

    Raises:
        LakeError: the register cannot be read.
    """
    return _read(layout).get(exchange, {}).get(symbol, {}).get(day.isoformat(), [])


def enter(layout: Layout, exchange: str, symbol: str, day: date, stretches: Stretches) -> None:
    """Let the register say exactly this of a day; `[from, to)` in µs UTC, in order.

    Raises:
        LakeError: the register cannot be read or written, or another run has been at it for minutes.
    """
    if of_day(layout, exchange, symbol, day) == stretches:
        return
    try:
        with locks.hold(layout.halts_lock):
            register = _read(layout)
            days = register.setdefault(exchange, {}).setdefault(symbol, {})
            days.pop(day.isoformat(), None)
            if stretches:
                days[day.isoformat()] = stretches
            publish.write(layout.halts, _spelt(register))
    except OSError as error:
        raise LakeError(f"{layout.halts}: cannot be written: {error}") from None


def _read(layout: Layout) -> _Register:
    try:
        text = publish.read(layout.halts)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LakeError(f"{layout.halts}: cannot be read: {error}") from None
    try:
        spelt = msgspec.json.decode(text, type=_Spelt)
    except NOT_JSON:
        logger.error("{}: expected one JSON object; made anew from the candle files", layout.halts)
        return _of_candles(layout)
    return {
        exchange: {
            symbol: {day: [(_us(first), _us(last)) for first, last in some] for day, some in days.items()}
            for symbol, days in symbols.items()
        }
        for exchange, symbols in spelt.items()
    }


def _of_candles(layout: Layout) -> _Register:
    """Return what the candle files of finished days lack."""
    register: _Register = {}
    for exchange in layout.candle_exchanges():
        for symbol in layout.candle_symbols(exchange):
            for day in layout.candle_days(exchange, symbol):
                path = layout.candles(exchange, symbol, day)
                footer = candles.finished(path)
                if footer and footer.missing:
                    days = register.setdefault(exchange, {}).setdefault(symbol, {})
                    days[day.isoformat()] = candles.lacking(path, day_start_us(day))
    return register


def _spelt(register: _Register) -> bytes:
    spelt = {
        exchange: {
            symbol: {day: [[iso(first), iso(last)] for first, last in some] for day, some in days.items()}
            for symbol, days in symbols.items()
        }
        for exchange, symbols in register.items()
    }
    return (json.dumps(spelt, sort_keys=True, indent=1) + "\n").encode()


def _us(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)
