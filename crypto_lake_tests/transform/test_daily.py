"""Compaction: verified before anything is removed, mended after a crash, repeated when parts change."""

import hashlib
from datetime import timedelta
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa
import pytest

from crypto_lake.disk import parquet, publish
from crypto_lake.errors import LakeError
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, SYMBOL, land, quote, trade

Duck = duckdb.DuckDBPyConnection


def three_trades(duck: Duck, series: Series) -> None:
    """A finished day in parts: a few trades in three of its hours."""
    land(
        series.config, [trade(n, START + n * 7 * HOUR + n) for n in (1, 2, 3)] + [quote(9, START + 8 * HOUR)]
    )
    bars.build_day(duck, series, DAY, LATER)


@pytest.fixture
def recorded(made: Made, series: Series) -> Series:
    """The day of three trades."""
    return made(series, three_trades)


def compact(duck: Duck, series: Series) -> daily.Compacted:
    done = daily.compact(duck, series, DAY, LATER)
    assert done
    return done


def three_compacted(duck: Duck, series: Series) -> None:
    """The day of three trades in its daily file."""
    three_trades(duck, series)
    compact(duck, series)


@pytest.fixture
def compacted(made: Made, series: Series) -> Series:
    return made(series, three_compacted)


def rows(duck: Duck, paths: list[Path]) -> pa.Table:
    return duck.sql(f"FROM {parquet.scan(paths)} ORDER BY window_start").to_arrow_table()


def test_a_daily_file_holds_the_rows_of_its_parts_which_are_then_gone(duck: Duck, recorded: Series) -> None:
    before = rows(duck, recorded.layout.parts("binance", SYMBOL, DAY))
    done = compact(duck, recorded)
    assert rows(duck, [done.path]) == before
    assert sorted(p.name for p in done.path.parent.iterdir()) == [
        "2025-10-20.json",
        "2025-10-20.parquet",
        "2025-10-20.parquet.sha256",
    ]


def test_the_checksum_file_is_a_line_that_sha256sum_reads(duck: Duck, recorded: Series) -> None:
    done = compact(duck, recorded)
    digest = hashlib.sha256(done.path.read_bytes()).hexdigest()
    assert done.sha256 == digest
    assert recorded.layout.checksum(done.path).read_bytes() == f"{digest}  2025-10-20.parquet\n".encode()


def test_the_manifest_says_what_the_file_was_made_from(duck: Duck, compacted: Series) -> None:
    done = compact(duck, compacted)
    manifest = msgspec.json.decode(compacted.layout.manifest(done.path).read_bytes())
    assert (manifest["rows"], manifest["symbol"], manifest["sha256"]) == (86400, SYMBOL, done.sha256)
    assert manifest["made_from"]["07"]["fingerprint"]["segments"][0][0] == "2025-10-20/part_0001.jsonl"


def test_a_compacted_day_is_in_line_with_its_segments(duck: Duck, compacted: Series) -> None:
    assert bars.build_day(duck, compacted, DAY, LATER).rebuilt == []


def test_a_second_compaction_leaves_the_file_alone(duck: Duck, recorded: Series) -> None:
    first = compact(duck, recorded)
    stamp = first.path.stat().st_mtime_ns
    assert not compact(duck, recorded).rewritten
    assert first.path.stat().st_mtime_ns == stamp


