"""What the lake keeps of itself may be damaged: it then counts as not there, or is told in one line; no traceback."""

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from crypto_lake import checks, config
from crypto_lake.checks import Verdict
from crypto_lake.completeness import candles, halts, holes
from crypto_lake.config import Config
from crypto_lake.disk import checksums, parquet
from crypto_lake.errors import ConfigError, LakeError, RawDataError
from crypto_lake.pages import validation
from crypto_lake.raw import journal
from crypto_lake.raw.collector_status import read_status
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.kept import read_kept
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, plan, ticks
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, SYMBOL, land, quote, trade

Duck = duckdb.DuckDBPyConnection
GARBAGE = {
    "empty": b"",
    "torn": b'{"made_from": {"00": {"finger',
    "no UTF-8": bytes(range(128, 256)),
    "no UTF-8 within a text": b'{"rows": "\xff\xfe", "checks": ["\xff"], "state": "\xff"}',
    "NULs": b"\0" * 200,
    "a text": b'"text"',
    "a number": b"3",
    "a huge number": b"1" * 5000,
    "null": b"null",
    "a list": b"[]",
    "an object": b"{}",
    "nested for ever": b"[" * 100_000,
    "nested objects": b'{"made_from":' * 50_000,
    "of the wrong shape": json.dumps(
        {
            "made_from": {"x": 3, "00": {"fingerprint": {"segments": 3, "until": "x"}, "carry": {}}},
            "checks": [1, {"asset": 1, "check": [], "counts": 3}],
            "complete": True,
            "rows": "x",
            "sha256": {},
            "binance": {SYMBOL: {"2025-10-20": [["x", 3], 4]}},
        }
    ).encode(),
}
damaged = pytest.mark.parametrize("content", GARBAGE.values(), ids=GARBAGE.keys())


def a_day(duck: Duck, series: Series) -> None:
    """Bars of a day with a trade."""
    land(series.config, [trade(1, START + HOUR)])
    bars.build_day(duck, series, DAY, LATER)


