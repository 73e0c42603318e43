"""What commands and runs cost beside the work itself, for few symbols and for many.

    python -m benchmarks.commands [--symbols 400] [--days 90]

Makes two lakes with five minutes of today, one of three symbols and one of many, whose bars are in line, and measures:
all that a run of the job `make_bars` does beside making bars (checks, validation, previews, metadata), `transformer`
with nothing new, and `backfill` of days that are there. CPU is that of this process or of the command's, its children
included; beside it stand seconds. The cost of a symbol is that of all beyond the first three.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyarrow as pa
from pyarrow import parquet as pq

from crypto_lake import checks, config
from crypto_lake.ask import views
from crypto_lake.checks import Look, Means
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.completeness import candles
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.layout import MINUTE_US, SECOND_US, day_of
from crypto_lake.pages import preview, validation
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import QuoteLine, TradeLine
from crypto_lake.series import Series
from crypto_lake.transform import bars

FEW = 3
_LINES_A_MINUTE = 90


class Cost(NamedTuple):
    """Seconds of CPU, and of the clock on the wall."""

    cpu: float
    wall: float


def make_lake(folder: Path, count: int) -> Config:
    """One symbol's five minutes of raw lines and bars, and the same again under other names."""
    names = [f"S{number:04d}USDT" for number in range(count)]
    exchange = {"name": "binance", "symbols": names, "rest_url": "http://h/", "wss_url": "ws://h/"}
    folder.mkdir()
    text = msgspec.yaml.encode({"general": {"base_path": "lake"}, "exchanges": [exchange]})
    (folder / "config.yml").write_bytes(text)
    loaded = config.load(folder / "config.yml")
    now = time.time_ns() // 1000
    first = Series(loaded, "binance", names[0])
    _record(first, now)
    with parquet.connect() as connection:
        bars.build_day(connection, first, day_of(now), now)
    for name in names[1:]:
        _copy(first, name, now)
    return loaded


def _record(series: Series, now: int) -> None:
    layout, symbol, day = series.layout, series.symbol, day_of(now)
    layout.raw_day("binance", symbol, day).mkdir(parents=True)
    notes = JournalWriter(layout, "binance")
    begin = now - now % MINUTE_US - 6 * MINUTE_US
    for minute in range(5):
        at, first = begin + minute * MINUTE_US, 1000 + minute * _LINES_A_MINUTE // 3
        path = layout.segment("binance", symbol, day, minute + 1)
        lines = [_line(symbol, at, first, n) for n in range(_LINES_A_MINUTE)]
        path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        notes.write(
            journal.Sealed(
                at=at + MINUTE_US,
                symbol=symbol,
                segment=path.name,
                lines=len(lines),
                size=path.stat().st_size,
                recv_from=at + 50_000,
                recv_to=at + MINUTE_US - 10,
                event_from=at,
                event_to=at + MINUTE_US - SECOND_US,
                offset_us=50_000,
                listened=[(at, at + MINUTE_US)],
                first_trade_id=first,
                last_trade_id=first + _LINES_A_MINUTE // 3 - 1,
            ),
            day,
        )


def _line(symbol: str, at: int, first_id: int, number: int) -> TradeLine | QuoteLine:
    ts = at + number * MINUTE_US // _LINES_A_MINUTE
    nothing = (None, None, None, None)
    if number % 3:
        return QuoteLine(symbol, None, ts + 50_000, ts, *nothing[:3], "190.10", "5.0", "190.20", "7.0")
    price = f"190.1{number % 10}"
    return TradeLine(symbol, ts, ts + 50_000, first_id + number // 3, price, "1.0", "buy", *nothing)


def _copy(series: Series, name: str, now: int) -> None:
    layout, symbol, day = series.layout, series.symbol, day_of(now)
    folder = layout.raw_day("binance", name, day)
    folder.mkdir(parents=True)
    for path in layout.raw_day("binance", symbol, day).iterdir():
        (folder / path.name).write_bytes(path.read_bytes().replace(symbol.encode(), name.encode()))
    layout.parts_day("binance", name, day).mkdir(parents=True)
    for path in layout.parts("binance", symbol, day):
        table = pq.read_table(path)
        named = pa.array([name] * table.num_rows, pa.string())
        place = table.schema.get_field_index("symbol")
        pq.write_table(
            table.set_column(place, "symbol", named), layout.parts_day("binance", name, day) / path.name
        )


def fill_candles(loaded: Config, days: int) -> None:
    """Finished candle files, without a candle, of the last days."""
    today = day_of(time.time_ns() // 1000)
    for exchange in loaded.exchanges:
        for symbol in exchange.symbols:
            for number in range(1, days + 1):
                path = loaded.layout.candles("binance", symbol, today - timedelta(days=number))
                footer = {"complete": True, "rows": 0, "missing": 1440}
                parquet.write_table(candles.table(symbol, []), path, "snappy", footer=footer)


def beside_bars(loaded: Config) -> dict[str, Cost]:
    """By what it is for: what a run does beside making bars."""
    now = time.time_ns() // 1000
    day, series = day_of(now), Series.recorded(loaded)
    with parquet.connect() as connection, ExchangeCandles() as reference:
        means = Means(connection, reference, now)

        def checked(asset: str, some: tuple[checks.Check, ...]) -> None:
            look = Look.at(asset, series, day, means)
            found = [look.verdict(check) for check in some]
            validation.enter(connection, loaded, series, asset, found, now)

        return {
            "checks of bars": _timed(lambda: checked("bars_1s", checks.ON["bars_1s"])),
            "trade ids": _timed(lambda: checked("raw_segments", (checks.TRADE_IDS_CONTIGUOUS,))),
            "numbers": _timed(lambda: views.day_in_numbers(connection, series, day)),
            "previews": _timed(
                lambda: (preview.of_day(connection, series, day, 6), preview.lacking(connection, series, day))
            ),
        }


def _timed(work: Callable[[], object]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Cost(time.process_time() - cpu, time.perf_counter() - wall)


def command(folder: Path, *words: str) -> Cost:
    """A command, as a person types it."""
    before, wall = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "crypto_lake", *words],
        check=True,
        cwd=folder,
        capture_output=True,
        env={name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"},
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(cpu, time.perf_counter() - wall)


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--symbols", type=int, default=400)
    parser.add_argument("--days", type=int, default=90)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        few, many = (make_lake(Path(name) / str(n), n) for n in (FEW, words.symbols))
        few_cost, many_cost = beside_bars(few), beside_bars(many)
        beyond = words.symbols - FEW
        for what, cost in many_cost.items():
            print(f"{what:<16} {1e3 * (cost.cpu - few_cost[what].cpu) / beyond:6.2f} ms CPU a symbol")
        total = sum(cost.cpu for cost in many_cost.values()) - sum(cost.cpu for cost in few_cost.values())
        print(f"{'all of it':<16} {1e3 * total / beyond:6.2f} ms CPU a symbol")
        for count in (FEW, words.symbols):
            cost = command(Path(name) / str(count), "transformer")
            cost = command(Path(name) / str(count), "transformer")
            print(f"transformer, {count} symbols, nothing new: {cost.cpu:.2f} s CPU, {cost.wall:.2f} s")
        fill_candles(few, words.days)
        for turn in ("first", "again"):
            cost = command(Path(name) / str(FEW), "backfill", "--days", str(words.days))
            print(
                f"backfill of {words.days} days that are there, {turn}: {cost.cpu:.2f} s CPU, {cost.wall:.2f} s"
            )


if __name__ == "__main__":
    main()
