"""How long a day of depth of a busy symbol takes to become Parquet, book and boundaries, and in how much memory.

    python benchmarks/book.py make FOLDER [--events N] [--levels L]

`make` writes a lake with a made-up day of N events (10 a second: 864,000) of L level changes each, with a snapshot each
six hours, as a collector would.
"""

import argparse
import random
from datetime import date
from itertools import pairwise
from pathlib import Path

DAY = date(2025, 10, 20)
DAY_US = 86_400_000_000
START_US = 1_760_918_400_000_000
SYMBOL = "BTCUSDT"
LAKE = """general: {{ base_path: "{base}" }}
exchanges:
  - name: binance
    symbols: [BTCUSDT]
    rest_url: "https://localhost/api/v3"
    wss_url: "wss://localhost/ws"
"""
EVENTS_A_SEGMENT = 600
SNAPSHOTS = 4
TAKEN_AWAY = 0.5


class Market:
    """A book that moves at random, in ticks of 0.01; half of what changes is taken away."""

    def __init__(self) -> None:
        self.random = random.Random(1)
        self.middle = 6_000_000
        self.sides: tuple[dict[int, str], dict[int, str]] = ({}, {})
        self.sizes = [f"{self.random.uniform(0.001, 5):.8f}" for _ in range(4096)]
        for step in range(1, 3000):
            self.sides[0][self.middle - step] = self.sides[1][self.middle + step] = self.sizes[step]

    def event(self, levels: int) -> tuple[dict[int, str], dict[int, str]]:
        """Move the price a little, and change levels near it."""
        choose, sizes = self.random.random, self.sizes
        self.middle += int(choose() * 5) - 2
        changed: tuple[dict[int, str], dict[int, str]] = ({}, {})
        for number in range(levels):
            side = number & 1
            away = 1 + int(1500 * choose() ** 4)
            price = self.middle + away if side else self.middle - away
            changed[side][price] = sizes[int(choose() * 4096)] if choose() < TAKEN_AWAY else "0.00000000"
        # What the price has passed is gone.
        for side, sign in ((0, 1), (1, -1)):
            book = self.sides[side]
            for price in range(self.middle, self.middle + 5 * sign, sign):
                if price in book:
                    changed[side][price] = "0.00000000"
            for price, size in changed[side].items():
                if size == "0.00000000":
                    book.pop(price, None)
                else:
                    book[price] = size
        return changed

    def best(self, count: int) -> tuple[dict[int, str], dict[int, str]]:
        """Return the best levels."""
        bids = sorted(self.sides[0], reverse=True)[:count]
        asks = sorted(self.sides[1])[:count]
        return {p: self.sides[0][p] for p in bids}, {p: self.sides[1][p] for p in asks}


def spelt(levels: dict[int, str]) -> str:
    """Return levels as the exchange spells them."""
    return ",".join(f'["{price // 100}.{price % 100:02d}000000","{size}"]' for price, size in levels.items())


def make(folder: Path, events: int, levels: int) -> None:
    """Write the lake."""
    raw = folder / "data" / "raw" / "binance" / SYMBOL / DAY.isoformat()
    raw.mkdir(parents=True, exist_ok=True)
    (folder / "config.yml").write_text(LAKE.format(base=folder / "data"), encoding="utf-8")
    market, last = Market(), 1_000
    borders = range(0, events + EVENTS_A_SEGMENT, EVENTS_A_SEGMENT)
    for number, (begin, end) in enumerate(pairwise(borders), 1):
        lines = []
        for event in range(begin, min(end, events)):
            at = START_US + event * (DAY_US // events)
            if event % (events // SNAPSHOTS) == 0:
                bids, asks = map(spelt, market.best(1000))
                lines.append(
                    f'{{"stream":"depthSnapshot","symbol":"{SYMBOL}","ts_event":null,"ts_recv":{at},'
                    f'"first_id":null,"id":{last},"bids":[{bids}],"asks":[{asks}]}}\n'
                )
            bids, asks = map(spelt, market.event(levels))
            lines.append(
                f'{{"stream":"depth","symbol":"{SYMBOL}","ts_event":{at},"ts_recv":{at + 20_000},'
                f'"first_id":{last + 1},"id":{last + 70},"bids":[{bids}],"asks":[{asks}]}}\n'
            )
            last += 70
        (raw / f"depth_{number:04d}.jsonl").write_text("".join(lines), encoding="ascii")


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["make"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=864_000)
    parser.add_argument("--levels", type=int, default=46)
    told = parser.parse_args()
    if told.what == "make":
        make(told.folder, told.events, told.levels)


if __name__ == "__main__":
    main()