def a_finished_day(duck: Duck, series: Series) -> None:
    """A day in its daily file and in ticks."""
    land(series.config, [trade(1, START + HOUR), quote(1, START + HOUR), trade(3, START + 2 * HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)


@pytest.fixture
def finished(made: Made, series: Series) -> Series:
    """The finished day, to damage."""
    return made(series, a_finished_day)


@damaged
def test_a_manifest_of_bars_counts_as_not_there(duck: Duck, finished: Series, content: bytes) -> None:
    path = finished.layout.daily("binance", SYMBOL, DAY)
    before = path.read_bytes()
    finished.layout.manifest(path).write_bytes(content)
    holes.find(duck, finished, DAY, LATER)
    assert plan.is_stale(duck, finished, DAY, LATER)
    assert len(bars.build_day(duck, finished, DAY, LATER).rebuilt) == 24
    daily.compact(duck, finished, DAY, LATER)
    assert path.read_bytes() == before
    assert not plan.is_stale(duck, finished, DAY, LATER)


@damaged
def test_a_manifest_of_ticks_counts_as_not_there(duck: Duck, finished: Series, content: bytes) -> None:
    finished.layout.ticks_manifest("binance", SYMBOL, DAY).write_bytes(content)
    assert read_kept(finished.layout, "binance", SYMBOL, DAY) is None
    done = ticks.make(duck, finished, DAY, LATER)
    assert done
    assert done.rewritten
    assert read_kept(finished.layout, "binance", SYMBOL, DAY)


@damaged
def test_a_footer_counts_as_not_there(duck: Duck, made: Made, series: Series, content: bytes) -> None:
    made(series, a_day)
    part = series.layout.part("binance", SYMBOL, DAY, 1)
    table = pq.read_table(part)
    pq.write_table(table.replace_schema_metadata({parquet.FOOTER_KEY: content}), part)
    series.layout.candles("binance", SYMBOL, DAY).parent.mkdir(parents=True)
    pq.write_table(
        table.replace_schema_metadata({parquet.FOOTER_KEY: content}),
        series.layout.candles("binance", SYMBOL, DAY),
    )
    assert candles.finished(series.layout.candles("binance", SYMBOL, DAY)) is None
    assert 1 in bars.build_day(duck, series, DAY, LATER).rebuilt
    daily.compact(duck, series, DAY, LATER)


@pytest.mark.parametrize("schema", [b"\xff\xfe", b"\0", b"AAAA"])
def test_names_of_columns_that_are_no_text_are_no_traceback(tmp_path: Path, schema: bytes) -> None:
    path = tmp_path / "some.parquet"
    pq.write_table(pa.table({"abcdefgh": [1]}), path)
    path.write_bytes(path.read_bytes().replace(b"abcdefgh"[: len(schema)], schema))
    parquet.footer(path)
    parquet.row_count(path)
    assert parquet.schema_differences(path)


@damaged
def test_a_validation_file_counts_as_not_there(duck: Duck, lake: Config, content: bytes) -> None:
    path = lake.layout.validation(DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert validation.read(lake, DAY) == []
    verdict = Verdict(checks.SCHEMA_MATCHES, DAY, {SYMBOL: 0}, {SYMBOL: []})
    validation.enter(duck, lake, Series.recorded(lake), "bars_1s", [verdict], LATER)
    assert [one["asset"] for one in validation.read(lake, DAY)] == ["bars_1s"]


@damaged
def test_a_register_of_halts_counts_as_not_there(lake: Config, content: bytes) -> None:
    lake.layout.halts.parent.mkdir(parents=True)
    lake.layout.halts.write_bytes(content)
    halts.enter(lake.layout, "binance", SYMBOL, DAY, [(START, START + HOUR)])
    assert halts.of_day(lake.layout, "binance", SYMBOL, DAY) == [(START, START + HOUR)]


@damaged
def test_a_status_file_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "collector.json"
    path.write_bytes(content)
    with pytest.raises(LakeError, match=r"collector\.json: not a status file") as told:
        read_status(path)
    assert len(str(told.value)) < 500


@damaged
def test_a_line_of_a_journal_is_left_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    good = journal.Stopped(at=START, reason="asked to")
    path.write_bytes(content + b"\n" + msgspec.json.encode(good) + b"\n")
    assert list(journal.read(path)) == [good]


@pytest.mark.parametrize("landed", ["what?", "2025-13-01", "", "\0"])
def test_a_day_that_is_none_in_a_journal_counts_as_not_there(duck: Duck, series: Series, landed: str) -> None:
    land(series.config, [trade(1, START + HOUR)])
    record = journal.Displaced(at=START, symbol=SYMBOL, landed=landed)
    JournalWriter(series.layout, "binance").write(record, DAY)
    assert len(bars.build_day(duck, series, DAY, LATER).rebuilt) == 24


@damaged
def test_a_configuration_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.yml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as told:
        config.load(path)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 500


@damaged
def test_a_checksum_counts_as_not_there(duck: Duck, finished: Series, content: bytes) -> None:
    path = finished.layout.daily("binance", SYMBOL, DAY)
    beside = finished.layout.checksum(path)
    beside.write_bytes(content)
    done = daily.compact(duck, finished, DAY, LATER)
    assert done
    assert done.sha256 == checksums.of(path)
    assert beside.read_text() == f"{checksums.of(path)}  {path.name}\n"


def test_one_symbol_that_cannot_be_compacted_does_not_keep_the_others_from_it(
    duck: Duck, write_config: object
) -> None:
    lake = config.load(write_config(exchanges=[_of("ADAUSDT", SYMBOL)]))  # type: ignore[operator]
    series = Series(lake, "binance", SYMBOL)
    land(lake, [trade(1, START + HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    bad = lake.layout.part("binance", "ADAUSDT", DAY, 1)
    bad.parent.mkdir(parents=True)
    bad.write_bytes(b"no Parquet")
    with pytest.raises(LakeError, match="ADAUSDT"):
        daily.compact_all(duck, Series.recorded(lake), DAY, LATER)
    assert lake.layout.daily("binance", SYMBOL, DAY).exists()


def _of_two(write_config: object) -> tuple[Config, Series]:
    """A lake of two symbols, ADAUSDT first, that were recorded in the same hour; and the second one."""
    lake = config.load(write_config(exchanges=[_of("ADAUSDT", SYMBOL)]))  # type: ignore[operator]
    there = lake.layout.segment("binance", "ADAUSDT", DAY, 1)
    there.parent.mkdir(parents=True)
    there.write_bytes(land(lake, [trade(1, START + HOUR)]).read_bytes().replace(b"SOLUSDT", b"ADAUSDT"))
    return lake, Series(lake, "binance", SYMBOL)


def test_a_folder_in_the_place_of_a_part_is_named_and_keeps_no_other_symbol_from_its_bars(
    duck: Duck, write_config: object
) -> None:
    lake, other = _of_two(write_config)
    folder = lake.layout.part("binance", "ADAUSDT", DAY, 1)
    folder.mkdir(parents=True)
    with pytest.raises(RawDataError) as caught:
        bars.build_all(duck, Series.recorded(lake), DAY, LATER)
    assert f"{folder}: is a folder; expected a file" in str(caught.value)
    assert lake.layout.part("binance", other.symbol, DAY, 1).is_file()


@pytest.mark.parametrize("make", [daily.compact_all, ticks.make_all])
def test_a_folder_in_the_place_of_a_finished_file_is_named_and_keeps_no_other_symbol_from_its_day(
    duck: Duck, write_config: object, make: Callable[..., object]
) -> None:
    lake, other = _of_two(write_config)
    bars.build_all(duck, Series.recorded(lake), DAY, LATER)
    for path in (
        lake.layout.daily("binance", "ADAUSDT", DAY),
        lake.layout.ticks("binance", "ADAUSDT", "trades", DAY),
    ):
        path.mkdir(parents=True)
    with pytest.raises(LakeError, match="is a folder; expected a file"):
        make(duck, Series.recorded(lake), DAY, LATER)
    layout = lake.layout
    assert (
        layout.daily("binance", other.symbol, DAY).is_file()
        or layout.ticks("binance", other.symbol, "trades", DAY).is_file()
    )


@pytest.mark.parametrize("symbol", [None, SYMBOL])
def test_a_folder_that_bears_a_journals_name_is_told_and_counts_as_no_journal(
    duck: Duck, series: Series, symbol: str | None
) -> None:
    land(series.config, [trade(1, START + HOUR)])
    JournalWriter(series.layout, "binance").path(DAY, symbol).mkdir(parents=True)
    assert bars.build_day(duck, series, DAY, LATER).rebuilt


def _of(*symbols: str) -> dict[str, object]:
    nowhere = "127.0.0.1:1"
    return {
        "name": "binance",
        "symbols": list(symbols),
        "rest_url": f"http://{nowhere}/api/v3",
        "wss_url": f"ws://{nowhere}/ws",
    }
