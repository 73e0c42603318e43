"""What questions cost in a lake of a year: each beside `SELECT 1` asked in the same way, and beside its files alone.

    python benchmarks/ask.py [--symbols 50] [--days 365] [--folder FOLDER] [--repeat 5]

A lake of finished days (minutes of their own; all their daily files are one) and half a day in progress is made in the
folder, or in a temporary one, and left there if it was given. Every question is asked in a process of its own: by
`crypto-lake query`, from Python by `open_lake()`, and from any DuckDB client by `lake.duckdb`. CPU, seconds and peak
memory (Linux, macOS) are those of that process, less those of `SELECT 1`; the floor is DuckDB reading the files that
the answer is made of, less `SELECT 1` likewise. Medians.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from crypto_lake import config as configuration
from crypto_lake.ask import views
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.layout import DAY_US, MINUTE_US, SECOND_US, Layout, day_start_us
from crypto_lake.schema import BAR, names

_LAST = datetime.now(UTC).date()
_BARS = """
SELECT
    'X' AS symbol, i AS window_start, o AS open, o + 0.5 AS high, o - 0.5 AS low, o + 0.1 AS close, v AS volume_base,
    round(v * o, 5) AS volume_quote, round(v * 0.4, 3) AS taker_buy_base, round(v * o * 0.4, 5) AS taker_buy_quote,
    o AS vwap, n AS trade_count, n * 10 AS quote_count, o - 0.01 AS bid, v AS bid_qty, o + 0.01 AS ask, v AS ask_qty,
    0.02 AS spread, true AS observed, i * 300 AS first_trade_id, i * 300 + 299 AS last_trade_id
FROM (
    SELECT
        range AS i, round(190 + sin(range / 50) * 5 + random(), 2) AS o, round(random() * 1000, 3) AS v,
        (random() * 300)::INTEGER AS n
    FROM range($count)
)
"""


class Cost(NamedTuple):
    """What a process took: CPU and seconds, and the most memory it had, MB."""

    cpu: float
    seconds: float
    memory: float


def make(config: Config, symbols: list[str], days: int) -> None:
    """Write the lake: minutes of finished days, their daily files (all the same one), half a day in parts."""
    layout = config.layout
    with parquet.connect() as connection:
        for table, count in (("seconds", DAY_US // SECOND_US), ("minutes", DAY_US // MINUTE_US)):
            connection.execute(f"CREATE TABLE {table} AS {_BARS}", {"count": count})

        def write(path: Path, table: str, symbol: str, day: date, step: int, rows: str) -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            start = f"make_timestamptz({day_start_us(day)} + window_start * {step}) AS window_start"
            typed = ", ".join(f"{column.name}::{column.type} AS {column.name}" for column in BAR)
            shown = (
                f"SELECT {typed} FROM (SELECT * REPLACE ('{symbol}' AS symbol, {start}) FROM {table} {rows})"
            )
            connection.execute(f"COPY ({shown}) TO {parquet.literal(path)} (FORMAT parquet)")

        first = layout.daily("binance", symbols[0], _LAST - timedelta(days=1))
        write(first, "seconds", symbols[0], _LAST - timedelta(days=1), SECOND_US, "")
        for symbol in symbols:
            for back in range(1, days + 1):
                day = _LAST - timedelta(days=back)
                write(layout.minutes("binance", symbol, day), "minutes", symbol, day, MINUTE_US, "")
                daily = layout.daily("binance", symbol, day)
                if daily != first:
                    daily.parent.mkdir(parents=True, exist_ok=True)
                    os.link(first, daily)
            for hour in range(12):
                part = layout.part("binance", symbol, _LAST, hour)
                rows = f"WHERE window_start // 3600 = {hour}"
                write(part, "seconds", symbol, _LAST, SECOND_US, rows)
    views.save(config)


# From a small process: one begins with the memory of the process that starts it, as the system counts.
_LAUNCHER = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
took = time.perf_counter() - began
print(usage.ru_utime + usage.ru_stime, took, usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
sys.exit(os.waitstatus_to_exitcode(status))
"""


