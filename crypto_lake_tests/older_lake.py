"""A lake that was written before a symbol had a journal of its own: `older_lake.tar.xz`, and what made it says of it.

The commit before that change recorded it from the bundled exchange's market, so nothing in it is foreign: BTCUSDT and
SOLUSDT, minutes of three days, bars of a minute. 2025-10-19 is pruned to ticks; on the 20th SOLUSDT has a gap that was
healed and one that was not, and BTCUSDT minutes in which nothing came; trades of the 19th were replayed on the 21st,
which is in progress and lies in parts. Beside the lake lie `expected.json`, what the code of that commit answered, and
`extended/`, the daily files that it made after `extend`.
"""

import tarfile
from collections.abc import Collection, Iterator, Sequence
from datetime import date
from pathlib import Path

import msgspec

from collector_daemon.decide.tally import Tally
from collector_daemon.land.disk import Disk
from collector_daemon.land.jobs import Append, Note, Seal
from crypto_lake.config import Config
from crypto_lake.exchanges.binance.wire import WIRE
from crypto_lake.layout import DAY_US, HOUR_US, MINUTE_US, day_of, day_start_us
from crypto_lake.raw import journal, segments
from crypto_lake.raw.lines import RawLine, TradeLine, decode
from crypto_lake.simulator.binance import wire
from crypto_lake.simulator.market.synthetic import SyntheticMarket

SYMBOLS = ["BTCUSDT", "SOLUSDT"]
DAYS = [date(2025, 10, 19), date(2025, 10, 20), date(2025, 10, 21)]
_STARTS = [day_start_us(day) for day in DAYS]
# When it was last worked on, and when what `extend` adds has been.
NOW = _STARTS[2] + 11 * HOUR_US
AFTER = _STARTS[2] + DAY_US + 11 * HOUR_US
_MARKET = SyntheticMarket(7, SYMBOLS, rate=0.1)
_DELAY_US = 40_000


def unpack(folder: Path) -> Path:
    """Lay the lake, its `config.yml` and what is expected of it into a folder; where the configuration is."""
    with tarfile.open(Path(__file__).with_suffix(".tar.xz")) as archive:
        archive.extractall(folder, filter="data")
    return folder / "config.yml"


def extend(lake: Config) -> None:
    """Record three minutes more of the last day, as a collector does that was stopped and upgraded at noon.

    More trades of the first day are replayed, and the gap of the second one is healed.
    """
    disk = Disk(lake.layout, "binance")
    noon = _STARTS[2] + 12 * HOUR_US
    disk.do(Note(journal.Started(at=noon - 3, version="0.1.0", pid=2, symbols=SYMBOLS), DAYS[2]))
    for begin in range(noon, noon + 3 * MINUTE_US, MINUTE_US):
        for symbol in SYMBOLS:
            _land(disk, symbol, _received(symbol, begin), [(begin, begin + MINUTE_US)], begin + MINUTE_US)
        at = begin + MINUTE_US
        disk.do(Note(journal.ClockOffset(at=at, minute=begin, offset_us=_DELAY_US, trades=9), DAYS[2]))
    _land(disk, "BTCUSDT", [], [(noon + 4 * MINUTE_US, noon + 6 * MINUTE_US)], noon + 6 * MINUTE_US)
    replayed = trades("BTCUSDT", _STARTS[0] + 6 * HOUR_US, _STARTS[0] + 6 * HOUR_US + 2 * MINUTE_US)
    received = noon + 30 * MINUTE_US
    some = [msgspec.structs.replace(line, ts_recv=received + n) for n, line in enumerate(replayed)]
    _land(disk, "BTCUSDT", some, [], received + MINUTE_US)
    lost = [line for line in _lost() if line.id not in _ids(lake)]
    fetched = [msgspec.structs.replace(line, ts_recv=received) for line in lost]
    segments.land_healed(lake.layout, "binance", "SOLUSDT", DAYS[1], fetched)


def _lost() -> list[TradeLine]:
    """The trades of SOLUSDT in the minute of which a few were lost."""
    begin = _STARTS[1] + 12 * HOUR_US + MINUTE_US
    return trades("SOLUSDT", begin, begin + MINUTE_US)


def _ids(lake: Config) -> Collection[int]:
    folder = lake.layout.raw_day("binance", "SOLUSDT", DAYS[1])
    lines = (line for path in segments.sealed(folder) for line in path.read_bytes().splitlines())
    return {line.id for line in map(decode, lines) if isinstance(line, TradeLine)}


def trades(symbol: str, start: int, end: int) -> list[TradeLine]:
    """The trades that happened in [start, end)."""
    return [line for line in _lines(symbol, start, end) if isinstance(line, TradeLine)]


def _received(symbol: str, begin: int) -> list[RawLine]:
    end = begin + MINUTE_US
    return [line for line in _lines(symbol, begin, end) if begin <= line.ts_recv < end]


def _lines(symbol: str, start: int, end: int) -> Iterator[RawLine]:
    for event in _MARKET.events(symbol, start, end):
        frame = wire.payload(symbol, event, wire.MICROSECOND_US).encode()
        line = WIRE.decode(frame, event.sent_us + _DELAY_US)
        assert isinstance(line, RawLine)
        yield line


def _land(disk: Disk, symbol: str, some: Sequence[RawLine], listened: list[tuple[int, int]], at: int) -> None:
    tally = Tally(day_of(at - 1))
    for line in some:
        tally.add(line)
    if some:
        lines = b"".join(msgspec.json.encode(line) + b"\n" for line in some)
        disk.do(Append(symbol, tally.day, lines))
    disk.do(Seal(symbol, at, tally, listened))
