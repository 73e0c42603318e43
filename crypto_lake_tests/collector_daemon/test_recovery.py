"""Whatever a death left behind becomes whole lines and a record."""

import hashlib
import tempfile
import tracemalloc
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_daemon.decide.tally import Tally
from collector_daemon.land.disk import Disk
from collector_daemon.land.jobs import Append
from collector_daemon.land.mending import Mending
from collector_daemon.land.pointers import MOST_DAYS
from collector_daemon.land.recovery import recover, tally_of
from crypto_lake.disk import mending, publish
from crypto_lake.layout import HOUR_US, Layout
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import QuoteLine, TradeLine, decode
from crypto_lake.raw.segments import OpenSegment
from crypto_lake_tests.collector_daemon.fakes import T0, lines_of, open_files, records

DAY = date(2025, 10, 20)


def trade_at(number: int, event: int) -> bytes:
    line = TradeLine("SOLUSDT", event, T0 + number, number, "1", "2", "buy", None, None, None, None)
    return msgspec.json.encode(line) + b"\n"


LINES = b"".join(trade_at(number, T0) for number in range(3))


def left_open(layout: Layout, content: bytes) -> None:
    segment = OpenSegment.create(layout, "binance", "SOLUSDT", DAY)
    segment.append(content)
    segment.abandon()


def test_a_segment_torn_at_any_byte_keeps_its_whole_lines() -> None:
    for length in range(len(LINES) + 1):
        with tempfile.TemporaryDirectory() as folder:
            layout = Layout(Path(folder))
            left_open(layout, LINES[:length])
            recover(layout, "binance", T0)
            whole = LINES[:length].count(b"\n")
            assert [line.id for line in lines_of(layout, "SOLUSDT", DAY)] == list(range(whole))
            assert not open_files(layout)
            sealed = [one for one in records(layout, DAY) if isinstance(one, journal.Sealed)]
            assert [one.lines for one in sealed] == ([whole] if whole else [])


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_garbage_in_an_open_segment_never_stops_the_start(garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder))
        left_open(layout, LINES + garbage)
        recover(layout, "binance", T0)
        assert not open_files(layout)


def test_a_recovered_segment_is_described_as_if_it_had_been_sealed_alive(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, LINES)
    recover(layout, "binance", T0 + 99)
    (sealed,) = [one for one in records(layout, DAY) if isinstance(one, journal.Sealed)]
    assert (sealed.segment, sealed.lines, sealed.size) == ("part_0001.jsonl", 3, len(LINES))
    assert (sealed.recv_from, sealed.recv_to, sealed.event_from, sealed.event_to) == (T0, T0 + 2, T0, T0)
    assert (sealed.offset_us, sealed.listened) == (0, [(T0, T0 + 2)])
    assert sealed.sha256 == hashlib.sha256(LINES).hexdigest()


def heard_until(layout: Layout, end: int, broken_at: int | None) -> None:
    """Enter a stretch that ended before the open segment's first line, and a break after it."""
    notes = JournalWriter(layout, "binance")
    nothing = dict.fromkeys(("segment", "recv_from", "recv_to", "event_from", "event_to", "offset_us"))
    stretch = [(end - 1_000_000, end)]
    notes.write(journal.Sealed(at=end, symbol="SOLUSDT", lines=0, size=0, listened=stretch, **nothing), DAY)
    if broken_at is not None:
        notes.write(journal.Disconnected(at=broken_at, connection=1, reason="", last_frame=None), DAY)


@pytest.mark.parametrize(("broken_at", "began"), [(None, T0 - 500), (T0 - 100, T0)])
def test_listening_to_a_recovered_segment_began_where_the_stretch_before_ended_unless_it_broke(
    tmp_path: Path, broken_at: int | None, began: int
) -> None:
    layout = Layout(tmp_path)
    left_open(layout, LINES)
    heard_until(layout, T0 - 500, broken_at)
    recover(layout, "binance", T0 + 99)
    *_, sealed = [one for one in records(layout, DAY) if isinstance(one, journal.Sealed)]
    assert sealed.listened == [(began, T0 + 2)]


