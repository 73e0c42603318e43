"""A damaged raw file costs its own lines, and neither an hour, nor a day, nor another symbol."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import msgspec
import pytest
from loguru import logger

from crypto_lake.completeness import holes
from crypto_lake.config import Config, Transformer
from crypto_lake.errors import LakeError, RawDataError
from crypto_lake.raw import segments
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, plan, retention, ticks
from crypto_lake.transform.bars import PartlyBuiltError
from crypto_lake.transform.hours import Hour
from crypto_lake.transform.workspace import Workspace
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade
from crypto_lake_tests.transform.test_bars import read

Duck = duckdb.DuckDBPyConnection


@pytest.fixture
def lake(lake: Config) -> Config:
    """Bars of minutes, which cost less than those of seconds."""
    return msgspec.structs.replace(lake, transformer=Transformer(resample_interval_sec=60))


def received(lake: Config, lines: list[RawLine]) -> Path:
    """A segment that the collector's journal describes, and with it an hour of listening."""
    path = land(lake, lines)
    start = lines[0].ts_recv - lines[0].ts_recv % HOUR
    record = sealed(path, lines, [(start, start + HOUR)])
    ids = [line.id for line in lines if line.ts_event is not None]
    record = msgspec.structs.replace(record, first_trade_id=min(ids), last_trade_id=max(ids))
    JournalWriter(lake.layout, "binance").write(record, DAY)
    return path


def hours(lake: Config, *wanted: int) -> dict[int, Path]:
    """For each of these hours a segment with ten trades; ids go on from one to the next."""
    return {hour: received(lake, an_hour(n, START + hour * HOUR)) for n, hour in enumerate(wanted)}


def an_hour(number: int, start: int) -> list[RawLine]:
    return [
        *(trade(10 * number + k, start + k * SECOND) for k in range(10)),
        quote(number, start + 9 * SECOND),
    ]


def spoil(path: Path, first: int = 1000, size: int = 300) -> None:
    """A block of NULs over some lines of a file, which keeps its size."""
    content = bytearray(path.read_bytes())
    content[first : first + size] = b"\0" * size
    path.write_bytes(content)


def settled(path: Path) -> Path:
    """A file that nobody has touched for a minute."""
    about = path.stat()
    os.utime(path, (about.st_atime - 60, about.st_mtime - 60))
    return path


def count_at(duck: Duck, series: Series, hour: int) -> int:
    """How many trades the bars of an hour hold."""
    start = START + hour * HOUR
    inside = f"epoch_us(window_start) >= {start} AND epoch_us(window_start) < {start + HOUR}"
    return sum(bar["trade_count"] for bar in read(duck, series, where=inside))


def test_a_block_of_nuls_in_a_sealed_segment_costs_its_lines_alone(duck: Duck, series: Series) -> None:
    files = hours(series.config, 1, 2, 3)
    whole = files[2].read_bytes()
    spoil(files[2])
    damaged = files[2].read_bytes()
    with pytest.raises(
        PartlyBuiltError, match=r"part_0002\.jsonl: \d+ bytes are no raw lines of SOLUSDT"
    ) as said:
        bars.build_day(duck, series, DAY, LATER)
    assert len(said.value.built[0].rebuilt) == 24
    assert [count_at(duck, series, hour) for hour in (1, 2, 3)] == [10, 7, 10]
    assert files[2].read_bytes().splitlines() == [line for line in whole.splitlines() if line in damaged]
    (aside,) = series.layout.set_aside("binance", SYMBOL, DAY).iterdir()
    assert (aside.name, aside.read_bytes()) == ("part_0002.jsonl", damaged)


def test_what_it_lost_is_a_hole_and_the_next_run_has_nothing_to_do(duck: Duck, series: Series) -> None:
    spoil(hours(series.config, 1, 2, 3)[2])
    with pytest.raises(PartlyBuiltError):
        bars.build_day(duck, series, DAY, LATER)
    (hole,) = holes.find(duck, series, DAY, LATER)
    assert (hole.size, 10 < hole.first_id < hole.last_id < 20) == (3, True)
    assert not plan.is_stale(duck, series, DAY, LATER)
    assert bars.build_day(duck, series, DAY, LATER).rebuilt == []
    assert daily.compact(duck, series, DAY, LATER) is not None
    made = ticks.make(duck, series, DAY, LATER)
    assert made is not None
    assert made.rows["trades"] == 27


def test_somebody_listened_to_a_damaged_segment_all_the_same(duck: Duck, series: Series) -> None:
    spoil(hours(series.config, 1, 2, 3)[2])
    with pytest.raises(PartlyBuiltError):
        bars.build_day(duck, series, DAY, LATER)
    at_half = f"epoch_us(window_start) = {START + 2 * HOUR + 1800 * SECOND}"
    assert [bar["observed"] for bar in read(duck, series, where=at_half)] == [True]


