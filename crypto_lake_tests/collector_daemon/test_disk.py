"""Jobs on a disk that fails: tried again, nothing is written twice."""

import hashlib
import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from loguru import logger

from collector_daemon.decide.session import RefusedFrame
from collector_daemon.decide.tally import Tally
from collector_daemon.land.disk import Disk, TornError
from collector_daemon.land.jobs import Append, Note, Refusal, Seal
from collector_daemon.land.pointers import MOST_DAYS
from crypto_lake.layout import DAY_US, OPEN_SUFFIX, Layout
from crypto_lake.raw import journal
from crypto_lake.raw.lines import TradeLine
from crypto_lake.raw.segments import OpenSegment
from crypto_lake_tests.collector_daemon.fakes import T0, open_files, records

DAY = date(2025, 10, 20)


def seal() -> Seal:
    return Seal("SOLUSDT", T0, Tally(DAY), [(T0, T0 + 1)])


@pytest.fixture
def logged() -> Iterator[list[str]]:
    messages: list[str] = []
    sink = logger.add(messages.append, format="{level} {message}")
    yield messages
    logger.remove(sink)


class RenameFails(OpenSegment):
    failures: ClassVar[list[int]] = []

    def seal(self) -> Path:
        if self.failures:
            self.failures.pop()
            self.abandon()
            raise PermissionError(13, "held by a reader")
        return super().seal()


