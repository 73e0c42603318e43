"""Lines in memory become jobs, cut at the borders of windows."""

from collections import Counter
from datetime import date
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from collector_daemon.decide.listening import Hearing, Listening
from collector_daemon.land.jobs import Append, Seal
from collector_daemon.land.landing import Landing
from collector_daemon.land.rotation import Rotation
from crypto_lake.layout import DAY_US, HOUR_US, MINUTE_US, SECOND_US, day_of
from crypto_lake.raw import journal
from crypto_lake.raw.lines import RawLine, TradeLine
from crypto_lake_tests.collector_daemon.fakes import SYMBOLS, T0, FakeClock


def line(recv: int, number: int = 1) -> RawLine:
    return TradeLine("SOLUSDT", recv - 5, recv, number, "1", "1", "buy", None, None, None, None)


MINUTELY = Rotation(MINUTE_US)


class Ear(Hearing):
    """The only connection there is."""

    def __init__(self) -> None:
        super().__init__()
        self.listening = Listening()

    def begin(self, at: int) -> None:
        self.listening.begin(self, at)


def made(clock: FakeClock, rotation: Rotation = MINUTELY) -> tuple[Landing, Ear]:
    ear = Ear()
    landing = Landing(rotation, clock)
    landing.expect(SYMBOLS, ear.listening)
    return landing, ear


def live(clock: FakeClock, landing: Landing, seconds: float) -> None:
    """Let time pass as the daemon does: five looks a second."""
    for _ in range(round(seconds * 5)):
        clock.pass_by(0.2)
        landing.tick()


def hear(landing: Landing, ear: Ear, *lines: RawLine) -> None:
    """Read something from the connection, as it does: first the time, then whose it is."""
    now = landing.watch.look()
    ear.hear(landing.watch)
    landing.add(lines, now)


def seals(landing: Landing) -> list[Seal]:
    return [job for job in landing.take() if isinstance(job, Seal)]


@given(st.integers(0, 4 * 10**15), st.integers(1, 3600), st.integers(0, 3599))
def test_a_window_holds_its_instant_and_one_hour_only(us: int, seconds: int, phase: int) -> None:
    start, end = Rotation(seconds * SECOND_US).window_of(us, phase % seconds * SECOND_US)
    assert start <= us < end
    assert end - start <= seconds * SECOND_US
    assert start // HOUR_US == (end - 1) // HOUR_US


def test_the_last_window_of_a_day_ends_at_midnight() -> None:
    assert Rotation(7 * SECOND_US).window_of(T0 + DAY_US - 1)[1] == T0 + DAY_US


def test_a_line_beyond_the_window_ends_it_for_all_symbols() -> None:
    clock = FakeClock()
    landing, ear = made(clock)
    ear.begin(T0)
    hear(landing, ear, line(clock.wall))
    live(clock, landing, 30)
    hear(landing, ear)
    live(clock, landing, 29.8)
    clock.pass_by(0.2)
    hear(landing, ear, line(clock.wall, 2))
    jobs = landing.take()
    assert [(type(job).__name__, getattr(job, "symbol", None)) for job in jobs] == [
        ("Append", "SOLUSDT"),
        ("Seal", "SOLUSDT"),
        ("Seal", "ADAUSDT"),
        ("Append", "SOLUSDT"),
    ]


def test_a_silent_window_that_was_listened_to_is_sealed_all_the_same() -> None:
    clock = FakeClock()
    landing, ear = made(clock)
    ear.begin(T0)
    ear.last = T0 + 30 * SECOND_US
    clock.wall += MINUTE_US
    landing.tick()
    (one, other) = seals(landing)
    assert one.listened == other.listened == [(T0, T0 + 30 * SECOND_US)]
    assert one.tally.lines == 0


def test_a_window_that_nobody_listened_to_leaves_no_trace() -> None:
    clock = FakeClock()
    landing, _ = made(clock)
    live(clock, landing, 61)
    assert landing.take() == []


