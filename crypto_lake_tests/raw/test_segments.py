import errno
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.disk import publish
from crypto_lake.layout import Layout
from crypto_lake.raw import segments
from crypto_lake.raw.segments import OpenSegment, Recovered

DAY = date(2025, 10, 20)
LINES = [b'{"id":1}\n', b'{"id":22,"price":"1.5"}\n', b"{}\n"]

raw_texts = st.lists(st.binary(max_size=6).map(lambda line: line.replace(b"\n", b" ") + b"\n"), max_size=5)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def opened(layout: Layout, content: bytes = b"") -> OpenSegment:
    segment = OpenSegment.create(layout, "binance", "SOLUSDT", DAY)
    if content:
        segment.append(content)
    return segment


def crashed(layout: Layout, content: bytes = b"") -> Path:
    """An open segment whose collector is dead."""
    segment = opened(layout, content)
    segment.abandon()
    return segment.path


def sealed(layout: Layout) -> list[str]:
    return [path.name for path in segments.sealed(layout.raw_day("binance", "SOLUSDT", DAY))]


def everything(layout: Layout) -> dict[str, bytes]:
    folder = layout.raw_day("binance", "SOLUSDT", DAY)
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


class SmallDisk:
    """A file on a disk with room for so many bytes: it takes a part of a write, and refuses the next."""

    def __init__(self, file: BinaryIO, room: int, *, stubborn: bool = False) -> None:
        self._file = file
        self._room = room
        self._stubborn = stubborn

    def write(self, content: memoryview) -> int:
        if self._room == 0:
            raise OSError(errno.ENOSPC, "no space left")
        taken = self._file.write(bytes(content)[: self._room])
        self._room -= taken
        return taken

    def truncate(self, size: int) -> int:
        if self._stubborn:
            raise OSError(errno.EIO, "input/output error")
        return self._file.truncate(size)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


def on_small_disk(segment: OpenSegment, room: int, *, stubborn: bool = False) -> OpenSegment:
    segment._file = cast("BinaryIO", SmallDisk(segment._file, room, stubborn=stubborn))
    return segment


def test_what_was_appended_has_left_the_process(layout: Layout) -> None:
    segment = opened(layout, LINES[0])
    assert segment.path.read_bytes() == LINES[0]
    segment.append(LINES[1])
    assert segment.path.read_bytes() == LINES[0] + LINES[1]
    assert segment.size == len(LINES[0] + LINES[1])
    segment.abandon()


def test_an_open_segment_is_no_sealed_one(layout: Layout) -> None:
    segment = opened(layout, LINES[0])
    assert segment.path.name == "part_0001.jsonl.open"
    assert sealed(layout) == []
    segment.abandon()


def test_sealing_gives_the_final_name_and_keeps_every_byte(layout: Layout) -> None:
    path = opened(layout, LINES[0]).seal()
    assert path == layout.segment("binance", "SOLUSDT", DAY, 1)
    assert everything(layout) == {"part_0001.jsonl": LINES[0]}


def test_a_sealed_segment_takes_no_more(layout: Layout) -> None:
    segment = opened(layout, LINES[0])
    segment.seal()
    with pytest.raises(ValueError, match="closed file"):
        segment.append(LINES[1])
    assert everything(layout) == {"part_0001.jsonl": LINES[0]}


def test_numbers_count_on_over_sealed_and_open_ones(layout: Layout) -> None:
    opened(layout, LINES[0]).seal()
    still_open = opened(layout, LINES[1])
    names = [still_open.path.name, opened(layout, LINES[2]).seal().name]
    assert names == ["part_0002.jsonl.open", "part_0003.jsonl"]
    still_open.abandon()


def test_a_number_is_not_used_again_where_an_earlier_one_is_missing(layout: Layout) -> None:
    first, *_ = [opened(layout, line).seal() for line in LINES]
    first.unlink()
    assert opened(layout, LINES[0]).seal().name == "part_0004.jsonl"


def test_numbers_begin_again_each_day_and_for_each_symbol(layout: Layout) -> None:
    opened(layout, LINES[0]).seal()
    others = [("SOLUSDT", date(2025, 10, 21)), ("ADAUSDT", DAY)]
    for symbol, day in others:
        segment = OpenSegment.create(layout, "binance", symbol, day)
        assert segment.path.name == "part_0001.jsonl.open"
        segment.abandon()


def test_numbers_grow_beyond_four_digits_in_order(layout: Layout) -> None:
    folder = layout.raw_day("binance", "SOLUSDT", DAY)
    folder.mkdir(parents=True)
    for number in (10_000, 9_999, 2):
        layout.segment("binance", "SOLUSDT", DAY, number).touch()
    assert sealed(layout) == ["part_0002.jsonl", "part_9999.jsonl", "part_10000.jsonl"]
    assert segments.next_number(folder) == 10_001


