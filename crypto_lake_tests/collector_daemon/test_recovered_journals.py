"""What a death or a power loss left of journals: what is no record is moved, and what is lost is not relied on."""

from datetime import timedelta
from pathlib import Path

import pytest

from collector_daemon.land.recovery import recover
from crypto_lake.layout import Layout
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake_tests.collector_daemon.fakes import T0, open_files, records
from crypto_lake_tests.collector_daemon.test_recovery import (
    DAY,
    LINES,
    gaps,
    heard_until,
    kept,
    left_open,
    trades,
)


def _gap(at: int) -> journal.Gap:
    return journal.Gap(at=at, symbol="SOLUSDT", first_id=1, last_id=2, event_from=T0, event_to=T0)


@pytest.mark.parametrize("symbol", [None, "SOLUSDT"])
def test_what_is_no_record_is_moved_out_of_the_journal_which_says_so(
    tmp_path: Path, symbol: str | None
) -> None:
    layout = Layout(tmp_path)
    diary = JournalWriter(layout, "binance")
    story = [_gap(T0 + n) if symbol else journal.Stopped(at=T0 + n, reason="") for n in range(2)]
    diary.write(story[0])
    path = diary.path(DAY, symbol)
    with path.open("ab") as file:
        file.write(b"\0" * 4096 + b'{"kind":"sto\n{"kind":"unheard of","at":1760918400000000}\n')
    diary.write(story[1])
    for _ in range(2):
        recover(layout, "binance", T0 + 9)
    assert records(layout, DAY) == [*story, journal.Mended(at=T0 + 9, moved_bytes=4096 + 13)]
    assert b"unheard of" in path.read_bytes()
    assert [(one["reason"], one["size"]) for one in kept(layout)] == [
        ("NULs, as a power loss leaves them", 4096),
        ("no line", 13),
    ]


def test_the_record_of_a_start_with_thousands_of_symbols_is_one(tmp_path: Path) -> None:
    layout, symbols = Layout(tmp_path), [f"{number:05d}SOLUSDT" for number in range(20_000)]
    started = journal.Started(at=T0, version="1", pid=1, symbols=symbols)
    JournalWriter(layout, "binance").write(started)
    with layout.journal("binance", DAY).open("ab") as file:
        file.write(b"\0" * 4096)
    recover(layout, "binance", T0 + 99)
    assert records(layout, DAY) == [started, journal.Mended(at=T0 + 99, moved_bytes=4096)]


@pytest.mark.parametrize("symbol", [None, "SOLUSDT"])
def test_after_a_journal_lost_records_nobody_is_said_to_have_listened_before_the_first_line(
    tmp_path: Path, symbol: str | None
) -> None:
    layout = Layout(tmp_path)
    left_open(layout, LINES)
    heard_until(layout, T0 - 500, None)
    path = JournalWriter(layout, "binance").path(DAY, symbol)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"\0" * 100 + b"\n")
    recover(layout, "binance", T0 + 99)
    *_, sealed = journal.of_kind(records(layout, DAY), journal.Sealed)
    assert sealed.listened == [(T0, T0 + 2)]


def test_a_pointer_to_trades_of_a_day_to_come_does_not_hide_the_folder_that_was_worked_in(
    tmp_path: Path,
) -> None:
    layout = Layout(tmp_path)
    left_open(layout, LINES)
    (path,) = open_files(layout)
    path.rename(path.with_suffix(""))
    to_come = journal.Displaced(at=T0, symbol="SOLUSDT", landed=DAY.isoformat())
    JournalWriter(layout, "binance").write(to_come, DAY + timedelta(days=300))
    recover(layout, "binance", T0 + 9)
    (sealed,) = journal.of_kind(records(layout, DAY), journal.Sealed)
    assert (sealed.segment, sealed.lines) == ("part_0001.jsonl", 3)


def test_pointers_from_days_to_come_do_not_hide_the_journal_that_was_written_last(tmp_path: Path) -> None:
    layout, diary = Layout(tmp_path), JournalWriter(Layout(tmp_path), "binance")
    left_open(layout, LINES)
    recover(layout, "binance", T0)
    for ahead in (300, 301):
        to_come = journal.Displaced(at=T0, symbol="SOLUSDT", landed=DAY.isoformat())
        diary.write(to_come, DAY + timedelta(days=ahead))
    with diary.path(DAY, "SOLUSDT").open("ab") as file:
        file.write(b"\0" * 100)
    recover(layout, "binance", T0)
    (mended,) = journal.of_kind(records(layout, DAY), journal.Mended)
    assert mended.moved_bytes == 100


def test_a_symbol_whose_own_journal_lost_records_is_searched_for_gaps_after_an_end_in_order(
    tmp_path: Path,
) -> None:
    layout = Layout(tmp_path)
    left_open(layout, trades(1, 2) + trades(6))
    recover(layout, "binance", T0)
    diary = JournalWriter(layout, "binance")
    own = diary.path(DAY, "SOLUSDT")
    own.write_bytes(b"".join(line for line in own.read_bytes().splitlines(True) if b'"gap"' not in line))
    diary.write(journal.Stopped(at=T0, reason=""), DAY)
    recover(layout, "binance", T0)
    assert gaps(layout) == []
    with own.open("ab") as file:
        file.write(b"\0" * 100)
    recover(layout, "binance", T0)
    assert gaps(layout) == [(3, 5)]