def test_the_next_stretch_begins_where_the_last_one_was_cut() -> None:
    clock = FakeClock()
    landing, ear = made(clock)
    ear.begin(T0)
    ear.last = T0 + 50 * SECOND_US
    clock.pass_by(60)
    landing.tick()
    seals(landing)
    ear.last = T0 + 80 * SECOND_US
    clock.pass_by(60)
    landing.tick()
    assert seals(landing)[0].listened == [(T0 + 50 * SECOND_US, T0 + 80 * SECOND_US)]


def test_a_frame_that_ends_a_window_proves_listening_up_to_the_border() -> None:
    clock = FakeClock()
    landing, ear = made(clock)
    ear.begin(T0 + 7)
    live(clock, landing, 30)
    hear(landing, ear)
    live(clock, landing, 29.8)
    clock.wall = T0 + MINUTE_US + 9
    hear(landing, ear, line(clock.wall))
    assert seals(landing)[0].listened == [(T0 + 7, T0 + MINUTE_US)]
    landing.close()
    assert seals(landing)[0].listened == [(T0 + MINUTE_US, T0 + MINUTE_US + 9)]


def test_a_clock_set_forward_claims_no_listening_in_between() -> None:
    clock = FakeClock()
    landing, ear = made(clock)
    ear.begin(T0)
    for _ in range(5):
        clock.pass_by(1)
        landing.tick()
    ear.last = T0 + 5 * SECOND_US
    clock.wall += 3 * DAY_US
    hear(landing, ear, line(clock.wall))
    assert seals(landing)[0].listened == [(T0, T0 + 5 * SECOND_US)]
    clock.pass_by(1)
    ear.last = clock.wall
    landing.close()
    (one, _) = seals(landing)
    assert one.listened == [(clock.wall - SECOND_US, clock.wall)]
    assert one.tally.day == date(2025, 10, 23)


@given(st.lists(st.integers(-2 * DAY_US, 2 * DAY_US), max_size=40))
def test_whatever_the_clock_does_a_segment_holds_one_window_of_one_day(jumps: list[int]) -> None:
    clock = FakeClock()
    landing, _ = made(clock)
    for jump in jumps:
        clock.wall += jump
        landing.add([line(clock.wall)], clock.wall)
    landing.close()
    jobs = landing.take()
    assert sum(job.lines.count(b"\n") for job in jobs if isinstance(job, Append)) == len(jumps)
    for job in jobs:
        if isinstance(job, Seal) and job.tally.lines:
            first, last = job.tally.recv_from, job.tally.recv_to
            assert first // MINUTE_US == last // MINUTE_US
            assert day_of(first) == job.tally.day


def test_memory_is_counted_until_it_has_landed() -> None:
    landing, _ = made(FakeClock())
    landing.add([line(T0)], T0)
    held = landing.held
    jobs = landing.take()
    assert landing.held == held == sum(job.size for job in jobs)
    landing.landed(held)
    assert landing.held == 0


def test_far_event_days_are_remembered_one_by_one() -> None:
    landing, _ = made(FakeClock())
    for event in (T0, T0 - 40 * DAY_US, T0 - DAY_US):
        one = line(T0)
        one.ts_event = event
        landing.add([one], T0)
    landing.close()
    assert set(seals(landing)[0].tally.displaced) == {day_of(T0 - 40 * DAY_US)}


def test_a_record_counts_as_much_memory_as_its_texts_take() -> None:
    landing, _ = made(FakeClock())
    landing.note(journal.Notice(at=T0, connection=1, frame="x" * 5000))
    assert 5000 < landing.held < 6000
    landing.note(journal.Subscribed(at=T0, connection=1, streams=["y" * 100] * 50))
    assert landing.held > 10_000
    landing.landed(sum(job.size for job in landing.take()))
    assert landing.held == 0


