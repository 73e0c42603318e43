"""Raw lines, as tests write them by hand: trades and quotes of one symbol, landed as segments."""

import os
import time
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import msgspec

from crypto_lake.config import Config
from crypto_lake.layout import day_start_us
from crypto_lake.raw import journal
from crypto_lake.raw.lines import QuoteLine, RawLine, TradeLine
from crypto_lake.raw.segments import next_number

DAY = date(2025, 10, 20)
START = day_start_us(DAY)
SECOND = 1_000_000
HOUR = 3_600 * SECOND
# Far after DAY: it is over.
LATER = START + 400 * 24 * HOUR
SYMBOL = "SOLUSDT"


def trade(
    number: int,
    ts: int,
    price: str = "190.12000000",
    qty: str = "1.00000000",
    side: str = "buy",
    recv: int | None = None,
) -> RawLine:
    """A trade at `ts` µs, received at `recv` (80 ms later, if not given)."""
    return TradeLine(SYMBOL, ts, ts + 80_000 if recv is None else recv, number, price, qty, side, *[None] * 4)


def quote(number: int, recv: int, bid: str = "190.11000000", ask: str = "190.12000000") -> RawLine:
    """A quote received at `recv` µs."""
    nothing = (None, None, None)
    return QuoteLine(SYMBOL, None, recv, number, *nothing, bid, "5.00000000", ask, "7.00000000")


def land(
    config: Config, lines: Iterable[RawLine], day: date = DAY, kind: str = "part", number: int | None = None
) -> Path:
    """Write lines as a day's next sealed segment."""
    folder = config.layout.raw_day("binance", SYMBOL, day)
    path = config.layout.segment("binance", SYMBOL, day, number or next_number(folder, kind), kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return path


def spoil(path: Path) -> Path:
    """Leave no line in a segment, which may still be on its way here however slow the machine is: nothing mends it."""
    path.write_bytes(b"not json\n")
    later = time.time() + 3600
    os.utime(path, (later, later))
    return path


def sealed(path: Path, lines: list[RawLine], listened: list[tuple[int, int]]) -> journal.Sealed:
    """The collector's record of a segment that it received."""
    events = [line.ts_event for line in lines if line.ts_event is not None]
    offsets = [line.ts_recv - line.ts_event for line in lines if line.ts_event is not None]
    return journal.Sealed(
        at=max(line.ts_recv for line in lines),
        symbol=SYMBOL,
        segment=path.name,
        lines=len(lines),
        size=path.stat().st_size,
        recv_from=min(line.ts_recv for line in lines),
        recv_to=max(line.ts_recv for line in lines),
        event_from=min(events, default=None),
        event_to=max(events, default=None),
        offset_us=min(offsets, default=None),
        listened=[hour for stretch in listened for hour in _hours(*stretch)],
    )


def _hours(start: int, end: int) -> list[tuple[int, int]]:
    """A stretch as windows of an hour cut it, but for one that is short."""
    if end - start <= 2 * HOUR:
        return [(start, end)]
    return [(at, min(at + HOUR, end)) for at in range(start, end, HOUR)]
