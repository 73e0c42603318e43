"""The bundled exchange's public archive: a zip of candles a symbol and day, and its checksum beside it.

Names, columns and units are those of binance-public-data's README: no header, milliseconds until the end of 2024,
microseconds from then on; a day is there once it is over.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from crypto_lake.simulator.binance import wire
from crypto_lake.simulator.market.tape import Page

if TYPE_CHECKING:
    from crypto_lake.simulator.server.exchange import SimulatedExchange

_PATH = re.compile(
    r"(?P<symbol>[A-Z0-9]+)/1m/(?P<name>(?P=symbol)-1m-(?P<day>\d{4}-\d\d-\d\d))\.zip(?P<sum>\.CHECKSUM)?"
)
_MINUTE_US = 60_000_000
_DAY = timedelta(days=1)
_MICROSECONDS_SINCE = datetime(2025, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def file(exchange: SimulatedExchange, path: str) -> bytes | None:
    """Return what lies under a path below `data/spot/daily/klines/`; None where nothing does."""
    asked = _PATH.fullmatch(path)
    if not asked or asked["symbol"] not in exchange.tape.symbols:
        return None
    try:
        day = datetime.fromisoformat(asked["day"]).replace(tzinfo=UTC)
    except ValueError:
        return None
    if _us(day + _DAY) > exchange.clock.now_us():
        return None
    content = _zip(f"{asked['name']}.csv", _csv(exchange, asked["symbol"], day))
    if not asked["sum"]:
        return content
    digest = hashlib.sha256(b"" if exchange.faults.archive_checksum_wrong else content).hexdigest()
    return f"{digest}  {asked['name']}.zip\n".encode()


def _csv(exchange: SimulatedExchange, symbol: str, day: datetime) -> bytes:
    unit_us = wire.MICROSECOND_US if day >= _MICROSECONDS_SINCE else wire.MILLISECOND_US
    page = Page(_MINUTE_US, _us(day), _us(day + _DAY) - 1, limit=_DAY // timedelta(minutes=1))
    candles = exchange.tape.candles(symbol, page, exchange.clock.now_us())
    rows = (
        wire.candle_row(it, _MINUTE_US, unit_us)
        for it in candles
        if not exchange.faults.is_halted(it.open_us)
    )
    return "".join(",".join(map(str, row)) + "\n" for row in rows).encode()


def _zip(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        # A fixed time of writing: the same day has the same bytes whenever it is asked for.
        archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
