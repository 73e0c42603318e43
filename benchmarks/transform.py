"""How fast raw lines become bars, and bars answers: against DuckDB and polars in the same run.

    python benchmarks/transform.py [--lines 5000000] [--repeat 3]

Makes a synthetic day in a temporary folder (one-minute segments and their journal, as a collector writes them), then,
in turn and each in a process of its own: parses all of it with the transform's column types, builds the day's bars, and
(where polars is installed) aggregates the same in polars, in floats and without once-only, clock or carried values.
Then a run of five minutes at 23:55 is compared with one at 01:00 by the bytes they read (Linux), and `bars_1m` over
90 daily files of three symbols with the same query over one file sorted beforehand. Prints medians, ratios, and the
peak memory of each (Linux and macOS).
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from crypto_lake import config
from crypto_lake.ask import sources, views
from crypto_lake.disk import parquet
from crypto_lake.disk.parquet import path_list
from crypto_lake.layout import DAY_US, MINUTE_US, Layout, day_start_us
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.segments import sealed
from crypto_lake.schema import BAR, RAW_LINE, names, typed
from crypto_lake.series import Series
from crypto_lake.transform import bars

DAY = date(2025, 10, 20)
SYMBOL = "SOLUSDT"
THREE = (SYMBOL, "SUIUSDT", "ADAUSDT")
DAYS = 90
MINUTES = 1440
# Of eight lines, five are quotes: about the share of the real captures.
QUOTES_OF_EIGHT = 5
DELAY_US = 60_000
KEYS = names(RAW_LINE)
_CONFIG: dict[str, Any] = {
    "general": {"base_path": "."},
    "exchanges": [{"name": "binance", "symbols": [SYMBOL], "rest_url": "http://h/", "wss_url": "ws://h/"}],
}


def make_lake(folder: Path, lines: int) -> None:
    """Write the raw files and the journal."""
    (folder / "config.yml").write_bytes(msgspec.yaml.encode(_CONFIG))
    layout = Layout(folder)
    layout.raw_day("binance", SYMBOL, DAY).mkdir(parents=True)
    notes = JournalWriter(layout, "binance")
    per_minute = lines // MINUTES
    for minute in range(MINUTES):
        start = day_start_us(DAY) + minute * MINUTE_US
        path = layout.segment("binance", SYMBOL, DAY, minute + 1)
        path.write_text(
            "".join(
                _line(minute * per_minute + n, start + n * MINUTE_US // per_minute) for n in range(per_minute)
            )
        )
        notes.write(
            journal.Sealed(
                at=start + MINUTE_US,
                symbol=SYMBOL,
                segment=path.name,
                lines=per_minute,
                size=path.stat().st_size,
                recv_from=start + DELAY_US,
                recv_to=start + MINUTE_US,
                event_from=start,
                event_to=start + MINUTE_US - 1,
                offset_us=DELAY_US,
                listened=[(start, start + MINUTE_US)],
                first_trade_id=minute * per_minute,
                last_trade_id=(minute + 1) * per_minute - 1,
            ),
            DAY,
        )


def _line(number: int, ts: int) -> str:
    cents = 19_000 + number // 97 % 400
    values: dict[str, object] = {"symbol": SYMBOL, "ts_recv": ts + DELAY_US}
    if number % 8 < QUOTES_OF_EIGHT:
        values |= {
            "stream": "bookTicker",
            "id": number * 3,
            "bid": f"{cents / 100:.8f}",
            "ask": f"{cents / 100 + 0.01:.8f}",
        }
        values |= {"bid_qty": f"{number % 900}.50000000", "ask_qty": f"{number % 700}.25000000"}
    else:
        values |= {"stream": "trade", "id": number, "ts_event": ts, "price": f"{cents / 100:.8f}"}
        values |= {"qty": f"{(number % 5000 + 1) / 1000:.8f}", "side": "buy" if number % 3 else "sell"}
    return msgspec.json.encode(dict.fromkeys(KEYS) | values).decode() + "\n"


def parse(folder: Path) -> None:
    """Read every line and every column, and nothing else."""
    with parquet.connect() as connection:
        paths = path_list(sealed(Layout(folder).raw_day("binance", SYMBOL, DAY)))
        lines = f"read_json({paths}, format = 'newline_delimited', columns = {typed(RAW_LINE)})"
        columns = "max(stream), max(ts_event), max(ts_recv), max(id), max(price), max(qty), max(side)"
        connection.execute(
            f"SELECT {columns}, max(bid), max(bid_qty), max(ask), max(ask_qty) FROM {lines}"
        ).fetchall()


def transform(folder: Path) -> None:
    """The whole day, from nothing."""
    series = Series(config.load(folder / "config.yml"), "binance", SYMBOL)
    for part in series.layout.parts("binance", SYMBOL, DAY):
        part.unlink()
    with parquet.connect() as connection:
        built = bars.build_day(connection, series, DAY, day_start_us(DAY) + 2 * DAY_US)
    if len(built.rebuilt) != 24:  # noqa: PLR2004 - a day has so many hours
        raise SystemExit(f"expected a whole day, got {built}")


def with_polars(folder: Path) -> None:
    """The day's bars as one would in polars: prices and quantities as floats, seconds by trade or receipt time."""
    import polars as pl  # noqa: PLC0415 - an extra

    text = {"stream": pl.String, "side": pl.String, "symbol": pl.String}
    numbers = dict.fromkeys(("price", "qty", "bid", "bid_qty", "ask", "ask_qty"), pl.String)
    schema = {name: text.get(name) or numbers.get(name) or pl.Int64 for name in KEYS}
    paths = sealed(Layout(folder).raw_day("binance", SYMBOL, DAY))
    lines = pl.scan_ndjson(paths, schema=schema).with_columns(pl.col(list(numbers)).cast(pl.Float64))
    trades = lines.filter(pl.col("stream") == "trade").with_columns(start=pl.col("ts_event") // 1_000_000)
    value, bought = pl.col("price") * pl.col("qty"), pl.col("side") == "buy"
    traded = trades.group_by("start").agg(
        open=pl.col("price").sort_by("id").first(),
        high=pl.col("price").max(),
        low=pl.col("price").min(),
        close=pl.col("price").sort_by("id").last(),
        volume_base=pl.col("qty").sum(),
        volume_quote=value.sum(),
        taker_buy_base=pl.col("qty").filter(bought).sum(),
        taker_buy_quote=value.filter(bought).sum(),
        trade_count=pl.len(),
    )
    quotes = lines.filter(pl.col("stream") == "bookTicker").with_columns(start=pl.col("ts_recv") // 1_000_000)
    quoted = quotes.group_by("start").agg(
        pl.col(name).sort_by("id").last() for name in ("bid", "bid_qty", "ask", "ask_qty")
    )
    bars_of_day = traded.join(quoted, on="start", how="full", coalesce=True).sort("start")
    bars_of_day.collect().write_parquet(folder / "polars.parquet")


WORK = {"parse": parse, "transform": transform, "polars": with_polars}


def bytes_read(folder: Path, hour: int, minute: int) -> int:
    """What the process reads to bring today's bars up to a time of day, five minutes after it last did; 0: not told."""
    counters = Path("/proc/self/io")
    start = day_start_us(DAY) + (60 * hour + minute) * MINUTE_US
    series = Series(config.load(folder / "config.yml"), "binance", SYMBOL)
    hidden = folder / "hidden"
    hidden.mkdir(exist_ok=True)
    raw_day = series.layout.raw_day("binance", SYMBOL, DAY)
    later = [path for path in sealed(raw_day) if int(path.stem[5:]) > 60 * hour + minute]
    for path in later:
        path.rename(hidden / path.name)
    newest = sealed(raw_day)[-5:]
    for path in newest:
        path.rename(hidden / path.name)
    for part in series.layout.parts("binance", SYMBOL, DAY):
        part.unlink()
    with parquet.connect() as connection:
        bars.build_day(connection, series, DAY, start)
        for path in newest:
            (hidden / path.name).rename(path)
        before = _read(counters)
        bars.build_day(connection, series, DAY, start)
        after = _read(counters)
    for path in later:
        (hidden / path.name).rename(path)
    return after - before


def _read(counters: Path) -> int:
    if not counters.exists():
        return 0
    return int(counters.read_text(encoding="ascii").split()[1])


def views_over_files(folder: Path) -> tuple[float, float]:
    """Seconds of `bars_1m` over 90 daily files of three symbols, and over one file sorted beforehand."""
    layout = Layout(folder / "ninety")
    text = msgspec.yaml.encode(
        {
            **_CONFIG,
            "general": {"base_path": "ninety"},
            "exchanges": [{**_CONFIG["exchanges"][0], "symbols": list(THREE)}],
        }
    )
    (folder / "ninety.yml").write_bytes(text)
    settings = config.load(folder / "ninety.yml")
    series = Series(config.load(folder / "config.yml"), "binance", SYMBOL)
    with parquet.connect() as connection:
        columns = ", ".join(names(BAR)[2:])
        a_day = parquet.scan(series.layout.parts("binance", SYMBOL, DAY))
        for symbol in THREE:
            for number in range(DAYS):
                path = layout.daily("binance", symbol, DAY - timedelta(days=number))
                own = f"'{symbol}' AS symbol, window_start - INTERVAL {number} DAY AS window_start"
                rows = f"SELECT {own}, {columns} FROM {a_day} ORDER BY window_start"
                parquet.write(connection, rows, path, "snappy", footer={})
        one = folder / "sorted.parquet"
        files_of_all = parquet.scan(sources.of_days(settings).seconds.paths)
        parquet.write(
            connection, f"FROM {files_of_all} ORDER BY symbol, window_start", one, "snappy", footer={}
        )
        views.create(connection, settings)
        ours = _seconds(connection)
        connection.execute(f"CREATE OR REPLACE VIEW bars_1s AS FROM {parquet.scan([one])}")
        return ours, _seconds(connection)


def _seconds(connection: duckdb.DuckDBPyConnection) -> float:
    found = []
    for _ in range(3):
        start = time.perf_counter()
        connection.execute("CREATE OR REPLACE TEMP TABLE answer AS FROM bars_1m")
        found.append(time.perf_counter() - start)
    return min(found)


def measured(work: str, folder: Path) -> tuple[float, float]:
    """Seconds of the work itself and peak megabytes, of a process of its own."""
    command = [sys.executable, __file__, "--do", work, "--folder", str(folder)]
    seconds, megabytes = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    return float(seconds), float(megabytes)


def do(work: str, folder: Path) -> None:
    """In the child: work, then say how long it took and how much memory there was at most."""
    start = time.perf_counter()
    WORK[work](folder)
    seconds = time.perf_counter() - start
    print(seconds, peak_megabytes())


def peak_megabytes() -> float:
    """The peak resident memory of this process; 0 where the system does not say."""
    if sys.platform == "win32":
        return 0.0
    import resource  # noqa: PLC0415 - not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=5_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--do", choices=WORK)
    parser.add_argument("--folder", type=Path)
    words = parser.parse_args()
    if words.do:
        do(words.do, words.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_lake(folder, words.lines)
        todo = [work for work in WORK if work != "polars" or find_spec("polars")]
        runs: dict[str, list[tuple[float, float]]] = {work: [] for work in todo}
        for _ in range(words.repeat):
            for work in todo:
                runs[work].append(measured(work, folder))
        reads = [bytes_read(folder, 23, 55), bytes_read(folder, 1, 0)]
        transform(folder)
        ours, one_file = views_over_files(folder)
    for work, found in runs.items():
        seconds = statistics.median(one for one, _ in found)
        print(f"{work:<10} {seconds:6.2f} s   {max(mb for _, mb in found):6.0f} MB peak")
    _print_ratio("transform / parse", runs["transform"], runs["parse"])
    if runs.get("polars"):
        _print_ratio("polars / transform", runs["polars"], runs["transform"])
    print(f"bytes read by a run of five minutes: {reads[0]:,} at 23:55, {reads[1]:,} at 01:00")
    print(
        f"bars_1m over {DAYS} days of three symbols: {ours:.2f} s, over one sorted file: {one_file:.2f} s, "
        f"ratio {ours / one_file:.2f}"
    )


def _print_ratio(what: str, above: list[tuple[float, float]], below: list[tuple[float, float]]) -> None:
    ratios = [a / b for (a, _), (b, _) in zip(above, below, strict=True)]
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"{what}: {middle:.2f} ({low:.2f} to {high:.2f} over {len(ratios)} pairs)")


if __name__ == "__main__":
    main()