def measured(arguments: list[str], repeat: int) -> Cost:
    """Return the medians of a process that is run so often."""
    found = []
    for _ in range(repeat):
        launched = [sys.executable, "-c", _LAUNCHER, sys.executable, *arguments]
        said = subprocess.run(launched, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
        found.append(Cost(*map(float, said.split())))
    return Cost(*(statistics.median(one) for one in zip(*found, strict=True)))


def by_command(config: Path, sql: str) -> list[str]:
    """Return how a question is asked by the command."""
    return ["-m", "crypto_lake", "query", "--config", str(config), sql]


def by_python(config: Path, call: str) -> list[str]:
    """Return how a question is asked from Python."""
    return ["-c", f"from crypto_lake import open_lake; lake = open_lake({str(config)!r}); lake.{call}"]


def by_client(database: Path, sql: str) -> list[str]:
    """Return how a question is asked by a client that knows `lake.duckdb` alone."""
    return [
        "-c",
        f"import duckdb; duckdb.connect({str(database)!r}, read_only=True).execute({sql!r}).fetchall()",
    ]


def by_files(paths: list[Path]) -> list[str]:
    """Return how files are read, all columns of them, by DuckDB alone."""
    largest = ", ".join(f"max({name})" for name in names(BAR))
    return ["-c", f"import duckdb; duckdb.sql({f'SELECT {largest} FROM {parquet.scan(paths)}'!r}).fetchall()"]


def main() -> None:
    """Make the lake and ask each question."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        symbols = [f"S{number:03d}USDT" for number in range(arguments.symbols)]
        file = folder / "config.yml"
        if not file.exists():
            file.write_text(
                f"general: {{base_path: ./data}}\nexchanges: [{{name: binance, symbols: {symbols}, "
                "rest_url: 'http://127.0.0.1:1/api/v3', wss_url: 'ws://127.0.0.1:1/ws'}]\n"
            )
            make(configuration.load(file), symbols, arguments.days)
        compare(file, symbols[1], arguments.days, arguments.repeat)


def _newest(layout: Layout) -> list[Path]:
    """Return the parts of each symbol's last day."""
    return [
        path
        for one in layout.bars_symbols("binance")
        for path in layout.bar_files("binance", one, layout.part_days("binance", one)[-1])
    ]


def compare(file: Path, symbol: str, days: int, repeat: int) -> None:
    """Print what each question takes."""
    layout = configuration.load(file).layout
    day = _LAST - timedelta(days=days // 2)
    of_day = f"symbol = '{symbol}' AND window_start >= '{day}' AND window_start < '{day + timedelta(days=1)}'"
    year = [layout.minutes("binance", symbol, one) for one in layout.minute_days("binance", symbol)]
    questions = {
        "the newest five of bars_1m": (
            "FROM bars_1m ORDER BY window_start DESC LIMIT 5",
            None,
            _newest(layout),
        ),
        "a day of one symbol of bars_1m": (
            f"FROM bars_1m WHERE {of_day}",
            f"bars('{symbol}', '1m', '{day}', '{day + timedelta(days=1)}')",
            [layout.minutes("binance", symbol, day)],
        ),
        "a year of one symbol of bars_1d": (
            f"FROM bars_1d WHERE symbol = '{symbol}'",
            f"bars('{symbol}', '1d')",
            year,
        ),
    }
    one = {
        "command": measured(by_command(file, "SELECT 1"), repeat),
        "Python": measured(by_python(file, "sql('SELECT 1')"), repeat),
        "client": measured(by_client(layout.database, "SELECT 1"), repeat),
    }
    print(f"{'':34}{'':10}{'CPU':>8}{'seconds':>9}{'MB':>6}")
    for how, cost in one.items():
        print(f"{'SELECT 1':34}{how:10}{cost.cpu:8.3f}{cost.seconds:9.3f}{cost.memory:6.0f}")
    print("beyond it:")
    for name, (sql, call, paths) in questions.items():
        asked = {"command": by_command(file, sql), "client": by_client(layout.database, sql)}
        asked |= {"Python": by_python(file, call)} if call else {}
        base = one | {"files": one["client"]}
        for how, process in (asked | {"files": by_files(paths)}).items():
            cost = measured(process, repeat)
            beyond = cost.cpu - base[how].cpu, cost.seconds - base[how].seconds
            print(f"{name:34}{how:10}{beyond[0]:8.3f}{beyond[1]:9.3f}{cost.memory:6.0f}", flush=True)


if __name__ == "__main__":
    main()
