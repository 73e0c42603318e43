"""The order book's way from frames to sealed segments, beside the ticks, and what a death leaves of it."""

import hashlib
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from collector_daemon.decide.listening import Hearing, Listening
from collector_daemon.decide.oddities import BREAKS_AN_HOUR
from collector_daemon.decide.session import GRACE_SEC, SILENT_AFTER_SEC, RefusedFrame, Session
from collector_daemon.land import depth_recovery
from collector_daemon.land.disk import Disk
from collector_daemon.land.landing import Landing
from collector_daemon.land.pointers import MOST_DAYS
from collector_daemon.land.recovery import recover
from collector_daemon.land.rotation import Rotation
from crypto_lake.exchanges import registry
from crypto_lake.layout import DAY_US, HOUR_US, MINUTE_US, Layout
from crypto_lake.raw import journal, segments
from crypto_lake.raw.lines import OF_BOOK, RECEIVED, DepthLine, DepthSnapshotLine, decode_book
from crypto_lake_tests.book_lines import longest_snapshot
from crypto_lake_tests.collector_daemon.fakes import (
    SYMBOLS,
    T0,
    FakeClock,
    depth,
    open_files,
    own,
    quote,
    trade,
)

DAY = date(2025, 10, 20)
BINANCE = registry.exchange("binance").recording(["trade", "bookTicker", "depth"])


def session() -> Session:
    return Session(BINANCE.wire, SYMBOLS, BINANCE.streams)


def kept(made: Session, *frames: bytes) -> list[tuple[int, int]]:
    made.receive(frames, T0, 1)
    return [(line.first_id, line.id) for line in made.take_depth()]


def test_depth_events_go_a_way_of_their_own_and_change_nothing_about_ticks() -> None:
    made, without = session(), Session(BINANCE.wire, SYMBOLS)
    ticks = [trade(1, T0 - 500), quote(4), trade(3, T0 - 400)]
    lines = made.receive([depth(1, 5, T0 + 9), *ticks, depth(6, 7, T0 + 9), depth(6, 7, T0 + 10)], T0, 1)
    assert lines == without.receive(ticks, T0, 1)
    assert [line.id for line in made.take_depth()] == [5, 7]
    for one in (made, without):
        one.finish(T0 + MINUTE_US)
    assert made.take_events() == without.take_events()
    assert made.symbols["SOLUSDT"].latency.spread() == without.symbols["SOLUSDT"].latency.spread()
    assert made.symbols["SOLUSDT"].duplicates == 0


def test_depth_that_was_not_asked_for_is_refused() -> None:
    made = Session(BINANCE.wire, SYMBOLS)
    assert kept(made, depth(1, 5)) == []
    assert made.take_events() == [RefusedFrame(T0, "a stream that was not asked for", depth(1, 5))]


def test_a_break_of_the_chain_is_told_after_the_grace_and_asks_for_an_anchor() -> None:
    made = session()
    assert kept(made, depth(1, 5), depth(9, 10), depth(9, 10)) == [(1, 5), (9, 10)]
    assert made.unanchored == {"SOLUSDT"}
    made.unanchored.clear()
    made.tick(T0, 0.0)
    assert (made.events, made.unanchored) == ([], set())
    made.tick(T0, GRACE_SEC)
    told = journal.BookBreak(at=T0, symbol="SOLUSDT", after_id=5, first_id=9, reason="lost")
    assert (made.take_events(), made.unanchored) == ([told], {"SOLUSDT"})
    assert made.symbols["SOLUSDT"].breaks == 1


def test_of_a_chain_that_breaks_with_each_event_the_first_of_an_hour_are_written_and_the_rest_counted() -> (
    None
):
    made = session()
    made.receive([depth(3 * number, 3 * number) for number in range(50_000)], T0, 1)
    for second in (0.0, GRACE_SEC):
        made.tick(T0, second)
    breaks = [one for one in made.take_events() if isinstance(one, journal.BookBreak)]
    made.finish(T0)
    (last,) = [one for one in made.take_events() if isinstance(one, journal.BookBreak)]
    assert (len(breaks), made.symbols["SOLUSDT"].breaks) == (BREAKS_AN_HOUR, 49_999)
    assert len(breaks) + last.unwritten + 1 == 49_999


