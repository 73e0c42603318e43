"""A made-up market that several recorders hear, each by its own clock, from its own minute to its own death."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count, groupby
from pathlib import Path

import duckdb
import msgspec

from crypto_lake.config import Config
from crypto_lake.layout import DAY_US, MINUTE_US, Layout, day_of
from crypto_lake.raw import journal
from crypto_lake.raw.intervals import Interval, clipped
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine, TradeLine
from crypto_lake.raw.segments import next_number
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.raw_lines import DAY, START, SYMBOL, quote, trade

OVER = START + 400 * DAY_US
SECOND = 1_000_000


def market(start: int, end: int, step: int) -> list[tuple[int, RawLine]]:
    """A trade and then a quote each `step` µs, with the instants at which they leave the exchange."""
    found: list[tuple[int, RawLine]] = []
    for n, at in enumerate(range(start + step // 2, end, step), start=1):
        price, side = f"{100 + n % 97 / 4:.8f}", ("buy", "sell")[n % 2]
        found.append((at, trade(n, at, price, f"{1 + n % 13}.50000000", side)))
        found.append((at + step // 4, quote(10 * n, 0, price, f"{101 + n % 97 / 4:.8f}")))
    return found


@dataclass
class Heard:
    """One recorder: by which clock it heard, how late, when it listened (true time), and which trades it missed."""

    name: str
    listened: list[Interval]
    clock: Callable[[int], int] = lambda _true: 0
    delay: Callable[[RawLine], int] = lambda _line: 20_000
    misses: frozenset[int] = field(default_factory=frozenset)

    def lines(self, events: Iterable[tuple[int, RawLine]]) -> list[RawLine]:
        """What it received, in order, by its own clock."""
        found = []
        for at, line in events:
            came = at + self.delay(line)
            is_missed = isinstance(line, TradeLine) and line.id in self.misses
            if not is_missed and any(first <= came < last for first, last in self.listened):
                found.append(msgspec.structs.replace(line, ts_recv=came + self.clock(came)))
        return sorted(found, key=lambda line: line.ts_recv)


def write(layout: Layout, heard: Heard, events: Sequence[tuple[int, RawLine]]) -> None:
    """Leave what a collector of that name leaves: segments of a minute, and its journals."""
    mine = layout.of(heard.name)
    notes = JournalWriter(mine, "binance")
    by_minute = {
        minute: list(some)
        for minute, some in groupby(heard.lines(events), key=lambda line: line.ts_recv // MINUTE_US)
    }
    numbers = cache(
        lambda day: count(next_number(mine.raw_day("binance", SYMBOL, day), recorder=mine.recorder))
    )
    local = [(first + heard.clock(first), last + heard.clock(last)) for first, last in heard.listened]
    for minute in sorted({*by_minute, *_minutes(local)}):
        begin = minute * MINUTE_US
        stretches = clipped(local, begin, begin + MINUTE_US)
        lines = by_minute.get(minute, [])
        number = next(numbers(day_of(begin))) if lines else 0
        record = _sealed(mine, lines, number, begin, stretches)
        notes.write(record, day_of(begin))
        if record.offset_us is not None:
            offset = journal.ClockOffset(at=record.at, minute=begin, offset_us=record.offset_us, trades=50)
            notes.write(offset, day_of(begin))
    _tell_holes(notes, heard, events)


def _minutes(stretches: Iterable[Interval]) -> list[int]:
    return [
        minute for first, last in stretches for minute in range(first // MINUTE_US, -(-last // MINUTE_US))
    ]


def _sealed(
    layout: Layout, lines: list[RawLine], number: int, begin: int, listened: list[Interval]
) -> journal.Sealed:
    day, content = day_of(begin), b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    path = layout.segment("binance", SYMBOL, day, number)
    if lines:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    trades = [line for line in lines if isinstance(line, TradeLine)]
    events, ids = [line.ts_event for line in trades], [line.id for line in trades]
    return journal.Sealed(
        at=begin + MINUTE_US,
        symbol=SYMBOL,
        segment=path.name if lines else None,
        lines=len(lines),
        size=len(content),
        recv_from=min((line.ts_recv for line in lines), default=None),
        recv_to=max((line.ts_recv for line in lines), default=None),
        event_from=min(events, default=None),
        event_to=max(events, default=None),
        offset_us=min((line.ts_recv - line.ts_event for line in trades), default=None),
        listened=listened,
        first_trade_id=min(ids, default=None),
        last_trade_id=max(ids, default=None),
        sha256=hashlib.sha256(content).hexdigest() if lines else None,
    )


def _tell_holes(notes: JournalWriter, heard: Heard, events: Sequence[tuple[int, RawLine]]) -> None:
    """Tell each trade that it missed while it listened, as a collector does."""
    times = {line.id: line.ts_event for _, line in events if isinstance(line, TradeLine)}
    for number in sorted(heard.misses & times.keys()):
        if number - 1 in times and number + 1 in times:
            first, last = times[number - 1], times[number + 1]
            gap = journal.Gap(
                at=last, symbol=SYMBOL, first_id=number, last_id=number, event_from=first, event_to=last
            )
            notes.write(gap, day_of(last + heard.clock(last)))


def moved(config: Config, folder: Path) -> Config:
    """The same settings for a lake in a folder."""
    general = msgspec.structs.replace(config.general, base_path=str(folder))
    return msgspec.structs.replace(config, general=general)


def lake_of(
    config: Config, folder: Path, recorders: Iterable[Heard], events: Sequence[tuple[int, RawLine]]
) -> Series:
    """A lake in a folder that these recorded."""
    series = Series(moved(config, folder), "binance", SYMBOL)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for heard in recorders:
        write(series.layout, heard, events)
    return series


def finish(duck: duckdb.DuckDBPyConnection, series: Series) -> dict[str, bytes]:
    """Bars, daily file, minutes and ticks of the day: the bytes of the files by their place."""
    bars.build_day(duck, series, DAY, OVER)
    daily.compact(duck, series, DAY, OVER)
    ticks.make(duck, series, DAY, OVER)
    return finished(series)


def finished(series: Series) -> dict[str, bytes]:
    """The finished Parquet files of a lake by their place."""
    base = series.layout.base
    roots = (base / "parquet", base / "bars", base / "ticks")
    return {
        path.relative_to(base).as_posix(): path.read_bytes()
        for root in roots
        for path in sorted(root.rglob("*.parquet"))
    }