def test_an_open_segment_of_an_earlier_day_is_entered_too(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.raw_day("binance", "SOLUSDT", DAY + timedelta(days=3)).mkdir(parents=True)
    left_open(layout, LINES)
    recover(layout, "binance", T0)
    assert [type(one) for one in records(layout, DAY)] == [journal.Recovered, journal.Sealed]


def test_of_a_dead_collectors_trades_of_any_number_of_far_days_so_many_are_pointed_to(tmp_path: Path) -> None:
    layout, day_us = Layout(tmp_path), 24 * HOUR_US
    far = [trade_at(number, T0 + (10 + number) * day_us) for number in range(MOST_DAYS + 20)]
    left_open(layout, LINES + b"".join(far))
    recover(layout, "binance", T0)
    assert len(layout.raw_days("binance", "SOLUSDT")) == 1 + MOST_DAYS
    (sealed,) = [one for one in records(layout, DAY) if isinstance(one, journal.Sealed)]
    assert sealed.lines == 3 + len(far)


def test_a_quote_that_came_late_before_the_death_is_told_at_its_own_time(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    nothing = (None, None, None)
    quotes = [
        QuoteLine("SOLUSDT", None, T0 + at, number, *nothing, "1.0", "1.0", "2.0", "1.0")
        for at, number in enumerate((100, 150, 110, 160))
    ]
    left_open(layout, b"".join(msgspec.json.encode(line) + b"\n" for line in quotes))
    recover(layout, "binance", T0 + 2 * HOUR_US)
    late = [one for one in records(layout, DAY) if isinstance(one, journal.Late)]
    assert late == [journal.Late(at=T0 + 2, symbol="SOLUSDT", id=110, after=150)]


def test_after_recovery_the_next_segment_has_the_next_number(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, LINES)
    recover(layout, "binance", T0)
    disk = Disk(layout, "binance")
    disk.do(Append("SOLUSDT", DAY, LINES))
    assert disk.open_name("SOLUSDT") == "part_0002.jsonl.open"
    disk.abandon()


def test_a_tally_of_a_file_says_the_same_as_one_kept_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "part_0001.jsonl"
    path.write_bytes(LINES)
    alive = Tally(DAY)
    for content in LINES.splitlines():
        alive.add(decode(content))
    args = (T0, "SOLUSDT", "part_0001.jsonl", len(LINES), list[tuple[int, int]]())
    assert tally_of(path, Tally(DAY)).sealed(*args) == alive.sealed(*args)


def test_a_sealed_segment_of_nuls_alone_is_read_in_pieces_that_fit_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "part_0001.jsonl"
    with path.open("wb") as file:
        file.write(LINES)
        file.truncate(16 << 20)
    tracemalloc.start()
    try:
        tally = tally_of(path, Tally(DAY))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (tally.lines, most < 4 << 20) == (3, True)


def test_a_segment_sealed_just_before_the_death_is_entered_too(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    segment = OpenSegment.create(layout, "binance", "SOLUSDT", DAY)
    segment.append(LINES)
    segment.seal()
    for _ in range(2):
        recover(layout, "binance", T0)
    assert [one.lines for one in records(layout, DAY) if isinstance(one, journal.Sealed)] == [3]


def trades(*numbers: int) -> bytes:
    lines = (
        TradeLine("SOLUSDT", T0 + n, T0 + n, n, "1", "2", "buy", None, None, None, None) for n in numbers
    )
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def gaps(layout: Layout) -> list[tuple[int, int]]:
    return [(one.first_id, one.last_id) for one in journal.of_kind(records(layout, DAY), journal.Gap)]


def test_a_hole_that_the_dead_one_had_no_time_to_tell_is_entered_once(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, trades(1, 2, 5, 6))
    for _ in range(2):
        recover(layout, "binance", T0)
    assert gaps(layout) == [(3, 4)]


def test_a_hole_between_the_last_two_segments_is_entered_too(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for content in (trades(1, 2), trades(4)):
        left_open(layout, content)
        recover(layout, "binance", T0)
    assert gaps(layout) == [(3, 3)]


def test_what_was_told_before_is_not_told_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    told = journal.Gap(at=T0, symbol="SOLUSDT", first_id=3, last_id=4, event_from=T0 + 2, event_to=T0 + 5)
    JournalWriter(layout, "binance").write(told)
    left_open(layout, trades(1, 2, 5, 8))
    recover(layout, "binance", T0)
    assert gaps(layout) == [(3, 4), (6, 7)]


def kept(layout: Layout) -> list[dict[str, Any]]:
    """What was moved to the refused frames of the day."""
    path = layout.rejected("binance", DAY)
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()] if path.exists() else []


ONE, TWO, THREE = (trades(n) for n in (1, 2, 3))
# What a power loss may leave of three lines, and which of the trades 1 to 3 are then still whole.
SPOILT = {
    "a block of NULs between lines": (ONE + b"\0" * 4096 + TWO + THREE, [1, 2, 3]),
    "a block of NULs over parts of lines": (ONE + TWO[:20] + b"\0" * 512 + THREE[9:], [1]),
    "NULs at the end": (ONE + TWO + b"\0" * 100_000, [1, 2]),
    "NULs at the end, with a newline": (ONE + b"\0" * 100_000 + b"\n", [1]),
    "a line torn in the middle": (ONE + TWO[:50] + THREE, [1]),
    "a line torn in the middle that ends": (ONE + TWO[:50] + b"\n" + THREE, [1, 3]),
    "another symbol's line": (ONE + TWO.replace(b"SOL", b"ADA") + THREE, [1, 3]),
    "a number that is none": (ONE + TWO.replace(b'"2"', b'"2x"') + THREE, [1, 3]),
    "a time that cannot be": (ONE + TWO.replace(b'"ts_recv":1', b'"ts_recv":-1') + THREE, [1, 3]),
    "bytes that are no text": (ONE + TWO.replace(b"buy", b"b\xffy") + THREE, [1, 3]),
    "nothing but NULs": (b"\0" * 8192, []),
}


@pytest.mark.parametrize(("content", "whole"), SPOILT.values(), ids=SPOILT)
def test_what_a_power_loss_spoilt_is_moved_and_the_rest_sealed(
    tmp_path: Path, content: bytes, whole: list[int]
) -> None:
    layout = Layout(tmp_path)
    left_open(layout, content)
    recover(layout, "binance", T0)
    assert [line.id for line in lines_of(layout, "SOLUSDT", DAY)] == whole
    assert not open_files(layout)
    (recovered,) = journal.of_kind(records(layout, DAY), journal.Recovered)
    moved = kept(layout)
    assert recovered.moved_bytes == sum(one["size"] for one in moved) > 0
    for one in moved:
        there = content[one["offset"] :][: one["size"]]
        assert one["frame"] == (there.decode(errors="backslashreplace") if there.strip(b"\0") else "")
        assert one["file"] == "raw/binance/SOLUSDT/2025-10-20/part_0001.jsonl.open"


def test_what_is_moved_is_on_the_disk_with_its_folders_and_its_name_before_it_goes_from_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, synced = Layout(tmp_path), set[Path]()
    rejected = layout.rejected("binance", DAY)
    left_open(layout, ONE + b"\0" * 100 + b"\n" + TWO)
    taken_out = mending.take_out

    def after(path: Path, is_line: mending.IsLine) -> None:
        assert {rejected.parent, rejected.parent.parent} <= synced
        taken_out(path, is_line)

    monkeypatch.setattr(publish, "sync_folder", synced.add)
    monkeypatch.setattr(mending, "take_out", after)
    recover(layout, "binance", T0)
    assert rejected.exists()


def test_a_torn_last_line_is_cut_and_not_moved(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, ONE + TWO[:-5])
    recover(layout, "binance", T0)
    (recovered,) = journal.of_kind(records(layout, DAY), journal.Recovered)
    assert (recovered.torn_bytes, recovered.moved_bytes, kept(layout)) == (len(TWO) - 5, 0, [])


def test_megabytes_of_nuls_are_told_by_their_length_and_of_garbage_so_much_is_kept(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    garbage = b"x" * 99 + b"\n"
    left_open(layout, ONE + b"\0" * (5 << 20) + garbage * 1000 + TWO)
    path = next(iter(open_files(layout)))
    Mending(layout, "binance", T0, kept_bytes=10_000).segment(path, "SOLUSDT", DAY)
    assert [one["size"] for one in kept(layout)][:2] == [5 << 20, 100]
    assert 2_000 < layout.rejected("binance", DAY).stat().st_size < 20_000
    assert path.read_bytes() == ONE + TWO


def test_a_disk_that_keeps_nothing_of_what_is_bad_leaves_the_segment_as_it_was(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, ONE + b"\0\0" + TWO)
    layout.rejected("binance", DAY).mkdir(parents=True)
    with pytest.raises(OSError, match=r"directory|denied"):
        recover(layout, "binance", T0)
    (path,) = open_files(layout)
    assert path.read_bytes() == ONE + b"\0\0" + TWO


def test_trades_that_were_lost_in_a_block_of_nuls_are_a_gap(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, trades(1, 2) + b"\0" * len(trades(3, 4, 5)) + trades(6))
    recover(layout, "binance", T0)
    assert gaps(layout) == [(3, 5)]


def test_a_recovered_segment_with_one_id_twice_is_told_so_before_it_is_described(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, LINES + LINES.replace(b'"price":"1"', b'"price":"9"'))
    recover(layout, "binance", T0)
    kinds = [type(one) for one in records(layout, DAY)]
    assert journal.Jumped in kinds or journal.Conflict in kinds
    assert kinds[-1] is journal.Sealed


STREAMS = ["solusdt@trade", "solusdt@bookTicker"]
SECOND = 1_000_000


def test_while_every_connection_was_down_nobody_listened_to_a_recovered_segment(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    received = [T0, T0 + 10 * SECOND, T0 + 41 * SECOND, T0 + 50 * SECOND]
    lines = [
        TradeLine("SOLUSDT", at, at, number, "1", "2", "buy", None, None, None, None)
        for number, at in enumerate(received)
    ]
    left_open(layout, b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    diary = JournalWriter(layout, "binance")
    for record in (
        journal.Started(at=T0 - SECOND, version="", pid=1, symbols=["SOLUSDT"]),
        journal.Subscribed(at=T0 - 9, connection=1, streams=STREAMS),
        journal.Subscribed(at=T0 + 3 * SECOND, connection=2, streams=["adausdt@trade"]),
        journal.Disconnected(at=T0 + 40 * SECOND, connection=1, reason="", last_frame=T0 + 12 * SECOND),
        journal.Subscribed(at=T0 + 40 * SECOND, connection=3, streams=STREAMS),
    ):
        diary.write(record, DAY)
    recover(layout, "binance", T0 + 99 * SECOND)
    (sealed,) = journal.of_kind(records(layout, DAY), journal.Sealed)
    assert sealed.listened == [(T0, T0 + 12 * SECOND), (T0 + 40 * SECOND, T0 + 50 * SECOND)]
