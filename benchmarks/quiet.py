"""What a quiet symbol's day costs, from raw lines to its daily file, minutes and ticks.

    python -m benchmarks.quiet [--days 30] [--symbols 3]

Makes a lake of symbols that trade once in five minutes (288 trades and as many quotes a day, a segment an hour, the
journal), then runs two commands over all of it, each a process of its own, checks, metadata and views included:
`crypto-lake transformer --from … --to …` and `crypto-lake compact --from … --to …`. Both run once more, with nothing to
do. Then, within this process, compaction and ticks of the same days are timed alone. The floor is DuckDB writing one of
the daily files. CPU seconds a symbol and day.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

from loguru import logger

from benchmarks.many import DELAY_US, configure, cpu_of, landed, symbol
from crypto_lake import config
from crypto_lake.disk import parquet
from crypto_lake.layout import DAY_US, HOUR_US, MINUTE_US, Layout, day_start_us
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import QuoteLine, RawLine, TradeLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks

FIRST = date(2025, 9, 1)
A_TRADE_US = 5 * MINUTE_US
FLOOR_REPEATS = 20


def record(folder: Path, symbols: int, days: list[date]) -> None:
    """Land some days of each symbol."""
    layout = Layout(folder / "lake")
    for number in range(symbols):
        notes = JournalWriter(layout, "binance")
        for day in days:
            for hour in range(24):
                notes.write(_segment(layout, symbol(number), day, hour), day)


def _segment(layout: Layout, name: str, day: date, hour: int) -> journal.Sealed:
    start = day_start_us(day) + hour * HOUR_US
    path = layout.segment("binance", name, day, hour + 1)
    return landed(path, _lines(name, start), (start, start + HOUR_US))


def _lines(name: str, start: int) -> Iterator[RawLine]:
    for at in range(start, start + HOUR_US, A_TRADE_US):
        number = at // A_TRADE_US
        price = f"{(19_000 + number % 397) / 100:.8f}"
        yield QuoteLine(
            name, None, at + DELAY_US, 3 * number, None, None, None, price, "5.00000000", price, "7.00000000"
        )
        side, qty = "buy" if number % 3 else "sell", f"{(number % 5000 + 1) / 1000:.8f}"
        yield TradeLine(name, at, at + DELAY_US, number, price, qty, side, None, None, None, None)


def alone(folder: Path, days: list[date]) -> dict[str, float]:
    """CPU seconds of compaction, with minutes, and of ticks, by themselves, and of writing one daily file."""
    lake = config.load(folder / "config.yml")
    series, layout = Series.recorded(lake), lake.layout
    later = day_start_us(days[-1]) + 2 * DAY_US
    for root in ("parquet", "bars", "ticks"):
        shutil.rmtree(layout.base / root, ignore_errors=True)
    with parquet.connect() as connection:
        for day in days:
            bars.build_all(connection, series, day, later)
        found = {
            "compaction and minutes": _cpu(
                lambda: [daily.compact_all(connection, series, day, later) for day in days]
            ),
            "ticks": _cpu(lambda: [ticks.make_all(connection, series, day, later) for day in days]),
        }
        found = {what: seconds / len(days) / len(series) for what, seconds in found.items()}
        rows = parquet.bars(layout.daily("binance", symbol(0), days[0]))
        connection.register("day", rows)
        place = parquet.literal(folder / "floor.parquet")
        copy = f"COPY (FROM day) TO {place} (FORMAT parquet, COMPRESSION snappy)"
        seconds = _cpu(lambda: [connection.execute(copy) for _ in range(FLOOR_REPEATS)])
        return found | {"the floor": seconds / FLOOR_REPEATS}


def _cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--symbols", type=int, default=3)
    words = parser.parse_args()
    days = [FIRST + timedelta(days=n) for n in range(words.days)]
    logger.remove()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        configure(folder, words.symbols)
        record(folder, words.symbols, days)
        span = ("--from", str(days[0]), "--to", str(days[-1]))
        found = {
            f"{command}{again}": cpu_of(folder, command, *span) / len(days) / words.symbols
            for again in ("", ", nothing new")
            for command in ("transformer", "compact")
        }
        found["both commands"] = found["transformer"] + found["compact"]
        found |= alone(folder, days)
    for what, seconds in found.items():
        print(f"{what:<28} {1000 * seconds:7.1f} ms   {seconds / found['the floor']:5.1f} x the floor")


if __name__ == "__main__":
    main()
