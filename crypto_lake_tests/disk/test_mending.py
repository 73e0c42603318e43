"""A file of lines that a power loss spoilt keeps its lines, and what is none is handed over."""

import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.disk.mending import LONGEST, Bad, bad, take_out

LINES = [b"<one>\n", b"<two>\n", b"<three>\n"]


def is_line(line: bytes) -> bool:
    return re.fullmatch(rb"<[a-z]+>\n?", line) is not None


def mended(path: Path, content: bytes) -> tuple[bytes, list[Bad], int]:
    """What is left of a file, what went, and how many bytes that were."""
    path.write_bytes(content)
    gone = list(bad(path, is_line))
    take_out(path, is_line)
    return path.read_bytes(), gone, sum(one.size for one in gone)


def test_a_file_of_lines_has_nothing_bad_in_it(tmp_path: Path) -> None:
    assert mended(tmp_path / "file", b"".join(LINES)) == (b"".join(LINES), [], 0)


@pytest.mark.parametrize("size", [1, 4096, LONGEST - 3, LONGEST, LONGEST + 1, 3 * LONGEST - 2])
@pytest.mark.parametrize("newline", [b"", b"\n"])
def test_a_block_of_nuls_goes_as_one_and_the_lines_around_it_stay(
    tmp_path: Path, size: int, newline: bytes
) -> None:
    content = LINES[0] + b"\0" * size + newline + LINES[1] + LINES[2]
    left, gone, _ = mended(tmp_path / "file", content)
    assert left == b"".join(LINES)
    assert (gone[0], len(gone)) == (Bad(len(LINES[0]), size, b""), 1 + len(newline))


def test_a_line_of_which_a_block_of_nuls_took_a_part_goes_with_it(tmp_path: Path) -> None:
    left, gone, size = mended(tmp_path / "file", LINES[0] + b"<tw\0\0\0ee>\n" + LINES[2])
    assert left == LINES[0] + LINES[2]
    assert [(one.offset, one.content) for one in gone] == [(6, b"<tw"), (9, b""), (12, b"ee>\n")]
    assert size == 10


def test_nuls_at_the_end_go_and_a_torn_last_line_stays_torn(tmp_path: Path) -> None:
    assert mended(tmp_path / "file", LINES[0] + b"\0" * 70_000)[0] == LINES[0]
    assert mended(tmp_path / "file", LINES[0] + b"<tw")[:2] == (LINES[0] + b"<tw", [])
    assert mended(tmp_path / "file", b"\0" + LINES[0] + b"<tw")[0] == LINES[0] + b"<tw"


def test_a_line_that_was_torn_before_another_one_goes(tmp_path: Path) -> None:
    left, gone, _ = mended(tmp_path / "file", LINES[0] + b"<t" + LINES[1] + LINES[2])
    assert (left, gone) == (LINES[0] + LINES[2], [Bad(6, 8, b"<t<two>\n")])


def test_a_line_without_end_goes_in_pieces_that_fit_into_memory(tmp_path: Path) -> None:
    left, gone, size = mended(tmp_path / "file", LINES[0] + b"x" * 3 * LONGEST + b"\n" + LINES[1])
    assert left == LINES[0] + LINES[1]
    assert max(one.size for one in gone) <= LONGEST
    assert size == 3 * LONGEST + 1


def test_of_a_piece_with_a_nul_at_every_other_byte_no_list_is_held_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\0x" * LONGEST)
    tracemalloc.start()
    try:
        assert next(bad(path, is_line)) == Bad(0, 1, b"")
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * LONGEST


@pytest.mark.parametrize("size", [LONGEST - 3, LONGEST])
def test_a_line_of_the_greatest_length_stays_wherever_it_begins(tmp_path: Path, size: int) -> None:
    longest = b"<" + b"a" * (LONGEST - 3) + b">\n"
    content = LINES[0] + longest + b"\0" * size + longest + b"junk\n" + longest
    left, gone, _ = mended(tmp_path / "file", content)
    assert left == LINES[0] + 3 * longest
    assert [one.size for one in gone] == [size, 5]


@given(st.lists(st.sampled_from([*LINES, b"\0" * 9, b"junk\n", b"\n", b"<to", b">"]), max_size=12))
def test_nothing_is_lost_and_a_second_look_finds_nothing(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("mended") / "file"
    content = b"".join(pieces)
    left, gone, size = mended(path, content)
    added = sum(1 for piece in gone if piece.offset and content[piece.offset - 1 :][:1] == b">")
    assert len(content) <= len(left) + size <= len(content) + added + 1
    assert not list(bad(path, is_line))
    assert all(is_line(line) for line in left.splitlines(keepends=True) if line.endswith(b"\n"))
    assert all(one.content in (b"", content[one.offset :][: one.size]) for one in gone)
