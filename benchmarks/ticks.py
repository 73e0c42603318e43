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
from crypto_lake.raw.lines import TICKS, Stream
from crypto_lake.schema import names

OTHERS = {"csv.gz": "FORMAT csv, COMPRESSION gzip", "jsonl.zst": "FORMAT json, COMPRESSION zstd"}


def files_of(layout: Layout, exchange: str, table: str) -> list[Path]:
    """All ticks of a table."""
    return [
        layout.ticks(exchange, symbol, table, day)
        for symbol in layout.ticks_symbols(exchange)
        for day in layout.ticks_days(exchange, symbol, table)
    ]


def measured(paths: list[Path], stream: Stream) -> dict[str, int]:
    """Bytes by format, of each file written alone as ticks are."""
    found = {"ticks": sum(path.stat().st_size for path in paths)} | dict.fromkeys(OTHERS, 0)
    with tempfile.TemporaryDirectory() as folder, parquet.connect() as connection:
        other = Path(folder) / "other"
        for path in paths:
            for name, options in OTHERS.items():
                rows = f"SELECT {', '.join(names(stream.columns))} FROM {parquet.scan([path])}"
                connection.execute(f"COPY ({rows}) TO {parquet.literal(other)} ({options})")
                found[name] += other.stat().st_size
    return found


def main() -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    lake = config.load(parser.parse_args().config)
    for stream in TICKS:
        table = stream.table
        paths = [path for exchange in lake.exchanges for path in files_of(lake.layout, exchange.name, table)]
        rows = sum(parquet.row_count(path) or 0 for path in paths)
        if not rows:
            raise SystemExit(f"{lake.layout.base}: no {table} in ticks; expected a finished day, compacted")
        sizes = measured(paths, stream)
        told = ", ".join(f"{name} {size / rows:.1f}" for name, size in sizes.items())
        print(f"{table}: {rows:,} rows; bytes a row: {told}")


if __name__ == "__main__":
    main()
