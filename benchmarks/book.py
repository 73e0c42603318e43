"""How long a day of depth of a busy symbol takes to become Parquet, book and boundaries, and in how much memory.

    python benchmarks/book.py make FOLDER [--events N] [--levels L]
    python benchmarks/book.py run FOLDER
    python benchmarks/book.py peer FOLDER

`make` writes a lake with a made-up day of N events (10 a second: 864,000) of L level changes each, with a snapshot each
six hours, as a collector would. `run` makes depth, book and boundaries of it, and prints what each took.

`peer`, in an environment with hftbacktest, numba, pyarrow and duckdb, rebuilds the same book with hftbacktest's, of the
depth that `run` left, and compares its best bid and ask after each event with the boundaries. Its rows, 64 bytes each
and all in memory, are prepared before: that is not in its time, nor is compiling.
"""

# ruff: noqa: PLC0415 - either side lacks the libraries of the other

import argparse
import random
import resource
import time
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

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
TICK = 0.01


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


def timed(what: str, work: Callable[[], object]) -> None:
    """Do some work and print how long it took, by the clock and of the processors, and the most memory so far."""
    wall, cpu = time.perf_counter(), time.process_time()
    told = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{what}: {wall:.1f} s, {cpu:.1f} s of CPU, at most {kilobytes / 1024:.0f} MB so far; {told}")


def run(folder: Path) -> None:
    """Make everything of the day."""
    from crypto_lake import config
    from crypto_lake.disk import parquet
    from crypto_lake.series import Series
    from crypto_lake.transform import book, depth

    series = Series(config.load(folder / "config.yml"), "binance", SYMBOL)

    def make_depth() -> str:
        with parquet.connect() as connection:
            done = depth.make(connection, series, DAY, START_US + 2 * DAY_US)
        if done is None:
            raise SystemExit(f"{folder}: no depth was made; expected a lake of `make`")
        return f"{done.rows:,} level changes, {done.path.stat().st_size / 1e6:.0f} MB"

    def make_book() -> str:
        done = book.make(series, DAY)
        return f"{done.kept.rows if done else None}"

    timed("depth", make_depth)
    timed("book and boundaries", make_book)


def peer(folder: Path) -> None:
    """Rebuild the book with hftbacktest's, and compare it."""
    import duckdb
    import numpy as np

    lake = folder / "data"
    events = _events(f"'{lake}/depth/binance/{SYMBOL}/{DAY}.parquet'")
    ours = duckdb.execute(
        f"""SELECT epoch_us(ts_event) * 1000 AS ts, bid::DOUBLE AS bid, ask::DOUBLE AS ask
            FROM '{lake}/book/binance/{SYMBOL}/boundaries/{DAY}.parquet'"""
    ).fetchnumpy()
    backtest = _backtest()
    backtest(events[:1000], ours["ts"][:2])

    def compare() -> str:
        best = backtest(events, ours["ts"])
        mine = np.stack([ours["bid"], ours["ask"]], axis=1)
        # Its prices are floats, some of them next to what was meant.
        equal = int((np.abs(best - mine) < TICK / 2).all(axis=1).sum())
        return f"best bid and ask equal at {equal:,} of {len(best):,} boundaries"

    timed("hftbacktest", compare)


def _events(depth: str) -> Any:  # noqa: ANN401 - an array of hftbacktest's
    """Return the rows of a depth file, its first snapshot and all events, as hftbacktest's events."""
    import duckdb
    import hftbacktest as hbt
    import numpy as np

    rows = duckdb.execute(
        f"""SELECT epoch_us(ts_event) * 1000 AS ts, side = 'bid' AS is_bid, is_snapshot, price::DOUBLE AS px,
                   qty::DOUBLE AS qty FROM {depth}
            WHERE NOT is_snapshot OR id = (SELECT min(id) FROM {depth} WHERE is_snapshot)"""
    ).fetchnumpy()
    found = np.zeros(len(rows["px"]), hbt.event_dtype)
    kind = np.where(rows["is_snapshot"], hbt.DEPTH_SNAPSHOT_EVENT, hbt.DEPTH_EVENT)
    side = np.where(rows["is_bid"], hbt.BUY_EVENT, hbt.SELL_EVENT)
    found["ev"] = kind | side | hbt.EXCH_EVENT | hbt.LOCAL_EVENT
    ts = np.ma.filled(rows["ts"], START_US * 1000)
    found["exch_ts"] = found["local_ts"] = ts
    found["px"], found["qty"] = rows["px"], rows["qty"]
    return found


def _backtest() -> Callable[[Any, Any], Any]:
    """Return what gives the best bid and ask at some times (ns) of events, as hftbacktest's book has them."""
    import hftbacktest as hbt
    import numpy as np
    from numba import njit

    @njit  # type: ignore[untyped-decorator, unused-ignore]
    def rebuild(backtest: Any, times: Any, best: Any) -> None:  # noqa: ANN401 - compiled for what it is given
        for number in range(len(times)):
            # One ns later, for what happens just then counts as not yet there.
            backtest.elapse(times[number] + 1 - backtest.current_timestamp)
            depth = backtest.depth(0)
            best[number, 0], best[number, 1] = depth.best_bid, depth.best_ask

    def backtest(events: Any, times: Any) -> Any:  # noqa: ANN401 - arrays
        asset = (
            hbt.BacktestAsset()
            .data([events])
            .linear_asset(1.0)
            .constant_order_latency(0, 0)
            .risk_adverse_queue_model()
            .no_partial_fill_exchange()
            .trading_value_fee_model(0, 0)
            .tick_size(TICK)
            .lot_size(0.00000001)
        )
        best = np.zeros((len(times), 2))
        rebuild(hbt.HashMapMarketDepthBacktest([asset]), times, best)
        return best

    return backtest


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["make", "run", "peer"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=864_000)
    parser.add_argument("--levels", type=int, default=46)
    told = parser.parse_args()
    if told.what == "make":
        make(told.folder, told.events, told.levels)
    else:
        {"run": run, "peer": peer}[told.what](told.folder)


if __name__ == "__main__":
    main()
