"""The command `export`: a file that cannot be read is one clear line that names it, whatever the format."""

from pathlib import Path

import pytest
from pyarrow import parquet as pq

from crypto_lake.errors import LakeError
from crypto_lake.operate import exporting
from crypto_lake.raw.lines import QUOTE, TRADE, Stream
from crypto_lake.series import Series
from crypto_lake_tests.export.conftest import exported
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, SYMBOL
from crypto_lake_tests.test_damaged_bars import spoil_pages

formats = pytest.mark.parametrize("kind", exporting.FORMATS)


@pytest.fixture
def day(made: Made, series: Series) -> Series:
    return made(series, exported)


@formats
@pytest.mark.parametrize("stream", [TRADE, QUOTE])
def test_ticks_that_are_damaged_are_told_by_the_name_of_their_file(
    day: Series, kind: str, stream: Stream, tmp_path: Path
) -> None:
    path = day.layout.ticks("binance", SYMBOL, stream.table, DAY)
    spoil_pages(path)
    with pytest.raises(LakeError, match=f"{path.name}: damaged: "):
        list(exporting.export(day.config, kind, [DAY], None, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


@formats
def test_a_column_that_only_the_export_reads_is_told_as_well(day: Series, kind: str, tmp_path: Path) -> None:
    path = day.layout.ticks("binance", SYMBOL, TRADE.table, DAY)
    _spoil_column(path, "price")
    with pytest.raises(LakeError, match=f"{path.name}: damaged: "):
        list(exporting.export(day.config, kind, [DAY], None, tmp_path))


@formats
def test_what_was_fetched_later_and_is_no_line_is_told_by_symbol_and_day(
    day: Series, kind: str, tmp_path: Path
) -> None:
    (healed,) = day.layout.raw_day("binance", SYMBOL, DAY).glob("heal*.jsonl*")
    healed.write_bytes(b"no line\n")
    with pytest.raises(LakeError, match=f"{SYMBOL} {DAY}: "):
        list(exporting.export(day.config, kind, [DAY], None, tmp_path))


def _spoil_column(path: Path, name: str) -> None:
    found = pq.read_metadata(path).row_group(0)
    (column,) = [one for n in range(found.num_columns) if (one := found.column(n)).path_in_schema == name]
    begin = column.dictionary_page_offset or column.data_page_offset
    content = bytearray(path.read_bytes())
    content[begin : begin + column.total_compressed_size] = b"\xa5" * column.total_compressed_size
    path.write_bytes(content)