def test_late_data_flows_into_a_compacted_day(duck: Duck, compacted: Series) -> None:
    land(compacted.config, [trade(9, START + 22 * HOUR + HOUR // 2, "5")])
    assert bars.build_day(duck, compacted, DAY, LATER).rebuilt == [22, 23]
    again = compact(duck, compacted)
    assert duck.execute(f"SELECT sum(trade_count) FROM {parquet.scan([again.path])}").fetchall() == [(4,)]
    assert compacted.layout.parts("binance", SYMBOL, DAY) == []


def test_removing_and_landing_again_in_another_order_gives_the_same_bytes(
    duck: Duck, recorded: Series
) -> None:
    land(recorded.config, [trade(4, START + 22 * HOUR)])
    bars.build_day(duck, recorded, DAY, LATER)
    whole = compact(duck, recorded).path.read_bytes()
    for path in recorded.layout.raw_day("binance", SYMBOL, DAY).iterdir():
        path.unlink()
    land(recorded.config, [trade(4, START + 22 * HOUR)])
    bars.build_day(duck, recorded, DAY, LATER)
    assert compact(duck, recorded).path.read_bytes() != whole
    land(
        recorded.config,
        [quote(9, START + 8 * HOUR), *(trade(n, START + n * 7 * HOUR + n) for n in (3, 2, 1, 2))],
    )
    bars.build_day(duck, recorded, DAY, LATER)
    changed = duck.execute(
        f"FROM {parquet.scan([compact(duck, recorded).path])} WHERE trade_count > 0"
    ).fetchall()
    assert len(changed) == 4


@pytest.mark.parametrize("hours", [[23], [22, 23]])
def test_a_daily_file_of_which_few_hours_were_replaced_has_the_bytes_of_one_that_was_made_at_once(
    duck: Duck, compacted: Series, hours: list[int]
) -> None:
    """Of one file DuckDB knows more than of several, and would write the same rows otherwise."""
    land(compacted.config, [trade(1000 + hour, START + hour * HOUR) for hour in hours])
    assert bars.build_day(duck, compacted, DAY, LATER).rebuilt == hours
    late = compact(duck, compacted).path.read_bytes()
    for path in compacted.layout.daily("binance", SYMBOL, DAY).parent.glob(f"{DAY}*"):
        path.unlink()
    bars.build_day(duck, compacted, DAY, LATER)
    assert compact(duck, compacted).path.read_bytes() == late


def test_the_bytes_depend_on_the_market_alone_not_on_segments_or_time(
    duck: Duck, recorded: Series, tmp_path: Path
) -> None:
    first = compact(duck, recorded).path.read_bytes()
    for path in recorded.layout.raw_day("binance", SYMBOL, DAY).iterdir():
        path.rename(path.with_name("part_0042.jsonl"))
    assert bars.build_day(duck, recorded, DAY, LATER).rebuilt != []
    assert compact(duck, recorded).path.read_bytes() == first


def test_a_day_in_progress_is_refused(duck: Duck, recorded: Series) -> None:
    with pytest.raises(LakeError, match="2025-10-20 is not over"):
        daily.compact(duck, recorded, DAY, START + 23 * HOUR)


def test_a_day_without_bars_gives_nothing(duck: Duck, recorded: Series) -> None:
    assert daily.compact(duck, recorded, DAY - timedelta(days=1), LATER) is None


def test_a_day_that_is_not_whole_is_refused_and_stays_in_parts(duck: Duck, recorded: Series) -> None:
    recorded.layout.part("binance", SYMBOL, DAY, 5).unlink()
    with pytest.raises(LakeError, match="82800 bars"):
        compact(duck, recorded)
    assert not recorded.layout.daily("binance", SYMBOL, DAY).exists()
    assert len(recorded.layout.parts("binance", SYMBOL, DAY)) == 23


def test_a_second_that_stands_twice_is_refused(duck: Duck, recorded: Series) -> None:
    layout = recorded.layout
    layout.part("binance", SYMBOL, DAY, 5).write_bytes(layout.part("binance", SYMBOL, DAY, 4).read_bytes())
    with pytest.raises(LakeError, match="not where they belong"):
        compact(duck, recorded)


def test_a_crash_before_the_checksum_is_mended_by_the_next_run(
    duck: Duck, recorded: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_path: Path, _content: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "write", crash)
    with pytest.raises(KeyboardInterrupt):
        compact(duck, recorded)
    monkeypatch.undo()
    assert len(recorded.layout.bar_files("binance", SYMBOL, DAY)) == 1
    done = compact(duck, recorded)
    assert done.rewritten
    assert done.sha256 == hashlib.sha256(done.path.read_bytes()).hexdigest()


def test_parts_that_a_crash_left_behind_are_removed_by_the_next_run(duck: Duck, recorded: Series) -> None:
    layout = recorded.layout
    left = {path: path.read_bytes() for path in layout.parts("binance", SYMBOL, DAY)[20:]}
    before = compact(duck, recorded).path.read_bytes()
    for path, content in left.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert len(layout.bar_files("binance", SYMBOL, DAY)) == 1
    assert compact(duck, recorded).path.read_bytes() == before
    assert layout.parts("binance", SYMBOL, DAY) == []


def test_a_daily_file_that_is_no_parquet_is_said_and_made_anew_from_raw(
    duck: Duck, compacted: Series
) -> None:
    done = compact(duck, compacted)
    before = done.path.read_bytes()
    done.path.write_bytes(b"")
    with pytest.raises(LakeError, match="not a readable Parquet file"):
        compact(duck, compacted)
    bars.build_day(duck, compacted, DAY, LATER)
    assert compact(duck, compacted).path.read_bytes() == before


def test_an_empty_checksum_file_is_filled_again(duck: Duck, compacted: Series) -> None:
    done = compact(duck, compacted)
    compacted.layout.checksum(done.path).write_bytes(b"")
    assert compact(duck, compacted).sha256 == done.sha256


def test_a_damaged_daily_file_is_made_anew_though_its_footer_is_whole(duck: Duck, compacted: Series) -> None:
    done = compact(duck, compacted)
    whole = done.path.read_bytes()
    middle = len(whole) // 3
    done.path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    assert len(bars.build_day(duck, compacted, DAY, LATER).rebuilt) == 24
    assert compact(duck, compacted).path.read_bytes() == whole
    assert bars.build_day(duck, compacted, DAY, LATER).rebuilt == []


def test_a_daily_file_without_its_checksum_is_made_anew(duck: Duck, compacted: Series) -> None:
    done = compact(duck, compacted)
    beside = compacted.layout.checksum(done.path)
    line = beside.read_bytes()
    beside.unlink()
    bars.build_day(duck, compacted, DAY, LATER)
    compact(duck, compacted)
    assert beside.read_bytes() == line
