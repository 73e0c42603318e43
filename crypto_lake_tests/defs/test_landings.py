"""What a landing tells of a day of many symbols, and what it holds in memory to find that out."""

import tracemalloc

import duckdb
import msgspec

from crypto_lake.config import Config
from crypto_lake.defs import landings
from crypto_lake.defs.partitions import Share
from crypto_lake.raw import journal
from crypto_lake.series import Series
from crypto_lake_tests.raw_lines import DAY, START, land, sealed, trade

_RECORDS = 300


def journaled(lake: Config, symbol: str) -> Series:
    """A symbol whose journal tells of so many segments, of ten bytes each, and of a hole of two trades."""
    series = Series(lake, "binance", symbol)
    path = lake.layout.symbol_journal("binance", symbol, DAY)
    path.parent.mkdir(parents=True)
    lines = [trade(1, START)]
    one = msgspec.structs.replace(
        sealed(land(lake, lines), lines, [(START, START + 1)]), symbol=symbol, size=10
    )
    records: list[journal.SymbolRecord] = [
        msgspec.structs.replace(one, segment=f"part_{number:04}.jsonl") for number in range(_RECORDS)
    ]
    ends = {"event_from": START, "event_to": START + 1}
    records.append(journal.Gap(at=START, symbol=symbol, first_id=5, last_id=6, **ends))
    path.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
    return series


def peak(connection: duckdb.DuckDBPyConnection, some: list[Series]) -> int:
    """The most bytes that are held at once while a landing is found out."""
    tracemalloc.start()
    try:
        landings.landing(connection, Share(None, some), DAY)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_it_adds_what_came_of_each_symbol(lake: Config, duck: duckdb.DuckDBPyConnection) -> None:
    some = [journaled(lake, symbol) for symbol in ("ADAUSDT", "SUIUSDT")]
    told = landings.landing(duck, Share(None, some), DAY).metadata
    names = ("dagster/partition_row_count", "segments", "bytes", "holes_at_first", "trades_missing_at_first")
    assert [told[name].value for name in names] == [2 * _RECORDS, 2 * _RECORDS, 20 * _RECORDS, 2, 4]


def test_of_many_symbols_it_holds_the_journal_of_one_at_a_time(
    lake: Config, duck: duckdb.DuckDBPyConnection
) -> None:
    some = [journaled(lake, f"S{number}USDT") for number in range(16)]
    landings.landing(duck, Share(None, some), DAY)
    assert peak(duck, some) < 3 * peak(duck, some[:1])
