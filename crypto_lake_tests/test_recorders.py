"""Several collectors record into one lake under names of their own, and nothing of one is taken for another's."""

from pathlib import Path

import duckdb
import pytest

from crypto_lake import config
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError
from crypto_lake.layout import HOUR_US
from crypto_lake.raw import segments
from crypto_lake.raw.catalog import Recording
from crypto_lake.share import Share
from crypto_lake_tests.raw_lines import DAY, START, SYMBOL
from crypto_lake_tests.two_recorders import Heard, finish, lake_of, market

Duck = duckdb.DuckDBPyConnection
EXCHANGES = """\
exchanges: [{name: binance, symbols: [SOLUSDT], rest_url: "http://127.0.0.1:1/", wss_url: "ws://127.0.0.1:1/"}]
"""


def load(folder: Path, collector: str) -> Config:
    path = folder / "config.yml"
    path.write_text(f"{EXCHANGES}collector: {collector}\n", encoding="utf-8")
    return config.load(path)


def test_what_a_collector_writes_bears_its_name(tmp_path: Path) -> None:
    layout = load(tmp_path, "{name: a-1}").collector_layout
    place = ("binance", SYMBOL, DAY)
    paths = [
        layout.segment(*place, 1),
        layout.segment(*place, 1, "heal"),
        layout.symbol_journal(*place),
        layout.journal("binance", DAY),
        layout.rejected("binance", DAY),
        layout.reference("binance", DAY),
        layout.collector_status,
        layout.collector_lock,
        layout.collector_log,
    ]
    assert [path.relative_to(layout.base).as_posix() for path in paths] == [
        "raw/binance/SOLUSDT/2025-10-20/part_a-1_0001.jsonl",
        "raw/binance/SOLUSDT/2025-10-20/heal_0001.jsonl",
        "raw/binance/SOLUSDT/2025-10-20/_segments_a-1.jsonl",
        "raw/binance/_journal/a-1/2025-10-20.jsonl",
        "raw/binance/_rejected/a-1/2025-10-20.jsonl",
        "reference/binance/2025-10-20_a-1.json",
        "state/collectors/a-1.json",
        ".collector-a-1.lock",
        "logs/collector-a-1.log",
    ]


def test_without_a_name_every_path_is_as_it_was(tmp_path: Path) -> None:
    loaded = load(tmp_path, "{write_interval_sec: 60}")
    assert loaded.collector_layout == loaded.layout


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{name: a_1}", "collector.name: expected `str` matching regex"),
        ("{name: ''}", "collector.name: expected `str` matching regex"),
        ("{name: -a}", "collector.name: expected `str` matching regex"),
        ("{name: 7}", "collector.name: expected `str"),
        ("{name: Con}", "collector.name: Con is a device to Windows; expected a name that a file can have"),
        ("{name: a, share: 5/4}", "collector.share: '5/4'; expected which of how many collectors this is, such as"),
        ("{name: a, share: 0/4}", "collector.share: '0/4'; expected which of how many"),
        ("{name: a, share: some}", "collector.share: 'some'; expected which of how many"),
        ("{share: 1/4}", "collector.share: one of 4 collectors has no collector.name, and would write files of"),
    ],
)  # fmt: skip
def test_a_name_or_a_share_that_cannot_be_is_told_in_one_line(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert str(caught.value).removeprefix(f"{tmp_path / 'config.yml'}: ").startswith(line)
    assert "\n" not in str(caught.value)


def recorded_by(symbol: str, of: int) -> list[int]:
    return [number for number in range(1, of + 1) if Share(number, of).has(symbol)]


@pytest.mark.parametrize(("of", "copies"), [(1, 1), (2, 2), (3, 2), (4, 2), (9, 2)])
def test_each_symbol_is_recorded_by_two_collectors_or_by_all_there_are(of: int, copies: int) -> None:
    symbols = [f"S{number}USDT" for number in range(300)]
    assert {len(recorded_by(symbol, of)) for symbol in symbols} == {copies}
    load_of = [sum(number in recorded_by(symbol, of) for symbol in symbols) for number in range(1, of + 1)]
    assert max(load_of) < 2 * min(load_of)


def test_with_one_collector_more_only_symbols_that_it_records_move() -> None:
    for number in range(300):
        before, after = recorded_by(f"S{number}USDT", 4), recorded_by(f"S{number}USDT", 5)
        assert before == after or 5 in after
        assert len({*before} - {*after}) <= 1


def test_numbers_are_counted_for_each_recorder_and_files_of_all_are_found(tmp_path: Path) -> None:
    names = ["part_0001.jsonl", "part_a_0001.jsonl", "part_a_0002.jsonl.open", "part_0007_0003.jsonl.zst"]
    for name in [*names, "heal_0001.jsonl", "heal_a_0009.jsonl", "part_a_b_0008.jsonl"]:
        (tmp_path / name).touch()
    assert [path.name for path in segments.sealed(tmp_path)] == [
        "heal_0001.jsonl",
        "part_0001.jsonl",
        "part_0007_0003.jsonl.zst",
        "part_a_0001.jsonl",
    ]
    found = [segments.next_number(tmp_path, recorder=name) for name in ("", "a", "0007", "b")]
    assert found == [2, 3, 4, 1]
    assert segments.next_number(tmp_path, "heal") == 2
    assert [path.name for path in segments.sealed(tmp_path, recorder="a")] == ["part_a_0001.jsonl"]


def test_a_lake_of_one_named_recorder_has_the_bytes_of_one_without_a_name(
    duck: Duck, lake: Config, tmp_path: Path
) -> None:
    events = market(START + HOUR_US, START + 2 * HOUR_US, 20_000_000)
    found = []
    for name in ("", "a"):
        heard = Heard(name, [(START + HOUR_US // 2, START + 2 * HOUR_US)], lambda _: 1_300_000)
        series = lake_of(lake, tmp_path / f"lake{name}", [heard], events)
        assert not Recording(duck, series).around(DAY).recorded[name].is_empty
        found.append(finish(duck, series))
    assert found[0] == found[1]
    assert len(found[0]) == 4