def test_a_rename_that_failed_is_made_up_for(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    RenameFails.failures.append(1)
    disk = Disk(layout, "binance", RenameFails.create)
    disk.do(Append("SOLUSDT", DAY, b"line\n"))
    job = seal()
    with pytest.raises(PermissionError):
        disk.do(job)
    disk.do(job)
    assert layout.segment("binance", "SOLUSDT", DAY, 1).read_bytes() == b"line\n"
    assert not open_files(layout)
    (record,) = [one for one in records(layout, DAY) if isinstance(one, journal.Sealed)]
    assert record.sha256 == hashlib.sha256(b"line\n").hexdigest()


def test_a_segment_that_somebody_took_away_is_told_and_nothing_vouches_for_it(
    tmp_path: Path, logged: list[str]
) -> None:
    layout = Layout(tmp_path)
    disk = Disk(layout, "binance", Taken.create)
    disk.do(Append("SOLUSDT", DAY, b"line\n"))
    disk.do(seal())
    assert records(layout, DAY) == []
    (said,) = logged
    assert said.startswith("ERROR ")
    assert "part_0001.jsonl.open: is gone" in said


class Taken(OpenSegment):
    def seal(self) -> Path:
        self.abandon()
        self.path.unlink(missing_ok=True)
        return super().seal()


class Away(OpenSegment):
    def seal(self) -> Path:
        raise FileNotFoundError(2, "The system cannot find the path specified", str(self.path))


def test_a_drive_that_is_away_takes_no_segment_with_it(tmp_path: Path) -> None:
    lake, elsewhere = tmp_path / "lake", tmp_path / "elsewhere"
    disk, job = Disk(Layout(lake), "binance", Away.create), seal()
    disk.do(Append("SOLUSDT", DAY, b"line\n"))
    disk.set_aside(job)
    assert job.open is not None
    job.open.abandon()
    lake.rename(elsewhere)
    with pytest.raises(FileNotFoundError, match="cannot find"):
        disk.do(job)
    assert job.segment is None


def test_a_journal_that_refuses_once_gets_one_record_and_the_segment_is_sealed_once(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    disk = Disk(layout, "binance")
    disk.do(Append("SOLUSDT", DAY, b"line\n"))
    job = seal()
    in_the_way = layout.symbol_journal("binance", "SOLUSDT", DAY)
    in_the_way.mkdir(parents=True)
    with pytest.raises(OSError, match=r"journal|directory|denied"):
        disk.do(job)
    in_the_way.rmdir()
    disk.do(job)
    (sealed,) = [one for one in records(layout, DAY) if isinstance(one, journal.Sealed)]
    assert (sealed.segment, sealed.size) == ("part_0001.jsonl", 5)


def test_a_journal_record_that_a_full_disk_tore_is_mended_before_the_next(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    disk = Disk(layout, "binance")
    disk.do(seal())
    path = layout.symbol_journal("binance", "SOLUSDT", DAY)
    torn = path.read_bytes() + b'{"kind":"sea'
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match=r"directory|denied"):
        disk.do(seal())
    path.rmdir()
    path.write_bytes(torn)
    disk.do(seal())
    assert len(records(layout, DAY)) == 2


class TearsItself(OpenSegment):
    def append(self, lines: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(lines[: len(lines) // 2])
        raise OSError(5, "Input/output error")


def test_a_write_that_cannot_be_undone_is_never_tried_again(tmp_path: Path) -> None:
    disk = Disk(Layout(tmp_path), "binance", TearsItself.create)
    with pytest.raises(TornError, match="half way"):
        disk.do(Append("SOLUSDT", DAY, b"a line\n"))
    disk.abandon()


class OnANetwork(OpenSegment):
    """While the disk is `away` it takes `some` bytes at most, and can be asked nothing."""

    away: ClassVar[bool] = False
    some: ClassVar[int] = 0

    def append(self, lines: bytes) -> None:
        if not self.away:
            return super().append(lines)
        with self.path.open("ab") as file:
            file.write(lines[: self.some])
        raise OSError(5, "Input/output error")


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> type[OnANetwork]:
    stat = Path.stat

    def asked(path: Path, **how: bool) -> os.stat_result:
        if OnANetwork.away and path.suffix == OPEN_SUFFIX:
            raise OSError(112, "Host is down")
        return stat(path, **how)

    monkeypatch.setattr(Path, "stat", asked)
    monkeypatch.setattr(OnANetwork, "away", False)
    return OnANetwork


def test_lines_that_a_disk_took_in_part_before_it_went_away_are_not_appended_again(
    tmp_path: Path, network: type[OnANetwork]
) -> None:
    layout = Layout(tmp_path)
    disk, job = Disk(layout, "binance", network.create), Append("SOLUSDT", DAY, b"a line\n")
    disk.do(job)
    network.away, network.some = True, 3
    for _ in range(2):
        with pytest.raises(OSError, match="Host is down"):
            disk.do(job)
        network.some = 0
    network.away = False
    with pytest.raises(TornError, match=r"half way: .*Input/output error"):
        disk.do(job)
    disk.abandon()
    (path,) = open_files(layout)
    assert path.read_bytes() == b"a line\na l"


def test_lines_of_which_a_disk_took_nothing_before_it_went_away_land_when_it_is_back(
    tmp_path: Path, network: type[OnANetwork]
) -> None:
    layout = Layout(tmp_path)
    disk = Disk(layout, "binance", network.create)
    for lines in (b"one\n", b"two\n"):
        network.away = lines == b"two\n"
        if network.away:
            with pytest.raises(OSError, match="Host is down"):
                disk.do(Append("SOLUSDT", DAY, lines))
            network.away = False
        disk.do(Append("SOLUSDT", DAY, lines))
    disk.do(seal())
    assert layout.segment("binance", "SOLUSDT", DAY, 1).read_bytes() == b"one\ntwo\n"


def far_away(*days: int, landed: date = DAY) -> Seal:
    """A window with a trade of each of these days, in days from the one on which they were received."""
    tally = Tally(landed)
    day_us = DAY_US * (landed - date(1970, 1, 1)).days
    for number, ahead in enumerate(days):
        event = day_us + ahead * DAY_US
        tally.add(TradeLine("SOLUSDT", event, day_us, number, "1", "1", "buy", None, None, None, None))
    return Seal("SOLUSDT", T0, tally, [])


def pointed_to(layout: Layout, landed: date = DAY) -> list[int]:
    """The days, from the one on which they were received, whose journals say so; each as often as it does."""
    return [
        (day - landed).days
        for day in layout.raw_days("binance", "SOLUSDT")
        for one in journal.of_kind(records(layout, day), journal.Displaced)
        if one.landed == landed.isoformat()
    ]


def test_a_far_day_is_pointed_to_once_however_many_windows_have_trades_of_it(tmp_path: Path) -> None:
    disk = Disk(Layout(tmp_path), "binance")
    for days in ((-40, -40, -30), (-40, 20)):
        disk.do(far_away(*days))
    assert pointed_to(disk.layout) == [-40, -30, 20]


def test_of_more_far_days_than_any_replay_brings_those_with_most_trades_are_pointed_to(
    tmp_path: Path,
) -> None:
    disk = Disk(Layout(tmp_path), "binance")
    flood = range(10, 10 + 3 * MOST_DAYS)
    disk.do(far_away(*flood, -40, -40))
    assert pointed_to(disk.layout) == [-40, *flood[: MOST_DAYS - 1]]


def test_of_far_days_no_more_are_pointed_to_with_each_window_and_it_is_said_once(
    tmp_path: Path, logged: list[str]
) -> None:
    disk = Disk(Layout(tmp_path), "binance")
    for minute in range(3):
        disk.do(far_away(*range(10 + minute * MOST_DAYS, 10 + (minute + 1) * MOST_DAYS)))
    assert len(pointed_to(disk.layout)) == MOST_DAYS
    (said,) = logged
    assert said.startswith(f"ERROR SOLUSDT 2025-10-20: events of more than {MOST_DAYS} other days")
    tomorrow = DAY + timedelta(days=1)
    disk.do(far_away(*range(10, 20), landed=tomorrow))
    assert pointed_to(disk.layout, tomorrow) == [*range(10, 20)]


def test_refused_frames_are_kept_up_to_a_size_a_day(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    disk = Disk(layout, "binance", refused_bytes_a_day=300)
    for _ in range(100):
        disk.do(Refusal(RefusedFrame(T0, "not JSON", b"\xff{")))
    assert 300 < layout.rejected("binance", DAY).stat().st_size < 500


def notice(number: int) -> Note:
    return Note(journal.Notice(at=T0 + number, connection=1, frame="x" * 100), DAY)


def test_notices_are_kept_up_to_a_size_a_day_and_the_journal_says_that_it_was_reached(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for _ in range(3):
        disk = Disk(layout, "binance", talk_bytes_a_day=1000)
        for number in range(50):
            disk.do(notice(number))
    *said, last = [one for one in records(layout, DAY) if isinstance(one, journal.Notice)]
    assert (len(said), last.frame.startswith("(so many")) == (6, True)
    assert layout.journal("binance", DAY).stat().st_size < 1200


def test_confirmations_count_as_notices_and_no_other_record_does(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    disk = Disk(layout, "binance", talk_bytes_a_day=1000)
    streams = [f"s{n}@trade" for n in range(90)]
    for number in range(5):
        disk.do(Note(journal.Subscribed(at=T0, connection=number, streams=streams), DAY))
        disk.do(Note(journal.Disconnected(at=T0, connection=number, reason="", last_frame=None), DAY))
    kinds = [type(one).__name__ for one in records(layout, DAY)]
    assert kinds == ["Notice", *["Disconnected"] * 5]


def test_each_day_has_room_for_notices_of_its_own(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    disk = Disk(layout, "binance", talk_bytes_a_day=1000)
    for day in (DAY, DAY + timedelta(days=1)):
        for number in range(50):
            disk.do(Note(notice(number).record, day))
        assert len(records(layout, day)) == 7


def test_a_silent_window_that_waits_to_be_sealed_takes_no_segment_from_the_next_one(tmp_path: Path) -> None:
    disk, silent = Disk(Layout(tmp_path), "binance"), seal()
    disk.set_aside(silent)
    disk.do(Append("SOLUSDT", DAY, b"line\n"))
    disk.do(silent)
    assert (silent.segment, disk.open_name("SOLUSDT")) == (None, "part_0001.jsonl.open")
    disk.abandon()
