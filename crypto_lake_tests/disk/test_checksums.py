"""A checksum is noted beside its file in the line that `sha256sum -c` reads, and whatever differs from it is told."""

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.disk import checksums

NOTHING = hashlib.sha256(b"").hexdigest()


@given(content=st.binary(max_size=2_000))
def test_a_checksum_of_bytes_is_that_of_a_stream_of_them(content: bytes) -> None:
    assert checksums.of_bytes(content) == checksums.of_stream(io.BytesIO(content))


def test_a_file_whose_checksum_was_noted_is_not_damaged(tmp_path: Path) -> None:
    path, beside = tmp_path / "a.parquet", tmp_path / "a.parquet.sha256"
    path.write_bytes(b"content")
    checksums.note(beside, path, checksums.of(path))
    assert beside.read_bytes() == f"{hashlib.sha256(b'content').hexdigest()}  a.parquet\n".encode()
    assert checksums.noted(beside) == checksums.of(path)
    assert checksums.damage(path, beside) is None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (None, "has no checksum beside it"),
        (b"", "has a checksum file that cannot be understood"),
        (b"\xff\x00", "has a checksum file that cannot be understood"),
        (f"{NOTHING}  other.parquet\n".encode(), "has a checksum file that cannot be understood"),
        (f"{NOTHING}  a.parquet\n".encode(), f"expected {NOTHING}"),
    ],
)
def test_what_differs_from_a_noted_checksum_is_told(tmp_path: Path, line: bytes | None, told: str) -> None:
    path, beside = tmp_path / "a.parquet", tmp_path / "a.parquet.sha256"
    path.write_bytes(b"content")
    if line is not None:
        beside.write_bytes(line)
    assert told in (checksums.damage(path, beside) or "")


def test_a_file_that_is_gone_is_missing(tmp_path: Path) -> None:
    beside = tmp_path / "a.parquet.sha256"
    beside.write_bytes(f"{NOTHING}  a.parquet\n".encode())
    assert "is missing" in (checksums.damage(tmp_path / "a.parquet", beside) or "")


@pytest.mark.parametrize(
    ("text", "is_one"), [(NOTHING, True), (NOTHING[1:], False), ("", False), (None, False)]
)
def test_only_sixty_four_hexadecimal_digits_are_a_checksum(text: str | None, *, is_one: bool) -> None:
    assert checksums.is_one(text) is is_one
