"""What a run costs for each of many symbols: first, after five more minutes, and with nothing new.

    python -m benchmarks.many [--symbols 400] [--minutes 5]

Makes a lake as a collector leaves it (a segment a minute and symbol, 1.5 messages a second, the journal), then runs
`crypto-lake transformer` three times: after the first three minutes, after some more, and again. Each is a process of
its own, checks, pages and metadata included, beside the same with one symbol: a symbol's price is the difference,
shared out. The floor is DuckDB writing one hour's bars of one symbol, in the same run. CPU seconds, of all processes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec

from crypto_lake.disk import parquet
from crypto_lake.layout import DAY_US, MINUTE_US, Layout, day_start_us
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import QuoteLine, RawLine, TradeLine

FIRST = 3
A_MINUTE = 90
DELAY_US = 60_000
# Of eight lines five are quotes: about the share of real captures.
QUOTES_OF_EIGHT = 5
FLOOR_REPEATS = 50


def symbol(number: int) -> str:
    """Return the name of a made-up symbol."""
    return f"C{number:04d}USDT"


def configure(folder: Path, symbols: int) -> None:
    """Write the configuration, and a Dagster home of its own."""
    names = [symbol(number) for number in range(symbols)]
    nowhere = {"rest_url": "http://127.0.0.1:1/", "wss_url": "ws://127.0.0.1:1/"}
    text: dict[str, Any] = {
        "general": {"base_path": "lake"},
        "exchanges": [{"name": "binance", "symbols": names, **nowhere}],
    }
    (folder / "config.yml").write_bytes(msgspec.yaml.encode(text))


def record(folder: Path, symbols: int, day: date, minutes: range) -> None:
    """Land these minutes of a day, of each symbol."""
    layout = Layout(folder / "lake")
    for number in range(symbols):
        notes = JournalWriter(layout, "binance")
        for minute in minutes:
            notes.write(_segment(layout, number, day, minute), day)


def _segment(layout: Layout, number: int, day: date, minute: int) -> journal.Sealed:
    start = day_start_us(day) + minute * MINUTE_US
    path = layout.segment("binance", symbol(number), day, minute + 1)
    return landed(path, _lines(symbol(number), minute * A_MINUTE, start), (start, start + MINUTE_US))


def landed(path: Path, some: Iterable[RawLine], span: tuple[int, int]) -> journal.Sealed:
    """Write the lines of a stretch as a segment; what the collector's journal says of it."""
    lines = list(some)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.Encoder().encode_lines(lines))
    start, end = span
    ids = [line.id for line in lines if isinstance(line, TradeLine)]
    return journal.Sealed(
        at=end,
        symbol=lines[0].symbol,
        segment=path.name,
        lines=len(lines),
        size=path.stat().st_size,
        recv_from=start + DELAY_US,
        recv_to=end - 1,
        event_from=start,
        event_to=end - 1,
        offset_us=DELAY_US,
        listened=[span],
        first_trade_id=min(ids),
        last_trade_id=max(ids),
    )


def _lines(name: str, first: int, start: int) -> Iterator[RawLine]:
    for number in range(first, first + A_MINUTE):
        at = start + (number - first) * (MINUTE_US - DELAY_US) // A_MINUTE
        price = f"{(19_000 + number // 97 % 400) / 100:.8f}"
        if number % 8 < QUOTES_OF_EIGHT:
            bid_qty, ask_qty = f"{number % 900}.50000000", f"{number % 700}.25000000"
            yield QuoteLine(
                name, None, at + DELAY_US, number * 3, None, None, None, price, bid_qty, price, ask_qty
            )
        else:
            # Without a hole: what is complete is what a run mostly looks at.
            trade_id = number // 8 * (8 - QUOTES_OF_EIGHT) + number % 8 - QUOTES_OF_EIGHT
            side = "buy" if number % 3 else "sell"
            qty = f"{(number % 5000 + 1) / 1000:.8f}"
            yield TradeLine(name, at, at + DELAY_US, trade_id, price, qty, side, None, None, None, None)


def cpu_of(folder: Path, *words: str) -> float:
    """Run a command (the transformer, if none is given); the CPU seconds of all its processes."""
    environment = {**os.environ, "DAGSTER_HOME": str(folder / "home"), "DAGSTER_DISABLE_TELEMETRY": "yes"}
    (folder / "home").mkdir(exist_ok=True)
    before = os.times()
    done = subprocess.run(
        [sys.executable, "-m", "crypto_lake", *(words or ["transformer"]), "--config", "config.yml"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def floor(folder: Path, day: date) -> float:
    """Return the CPU seconds in which DuckDB writes an hour's bars of one symbol to a file."""
    part = Layout(folder / "lake").parts("binance", symbol(0), day)[0]
    with parquet.connect() as connection:
        connection.execute(f"CREATE TEMP TABLE part AS FROM {parquet.scan([part])}")
        copy = (
            f"COPY part TO {parquet.literal(folder / 'floor.parquet')} (FORMAT parquet, COMPRESSION snappy)"
        )
        connection.execute(copy)
        start = time.process_time()
        for _ in range(FLOOR_REPEATS):
            connection.execute(copy)
        return (time.process_time() - start) / FLOOR_REPEATS


def measured(symbols: int, more: int, begin: int, day: date) -> tuple[list[float], float]:
    """Return the CPU seconds of the three runs, and the floor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        configure(folder, symbols)
        record(folder, symbols, day, range(begin, begin + FIRST))
        runs = [cpu_of(folder)]
        record(folder, symbols, day, range(begin + FIRST, begin + FIRST + more))
        runs += [cpu_of(folder), cpu_of(folder)]
        return runs, floor(folder, day)


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, default=400)
    parser.add_argument("--minutes", type=int, default=5)
    words = parser.parse_args()
    now = datetime.now(UTC)
    day, minute = now.date(), int(now.timestamp() * 1e6) % DAY_US // MINUTE_US
    begin = minute - FIRST - words.minutes
    if begin < 0:
        raise SystemExit(f"it is {now:%H:%M} UTC; expected a time later than {-begin} minutes into the day")
    (one, lowest), (many, _) = (
        measured(symbols, words.minutes, begin, day) for symbols in (1, words.symbols)
    )
    print(f"floor: {1000 * lowest:.2f} ms, an hour's bars of one symbol written by DuckDB")
    for what, alone, all_of_them in zip(
        ("first run", "five minutes more", "nothing new"), one, many, strict=True
    ):
        each = (all_of_them - alone) / (words.symbols - 1)
        print(
            f"{what}: one symbol {alone:.2f} s, {words.symbols} symbols {all_of_them:.2f} s, "
            f"each beyond the first {1000 * each:.1f} ms, {each / lowest:.1f} x the floor"
        )


if __name__ == "__main__":
    main()
