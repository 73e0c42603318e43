"""A made-up order book whose every state is known, and the lines that a collector would have received of it."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec

from crypto_lake import sections
from crypto_lake.config import Config
from crypto_lake.exchanges.binance.wire import MOST_LEVELS
from crypto_lake.raw.lines import BookLine, DepthLine, DepthSnapshotLine, Level
from crypto_lake.raw.segments import next_number
from crypto_lake_tests.raw_lines import DAY, START, SYMBOL

# Price and quantity of the levels of a side.
Side = dict[Decimal, Decimal]
STEP_US = 100_000


def event(
    first_id: int, last_id: int, at: int, bids: Sequence[Level] = (), asks: Sequence[Level] = ()
) -> DepthLine:
    """An event at `at` µs, received 80 ms later."""
    return DepthLine(SYMBOL, at, at + 80_000, first_id, last_id, tuple(bids), tuple(asks))


def snapshot(number: int, recv: int, bids: Sequence[Level] = (), asks: Sequence[Level] = ()) -> BookLine:
    """A snapshot received at `recv` µs."""
    return DepthSnapshotLine(SYMBOL, None, recv, None, number, tuple(bids), tuple(asks))


def longest_snapshot() -> BookLine:
    """Return the longest snapshot that a collector can be told to record: all numbers as long as they may be."""
    levels = sections.Collector.__annotations__["depth_snapshot_levels"].__metadata__[0].le
    assert levels == MOST_LEVELS
    level = "9" * 10 + "." + "9" * 8, "9" * 12 + "." + "9" * 8
    return snapshot(2**63 - 1, START, [level] * levels, [level] * levels)


def land(config: Config, lines: Iterable[BookLine], day: date = DAY, recorder: str = "") -> Path:
    """Write lines as a day's next sealed segment of the book."""
    layout = config.layout.of(recorder)
    folder = layout.raw_day("binance", SYMBOL, day)
    path = layout.segment("binance", SYMBOL, day, next_number(folder, "depth", recorder), "depth")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return path


class Market:
    """A book that changes a level with each id. `state(id)` is what it was then, by plain dicts of decimals."""

    def __init__(self, seed: int, ids: int, start: int = START) -> None:
        self.random = Random(seed)
        self.start = start
        self.last = ids
        # The change of each id from 1 on: a side, a price, a quantity.
        self._changes = [self._change() for _ in range(ids)]

    def _change(self) -> tuple[int, Decimal, Decimal]:
        number = self.random.randrange(2)
        price = Decimal(100) + (1 if number else -1) * self.random.randrange(1, 15)
        qty = Decimal(self.random.choice([0, 0, 1, 2, 3]))
        return number, price, qty

    def state(self, last_id: int) -> tuple[Side, Side]:
        """Return the bids and asks after an id."""
        sides: tuple[Side, Side] = ({}, {})
        for number, price, qty in self._changes[:last_id]:
            if qty:
                sides[number][price] = qty
            else:
                sides[number].pop(price, None)
        return sides

    def events(self, cuts: Sequence[int]) -> list[DepthLine]:
        """Return the events that end with the ids given; each 100 ms later than the one before."""
        found: list[DepthLine] = []
        for number, (before, last) in enumerate(zip([0, *cuts], cuts, strict=False)):
            latest = {(side, price): qty for side, price, qty in self._changes[before:last]}
            sides = [
                tuple((f"{price:.8f}", f"{qty:.8f}") for (of, price), qty in latest.items() if of == side)
                for side in (0, 1)
            ]
            found.append(event(before + 1, last, self.start + number * STEP_US, *sides))
        return found

    def cuts(self) -> list[int]:
        """Return ids at which events end, chosen at random."""
        found = sorted(self.random.sample(range(1, self.last), self.last // 3))
        return [*found, self.last]

    def snapshot(self, at: int, recv: int, levels: int = 1000, lacking: int = 0) -> BookLine:
        """Return a snapshot after an id, of so many levels, of which so many best bids are lacking."""
        bids, asks = self.state(at)
        best = [sorted(bids, reverse=True)[lacking : levels + lacking], sorted(asks)[:levels]]
        sides = [
            [(f"{price:.8f}", f"{side[price]:.8f}") for price in prices]
            for side, prices in zip((bids, asks), best, strict=True)
        ]
        return snapshot(at, recv, *sides)


def is_known(events: Sequence[BookLine], snapshots: Sequence[int], number: int) -> bool:
    """Return whether events, in order, lead without a hole from any snapshot to the one of that number."""
    ends = [one.id for one in events]
    for at in snapshots:
        first = bisect_right(ends, at)
        before = at
        for one in events[first : number + 1]:
            if one.first_id is None or one.first_id > before + 1:
                break
            before = one.id
        else:
            if first <= number:
                return True
    return False
