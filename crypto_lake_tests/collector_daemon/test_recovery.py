"""Whatever a death left behind becomes whole lines and a record."""

import tempfile
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector_daemon.disk import Disk
from collector_daemon.landing import Append
from collector_daemon.recovery import recover, tally_of
from collector_daemon.tally import Tally
from crypto_lake import journal
from crypto_lake.layout import Layout
from crypto_lake.segments import OpenSegment, RawLine
from crypto_lake_tests.collector_daemon.fakes import T0, lines_of, open_files, records

DAY = date(2025, 10, 20)
LINES = b"".join(
    msgspec.json.encode(RawLine("trade", "SOLUSDT", T0, T0 + n, n, "1", "2", "buy", None, None, None, None))
    + b"\n"
    for n in range(3)
)


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


def heard_until(layout: Layout, end: int, broken_at: int | None) -> None:
    """Enter a stretch that ended before the open segment's first line, and a break after it."""
    notes = journal.Journal(layout, "binance")
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
        alive.add(msgspec.json.decode(content, type=RawLine))
    args = (T0, "SOLUSDT", "part_0001.jsonl", len(LINES), list[tuple[int, int]]())
    assert tally_of(path, Tally(DAY)).sealed(*args) == alive.sealed(*args)


def test_a_segment_sealed_just_before_the_death_is_entered_too(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    segment = OpenSegment.create(layout, "binance", "SOLUSDT", DAY)
    segment.append(LINES)
    segment.seal()
    for _ in range(2):
        recover(layout, "binance", T0)
    assert [one.lines for one in records(layout, DAY) if isinstance(one, journal.Sealed)] == [3]


def test_a_journal_that_cannot_be_read_never_stops_the_start(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, LINES)
    path = layout.journal("binance", DAY)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"garbage\n")
    recover(layout, "binance", T0)
    assert not open_files(layout)


def trades(*numbers: int) -> bytes:
    lines = (
        RawLine("trade", "SOLUSDT", T0 + n, T0 + n, n, "1", "2", "buy", None, None, None, None)
        for n in numbers
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
    journal.Journal(layout, "binance").write(told)
    left_open(layout, trades(1, 2, 5, 8))
    recover(layout, "binance", T0)
    assert gaps(layout) == [(3, 4), (6, 7)]