def test_a_stray_is_the_offset_of_no_segment_and_a_silent_one_has_the_collectors() -> None:
    clock = FakeClock()
    landing, ear = made(clock)
    ear.begin(T0)
    lines = [line(T0 + number, number) for number in range(1, 6)]
    lines[2].ts_event = T0 + DAY_US
    hear(landing, ear, *lines)
    clock.pass_by(0.2)
    hear(landing, ear)
    landing.close()
    told = [seal.tally.sealed(T0, seal.symbol, None, 0, seal.listened) for seal in seals(landing)]
    sealed = [one for one in told if isinstance(one, journal.Sealed)]
    assert [(one.symbol, one.offset_us) for one in sealed] == [(symbol, 5) for symbol in SYMBOLS]
    assert sealed[0].event_to == T0 + DAY_US


def test_a_segment_ends_where_the_clock_was_set_so_that_it_has_one_offset() -> None:
    clock = FakeClock()
    landing, ear = made(clock)
    live(clock, landing, 1)
    ear.begin(clock.wall)
    hear(landing, ear, line(clock.wall))
    clock.pass_by(0.2)
    clock.wall += 20 * SECOND_US
    hear(landing, ear, line(clock.wall, 2))
    landing.close()
    assert [seal.tally.lines for seal in seals(landing) if seal.symbol == "SOLUSDT"] == [1, 1]


MANY = [f"A{number}USDT" for number in range(200)]


def three_hours(landing: Landing, clock: FakeClock, ear: Ear, busy: str) -> dict[str, list[Seal]]:
    """Three hours in which one symbol trades each second, and each symbol each minute; its seals by symbol."""
    found: dict[str, list[Seal]] = {}
    ear.begin(clock.wall)
    for second in range(3 * 3600):
        clock.pass_by(1)
        names = [busy] if second % 60 else MANY
        ids = range(second * 1000, second * 1000 + len(names))
        lines = [trade_of(name, clock.wall, number) for name, number in zip(names, ids, strict=True)]
        hear(landing, ear, *lines)
        for seal in seals(landing):
            found.setdefault(seal.symbol, []).append(seal)
        landing.landed(0, landing.unsealed)
    return found


def trade_of(symbol: str, recv: int, number: int) -> RawLine:
    return TradeLine(symbol, recv - 5, recv, number, "1", "1", "buy", None, None, None, None)


def test_a_quiet_symbol_makes_few_segments_and_a_busy_one_beside_it_is_as_quick_as_ever() -> None:
    clock = FakeClock()
    ear = Ear()
    landing = Landing(Rotation(MINUTE_US, quiet_us=10 * MINUTE_US, least_bytes=5000), clock)
    landing.expect(MANY, ear.listening)
    busy, quiet = MANY[1], MANY[2]
    found = three_hours(landing, clock, ear, busy)
    assert 3 * 60 - 1 <= len(found[busy]) <= 3 * 61
    # One more an hour than each ten minutes, for the hour ends them all.
    assert len(found[quiet]) <= 3 * 7
    for sealed in (found[busy], found[quiet]):
        stretches = [stretch for seal in sealed for stretch in seal.listened]
        assert all(before[1] == after[0] for before, after in pairwise(stretches))
        assert {seal.tally.recv_from // HOUR_US for seal in sealed} == {
            seal.tally.recv_to // HOUR_US for seal in sealed
        }


def test_many_symbols_are_cut_in_turns_over_the_interval_and_each_once_in_it() -> None:
    clock = FakeClock()
    ear = Ear()
    landing = Landing(Rotation(MINUTE_US), clock)
    landing.expect(MANY, ear.listening)
    ear.begin(T0)
    together: list[int] = []
    cut: Counter[str] = Counter()
    for _ in range(10 * 60):
        clock.pass_by(1)
        hear(landing, ear)
        found = seals(landing)
        landing.landed(0, len(found))
        together.append(len(found))
        cut.update(seal.symbol for seal in found)
    # Seven turns of 29 each, by the names.
    assert max(together) < len(MANY) / 4
    assert all(9 <= times <= 11 for times in cut.values())
    assert len(cut) == len(MANY)