def test_a_segment_of_which_nothing_is_left_goes_and_its_hour_is_made_without(
    duck: Duck, series: Series
) -> None:
    files = hours(series.config, 1, 2, 3)
    files[2].write_bytes(b"\0" * files[2].stat().st_size)
    with pytest.raises(PartlyBuiltError):
        bars.build_day(duck, series, DAY, LATER)
    assert not files[2].exists()
    assert [count_at(duck, series, hour) for hour in (1, 2, 3)] == [10, 0, 10]
    assert segments.next_number(files[1].parent) == 4


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\0" * (20 << 20) + b"\n", b'{"stream":"tra', b"\xff\xfe\n"])
def test_a_damaged_file_that_no_journal_describes_is_mended_as_well(
    duck: Duck, series: Series, tail: bytes
) -> None:
    path = land(series.config, [trade(1, START + HOUR)])
    before = path.read_bytes()
    path.write_bytes(before + tail)
    settled(path)
    assert plan.stale_days(duck, series, None, LATER) == [DAY]
    with pytest.raises(RawDataError, match=path.name):
        bars.build_day(duck, series, DAY, LATER)
    assert path.read_bytes() == before
    assert count_at(duck, series, 1) == 1
    assert bars.build_day(duck, series, DAY, LATER).unchanged == 24


def test_a_file_of_another_symbol_is_set_aside_and_keeps_no_hour_from_its_bars(
    duck: Duck, series: Series
) -> None:
    hours(series.config, 1, 3)
    wrong = settled(
        land(series.config, [msgspec.structs.replace(trade(5, START + 2 * HOUR), symbol="ADAUSDT")])
    )
    before = wrong.read_bytes()
    with pytest.raises(RawDataError, match=r"part_0003\.jsonl: 1 of 1 lines are not raw lines of SOLUSDT"):
        bars.build_day(duck, series, DAY, LATER)
    assert [count_at(duck, series, hour) for hour in (1, 2, 3)] == [10, 0, 10]
    (aside,) = series.layout.set_aside("binance", SYMBOL, DAY).iterdir()
    assert (aside.read_bytes(), wrong.exists()) == (before, False)
    assert bars.build_day(duck, series, DAY, LATER).unchanged == 24


@pytest.mark.parametrize("end", [b'{"stream":"tra', b"\0" * 5000])
def test_a_file_that_is_being_copied_is_left_out_and_alone(duck: Duck, series: Series, end: bytes) -> None:
    hours(series.config, 1)
    path = land(series.config, [trade(77, START + 2 * HOUR)])
    whole = path.read_bytes()
    path.write_bytes(whole + end)
    with pytest.raises(RawDataError, match=path.name):
        bars.build_day(duck, series, DAY, LATER)
    assert path.read_bytes() == whole + end
    path.write_bytes(whole + whole.replace(b'"id":77', b'"id":78'))
    bars.build_day(duck, series, DAY, LATER)
    assert [count_at(duck, series, hour) for hour in (1, 2)] == [10, 2]


