"""A lake recorded from the bundled exchange's market, ways to lose some of it, and what is left in the end."""

import random
import shutil
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from pathlib import Path

import duckdb
import msgspec

from crypto_lake.config import Config
from crypto_lake.exchanges.binance.wire import WIRE
from crypto_lake.layout import DAY_US, MINUTE_US, day_of
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine, TradeLine
from crypto_lake.series import Series
from crypto_lake.simulator.binance import wire
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.market.tape import Trade
from crypto_lake.transform import bars, daily
from crypto_lake_tests.raw_lines import DAY, START, SYMBOL, land, sealed

NEXT = date.fromordinal(DAY.toordinal() + 1)
MIDNIGHT = START + DAY_US
OVER = START + 400 * DAY_US
MARKET = SyntheticMarket(7, [SYMBOL], rate=2)
# Two trades a second, of which many minutes are soon recorded.
QUIET = SyntheticMarket(7, [SYMBOL], rate=0.5)
_DELAY_US = 40_000
_QUOTES_SHARE = 8


class _Line(msgspec.Struct):
    """What is asked of a line here."""

    stream: str
    id: int


_DECODER = msgspec.json.Decoder(_Line)


def record(
    lake: Config,
    start: int,
    end: int,
    *,
    quotes: bool = True,
    journaled: bool = True,
    market: SyntheticMarket = MARKET,
) -> None:
    """What a collector leaves of [start, end), a segment a minute, listening all the time."""
    notes = JournalWriter(lake.layout, "binance")
    found = lines(start, end, quotes=quotes, market=market)
    for minute, some in groupby(found, key=lambda line: line.ts_recv // MINUTE_US):
        landed = list(some)
        begin = minute * MINUTE_US
        path = land(lake, landed, day_of(begin))
        ids = [line.id for line in landed if isinstance(line, TradeLine)]
        if journaled:
            note = sealed(path, landed, [(begin, begin + MINUTE_US)])
            told = msgspec.structs.replace(note, first_trade_id=min(ids), last_trade_id=max(ids))
            notes.write(told, day_of(begin))


def lines(
    start: int, end: int, *, quotes: bool = True, market: SyntheticMarket = MARKET
) -> Iterator[RawLine]:
    """Return every trade, and a few quotes a second, of more than ten that there are: they are not lost here."""
    for number, event in enumerate(market.events(SYMBOL, start, end)):
        if isinstance(event, Trade) or (quotes and number % _QUOTES_SHARE == 0):
            frame = wire.payload(SYMBOL, event, wire.MICROSECOND_US).encode()
            line = WIRE.decode(frame, event.sent_us + _DELAY_US)
            assert isinstance(line, RawLine)
            yield line


def copied(lake: Config, folder: Path, rest_url: str) -> Config:
    """A second lake with the same raw files, healed from there."""
    shutil.copytree(Path(lake.general.base_path) / "raw", folder / "raw")
    exchange = msgspec.structs.replace(lake.exchanges[0], rest_url=rest_url)
    general = msgspec.structs.replace(lake.general, base_path=str(folder))
    return msgspec.structs.replace(lake, general=general, exchanges=[exchange])


def segments_of(lake: Config) -> list[Path]:
    """All that was received, in order."""
    return sorted(lake.layout.raw_symbol("binance", SYMBOL).glob("*/part_*.jsonl"))


def trade_ids(lake: Config) -> list[int]:
    """Of all trades that are there, in order."""
    return sorted(line.id for path in segments_of(lake) for line in _decoded(path) if line.stream == "trade")


def _decoded(path: Path) -> list[_Line]:
    return _DECODER.decode_lines(path.read_bytes())


def cut(lake: Config, lost: set[int]) -> None:
    """Take trades out of the files; a file without any line left is taken away."""
    for path in segments_of(lake):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [
            line
            for line, found in zip(lines, _decoded(path), strict=True)
            if found.stream != "trade" or found.id not in lost
        ]
        if not kept:
            path.unlink()
        elif len(kept) < len(lines):
            path.write_bytes(b"".join(kept))


def random_holes(ids: list[int], seed: int, count: int) -> set[int]:
    """Holes of 1 to 5,000 trades, small ones more often, anywhere but at the very ends."""
    chance = random.Random(seed)
    lost: set[int] = set()
    for _ in range(count):
        size = int(5000 ** chance.random())
        first = chance.randrange(ids[0] + 1, max(ids[0] + 2, ids[-1] - size))
        lost |= set(range(first, min(first + size, ids[-1])))
    return lost


def make_bars(duck: duckdb.DuckDBPyConnection, lake: Config) -> None:
    for day in (DAY, NEXT):
        bars.build_all(duck, Series.recorded(lake), day, OVER)


def daily_bytes(duck: duckdb.DuckDBPyConnection, lake: Config) -> list[bytes]:
    """The daily files of both days, made or brought in line."""
    make_bars(duck, lake)
    series = Series(lake, "binance", SYMBOL)
    done = [daily.compact(duck, series, day, OVER) for day in (DAY, NEXT)]
    return [one.path.read_bytes() if one else b"" for one in done]


def first_after_midnight(market: SyntheticMarket = MARKET) -> int:
    """The id of the second day's first trade."""
    events = market.events(SYMBOL, MIDNIGHT, MIDNIGHT + MINUTE_US)
    return next(event.id for event in events if isinstance(event, Trade) and event.ts_us >= MIDNIGHT)
