"""The register of halts: minutes of finished days for which the exchange, asked for them, has no candle.

One JSON object in `state/halts.json`: exchange → symbol → day → list of `[from, to)`, ISO 8601 in UTC. Backfilling a
day enters its halts anew; whoever compares bars with candles reads them, so that a halt is not a loss for ever.
"""

import json
from datetime import date, datetime, timedelta
from typing import Any

from filelock import FileLock

from crypto_lake import publish
from crypto_lake.errors import LakeError
from crypto_lake.layout import EPOCH, Layout, iso

Stretches = list[tuple[int, int]]


def of_day(layout: Layout, exchange: str, symbol: str, day: date) -> Stretches:
    """The registered `[from, to)` of a day in µs UTC, in order; none where nothing was registered.

    Raises:
        LakeError: the register cannot be read.
    """
    known = _read(layout).get(exchange, {}).get(symbol, {}).get(day.isoformat(), [])
    return [(_us(first), _us(last)) for first, last in known]


def enter(layout: Layout, exchange: str, symbol: str, day: date, stretches: Stretches) -> None:
    """Let the register say exactly this of a day; `[from, to)` in µs UTC, in order.

    Raises:
        LakeError: the register cannot be read or written.
    """
    if of_day(layout, exchange, symbol, day) == stretches:
        return
    try:
        layout.halts_lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(layout.halts_lock):
            register = _read(layout)
            days = register.setdefault(exchange, {}).setdefault(symbol, {})
            days.pop(day.isoformat(), None)
            if stretches:
                days[day.isoformat()] = [[iso(first), iso(last)] for first, last in stretches]
            publish.write(layout.halts, (json.dumps(register, sort_keys=True, indent=1) + "\n").encode())
    except OSError as error:
        raise LakeError(f"{layout.halts}: cannot be written: {error}") from None


def _read(layout: Layout) -> dict[str, Any]:
    try:
        text = layout.halts.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LakeError(f"{layout.halts}: cannot be read: {error}") from None
    try:
        register = json.loads(text)
    except ValueError:
        register = None
    if not isinstance(register, dict):
        raise LakeError(
            f"{layout.halts}: expected one JSON object; delete it, and backfill anew what it was about"
        )
    return register


def _us(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)