def test_healed_segments_have_numbers_of_their_own(layout: Layout) -> None:
    opened(layout, LINES[0]).seal()
    folder = layout.raw_day("binance", "SOLUSDT", DAY)
    (folder / "heal_0007.jsonl").write_bytes(LINES[1])
    assert segments.next_number(folder) == 2
    assert segments.next_number(folder, "heal") == 8
    assert sealed(layout) == ["heal_0007.jsonl", "part_0001.jsonl"]


@pytest.mark.parametrize(
    "name",
    [".part_0002.jsonl.17.tmp", "part_2.jsonl", "part_0002.jsonl.bak", "xpart_0002.jsonl", "part_0002.json"],
)
def test_another_file_is_no_segment(layout: Layout, name: str) -> None:
    opened(layout, LINES[0]).seal()
    folder = layout.raw_day("binance", "SOLUSDT", DAY)
    (folder / name).touch()
    assert sealed(layout) == ["part_0001.jsonl"]
    assert segments.next_number(folder) == 2


def test_a_folder_that_is_not_there_holds_no_segments(tmp_path: Path) -> None:
    assert segments.sealed(tmp_path / "missing") == []
    assert segments.next_number(tmp_path / "missing") == 1


@pytest.mark.parametrize("room", range(len(LINES[1])))
def test_a_full_disk_leaves_whole_lines(layout: Layout, room: int) -> None:
    segment = on_small_disk(opened(layout, LINES[0]), room)
    with pytest.raises(OSError, match="no space left"):
        segment.append(LINES[1])
    assert segment.path.read_bytes() == LINES[0]
    assert segment.size == len(LINES[0])
    segment.abandon()


def test_a_write_that_takes_its_time_is_written_whole(layout: Layout) -> None:
    segment = opened(layout)
    segment._file = cast("BinaryIO", OneByteAtATime(segment._file))
    segment.append(LINES[1])
    segment.append(LINES[2])
    assert segment.path.read_bytes() == LINES[1] + LINES[2]
    segment.abandon()


class OneByteAtATime(SmallDisk):
    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, room=1)

    def write(self, content: memoryview) -> int:
        self._room = 1
        return super().write(content)


def test_after_a_full_disk_the_same_segment_goes_on(layout: Layout) -> None:
    segment = opened(layout, LINES[0])
    good = segment._file
    with pytest.raises(OSError, match="no space left"):
        on_small_disk(segment, 5).append(LINES[1])
    segment._file = good
    segment.append(LINES[1])
    assert segment.seal().read_bytes() == LINES[0] + LINES[1]


def test_a_disk_that_will_not_undo_either_leaves_a_tail_for_recovery(layout: Layout) -> None:
    segment = on_small_disk(opened(layout, LINES[0]), 5, stubborn=True)
    with pytest.raises(OSError, match="input/output error"):
        segment.append(LINES[1])
    segment.abandon()
    assert [one.torn_bytes for one in segments.recover(layout, "binance")] == [5]
    assert everything(layout) == {"part_0001.jsonl": LINES[0]}


def test_lines_follow_each_other_after_a_disk_that_would_not_undo_lost_what_it_had_taken(
    layout: Layout,
) -> None:
    segment = opened(layout, LINES[0])
    good = segment._file
    with pytest.raises(OSError, match="input/output error"):
        on_small_disk(segment, 5, stubborn=True).append(LINES[1])
    with segment.path.open("rb+") as file:
        file.truncate(len(LINES[0]))
    segment._file = good
    segment.append(LINES[1])
    assert segment.seal().read_bytes() == LINES[0] + LINES[1]


