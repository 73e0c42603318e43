"""Raw segments are compressed and removed by setting, and only once all they hold is safe elsewhere."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pytest

from crypto_lake import config
from crypto_lake.defs import changes
from crypto_lake.disk import checksums, parquet
from crypto_lake.errors import RawDataError
from crypto_lake.layout import DAY_US
from crypto_lake.raw import journal, segments
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, plan, retention, ticks
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection
LINES: list[RawLine] = [
    *(trade(n, START + n * HOUR) for n in range(1, 4)),
    *(quote(n, START + n * HOUR) for n in range(1, 4)),
]
Having = Callable[..., Series]


@pytest.fixture
def having(write_config: Callable[..., Path]) -> Having:
    """Make a lake of these settings, with bars of minutes, which cost less than those of seconds."""

    def make(**settings: int) -> Series:
        path = write_config(retention=settings, transformer={"resample_interval_sec": 60})
        return Series(config.load(path), "binance", SYMBOL)

    return make


def finish(duck: Duck, series: Series, *days_later: int) -> None:
    """Bars, daily file and ticks of the day, or of those so many days later."""
    for day in [DAY + timedelta(days=n) for n in days_later or (0,)]:
        bars.build_day(duck, series, day, LATER)
        daily.compact(duck, series, day, LATER)
        ticks.make(duck, series, day, LATER)


def safe_day(duck: Duck, series: Series) -> None:
    """The day of these lines, with all that makes its segments dispensable."""
    land(series.config, LINES)
    finish(duck, series)


@pytest.fixture
def safe(made: Made, having: Having) -> Having:
    """The safe day, under other settings than it was made with."""

    def make(**settings: int) -> Series:
        made(having(), safe_day)
        return having(**settings)

    return make


def names(series: Series) -> list[str]:
    folder = series.layout.raw_day("binance", SYMBOL, DAY)
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def apply(duck: Duck, series: Series, now: int = LATER) -> None:
    retention.apply(duck, Series.recorded(series.config), now)


def test_by_default_everything_is_kept(duck: Duck, safe: Having) -> None:
    series = safe()
    apply(duck, series)
    assert names(series) == ["part_0001.jsonl"]


def test_segments_are_compressed_once_their_day_is_safe_and_old_enough(duck: Duck, having: Having) -> None:
    series = having(compress_raw_after_days=3)
    path = land(series.config, LINES)
    land(series.config, [trade(9, START + 9 * HOUR)], kind="heal")
    content = path.read_bytes()
    apply(duck, series)
    finish(duck, series)
    apply(duck, series, START + 3 * DAY_US - 1)
    assert names(series) == ["heal_0001.jsonl", "part_0001.jsonl"]
    apply(duck, series, START + 3 * DAY_US)
    assert names(series) == ["heal_0001.jsonl.zst", "part_0001.jsonl.zst"]
    compressed = path.with_name("part_0001.jsonl.zst")
    assert segments.size_of(compressed) == len(content)
    assert pa.decompress(compressed.read_bytes(), len(content), codec="zstd", asbytes=True) == content


def test_compression_makes_nothing_stale(duck: Duck, safe: Having) -> None:
    series = safe(compress_raw_after_days=1)
    apply(duck, series)
    assert bars.build_day(duck, series, DAY, LATER).rebuilt == []
    done = ticks.make(duck, series, DAY, LATER)
    assert done
    assert not done.rewritten


def test_bars_made_from_compressed_segments_are_the_same(duck: Duck, safe: Having) -> None:
    series = safe(compress_raw_after_days=1)
    before = series.layout.daily("binance", SYMBOL, DAY).read_bytes()
    apply(duck, series)
    series.layout.daily("binance", SYMBOL, DAY).unlink()
    finish(duck, series)
    assert series.layout.daily("binance", SYMBOL, DAY).read_bytes() == before


def test_a_number_is_not_given_twice_because_its_segment_was_compressed(duck: Duck, safe: Having) -> None:
    series = safe(compress_raw_after_days=1)
    apply(duck, series)
    assert segments.next_number(series.layout.raw_day("binance", SYMBOL, DAY)) == 2


def test_a_segment_in_both_forms_counts_once(duck: Duck, having: Having) -> None:
    series = having(compress_raw_after_days=1)
    path = land(series.config, LINES)
    content = path.read_bytes()
    finish(duck, series)
    apply(duck, series)
    path.write_bytes(content)
    assert segments.sealed(path.parent) == [path]
    apply(duck, series)
    assert names(series) == ["part_0001.jsonl.zst"]


def test_pruned_segments_are_stood_for_by_their_ticks(duck: Duck, safe: Having) -> None:
    series = safe(compress_raw_after_days=1, prune_raw_after_days=2)
    before = series.layout.daily("binance", SYMBOL, DAY).read_bytes()
    apply(duck, series, START + DAY_US)
    assert names(series) == ["part_0001.jsonl.zst"]
    apply(duck, series, START + 2 * DAY_US)
    assert names(series) == []
    series.layout.daily("binance", SYMBOL, DAY).unlink()
    finish(duck, series)
    assert series.layout.daily("binance", SYMBOL, DAY).read_bytes() == before


def test_a_segment_that_reaches_into_a_day_without_ticks_stays(duck: Duck, having: Having) -> None:
    series = having(prune_raw_after_days=1)
    land(series.config, [*LINES, trade(4, START + 24 * HOUR + 5)])
    finish(duck, series)
    apply(duck, series)
    assert names(series) == ["part_0001.jsonl"]
    finish(duck, series, 1)
    apply(duck, series)
    assert names(series) == []


def test_a_segment_that_came_after_the_ticks_were_made_stays(duck: Duck, safe: Having) -> None:
    series = safe(prune_raw_after_days=1)
    land(series.config, [trade(4, START + 5 * HOUR)])
    apply(duck, series)
    assert names(series) == ["part_0001.jsonl", "part_0002.jsonl"]


@pytest.mark.parametrize("kind", ["trades", "quotes", "daily"])
def test_nothing_is_removed_while_what_stands_for_it_is_damaged(duck: Duck, safe: Having, kind: str) -> None:
    series = safe(prune_raw_after_days=1)
    layout = series.layout
    path = (
        layout.daily("binance", SYMBOL, DAY)
        if kind == "daily"
        else layout.ticks("binance", SYMBOL, kind, DAY)
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    apply(duck, series)
    assert names(series) == ["part_0001.jsonl"]


def flipped(series: Series) -> Path:
    """A segment of which the journal notes the checksum, and in which a digit was flipped since."""
    path = land(series.config, LINES)
    record = sealed(path, LINES, [(START, START + 4 * HOUR)])
    noted = msgspec.structs.replace(record, sha256=checksums.of(path))
    JournalWriter(series.layout, "binance").write(noted, DAY)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"190.12000000", b"190.13000000", 1))
    return path


@pytest.mark.parametrize("setting", ["compress_raw_after_days", "prune_raw_after_days"])
def test_a_folder_with_a_segment_that_is_not_what_was_received_stays(
    duck: Duck, having: Having, setting: str
) -> None:
    series = having(**{setting: 1})
    path = flipped(series)
    finish(duck, series)
    with pytest.raises(RawDataError, match=r"part_0001\.jsonl: has .*checksum"):
        apply(duck, series)
    assert path.exists()


def test_a_bad_folder_does_not_keep_the_others_from_being_pruned(duck: Duck, having: Having) -> None:
    series = having(prune_raw_after_days=1)
    path = flipped(series)
    other = land(series.config, [trade(9, START + 33 * HOUR)], DAY + timedelta(days=1))
    finish(duck, series, 0, 1)
    with pytest.raises(RawDataError, match=r"part_0001\.jsonl"):
        apply(duck, series)
    assert (path.exists(), other.exists()) == (True, False)


def test_healed_trades_go_with_their_checksums(duck: Duck, having: Having) -> None:
    series = having(prune_raw_after_days=1)
    land(series.config, LINES)
    segments.land_healed(series.layout, "binance", SYMBOL, DAY, [trade(4, START + 4 * HOUR)])
    finish(duck, series)
    apply(duck, series)
    assert names(series) == []


def test_of_a_pruned_day_the_symbols_own_journal_stays_and_nobody_looks_at_the_day_again(
    duck: Duck, having: Having
) -> None:
    series = having(prune_raw_after_days=1)
    path = land(series.config, LINES)
    diary = JournalWriter(series.layout, "binance")
    diary.write(sealed(path, LINES, [(START + SECOND, START + 4 * HOUR)]), DAY)
    nothing = dict.fromkeys(("segment", "recv_from", "recv_to", "event_from", "event_to", "offset_us"))
    quiet = [(START + 4 * HOUR, START + 5 * HOUR)]
    diary.write(journal.Sealed(at=LATER, symbol=SYMBOL, lines=0, size=0, listened=quiet, **nothing), DAY)
    finish(duck, series)
    assert plan.stale_days(duck, series, None, LATER) == []
    apply(duck, series)
    assert names(series) == ["_segments.jsonl"]
    assert segments.days(series.layout, "binance", SYMBOL) == []
    assert plan.stale_days(duck, series, None, LATER) == []
    look = changes.Look(duck, [series], LATER, lambda _: False)
    assert changes.find(look, changes.Seen(), DAY) == []
    apply(duck, series)
    assert names(series) == ["_segments.jsonl"]


@pytest.mark.parametrize("content", [b"", b"no Zstandard frame", b"\x28\xb5\x2f\xfd\x00\x00\x00\x00\x00\x00"])
def test_what_only_calls_itself_compressed_is_named(duck: Duck, series: Series, content: bytes) -> None:
    path = land(series.config, LINES)
    path.rename(path.with_name(path.name + ".zst")).write_bytes(content)
    with pytest.raises(RawDataError, match=r"part_0001\.jsonl\.zst"):
        bars.build_day(duck, series, DAY, LATER)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_791, 65_792, 300_000])
def test_the_size_of_what_is_compressed_is_read_from_its_head(tmp_path: Path, size: int) -> None:
    path = tmp_path / "part_0001.jsonl"
    path.write_bytes(b"x" * size)
    assert segments.size_of(retention.compress(path)) == size
    assert parquet.is_whole(path) is False
