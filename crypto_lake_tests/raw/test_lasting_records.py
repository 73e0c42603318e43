"""What a power cut leaves of a journal: the records that say who listened are on the disk when `write` returns."""

import errno
import os
from datetime import date
from pathlib import Path

import pytest

from crypto_lake.disk import publish
from crypto_lake.layout import DAY_US, Layout
from crypto_lake.raw import journal
from crypto_lake.raw.journal import AnyRecord
from crypto_lake.raw.journal_writer import JournalWriter

DAY = date(2025, 10, 20)
NOON_US = DAY_US * (DAY - date(1970, 1, 1)).days + DAY_US // 2
CONNECTED = journal.Connected(at=NOON_US, connection=1, url="wss://")
STOPPED = journal.Stopped(at=NOON_US, reason="asked to")
LASTING: list[AnyRecord] = [
    journal.Started(at=NOON_US, version="1", pid=1, symbols=["SOLUSDT"]),
    journal.Subscribed(at=NOON_US, connection=1, streams=["solusdt@trade"]),
    journal.Disconnected(at=NOON_US, connection=1, reason="reset", last_frame=NOON_US),
    journal.Away(at=NOON_US, left=NOON_US, last_frame=None, step_us=None),
    journal.Mended(at=NOON_US, moved_bytes=1),
    STOPPED,
]


class PowerCut:
    """What would be left of a file: its bytes at its last sync, if its folder was synced with its name in it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path, self._content, self._is_named = path, b"", False
        monkeypatch.setattr(os, "fsync", self._sync_file)
        monkeypatch.setattr(publish, "sync_folder", self._sync_folder)

    def _sync_file(self, _: int) -> None:
        self._content = self._path.read_bytes()

    def _sync_folder(self, folder: Path) -> None:
        self._is_named |= folder == self._path.parent and self._path.exists()

    @property
    def left(self) -> list[AnyRecord]:
        return journal.records(self._path, self._content) if self._is_named else []


@pytest.mark.parametrize("record", LASTING, ids=lambda one: type(one).__name__)
def test_a_record_that_says_who_listened_survives_a_power_cut_with_all_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: AnyRecord
) -> None:
    layout = Layout(tmp_path)
    cut, writer = PowerCut(layout.journal("binance", DAY), monkeypatch), JournalWriter(layout, "binance")
    for one in (CONNECTED, record):
        writer.write(one)
    assert cut.left == [CONNECTED, record]


def test_a_record_that_comes_often_does_not_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = JournalWriter(Layout(tmp_path), "binance")
    writer.write(CONNECTED)
    monkeypatch.setattr(os, "fsync", _refuse)
    gap = journal.Gap(at=NOON_US, symbol="SOLUSDT", first_id=1, last_id=2, event_from=1, event_to=2)
    monkeypatch.setattr(publish, "sync_folder", lambda _: None)
    for record in (CONNECTED, gap):
        writer.write(record)


def test_a_record_whose_sync_was_refused_is_there_once_after_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    writer = JournalWriter(layout, "binance")
    writer.write(CONNECTED)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _refuse)
        patch.setattr(publish, "sync_folder", lambda _: None)
        with pytest.raises(OSError, match="input/output error"):
            writer.write(STOPPED)
    writer.write(STOPPED)
    assert list(journal.read(layout.journal("binance", DAY))) == [CONNECTED, STOPPED]


def _refuse(_: int) -> None:
    raise OSError(errno.EIO, "input/output error")