@given(st.lists(st.integers(1, 900), min_size=1, max_size=8), st.integers(100, 5000))
def test_no_segment_is_larger_than_it_may_be_and_no_line_is_lost(batches: list[int], most: int) -> None:
    clock = FakeClock()
    ear = Ear()
    landing = Landing(Rotation(MINUTE_US, most_bytes=most), clock)
    landing.expect(SYMBOLS, ear.listening)
    number, sizes, open_size, sealed = 0, list[int](), 0, 0
    for count in batches:
        clock.pass_by(1)
        lines = [line(clock.wall, number + one) for one in range(count)]
        number += count
        hear(landing, ear, *lines)
        for job in landing.take():
            if isinstance(job, Append):
                open_size += len(job.lines)
            elif isinstance(job, Seal) and job.symbol == "SOLUSDT":
                sizes.append(open_size)
                sealed += job.tally.lines
                open_size = 0
        landing.landed(0, landing.unsealed)
    longest = 1 + max(len(encode(line(T0, n))) for n in (0, 10**6))
    assert all(size <= max(most, longest) for size in [*sizes, open_size])
    landing.close()
    assert sealed + sum(seal.tally.lines for seal in seals(landing)) == number


def test_while_a_round_of_segments_waits_for_the_disk_no_more_are_cut() -> None:
    clock = FakeClock()
    ear = Ear()
    landing = Landing(Rotation(MINUTE_US, most_bytes=1000), clock)
    landing.expect(MANY, ear.listening)
    ear.begin(T0)
    most = 0
    for minute in range(59):
        clock.pass_by(60)
        hear(landing, ear, *(trade_of(name, clock.wall, minute) for name in MANY))
        landing.take()
        most = max(most, landing.unsealed)
    assert most < 2 * len(MANY)
    landing.landed(0, landing.unsealed)
    clock.pass_by(60)
    hear(landing, ear)
    assert {seal.symbol for seal in seals(landing)} == set(MANY)


@given(st.lists(st.integers(1, 900), min_size=1, max_size=8))
def test_lines_that_fill_a_segment_as_a_day_ends_stay_with_that_day(batches: list[int]) -> None:
    clock, ear = FakeClock(T0 + DAY_US - 9 * SECOND_US), Ear()
    landing = Landing(Rotation(MINUTE_US, most_bytes=1000), clock)
    landing.expect(SYMBOLS, ear.listening)
    ear.begin(clock.wall)
    for count in batches:
        clock.pass_by(1)
        hear(landing, ear, *(line(clock.wall, number) for number in range(count)))
    # Nothing was handed over so far.
    clock.pass_by(9)
    hear(landing, ear)
    landing.close()
    for seal in seals(landing):
        days = {seal.tally.day} | {day_of(end - 1) for _, end in seal.listened}
        assert len(days | ({day_of(seal.tally.recv_to)} if seal.tally.lines else set())) == 1


def test_a_symbol_that_leaves_as_a_day_begins_takes_nothing_of_it_from_the_others() -> None:
    midnight = T0 + DAY_US
    clock, ear = FakeClock(midnight - 1_100_000), Ear()
    landing = Landing(MINUTELY, clock)
    landing.expect(SYMBOLS, ear.listening)
    ear.begin(clock.wall)
    live(clock, landing, 1)
    hear(landing, ear)
    clock.pass_by(0.2)
    # A ping: the time is looked at, and no line comes.
    landing.watch.look()
    ear.hear(landing.watch)
    landing.forget(["ADAUSDT"])
    clock.pass_by(0.2)
    hear(landing, ear)
    landing.close()
    found = [(seal.tally.day, seal.listened) for seal in seals(landing) if seal.symbol == "SOLUSDT"]
    assert found == [
        (day_of(T0), [(midnight - 1_100_000, midnight)]),
        (day_of(midnight), [(midnight, clock.wall)]),
    ]