def test_after_a_death_many_breaks_are_not_written_either(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, *(event(3 * number, 3 * number) for number in range(2_000)))
    recover(layout, "binance", T0 + 99)
    breaks = list(journal.of_kind(own(layout, "SOLUSDT", DAY), journal.BookBreak))
    assert len(breaks) == BREAKS_AN_HOUR + 1
    assert len(breaks) + breaks[-1].unwritten == 1_999


def test_depth_that_is_silent_is_told_as_any_stream() -> None:
    made = session()
    made.subscribed(["SOLUSDT"], 0.0)
    made.receive([trade(1), quote(1)], T0, 1)
    made.tick(T0, SILENT_AFTER_SEC)
    assert [one.stream for one in made.take_events() if isinstance(one, journal.Silent)] == [
        "solusdt@depth@100ms"
    ]


class Lake:
    """A landing with a disk under it."""

    def __init__(self, base: Path, rotation: Rotation | None = None) -> None:
        self.layout = Layout(base)
        self.clock = FakeClock()
        self.landing = Landing(rotation or Rotation(MINUTE_US), self.clock)
        self.hearing, listening = Hearing(), Listening()
        self.landing.expect(SYMBOLS, listening)
        listening.begin(self.hearing, T0)
        self.disk = Disk(self.layout, "binance")
        self.session = session()

    def receive(self, *frames: bytes) -> None:
        now = self.landing.watch.look()
        self.hearing.hear(self.landing.watch)
        self.landing.add(self.session.receive(frames, now, 1), now)
        self.landing.add_depth(self.session.take_depth(), now)

    def land(self) -> None:
        for job in self.landing.take():
            self.disk.do(job)
            self.landing.landed(job.size)

    def names(self, family: str) -> list[str]:
        return [
            path.name for path in segments.sealed(self.layout.raw_day("binance", "SOLUSDT", DAY), [family])
        ]

    def told(self) -> list[journal.DepthSealed]:
        return list(journal.of_kind(own(self.layout, "SOLUSDT", DAY), journal.DepthSealed))

    def lines(self) -> list[int]:
        folder = self.layout.raw_day("binance", "SOLUSDT", DAY)
        content = b"".join(path.read_bytes() for path in segments.sealed(folder, [OF_BOOK]))
        return [decode_book(line).id for line in content.splitlines()]