def test_a_file_with_some_lines_that_do_not_belong_is_mended(duck: Duck, series: Series) -> None:
    lines = [trade(1, START + HOUR), trade(2, (START + HOUR) // 1000), trade(3, START + HOUR + 1)]
    path = land(series.config, lines)
    with pytest.raises(RawDataError, match=path.name):
        bars.build_day(duck, series, DAY, LATER)
    assert count_at(duck, series, 1) == 2


def test_a_compressed_segment_that_is_damaged_is_set_aside_whole(duck: Duck, series: Series) -> None:
    path = retention.compress(hours(series.config, 1, 2)[2])
    spoil(path, 30, 60)
    with pytest.raises(PartlyBuiltError, match=r"part_0002\.jsonl\.zst"):
        bars.build_day(duck, series, DAY, LATER)
    assert [count_at(duck, series, hour) for hour in (1, 2)] == [10, 0]
    assert not path.exists()


def test_a_segment_that_was_damaged_when_it_was_compressed_is_mended_plain(
    duck: Duck, series: Series
) -> None:
    path = hours(series.config, 1, 2)[2]
    spoil(path)
    packed = retention.compress(path)
    with pytest.raises(PartlyBuiltError, match=r"part_0002\.jsonl: "):
        bars.build_day(duck, series, DAY, LATER)
    assert [count_at(duck, series, hour) for hour in (1, 2)] == [10, 7]
    assert (path.exists(), packed.exists()) == (True, False)


def test_a_second_damage_of_one_name_is_kept_beside_the_first(duck: Duck, series: Series) -> None:
    path = hours(series.config, 1)[1]
    for _ in range(2):
        spoil(path)
        with pytest.raises(PartlyBuiltError):
            bars.build_day(duck, series, DAY, LATER)
    folder = series.layout.set_aside("binance", SYMBOL, DAY)
    assert sorted(entry.name for entry in folder.iterdir()) == ["part_0001.jsonl", "part_0001.jsonl.1"]


def test_an_hour_that_cannot_be_made_keeps_no_later_one_from_it(
    duck: Duck, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours(series.config, 1, 2, 3)
    listened = Hour.listened

    def fails_once(hour: Hour, duck: Duck, workspace: Workspace) -> list[Interval]:
        if hour.hour == 2:
            raise duckdb.InvalidInputException("something is wrong")
        return listened(hour, duck, workspace)

    monkeypatch.setattr(Hour, "listened", fails_once)
    with pytest.raises(PartlyBuiltError, match="something is wrong") as said:
        bars.build_day(duck, series, DAY, LATER)
    assert said.value.built[0].rebuilt == [0, 1, *range(3, 24)]
    assert count_at(duck, series, 3) == 10
    with pytest.raises(LakeError, match="make the bars of the whole day first"):
        daily.compact(duck, series, DAY, LATER)
    assert len(series.layout.parts("binance", SYMBOL, DAY)) == 23
    monkeypatch.undo()
    # Hour 2 brings the quote that all later hours carry.
    assert 2 in bars.build_day(duck, series, DAY, LATER).rebuilt
    assert daily.compact(duck, series, DAY, LATER) is not None


def test_days_after_one_that_is_damaged_are_made_and_all_is_told_at_the_end(
    duck: Duck, series: Series
) -> None:
    files = hours(series.config, 1)
    land(series.config, [trade(99, START + 25 * HOUR)], DAY + timedelta(days=1))
    spoil(files[1])
    done = bars.build_days(
        duck, Series.recorded(series.config), [DAY, DAY + timedelta(days=1)], lambda: LATER
    )
    assert [next(done)[0], next(done)[0]] == [DAY, DAY + timedelta(days=1)]
    with pytest.raises(RawDataError, match=r"part_0001\.jsonl"):
        next(done)


@pytest.fixture
def logged() -> Iterator[list[str]]:
    messages: list[str] = []
    logger.enable("crypto_lake")
    sink = logger.add(messages.append, format="{level} {message}")
    yield messages
    logger.remove(sink)


def test_damage_is_in_the_log(duck: Duck, series: Series, logged: list[str]) -> None:
    path = hours(series.config, 1)[1]
    spoil(path)
    with pytest.raises(PartlyBuiltError):
        bars.build_day(duck, series, DAY, LATER)
    assert any(line.startswith(f"ERROR {path}: ") and "set_aside" not in line for line in logged)


def test_a_folder_with_a_refused_file_is_never_pruned(duck: Duck, lake: Config, series: Series) -> None:
    lake = msgspec.structs.replace(
        lake, retention=msgspec.structs.replace(lake.retention, prune_raw_after_days=1)
    )
    hours(lake, 1)
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)
    wrong = land(lake, [msgspec.structs.replace(trade(5, START + 2 * HOUR), symbol="ADAUSDT")])
    retention.apply(duck, Series.recorded(lake), LATER)
    assert wrong.exists()


@pytest.mark.parametrize("changes", [{"ts_recv": (1 << 63) - 1}, {"ts_event": (1 << 63) - 1}, {"id": -1}])
def test_a_line_with_a_number_that_cannot_be_is_no_raw_line(
    duck: Duck, series: Series, changes: dict[str, int]
) -> None:
    """A time of receipt at the end of time was taken for billions of minutes of listening."""
    hours(series.config, 1, 3)
    lines = [trade(5, START + 2 * HOUR), msgspec.structs.replace(trade(6, START + 2 * HOUR + 1), **changes)]
    path = settled(land(series.config, lines))
    with pytest.raises(RawDataError, match=r"part_0003\.jsonl: 1 of 2 lines are not raw lines of SOLUSDT"):
        bars.build_day(duck, series, DAY, LATER)
    assert [count_at(duck, series, hour) for hour in (1, 2, 3)] == [10, 1, 10]
    assert path.exists()


@pytest.mark.parametrize(
    "more",
    [b'"id":7', b'"i\\u0064":7', b'"stream":"trade"', b'"x":"\xed\xa0\x80"', b'"x":"\xff"'],
    ids=["id twice", "id twice, once escaped", "stream twice", "half of a pair", "no UTF-8"],
)
def test_a_line_that_the_wires_decoder_takes_and_sql_does_not_is_set_aside(
    duck: Duck, series: Series, more: bytes
) -> None:
    hours(series.config, 1, 3)
    path = settled(land(series.config, [trade(5, START + 2 * HOUR)]))
    kept = path.read_bytes()
    path.write_bytes(kept + kept.replace(b'"id":5', b'"id":6').removesuffix(b"}\n") + b"," + more + b"}\n")
    settled(path)
    with pytest.raises(RawDataError, match=r"part_0003\.jsonl: \d+ bytes are no raw lines of SOLUSDT"):
        bars.build_day(duck, series, DAY, LATER)
    assert path.read_bytes() == kept
    assert bars.build_day(duck, series, DAY, LATER).unchanged == 24
