"""Segments as DuckDB reads them: what is no line is an error every time, however many files and threads there are."""

from pathlib import Path

import duckdb
import pytest

from crypto_lake.config import Config
from crypto_lake.raw import scan
from crypto_lake_tests.raw_lines import HOUR, START, land, trade


def count(paths: list[Path]) -> int:
    # More than one, on any machine.
    with duckdb.connect(config={"threads": 4}) as connection:
        ((lines,),) = connection.execute(f"SELECT count(*) FROM {scan.lines(paths)}").fetchall()
    return int(lines)


@pytest.mark.parametrize("tail", [b"\0" * 300, b'{"stream":"tra', b"\xff\xfe", b" " * 70_000 + b"{"])
def test_bytes_behind_the_last_line_are_an_error_every_time(lake: Config, tail: bytes) -> None:
    paths = [land(lake, [trade(number, START + HOUR)]) for number in range(3)]
    paths[1].write_bytes(paths[1].read_bytes() + tail)
    for read in (scan.lines, lambda some: scan.of_slots(some, range(len(some)))):
        with pytest.raises(duckdb.Error, match=paths[1].name):
            read(paths)


def test_a_last_line_without_its_end_counts(lake: Config) -> None:
    paths = [land(lake, [trade(number, START + HOUR)]) for number in range(3)]
    paths[1].write_bytes(paths[1].read_bytes().rstrip(b"\n"))
    paths[2].write_bytes(b"")
    assert count(paths) == 2