def test_the_journal_of_the_day_an_event_is_of_points_to_the_day_it_was_received_on(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.receive(depth(1, 5, T0 - 40 * DAY_US), depth(6, 7, T0), depth(8, 9, T0 - 40 * DAY_US))
    lake.landing.close()
    lake.land()
    told = list(journal.of_kind(own(lake.layout, "SOLUSDT", DAY - timedelta(days=40)), journal.Displaced))
    assert [one.landed for one in told] == [DAY.isoformat()]


def test_depth_is_sealed_beside_the_ticks_in_segments_of_its_own_which_the_journal_tells_apart(
    tmp_path: Path,
) -> None:
    lake = Lake(tmp_path)
    lake.receive(trade(1), depth(1, 5, T0 - 7))
    snapshot = DepthSnapshotLine("SOLUSDT", None, T0, None, 3, (("1.0", "2.0"),), ())
    lake.landing.add_depth([snapshot], T0)
    lake.land()
    names = [path.name for path in open_files(lake.layout)]
    assert names == ["depth_0001.jsonl.open", "part_0001.jsonl.open"]
    lake.clock.pass_by(61)
    lake.receive(depth(6, 9, T0 + MINUTE_US), trade(2))
    lake.landing.close()
    lake.land()
    assert lake.names(OF_BOOK) == ["depth_0001.jsonl", "depth_0002.jsonl"]
    assert lake.names(RECEIVED) == ["part_0001.jsonl", "part_0002.jsonl"]
    assert lake.landing.held == 0
    content = (lake.layout.raw_day("binance", "SOLUSDT", DAY) / "depth_0001.jsonl").read_bytes()
    assert content.splitlines()[0] == (
        b'{"stream":"depth","symbol":"SOLUSDT","ts_event":%d,"ts_recv":%d,"first_id":1,"id":5,'
        b'"bids":[["1.0","2.0"]],"asks":[]}' % (T0 - 7, T0)
    )
    first, second = lake.told()
    assert first == journal.DepthSealed(
        at=T0 + 61_000_000,
        symbol="SOLUSDT",
        segment="depth_0001.jsonl",
        lines=2,
        snapshots=1,
        size=len(content),
        **dict.fromkeys(("recv_from", "recv_to"), T0),
        **dict.fromkeys(("event_from", "event_to"), T0 - 7),
        first_id=1,
        last_id=5,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    assert (second.first_id, second.last_id) == (6, 9)
    sealed = list(journal.of_kind(own(lake.layout, "SOLUSDT", DAY), journal.Sealed))
    assert [one.segment for one in sealed] == ["part_0001.jsonl", "part_0002.jsonl"]
    assert segments.days(lake.layout, "binance", "ADAUSDT") == []


def test_a_folder_of_depth_alone_is_no_day_of_ticks(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.receive(depth(1, 5))
    lake.landing.close()
    lake.land()
    assert segments.days(lake.layout, "binance", "SOLUSDT") == []
    assert segments.sealed(lake.layout.raw_day("binance", "SOLUSDT", DAY)) == []
    assert segments.last_day(lake.layout, "binance", "SOLUSDT") == DAY


def test_a_segment_of_depth_is_no_larger_than_it_may_be_and_memory_counts_its_levels(tmp_path: Path) -> None:
    lake = Lake(tmp_path, Rotation(MINUTE_US, most_bytes=3000))
    for number in range(10):
        lake.receive(depth(number, number, levels=50))
    assert lake.landing.held > 10 * 50 * 150
    assert lake.landing.pending("SOLUSDT") == lake.landing.held
    lake.landing.close()
    lake.land()
    assert lake.landing.held == 0
    assert (lake.lines(), len(lake.told())) == (list(range(10)), 4)
    assert all(one.size <= 3000 for one in lake.told())


def left_open(layout: Layout, *events: DepthLine, more: bytes = b"") -> None:
    segment = segments.OpenSegment.create(layout, "binance", "SOLUSDT", DAY, OF_BOOK)
    segment.append(b"".join(msgspec.json.encode(one) + b"\n" for one in events) + more)
    segment.abandon()


def event(first: int, last: int) -> DepthLine:
    return DepthLine("SOLUSDT", T0, T0 + last, first, last, (("1.0", "0"),), ())


def test_the_longest_snapshot_of_a_dead_collector_stays_a_line_beside_a_block_of_nuls(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    longest = msgspec.json.encode(longest_snapshot()) + b"\n"
    left_open(layout, event(1, 5), more=longest + b"\0" * 4096 + longest + b"{\n")
    (recovered,) = recover(layout, "binance", T0 + 99)
    assert recovered.moved_bytes == 4096 + 2
    assert recovered.path is not None
    _, *snapshots = recovered.path.read_bytes().splitlines(keepends=True)
    assert snapshots == [longest, longest]


TICK = b'{"stream":"trade","symbol":"SOLUSDT"}\n'


@pytest.mark.parametrize(
    ("more", "moved", "torn"),
    [(b"", 0, 0), (b'{"stream":"dep', 0, 14), (TICK, len(TICK), 0), (b"\0" * 4096 + b"\n", 4097, 0)],
    ids=["whole", "torn", "a tick's line", "NULs"],
)
def test_open_depth_is_sealed_with_its_whole_lines_and_entered_with_its_breaks(
    tmp_path: Path, more: bytes, moved: int, torn: int
) -> None:
    layout = Layout(tmp_path)
    left_open(layout, event(1, 5), event(6, 7), event(9, 12), more=more)
    for _ in range(2):
        recover(layout, "binance", T0 + 99)
    (recovered,) = journal.of_kind(own(layout, "SOLUSDT", DAY), journal.Recovered)
    assert (recovered.segment, recovered.moved_bytes, recovered.torn_bytes) == (
        "depth_0001.jsonl",
        moved,
        torn,
    )
    (sealed,) = journal.of_kind(own(layout, "SOLUSDT", DAY), journal.DepthSealed)
    content = (layout.raw_day("binance", "SOLUSDT", DAY) / "depth_0001.jsonl").read_bytes()
    assert (sealed.lines, sealed.first_id, sealed.last_id) == (3, 1, 12)
    assert (sealed.size, sealed.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    breaks = journal.of_kind(own(layout, "SOLUSDT", DAY), journal.BookBreak)
    assert [(one.after_id, one.first_id) for one in breaks] == [(7, 9)]
    assert depth_recovery.last_id(layout, "binance", "SOLUSDT") == 12
    assert not list(journal.of_kind(own(layout, "SOLUSDT", DAY), journal.Sealed))


def test_a_break_in_any_segment_of_the_last_seconds_before_the_death_is_entered(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    for lines in ((event(1, 5), event(9, 12)), (event(13, 13),), (event(14, 14),)):
        left_open(layout, *lines)
        segments.recover(layout, "binance")
    left_open(layout, event(15, 15))
    recover(layout, "binance", T0 + 99)
    breaks = journal.of_kind(own(layout, "SOLUSDT", DAY), journal.BookBreak)
    assert [(one.after_id, one.first_id) for one in breaks] == [(5, 9)]


def test_pointers_from_days_to_come_do_not_hide_where_a_book_ended(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    far = [msgspec.structs.replace(event(6 + n, 6 + n), ts_event=T0 + (n + 40) * DAY_US) for n in range(3)]
    left_open(layout, event(1, 5), *far, event(9, 12))
    recover(layout, "binance", T0 + 99)
    assert len(layout.raw_days("binance", "SOLUSDT")) == 4
    assert depth_recovery.last_id(layout, "binance", "SOLUSDT") == 12


def test_where_a_book_ended_is_known_although_its_segments_were_removed(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, event(1, 5))
    recover(layout, "binance", T0 + 99)
    for path in segments.sealed(layout.raw_day("binance", "SOLUSDT", DAY), [OF_BOOK]):
        path.unlink()
    assert depth_recovery.last_id(layout, "binance", "SOLUSDT") == 5


def test_a_dead_collectors_event_of_another_day_is_pointed_to_from_there(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout, event(1, 5), msgspec.structs.replace(event(6, 7), ts_event=T0 - 40 * DAY_US))
    recover(layout, "binance", T0 + 99)
    told = journal.of_kind(own(layout, "SOLUSDT", DAY - timedelta(days=40)), journal.Displaced)
    assert [one.landed for one in told] == [DAY.isoformat()]


def test_of_a_dead_collectors_events_of_any_number_of_far_days_so_many_are_pointed_to(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    days = range(10, MOST_DAYS + 30)
    far = [msgspec.structs.replace(event(day, day), ts_event=T0 + day * DAY_US) for day in days]
    left_open(layout, event(1, 9), *far)
    recover(layout, "binance", T0 + 99)
    assert len(layout.raw_days("binance", "SOLUSDT")) == 1 + MOST_DAYS


@pytest.mark.parametrize(
    "odd",
    [
        [depth(6, 900_000, T0 + 40_000 * DAY_US // 2)],
        [depth(10**9 + 3 * number, 10**9 + 3 * number, T0 + 20_000 * DAY_US) for number in range(99)],
    ],
    ids=["one wide event of a far time", "many absurd ids"],
)
def test_events_that_are_taken_for_copies_are_kept_again_after_seconds_in_which_none_was_new(
    odd: list[bytes],
) -> None:
    made = session()
    made.receive([depth(1, 5, T0), *odd], T0, 1)
    made.take_depth()
    kept = list[int]()
    for number in range(300):
        at = T0 + 100_000 * number
        made.receive([depth(6 + number, 6 + number, at)], at, 1)
        kept += [line.id for line in made.take_depth()]
    assert kept[-1] == 305
    assert len(kept) > 180


def test_copies_between_which_the_clock_was_set_forward_are_copies() -> None:
    made = session()
    made.receive([depth(1, 5, T0), depth(1, 5, T0)], T0, 1)
    later = T0 + HOUR_US
    made.clock_was_set(HOUR_US, later)
    made.receive([depth(1, 5, T0)], later, 2)
    assert len(made.take_depth()) == 1


def test_where_the_clock_was_set_back_copies_are_none_after_as_many_seconds() -> None:
    made = session()
    made.receive([depth(1, 5, T0), depth(6, 900_000, T0 + 40_000 * DAY_US // 2)], T0, 1)
    kept = list[int]()
    for number in range(300):
        at = T0 + 100_000 * number
        if number >= 50:
            at -= HOUR_US
        if number == 50:
            made.clock_was_set(-HOUR_US, at)
        made.receive([depth(6 + number, 6 + number, at)], at, 1)
        kept += [line.id for line in made.take_depth()]
    assert len(kept) > 140
