"""The order book from the bundled exchange, over real sockets: what was served lies in the lake."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import date
from itertools import pairwise
from pathlib import Path

import msgspec

from collector_daemon.daemon import run
from crypto_lake.config import Config
from crypto_lake.exchanges.binance.wire import WIRE
from crypto_lake.raw import journal, segments
from crypto_lake.raw.collector_status import SymbolStatus
from crypto_lake.raw.lines import OF_BOOK, BookLine, DepthLine, DepthSnapshotLine, decode_book
from crypto_lake.simulator.binance.wire import depth_payload
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import SimulatedExchange, running
from crypto_lake.simulator.server.faults import Faults
from crypto_lake_tests.collector_daemon.daemon_runs import Then, status_of
from crypto_lake_tests.collector_daemon.fakes import T0, Swift, configured, own, until

DAY = date(2025, 10, 20)
SYMBOLS = ["SOLUSDT", "ADAUSDT"]
STREAMS = ["trade", "bookTicker", "depth"]
MARKET = SyntheticMarket(7, SYMBOLS, rate=3)


class Brisk(Swift):
    """Lives so fast that a busy machine still brings an event within the 2 s after which its absence is a break."""

    RATE = 4


def recorded(base: Path, faults: Faults, then: Then, start: int = T0, connections: int = 2) -> Config:
    """Record the market, which runs as fast as the collector lives, until `then` is through."""
    clock = Brisk(start, pace=1.0)
    exchange = SimulatedExchange(MARKET, MarketClock(start, speed=Brisk.RATE), faults)

    async def together(port: int) -> Config:
        config = configured(base, port, SYMBOLS, connections=connections)
        section = msgspec.structs.replace(config.exchanges[0], streams=STREAMS)
        config = msgspec.structs.replace(config, exchanges=[section])
        stop = asyncio.Event()
        daemon = asyncio.create_task(run(config, clock=clock, stop=stop))
        story = asyncio.ensure_future(then(config, stop))
        await asyncio.wait({daemon, story}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        if story.done():
            story.result()
        await daemon
        return config

    with running(exchange) as address:
        return asyncio.run(together(address.port))


def until_status(enough: Callable[[SymbolStatus], bool]) -> Then:
    async def wait(config: Config, _stop: asyncio.Event) -> None:
        def is_so() -> bool:
            status = status_of(config)
            some = [one for each in status.exchanges for one in each.symbols] if status else []
            return bool(some) and all(map(enough, some))

        await until(is_so, "the order book")

    return wait


def lines(config: Config, symbol: str, day: date = DAY) -> list[BookLine]:
    folder = config.layout.raw_day("binance", symbol, day)
    content = b"".join(path.read_bytes() for path in segments.sealed(folder, [OF_BOOK]))
    return [decode_book(line) for line in content.splitlines()]


def events(some: list[BookLine]) -> list[DepthLine]:
    return sorted((one for one in some if isinstance(one, DepthLine)), key=lambda one: one.id)


def snapshots(some: list[BookLine]) -> list[DepthSnapshotLine]:
    return [one for one in some if isinstance(one, DepthSnapshotLine)]


def breaks(config: Config, symbol: str) -> list[tuple[int, int]]:
    told = journal.of_kind(own(config.layout, symbol, DAY), journal.BookBreak)
    return [(one.after_id, one.first_id) for one in told]


def served(symbol: str, start: int, end: int) -> Iterator[DepthLine]:
    for one in MARKET.depth(symbol, start - 10 * 10**6, end + 10 * 10**6, 100_000):
        line = WIRE.decode(depth_payload(symbol, one, 1).encode(), 0)
        assert isinstance(line, DepthLine)
        yield line


def contents(line: DepthLine) -> tuple[object, ...]:
    return line.first_id, line.id, line.ts_event, line.bids, line.asks


def levels(line: BookLine) -> dict[tuple[str, str], str]:
    return {("bid", price): qty for price, qty in line.bids} | {
        ("ask", price): qty for price, qty in line.asks
    }


def carried(one: BookLine, some: list[DepthLine], to: BookLine) -> dict[tuple[str, str], str]:
    """The levels of a snapshot, and those that changed up to another; but for what an event changed that spans that."""
    book = levels(one)
    for line in some:
        if one.id < line.id <= to.id:
            book |= levels(line)
    spanning = {level for line in some if line.first_id <= to.id < line.id for level in levels(line)}
    return {level: qty for level, qty in book.items() if float(qty) and level not in spanning}


def test_every_event_that_was_served_is_there_once_over_two_connections_between_two_anchors(
    tmp_path: Path,
) -> None:
    config = recorded(
        tmp_path, Faults(), until_status(lambda one: bool((one.depth or 0) > 40 and one.last_anchor))
    )
    for symbol in SYMBOLS:
        kept, anchors = events(lines(config, symbol)), snapshots(lines(config, symbol))
        assert breaks(config, symbol) == []
        there = served(symbol, kept[0].ts_event, kept[-1].ts_event)
        expected = [one for one in there if kept[0].first_id <= one.first_id and one.id <= kept[-1].id]
        assert list(map(contents, kept)) == list(map(contents, expected))
        first, last = anchors[0], anchors[-1]
        assert len(anchors) == 2
        assert kept[0].first_id - 1 <= first.id < last.id <= kept[-1].id
        whole = carried(last, [one for one in kept if one.id > last.id], last)
        assert carried(first, kept, last) == whole


def test_each_break_is_in_the_journal_as_a_reader_sees_it_and_a_new_anchor_follows(tmp_path: Path) -> None:
    faults = Faults(lose_depth_every=23, double_depth_every=5, overlap_depth_every=11, duplicate_every=7)
    enough = until_status(lambda one: (one.book_breaks or 0) >= 3)
    config = recorded(tmp_path, faults, enough)
    for symbol in SYMBOLS:
        kept, anchors = events(lines(config, symbol)), snapshots(lines(config, symbol))
        seen, covered = list[tuple[int, int]](), kept[0].id
        for line in kept[1:]:
            seen += [(covered, line.first_id)] if line.first_id > covered + 1 else []
            covered = max(covered, line.id)
        assert sorted(breaks(config, symbol)) == seen
        assert len(seen) >= 3
        # Of breaks that follow each other at once the first has none of its own, and one may come behind the last.
        assert anchors[-1].id >= seen[0][1] - 1


def test_a_snapshot_from_before_the_chain_began_is_asked_for_again(tmp_path: Path) -> None:
    config = recorded(tmp_path, Faults(snapshot_stale_s=4), until_status(lambda one: bool(one.last_anchor)))
    for symbol in SYMBOLS:
        kept, anchors = events(lines(config, symbol)), snapshots(lines(config, symbol))
        assert anchors[0].id >= kept[0].first_id - 1
        assert kept[0].ts_event < anchors[0].ts_recv - 3 * 10**6


def test_a_recording_that_is_started_again_breaks_the_chain_where_nobody_listened(tmp_path: Path) -> None:
    later = T0 + 600 * 10**6
    recorded(tmp_path, Faults(), until_status(lambda one: (one.depth or 0) > 5))
    enough = until_status(lambda one: (one.depth or 0) > 5 and (one.last_frame or 0) > later)
    config = recorded(tmp_path, Faults(), enough, start=later)
    for symbol in SYMBOLS:
        kept = events(lines(config, symbol))
        seen = [(one.id, other.first_id) for one, other in pairwise(kept) if other.first_id != one.id + 1]
        assert breaks(config, symbol) == seen
        assert len(seen) == 1