@given(lines=raw_texts)
def test_a_crash_at_any_byte_costs_the_torn_line_at_most(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    content = b"".join(lines)
    layout = Layout(tmp_path_factory.mktemp("lake"))
    path = crashed(layout)
    for size in range(len(content) + 1):
        path.write_bytes(content[:size])
        segments.truncate_torn_tail(path)
        whole = [line for number, line in enumerate(lines) if len(b"".join(lines[: number + 1])) <= size]
        assert path.read_bytes() == b"".join(whole)


@pytest.mark.parametrize(
    "tail", [1, segments._TAIL - 1, segments._TAIL, segments._TAIL + 1, 3 * segments._TAIL]
)
def test_a_torn_line_of_any_length_is_cut(layout: Layout, tail: int) -> None:
    crashed(layout, LINES[0] + b"x" * tail)
    assert [one.torn_bytes for one in segments.recover(layout, "binance")] == [tail]
    assert everything(layout) == {"part_0001.jsonl": LINES[0]}


def test_recovery_seals_what_a_crash_left_open_and_says_so(layout: Layout) -> None:
    crashed(layout, LINES[0] + b'{"id":')
    path = layout.segment("binance", "SOLUSDT", DAY, 1)
    assert segments.recover(layout, "binance") == [Recovered("SOLUSDT", DAY, path, 6)]
    assert everything(layout) == {"part_0001.jsonl": LINES[0]}


@pytest.mark.parametrize("content", [b"", b'{"torn":'])
def test_recovery_removes_an_open_segment_without_a_whole_line(layout: Layout, content: bytes) -> None:
    crashed(layout, content)
    assert segments.recover(layout, "binance") == [Recovered("SOLUSDT", DAY, None, len(content))]
    assert everything(layout) == {}


def test_recovery_writes_a_segment_anew_before_it_believes_a_sync(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, done = crashed(layout, LINES[0]), []

    def noting(name: str) -> Callable[..., object]:
        real = getattr(publish, name)

        def noted(one: Path, *more: Path) -> object:
            done.append((name, one))
            return real(one, *more)

        return noted

    for name in ("write_anew", "replace"):
        monkeypatch.setattr(publish, name, noting(name))
    segments.recover(layout, "binance")
    assert done == [("write_anew", path), ("replace", path)]


def test_recovery_looks_into_every_symbol_and_day(layout: Layout) -> None:
    for symbol in ("SOLUSDT", "ADAUSDT"):
        for day in (DAY, date(2025, 10, 21)):
            segment = OpenSegment.create(layout, "binance", symbol, day)
            segment.append(LINES[0])
            segment.abandon()
    found = segments.recover(layout, "binance")
    assert len({(one.symbol, one.day) for one in found}) == 4
    assert not list(layout.base.rglob("*.open"))


def test_recovery_leaves_sealed_segments_and_their_bytes_alone(layout: Layout) -> None:
    torn_by_hand = opened(layout, LINES[0] + b"no newline").seal()
    before = torn_by_hand.stat()
    assert segments.recover(layout, "binance") == []
    assert (torn_by_hand.stat().st_mtime_ns, torn_by_hand.stat().st_size) == (
        before.st_mtime_ns,
        before.st_size,
    )


def test_a_second_recovery_finds_nothing(layout: Layout) -> None:
    crashed(layout, LINES[0])
    segments.recover(layout, "binance")
    assert segments.recover(layout, "binance") == []


def test_recovery_after_a_number_was_sealed_does_not_touch_the_sealed_one(layout: Layout) -> None:
    """A copy made while a segment was sealed holds it in both forms, the open one shorter."""
    opened(layout, LINES[0] + LINES[1]).seal()
    layout.segment("binance", "SOLUSDT", DAY, 1).with_name("part_0001.jsonl.open").write_bytes(LINES[0])
    segments.recover(layout, "binance")
    assert everything(layout) == {"part_0001.jsonl": LINES[0] + LINES[1], "part_0002.jsonl": LINES[0]}


def test_recovery_hides_no_compressed_segment_behind_a_shorter_copy(layout: Layout) -> None:
    folder = crashed(layout, LINES[0]).parent
    (folder / "part_0001.jsonl.zst").write_bytes(b"compressed")
    segments.recover(layout, "binance")
    assert everything(layout) == {"part_0001.jsonl.zst": b"compressed", "part_0002.jsonl": LINES[0]}


def test_after_recovery_numbers_count_on(layout: Layout) -> None:
    crashed(layout, LINES[0])
    segments.recover(layout, "binance")
    assert opened(layout, LINES[1]).seal().name == "part_0002.jsonl"


def test_recovery_seals_an_open_healed_segment_as_such(layout: Layout) -> None:
    path = crashed(layout, LINES[0])
    path.rename(path.with_name("heal_0003.jsonl.open"))
    segments.recover(layout, "binance")
    assert sealed(layout) == ["heal_0003.jsonl"]


def test_an_empty_lake_needs_no_recovery(layout: Layout) -> None:
    assert segments.recover(layout, "binance") == []


def test_a_folder_that_bears_a_segments_name_is_no_segment_and_its_number_is_taken(layout: Layout) -> None:
    opened(layout, LINES[0]).seal()
    folder = layout.raw_day("binance", "SOLUSDT", DAY)
    for name in ("part_0007.jsonl", "part_0008.jsonl.open", "part_0009.jsonl.zst"):
        (folder / name).mkdir()
    assert sealed(layout) == ["part_0001.jsonl"]
    assert segments.next_number(folder) == 10
    assert segments.recover(layout, "binance") == []
