"""How many bytes a trade and a quote take in ticks, beside the same rows as gzip'd CSV and as zstd'd JSON lines.

    python benchmarks/ticks.py CONFIG

Reads the ticks of every symbol and day of the lake that CONFIG (a `config.yml`) describes, and writes nothing into it.
"""

import argparse
import tempfile
from pathlib import Path

from crypto_lake import config
from crypto_lake.disk import parquet
from crypto_lake.layout import Layout
from crypto_lake.schema import TICKS, names

OTHERS = {"csv.gz": "FORMAT csv, COMPRESSION gzip", "jsonl.zst": "FORMAT json, COMPRESSION zstd"}


def files_of(layout: Layout, exchange: str, kind: str) -> list[Path]:
    """All ticks of a kind."""
    return [
        layout.ticks(exchange, symbol, kind, day)
        for symbol in layout.ticks_symbols(exchange)
        for day in layout.ticks_days(exchange, symbol, kind)
    ]


def measured(paths: list[Path], kind: str) -> dict[str, int]:
    """Bytes by format, of each file written alone as ticks are."""
    found = {"ticks": sum(path.stat().st_size for path in paths)} | dict.fromkeys(OTHERS, 0)
    with tempfile.TemporaryDirectory() as folder, parquet.connect() as connection:
        other = Path(folder) / "other"
        for path in paths:
            for name, options in OTHERS.items():
                rows = f"SELECT {', '.join(names(TICKS[kind]))} FROM {parquet.scan([path])}"
                connection.execute(f"COPY ({rows}) TO {parquet.literal(other)} ({options})")
                found[name] += other.stat().st_size
    return found


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    lake = config.load(parser.parse_args().config)
    for kind in TICKS:
        paths = [path for exchange in lake.exchanges for path in files_of(lake.layout, exchange.name, kind)]
        rows = sum(parquet.row_count(path) or 0 for path in paths)
        if not rows:
            raise SystemExit(f"{lake.layout.base}: no {kind} in ticks; expected a finished day, compacted")
        sizes = measured(paths, kind)
        told = ", ".join(f"{name} {size / rows:.1f}" for name, size in sizes.items())
        print(f"{kind}: {rows:,} rows; bytes a row: {told}")


if __name__ == "__main__":
    main()
