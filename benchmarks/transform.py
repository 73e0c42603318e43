"""How fast raw lines become bars: a day of one busy symbol, against DuckDB doing nothing but parse the same lines.

    python benchmarks/transform.py [--lines 5000000] [--repeat 3]

Makes a synthetic day in a temporary folder (one-minute segments and their journal, as a collector writes them), then,
in turn and each in a process of its own, parses all of it with the transform's column types, and builds the day's bars.
Prints the median seconds of both, their ratio, and the peak memory of each (Linux and macOS).
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import msgspec

from crypto_lake import bars, config, journal, parquet
from crypto_lake.bars import Series
from crypto_lake.layout import DAY_US, MINUTE_US, Layout, day_start_us
from crypto_lake.parquet import path_list
from crypto_lake.schema import RAW_LINE, names, typed
from crypto_lake.segments import sealed

DAY = date(2025, 10, 20)
SYMBOL = "SOLUSDT"
MINUTES = 1440
# Of eight lines, five are quotes: about the share of the real captures.
QUOTES_OF_EIGHT = 5
DELAY_US = 60_000
KEYS = names(RAW_LINE)
_CONFIG = {
    "general": {"base_path": "."},
    "exchanges": [{"name": "binance", "symbols": [SYMBOL], "rest_url": "http://h/", "wss_url": "ws://h/"}],
}


def make_lake(folder: Path, lines: int) -> None:
    """Write the raw files and the journal."""
    (folder / "config.yml").write_bytes(msgspec.yaml.encode(_CONFIG))
    layout = Layout(folder)
    layout.raw_day("binance", SYMBOL, DAY).mkdir(parents=True)
    notes = journal.Journal(layout, "binance")
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
            )
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


WORK = {"parse": parse, "transform": transform}


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
        runs: dict[str, list[tuple[float, float]]] = {work: [] for work in WORK}
        for _ in range(words.repeat):
            for work in WORK:
                runs[work].append(measured(work, folder))
    for work, found in runs.items():
        print(
            f"{work:<10} {statistics.median(s for s, _ in found):6.2f} s   {max(mb for _, mb in found):6.0f} MB peak"
        )
    ratios = [t / p for (t, _), (p, _) in zip(runs["transform"], runs["parse"], strict=True)]
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"transform / parse: {middle:.2f} ({low:.2f} to {high:.2f} over {len(ratios)} pairs)")


if __name__ == "__main__":
    main()
