"""Depth says what the lines of the book say, each once, and can stand for them."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import duckdb
import pytest

from crypto_lake import config
from crypto_lake.disk import checksums, parquet
from crypto_lake.errors import LakeError, RawDataError
from crypto_lake.raw import book_scan, journal, salvage
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.schema import DEPTH
from crypto_lake.series import Series
from crypto_lake.transform import book, depth, depth_rows, retention, verify, workspace
from crypto_lake_tests.book_lines import Market, event, land, longest_snapshot, snapshot
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL

if TYPE_CHECKING:
    from crypto_lake.raw.lines import BookLine

Duck = duckdb.DuckDBPyConnection
BEFORE, AFTER = DAY - timedelta(days=1), DAY + timedelta(days=1)
END = START + 24 * HOUR
BID, ASK = ("100.10000000", "1.50000000"), ("100.20000000", "0.00000000")


def make(duck: Duck, series: Series) -> depth.Depth:
    done = depth.make(duck, series, DAY, LATER)
    assert done
    return done


def rows(
    duck: Duck, path: Path, columns: str = "id, side, price::VARCHAR, qty::VARCHAR"
) -> list[tuple[object, ...]]:
    return duck.execute(f"SELECT {columns} FROM {parquet.scan([path])}").fetchall()


def test_levels_are_rows_in_order_of_ids_the_snapshot_before_the_events_that_follow(
    duck: Duck, series: Series
) -> None:
    land(series.config, [event(11, 14, START + 2, [BID], [ASK]), event(15, 15, START + 3)])
    land(series.config, [snapshot(10, START + 1, [BID, ("99", "3")], [ASK]), event(9, 10, START, [BID])])
    path = make(duck, series).path
    assert rows(duck, path, "id, first_id, is_snapshot, side, price::VARCHAR, qty::VARCHAR") == [
        (10, 9, False, "bid", *BID),
        (10, None, True, "bid", *BID),
        (10, None, True, "bid", "99.00000000", "3.00000000"),
        (10, None, True, "ask", *ASK),
        (14, 11, False, "bid", *BID),
        (14, 11, False, "ask", *ASK),
        (15, 15, False, None, None, None),
    ]
    assert parquet.schema_differences(path, DEPTH) == []
    assert series.layout.checksum(path).read_text(encoding="ascii").split()[0] == checksums.of(path)
    times = rows(duck, path, "epoch_us(ts_event), epoch_us(ts_recv)")
    assert times[0] == (START, START + 80_000)
    assert times[1] == (None, START + 1)


def test_of_events_with_one_last_id_the_widest_is_there_once_and_those_that_overlap_stay(
    duck: Duck, series: Series
) -> None:
    land(series.config, [event(1, 4, START, [BID]), event(5, 9, START + SECOND, [BID])])
    again = [
        event(1, 4, START, [BID]),
        event(2, 4, START, [BID]),
        event(6, 8, START, [BID]),
        event(8, 12, START + 2 * SECOND),
    ]
    land(series.config, again, recorder="b")
    assert rows(duck, make(duck, series).path, "first_id, id") == [(1, 4), (6, 8), (5, 9), (8, 12)]


def test_lines_are_of_the_day_of_their_event_and_snapshots_of_the_event_that_carries_them_on(
    duck: Duck, series: Series
) -> None:
    late = [event(1, 2, START - 1), event(3, 4, START), snapshot(4, END + 5), event(5, 6, END - 1)]
    land(series.config, [snapshot(2, START - 5), *late[:2]], day=BEFORE)
    land(series.config, [*late[2:], snapshot(6, END + 9), event(7, 8, END)], day=AFTER)
    assert rows(duck, make(duck, series).path, "id, is_snapshot") == [
        (2, True),
        (4, False),
        (4, True),
        (6, False),
    ]


def test_a_snapshot_alone_in_its_segment_is_of_the_events_beside_it_whatever_the_clock_said(
    duck: Duck, series: Series
) -> None:
    # A replay: received years after it happened.
    recv = START + 800 * 24 * HOUR
    land(series.config, [snapshot(4, recv - SECOND, [BID])])
    land(series.config, [event(5, 6, END - SECOND)])
    land(series.config, [event(7, 8, END)], recorder="b")
    land(series.config, [snapshot(6, recv, [BID])])
    assert [row for row in rows(duck, make(duck, series).path, "id, is_snapshot") if row[1]] == [
        (4, True),
        (6, True),
    ]
    late = land(series.config, [snapshot(6, recv, [BID, ("99", "1")])])
    assert depth.waiting(duck, series) == {DAY, AFTER}
    make(duck, series)
    kept = depth.read_kept(series, DAY)
    assert kept
    assert (f"{DAY}/{late.name}", late.stat().st_size) in kept.segments
    assert depth.waiting(duck, series) == {AFTER}


def test_whoever_received_the_lines_in_which_segments_the_bytes_are_the_same(
    duck: Duck, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Market(3, 200)
    lines: list[BookLine] = [*market.events(market.cuts()), *(market.snapshot(n, START + n) for n in (5, 90))]
    monkeypatch.setattr(depth_rows, "_AT_ONCE", 2_000)
    land(series.config, lines)
    # A file that was landed by hand may hold a day; it is parsed once.
    with monkeypatch.context() as patch:
        patch.setattr(workspace, "_LARGE_BYTES", 100)
        first = make(duck, series)
    before = first.path.read_bytes()
    for path in series.layout.raw_day("binance", "SOLUSDT", DAY).iterdir():
        path.unlink()
    Random(1).shuffle(lines)
    land(series.config, lines[:70], recorder="b")
    land(series.config, [*lines[60:], *lines[:10]])
    with parquet.connect() as with_one_thread:
        again = make(with_one_thread, series)
    assert again.rewritten
    assert first.path.read_bytes() == before
    assert len(rows(duck, again.path)) == again.rows


def test_a_second_run_does_nothing_and_a_segment_that_comes_late_makes_it_anew(
    duck: Duck, series: Series
) -> None:
    land(series.config, [event(1, 2, START, [BID])])
    assert make(duck, series).rewritten
    assert not make(duck, series).rewritten
    land(series.config, [event(3, 4, START + 1, [BID])])
    done = make(duck, series)
    assert (done.rewritten, done.events) == (True, 2)


def test_depth_stands_for_segments_that_are_gone_beside_those_that_come_late(
    duck: Duck, series: Series
) -> None:
    first = land(
        series.config,
        [snapshot(2, START, [BID]), event(3, 4, START + 1, [BID], [ASK]), event(5, 5, START + 2)],
    )
    made = rows(duck, make(duck, series).path)
    first.unlink()
    assert not make(duck, series).rewritten
    land(series.config, [event(6, 7, START + 3, [BID])], recorder="b")
    done = make(duck, series)
    assert rows(duck, done.path) == [*made, (7, "bid", *BID)]
    assert not make(duck, series).rewritten


def test_damaged_depth_is_made_anew_and_is_an_error_where_its_segments_are_gone(
    duck: Duck, series: Series
) -> None:
    segment = land(series.config, [event(1, 2, START, [BID])])
    path = make(duck, series).path
    good = path.read_bytes()
    path.write_bytes(b"nothing")
    assert make(duck, series).rewritten
    assert path.read_bytes() == good
    path.write_bytes(b"nothing")
    segment.unlink()
    with pytest.raises(LakeError, match="damaged, and raw segments that it was made of are gone"):
        make(duck, series)


@pytest.mark.parametrize(
    "damage",
    [b"{", b'{"stream":"depth"}\n', b"\x00\x00\n", b"nonsense", b'{"stream":"trade","symbol":"SOLUSDT"}\n'],
)
def test_a_segment_that_holds_something_else_is_named_and_nothing_is_written(
    duck: Duck, series: Series, damage: bytes
) -> None:
    path = land(series.config, [event(1, 2, START, [BID])])
    path.write_bytes(path.read_bytes() + damage)
    with pytest.raises(RawDataError, match=r"depth_0001\.jsonl"):
        make(duck, series)
    assert not series.layout.depth("binance", "SOLUSDT", DAY).exists()


def test_what_is_no_line_of_the_book_is_taken_out_of_a_segment_that_is_not_being_copied(
    duck: Duck, series: Series
) -> None:
    path = land(series.config, [event(1, 2, START, [BID])])
    path.write_bytes(path.read_bytes() + b"\x00\x00\n")
    os.utime(path, (0, 0))
    assert make(duck, series).events == 1
    assert list(series.layout.set_aside("binance", "SOLUSDT", DAY).iterdir())


def test_the_longest_snapshots_stay_in_a_segment_of_which_one_bad_line_is_taken_out(
    duck: Duck, series: Series
) -> None:
    longest = longest_snapshot()
    path = land(series.config, [event(1, 2, START, [BID]), longest])
    whole = path.read_bytes()
    last = whole.splitlines()[-1]
    # The end of the last line is lost: it is looked for as far back as a line can begin.
    path.write_bytes(whole + b'{"one damaged":"line"}\n' + last)
    os.utime(path, (0, 0))
    (said,) = salvage.salvage(series.layout, "binance", SYMBOL, [path])
    assert ": 23 bytes are no raw lines" in said
    assert path.read_bytes() == whole + last + b"\n"
    assert make(duck, series).events == 1


def test_segments_that_the_journal_describes_are_not_read_to_learn_of_which_day_they_are(
    duck: Duck, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = land(series.config, [event(1, 2, START, [BID]), snapshot(2, START + 1, [BID])])
    record = journal.DepthSealed(
        at=START,
        symbol=SYMBOL,
        segment=path.name,
        lines=2,
        snapshots=1,
        size=path.stat().st_size,
        recv_from=START + 1,
        recv_to=START + 80_000,
        event_from=START,
        event_to=START,
        first_id=1,
        last_id=2,
        sha256=checksums.of(path),
    )
    JournalWriter(series.layout, "binance").write(record, DAY)
    monkeypatch.setattr(book_scan, "_scan", pytest.fail)
    assert make(duck, series).events == 1


@pytest.mark.parametrize(
    "level", [("x", "1"), ("1", "-1"), ("1.123456789", "1"), ("99999999999", "1"), ("1", "")]
)
def test_a_level_that_is_no_price_and_quantity_is_an_error(
    duck: Duck, series: Series, level: tuple[str, str]
) -> None:
    land(series.config, [event(1, 2, START, [level])])
    with pytest.raises(RawDataError, match=r"depth_0001\.jsonl: "):
        make(duck, series)


def test_rows_that_differ_from_their_lines_are_not_published(
    duck: Duck, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(series.config, [event(1, 2, START, [BID])])
    monkeypatch.setattr(depth_rows, "_rows", lambda lines, kept=depth_rows._rows: kept(lines).slice(1))
    with pytest.raises(LakeError, match="differ from the 1 of the raw lines"):
        make(duck, series)
    assert not series.layout.depth("binance", "SOLUSDT", DAY).exists()


def test_a_day_without_events_of_the_book_has_no_depth(duck: Duck, series: Series) -> None:
    assert depth.make(duck, series, DAY, LATER) is None
    land(series.config, [snapshot(4, START, [BID])])
    assert depth.make(duck, series, DAY, LATER) is None
    with pytest.raises(LakeError, match="is not over"):
        depth.make(duck, series, DAY, START + HOUR)


def test_days_of_which_a_segment_is_not_in_depth_are_waiting(duck: Duck, series: Series) -> None:
    land(series.config, [event(1, 2, START - 1), event(3, 4, START)])
    assert depth.waiting(duck, series) == {BEFORE, DAY}
    make(duck, series)
    assert depth.waiting(duck, series) == {BEFORE}


def test_ids_at_the_end_of_what_a_number_holds_overflow_no_sum(duck: Duck, series: Series) -> None:
    last = 2**63 - 1
    land(series.config, [event(1, 2, START, [BID]), snapshot(last, START + 1, [BID]), event(3, 4, START + 9)])
    land(series.config, [event(last, last, START + 10)])
    found = rows(duck, make(duck, series).path, "id, is_snapshot")
    assert found == [(2, False), (4, False), (last, False), (last, True)]


def test_an_event_of_an_odd_time_is_of_its_own_day_and_of_none_between(duck: Duck, series: Series) -> None:
    odd = DAY - timedelta(days=3000)
    land(series.config, [event(1, 2, START), event(3, 4, START - 3000 * 24 * HOUR), event(5, 6, START + 1)])
    assert depth.waiting(duck, series) == {odd, DAY}
    JournalWriter(series.layout, "binance").write(
        journal.Displaced(at=START, symbol=SYMBOL, landed=DAY.isoformat()), odd
    )
    for day in (odd, DAY):
        assert depth.make(duck, series, day, LATER)
    assert depth.waiting(duck, series) == set()


def test_the_segment_that_holds_an_event_of_an_odd_time_goes_as_others(
    duck: Duck, write_config: Callable[..., Path]
) -> None:
    series = Series(config.load(write_config(retention={"prune_raw_after_days": 1})), "binance", SYMBOL)
    path = land(series.config, [event(1, 2, START), event(3, 4, START - 40 * 24 * HOUR)])
    odd = DAY - timedelta(days=40)
    JournalWriter(series.layout, "binance").write(
        journal.Displaced(at=START, symbol=SYMBOL, landed=DAY.isoformat()), odd
    )
    depth.make(duck, series, DAY, LATER)
    retention.apply(duck, [series], LATER)
    assert path.exists()
    depth.make(duck, series, odd, LATER)
    retention.apply(duck, [series], LATER)
    assert not path.exists()


@pytest.mark.parametrize("setting", ["compress_raw_after_days", "prune_raw_after_days"])
def test_segments_go_once_the_depth_of_all_their_days_has_them(
    duck: Duck, write_config: Callable[..., Path], setting: str
) -> None:
    series = Series(config.load(write_config(retention={setting: 1})), "binance", SYMBOL)
    path = land(series.config, [event(1, 2, START), event(3, 4, END)])
    made = make(duck, series)
    content = made.path.read_bytes()
    retention.apply(duck, [series], LATER)
    assert path.exists()
    depth.make(duck, series, AFTER, LATER)
    made.path.write_bytes(content[:-1])
    retention.apply(duck, [series], LATER)
    assert path.exists()
    made.path.write_bytes(content)
    retention.apply(duck, [series], LATER)
    compressed = path.with_name(path.name + ".zst")
    assert (path.exists(), compressed.exists()) == (False, setting == "compress_raw_after_days")
    assert not make(duck, series).rewritten
    made.path.unlink()
    if compressed.exists():
        assert make(duck, series).path.read_bytes() == content


def test_the_files_of_a_book_are_verified(duck: Duck, series: Series) -> None:
    land(series.config, [snapshot(2, START, [BID], [ASK]), event(3, 4, START)])
    make(duck, series)
    book.make(series, DAY)
    files = verify.finished_files([series])
    assert [path.parent.name for path in files] == ["SOLUSDT", "boundaries", "ends", "SOLUSDT"]
    assert [one for one in verify.damages(series.config, files) if one] == []
    files[1].unlink()
    files[2].write_bytes(b"nothing")
    found = [one for one in verify.damages(series.config, verify.finished_files([series])) if one]
    assert [one.path for one in found] == files[1:3]


@pytest.mark.parametrize("content", [None, b"", b"\xff nothing", b"0" * 64 + b"  2025-10-20.parquet\n"])
def test_a_checksum_that_is_gone_or_damaged_is_noted_again(
    duck: Duck, series: Series, content: bytes | None
) -> None:
    land(series.config, [snapshot(2, START, [BID], [ASK]), event(3, 4, START)])
    make(duck, series)
    book.make(series, DAY)
    files = verify.finished_files([series])
    for path in files:
        beside = series.layout.checksum(path)
        beside.unlink() if content is None else beside.write_bytes(content)
    assert not make(duck, series).rewritten
    book.make(series, DAY)
    assert len(files) == 4
    assert [one for one in verify.damages(series.config, files) if one] == []
