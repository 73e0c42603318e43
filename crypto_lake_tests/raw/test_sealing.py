"""Sealing a segment on a disk that refuses, or forgets: what has a sealed name is on the disk, with its folders."""

import errno
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from crypto_lake.disk import publish
from crypto_lake.layout import Layout
from crypto_lake.raw import segments
from crypto_lake.raw.lines import OF_BOOK
from crypto_lake.raw.segments import OpenSegment
from crypto_lake_tests.raw.test_segments import DAY, LINES, opened, sealed


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_the_bytes_are_on_disk_before_a_segment_is_sealed(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = opened(layout, LINES[0])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _refuse)
        with pytest.raises(OSError, match="input/output error"):
            segment.seal()
    assert sealed(layout) == []
    assert segment.path.exists()
    segment.abandon()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that were synced, in order."""
    found: list[Path] = []
    monkeypatch.setattr(publish, "sync_folder", found.append)
    return found


def test_the_folders_of_a_first_segment_wait_for_the_disk_when_it_is_sealed_and_not_before(
    layout: Layout, synced: list[Path]
) -> None:
    segment = opened(layout, LINES[0])
    assert synced == []
    day = segment.seal().parent
    assert {day, day.parent, day.parent.parent} <= set(synced)


def forgets(monkeypatch: pytest.MonkeyPatch, segment: OpenSegment) -> Callable[[], bytes]:
    """Let the first sync of a segment fail, and the next ones say yes to bytes that were not written anew.

    What is returned says what is on the disk, of a file without pages that is written to its places again.
    """
    on_disk, writes = [b""], list[int]()
    opens: Callable[..., object] = Path.open

    def opening(path: Path, mode: str = "r", *rest: int, **how: int) -> object:
        if path == segment.path and mode == "rb+":
            writes.append(1)
        return opens(path, mode, *rest, **how)

    def sync(_: int) -> None:
        if not segment.path.exists():
            return
        if not tried:
            tried.append(1)
            raise OSError(errno.EIO, "input/output error")
        on_disk[0] = segment.path.read_bytes() if writes else b""

    tried: list[int] = []
    monkeypatch.setattr(Path, "open", opening)
    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(publish, "sync_folder", lambda _: None)
    return lambda: on_disk[0]


def test_bytes_that_the_disk_failed_to_write_are_written_anew_before_they_are_sealed(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = opened(layout, LINES[0])
    segment.append(LINES[1])
    on_disk = forgets(monkeypatch, segment)
    with pytest.raises(OSError, match="input/output error"):
        segment.seal()
    assert segment.seal().read_bytes() == on_disk() == LINES[0] + LINES[1]


def test_a_segment_whose_bytes_are_gone_from_memory_too_after_a_sync_that_failed_is_never_sealed(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = opened(layout, LINES[0])
    forgets(monkeypatch, segment)
    with pytest.raises(OSError, match="input/output error"):
        segment.seal()
    segment.path.write_bytes(b"\0" * len(LINES[0]))
    for _ in range(2):
        with pytest.raises(OSError, match="failed to write"):
            segment.seal()
    assert sealed(layout) == []
    segment.abandon()


def test_folders_of_an_attempt_that_opened_no_file_are_synced_before_the_next_one_is_sealed(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(*_: object, **_how: object) -> None:
        raise OSError(errno.EMFILE, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", too_many)
        with pytest.raises(OSError, match="too many"):
            opened(layout, LINES[0])
    synced: list[Path] = []
    monkeypatch.setattr(publish, "sync_folder", synced.append)
    day = opened(layout, LINES[0]).seal().parent
    assert synced == [layout.base, layout.base / "raw", day.parent.parent, day.parent, day]


def test_folders_that_one_segment_made_are_synced_before_another_in_them_is_sealed(
    layout: Layout, synced: list[Path]
) -> None:
    ticks = opened(layout, LINES[0])
    book = OpenSegment.create(layout, "binance", "SOLUSDT", DAY, OF_BOOK)
    book.append(LINES[0])
    day = book.seal().parent
    assert synced == [layout.base, layout.base / "raw", day.parent.parent, day.parent, day]
    ticks.abandon()


def test_recovery_syncs_all_folders_that_the_dead_one_may_have_made(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(layout, LINES[0]).abandon()
    synced: set[Path] = set()
    monkeypatch.setattr(publish, "sync_folder", synced.add)
    (found,) = segments.recover(layout, "binance")
    assert found.path is not None
    assert synced >= {layout.base, *list(found.path.parents)[:4]}


def test_after_a_folder_could_not_be_synced_the_next_attempt_to_seal_syncs_it(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment, synced = opened(layout, LINES[0]), list[Path]()
    symbol = segment.path.parent.parent

    def refuse_once(folder: Path) -> None:
        if folder == symbol and not refused:
            refused.append(folder)
            raise OSError(errno.EIO, "input/output error")
        synced.append(folder)

    refused: list[Path] = []
    monkeypatch.setattr(publish, "sync_folder", refuse_once)
    with pytest.raises(OSError, match="input/output error"):
        segment.seal()
    assert sealed(layout) == []
    day = segment.seal().parent
    assert synced[-2:] == [symbol, day]


def test_after_a_rename_could_not_be_synced_the_next_attempt_to_seal_syncs_it(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment, synced = opened(layout, LINES[0]), list[Path]()
    day = segment.path.parent

    def refuse_once(folder: Path) -> None:
        if folder == day and not synced.count(day):
            synced.append(day)
            raise OSError(errno.EIO, "input/output error")
        synced.append(folder)

    monkeypatch.setattr(publish, "sync_folder", refuse_once)
    with pytest.raises(OSError, match="input/output error"):
        segment.seal()
    assert segment.seal().read_bytes() == LINES[0]
    assert synced.count(day) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no file that is open")
def test_a_segment_that_was_taken_away_is_never_called_sealed(layout: Layout) -> None:
    segment = opened(layout, LINES[0])
    segment.path.unlink()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            segment.seal()


def test_a_segment_that_somebody_holds_is_refused_at_once_and_sealed_later(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment, tried = opened(layout, LINES[0]), list[Path]()

    def held(path: Path, _: Path) -> Path:
        tried.append(path)
        raise PermissionError(errno.EACCES, "used by another process")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", held)
        patch.setattr(time, "sleep", lambda _: None)
        with pytest.raises(PermissionError, match="another process"):
            segment.seal()
    assert tried == [segment.path]
    assert segment.seal().read_bytes() == LINES[0]


def _refuse(_: int) -> None:
    raise OSError(errno.EIO, "input/output error")
