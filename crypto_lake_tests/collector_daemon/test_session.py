"""Frames in, lines and events out."""

from typing import TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.decide.ids import REMEMBER_TOGETHER
from collector_daemon.decide.oddities import WRITTEN_AN_HOUR
from collector_daemon.decide.rising_ids import STUCK_SEC
from collector_daemon.decide.session import (
    GRACE_SEC,
    SILENT_AFTER_SEC,
    Event,
    Farewell,
    RefusedFrame,
    Session,
)
from crypto_lake.exchanges.base import Reply
from crypto_lake.exchanges.binance.wire import WIRE
from crypto_lake.layout import HOUR_US, MINUTE_US, SECOND_US, day_of
from crypto_lake.raw import journal
from crypto_lake.raw.lines import DEPTH, STREAMS
from crypto_lake.raw.records import is_plausible
from crypto_lake_tests.collector_daemon.fakes import SYMBOLS, T0, depth, quote, trade

_E = TypeVar("_E", bound=Event)


def session() -> Session:
    return Session(WIRE, SYMBOLS)


def kept(made: Session, *frames: bytes, now: int = T0) -> list[int]:
    return [line.id for line in made.receive(frames, now, 1)]


def of(kind: type[_E], made: Session) -> list[_E]:
    return [event for event in made.take_events() if isinstance(event, kind)]


def test_duplicates_are_dropped_and_counted() -> None:
    made = session()
    assert kept(made, trade(1), trade(1), quote(4), quote(4), trade(2)) == [1, 4, 2]
    assert made.symbols["SOLUSDT"].duplicates == 2


def test_each_symbol_counts_its_own_ids() -> None:
    made = session()
    assert kept(made, trade(1), trade(900, symbol="ADAUSDT"), trade(2), trade(901, symbol="ADAUSDT")) == [
        1,
        900,
        2,
        901,
    ]
    assert not made.events


ends = st.sampled_from([0, 1, 2, 500, 10**9 + 500, 2**63 - 3, 2**63 - 2, 2**63 - 1])


@given(st.lists(st.tuples(st.sampled_from(["trade", "quote", "depth"]), ends, ends), max_size=20))
def test_whatever_ids_come_its_records_are_ones_that_it_reads_itself(
    told: list[tuple[str, int, int]],
) -> None:
    made = Session(WIRE, SYMBOLS, (*STREAMS, DEPTH))
    for second, (stream, one, other) in enumerate(told):
        now = T0 + second * SECOND_US
        event = depth(min(one, other), max(one, other), now)
        made.receive([{"trade": trade(one, now), "quote": quote(one), "depth": event}[stream]], now, 1)
        made.tick(now, float(second))
    made.tick(T0 + MINUTE_US, 60.0)
    made.finish(T0 + MINUTE_US)
    for record in (one for one in made.take_events() if isinstance(one, journal.Record)):
        assert journal.is_record(msgspec.json.encode(record)), record
        assert is_plausible(record, day_of(T0))


def test_a_hole_that_stays_open_is_a_gap_with_the_times_of_its_neighbours() -> None:
    made = session()
    kept(made, trade(1, T0 + 1), trade(4, T0 + 4))
    made.tick(T0, 10.0)
    assert not made.events
    made.tick(T0, 10.0 + GRACE_SEC)
    made.tick(T0, 20.0 + GRACE_SEC)
    assert made.take_events() == [
        journal.Gap(at=T0, symbol="SOLUSDT", first_id=2, last_id=3, event_from=T0 + 1, event_to=T0 + 4)
    ]
    assert (made.symbols["SOLUSDT"].gaps, made.symbols["SOLUSDT"].missing) == (1, 2)


def test_a_hole_that_another_connection_fills_in_time_is_no_gap() -> None:
    made = session()
    assert kept(made, trade(1), trade(4), trade(2), trade(3), trade(4)) == [1, 4, 2, 3]
    made.tick(T0, 0.0)
    made.tick(T0, 10 * GRACE_SEC)
    assert not made.events


def test_when_the_daemon_stops_what_is_missing_is_a_gap_at_once() -> None:
    made = session()
    kept(made, trade(1), trade(4), trade(3))
    made.finish(T0)
    assert [(gap.first_id, gap.last_id) for gap in of(journal.Gap, made)] == [(2, 2)]


def test_ids_that_start_anew_are_kept_and_told_at_once() -> None:
    made = session()
    again = [*range(1_000_100, 1_000_200), *range(1, 101)]
    assert kept(made, *(trade(number, T0 + at) for at, number in enumerate(again))) == again
    assert made.take_events() == [
        journal.Jumped(at=T0, symbol="SOLUSDT", stream="trade", id=1, expected=1_000_200)
    ]
    made.finish(T0)
    assert of(journal.Gap, made) == []


def test_giving_up_a_symbol_tells_what_it_misses_and_gives_the_others_their_time() -> None:
    made = session()
    kept(made, trade(1, T0 + 1), trade(3, T0 + 3))
    kept(made, trade(1, T0 + 1, "ADAUSDT"), trade(3, T0 + 3, "ADAUSDT"))
    made.forget(["ADAUSDT"], T0 + 4)
    assert [gap.symbol for gap in of(journal.Gap, made)] == ["ADAUSDT"]
    assert made.symbols["SOLUSDT"].gaps == 0


def test_an_absurd_id_is_no_gap_of_all_ids_up_to_it() -> None:
    made = session()
    kept(made, trade(5, T0), trade((1 << 63) - 1, T0 + 1), trade(6, T0 + 2), trade(9, T0 + 3))
    made.finish(T0)
    assert [(gap.first_id, gap.last_id) for gap in of(journal.Gap, made)] == [(7, 8)]
    assert made.symbols["SOLUSDT"].missing == 2


def test_after_the_highest_id_of_all_no_higher_one_is_said_to_be_expected() -> None:
    made, highest = session(), 2**63 - 1
    assert kept(made, trade(highest, T0), trade(6, T0 + 1)) == [highest, 6]
    assert kept(made, quote(7), quote(highest)) == [7, highest]
    for second in (0.0, STUCK_SEC):
        kept(made, quote(7))
        made.tick(T0, second)
    told = [(one.stream, one.id, one.expected) for one in of(journal.Jumped, made)]
    assert told == [("trade", 6, highest), ("quote", 7, highest)]


def test_both_contents_of_one_id_become_lines_and_the_journal_has_them() -> None:
    made = session()
    assert kept(made, trade(1), trade(2, T0 + 9000), trade(1, T0 + 5000), trade(2, T0 + 9000)) == [1, 2, 1]
    assert made.take_events() == [
        journal.Conflict(
            at=T0,
            symbol="SOLUSDT",
            id=1,
            first=journal.Contents(T0, "190.12", "1.5", "sell"),
            second=journal.Contents(T0 + 5000, "190.12", "1.5", "sell"),
        )
    ]


def test_an_absurd_quote_id_is_told_and_the_quotes_after_it_are_kept() -> None:
    made = session()
    assert kept(made, quote(4), quote((1 << 63) - 1), quote(5), quote(6)) == [4, (1 << 63) - 1, 5, 6]
    assert made.take_events() == [
        journal.Jumped(at=T0, symbol="SOLUSDT", stream="quote", id=(1 << 63) - 1, expected=5)
    ]


def test_of_many_odd_ids_in_an_hour_the_first_are_written_and_the_rest_counted() -> None:
    made = session()
    many = 3 * WRITTEN_AN_HOUR
    kept(made, trade(5), *(trade(10**12 * n, T0 + n) for n in range(1, many + 1)))
    assert len(of(journal.Jumped, made)) == WRITTEN_AN_HOUR
    kept(made, trade(10**15, T0 + many), now=T0 + HOUR_US)
    rest, next_one = of(journal.Jumped, made)
    assert (rest.id, rest.unwritten) == (10**12 * many, many - WRITTEN_AN_HOUR - 1)
    assert (next_one.id, next_one.unwritten) == (10**15, 0)


def test_a_gap_across_a_reconnect_is_seen() -> None:
    made = session()
    kept(made, trade(1))
    made.disconnected(SYMBOLS)
    made.begin_anew(SYMBOLS)
    kept(made, trade(3))
    made.finish(T0)
    assert len(of(journal.Gap, made)) == 1


def test_a_quote_that_is_late_over_the_slower_connection_is_a_duplicate() -> None:
    made = session()
    assert kept(made, quote(4), quote(6), quote(5), quote(6), quote(7)) == [4, 6, 7]
    assert made.symbols["SOLUSDT"].duplicates == 2


def test_a_farewell_is_told_beside_its_notice() -> None:
    made = session()
    frame = b'{"e":"serverShutdown","E":1770123456789}'
    kept(made, frame)
    assert made.take_events() == [journal.Notice(at=T0, connection=1, frame=frame.decode()), Farewell()]


def test_the_offset_of_a_minute_is_the_smallest_of_all_symbols_trades() -> None:
    made = session()
    kept(made, trade(1, T0 - 500), now=T0)
    kept(made, trade(1, T0 + 900, "ADAUSDT"), now=T0 + 1000)
    made.tick(T0 + MINUTE_US - 1, 0)
    assert not made.events
    made.tick(T0 + MINUTE_US, 0)
    assert made.take_events() == [journal.ClockOffset(at=T0 + MINUTE_US, minute=T0, offset_us=100, trades=2)]


FAR = 86_400_000_000


@pytest.mark.parametrize("stray", [T0 + FAR, T0 + 30_000_000, T0 + 27_000 * FAR, T0 - 2_900 * FAR])
@pytest.mark.parametrize("place", [0, 7])
def test_one_trade_with_an_implausible_time_is_not_the_offset_and_the_journal_says_so(
    stray: int, place: int
) -> None:
    made = session()
    for number in range(10):
        kept(made, trade(number + 1, stray if number == place else T0 + number), now=T0 + number + 500)
    made.finish(T0 + 100)
    (offset,) = of(journal.ClockOffset, made)
    assert (offset.offset_us, offset.trades, offset.set_aside) == (500, 10, int(stray > T0))


def test_a_stray_alone_in_its_minute_leaves_the_offset_as_it_was() -> None:
    made = session()
    kept(made, trade(1, T0 - 500), trade(2, T0 - 400), now=T0)
    kept(made, trade(3, T0 + FAR), now=T0 + MINUTE_US)
    made.finish(T0 + 2 * MINUTE_US)
    assert [(one.offset_us, one.set_aside) for one in of(journal.ClockOffset, made)] == [(400, 0), (400, 1)]


@pytest.mark.parametrize("step", [HOUR_US, -HOUR_US])
def test_few_trades_of_a_minute_in_which_the_clock_was_set_are_held_against_its_own_offset(step: int) -> None:
    made = session()
    kept(made, trade(1, T0 - 500), now=T0)
    made.clock_was_set(step, T0 + step)
    kept(made, trade(2, T0 - 400), trade(3, T0 - 300), now=T0 + step)
    made.finish(T0 + step + 9)
    told = [(one.minute, one.offset_us, one.set_aside) for one in of(journal.ClockOffset, made)]
    assert told == [(T0, 500, 0), (T0 + step, step + 300, 0)]


def test_a_clock_that_was_set_back_is_believed_though_trades_are_few() -> None:
    made = session()
    for number in range(1, 5):
        late = 500 if number < 3 else 500 - FAR
        kept(made, trade(number, T0 + number * MINUTE_US - late), now=T0 + number * MINUTE_US)
    made.finish(T0 + 6 * MINUTE_US)
    assert [one.offset_us for one in of(journal.ClockOffset, made)] == [500, 500, 500, 500 - FAR]


def test_a_replay_of_old_trades_has_an_offset_of_years() -> None:
    made = session()
    for number in range(1, 4):
        kept(made, trade(number, T0 - 400 * FAR + number), now=T0 + number + 500)
    made.finish(T0 + 100)
    (offset,) = of(journal.ClockOffset, made)
    assert (offset.offset_us, offset.set_aside) == (400 * FAR + 500, 0)


def test_a_duplicate_takes_no_part_in_the_offset() -> None:
    made = session()
    kept(made, trade(1, T0 - 500), trade(1, T0 + 9000), now=T0)
    made.finish(T0 + 1)
    (offset,) = of(journal.ClockOffset, made)
    assert (offset.offset_us, offset.trades) == (500, 1)


def test_the_first_trade_of_a_new_minute_ends_the_one_before() -> None:
    made = session()
    kept(made, trade(1, T0), now=T0 + 7)
    kept(made, trade(2, T0), now=T0 + MINUTE_US)
    made.finish(T0 + MINUTE_US + 5)
    assert [e.minute for e in made.take_events() if isinstance(e, journal.ClockOffset)] == [
        T0,
        T0 + MINUTE_US,
    ]


def test_a_silent_stream_is_told_once_until_it_speaks_again() -> None:
    made = session()
    made.subscribed(SYMBOLS, 0.0)
    kept(made, trade(1), quote(1), trade(1, symbol="ADAUSDT"))
    made.tick(T0, 1.0)
    for monotonic in (1.0 + SILENT_AFTER_SEC, 2.0 + SILENT_AFTER_SEC, 3.0 + SILENT_AFTER_SEC):
        kept(made, trade(int(monotonic)), quote(int(monotonic)), trade(int(monotonic), symbol="ADAUSDT"))
        made.tick(T0, monotonic)
    assert [e.stream for e in made.take_events() if isinstance(e, journal.Silent)] == ["adausdt@bookTicker"]
    kept(made, quote(1, "ADAUSDT"))
    made.tick(T0, 400.0)
    made.tick(T0, 400.0 + SILENT_AFTER_SEC)
    assert "adausdt@bookTicker" in [e.stream for e in made.take_events() if isinstance(e, journal.Silent)]


def test_nobody_is_called_silent_while_disconnected() -> None:
    made = session()
    made.subscribed(SYMBOLS, 0.0)
    made.disconnected(SYMBOLS)
    made.tick(T0, 10.0 * SILENT_AFTER_SEC)
    assert not made.events


def test_a_symbol_that_was_not_asked_for_is_refused() -> None:
    made = session()
    frame = trade(1, symbol="XRPUSDT")
    assert kept(made, frame) == []
    assert made.take_events() == [RefusedFrame(T0, "a symbol that was not asked for", frame)]


def test_answers_come_out_and_errors_are_noted_verbatim() -> None:
    made = session()
    error = b'{"code":2,"msg":"Invalid request"}'
    kept(made, b'{"result":null,"id":1}', error)
    assert made.take_events() == [
        Reply(1, None),
        Reply(None, error.decode()),
        journal.Notice(at=T0, connection=1, frame=error.decode()),
    ]


def test_latency_is_from_the_exchanges_stamp_to_receipt() -> None:
    made = session()
    for number in range(1, 101):
        kept(made, trade(number, T0 - number), now=T0)
    assert made.symbols["SOLUSDT"].latency.spread() == (1, 50, 99, 100)


@pytest.mark.parametrize("frame", ['{{"e":"serverShutdown","x":"{}"}}', '{{"code":2,"msg":"{}"}}'])
def test_what_the_exchange_says_is_cut_and_its_length_told(frame: str) -> None:
    made = session()
    text = frame.format("y" * 900_000)
    made.receive([text.encode()], T0, 1)
    (said,) = [one for one in made.take_events() if isinstance(one, journal.Notice)]
    assert said.frame == f"{text[:2000]} (cut: {len(text)} characters)"


def test_an_error_that_ends_a_connection_is_cut_as_well() -> None:
    made = session()
    made.receive([b'{"code":2,"msg":"' + b"y" * 900_000 + b'"}'], T0, 1)
    (reply,) = [one for one in made.take_events() if isinstance(one, Reply)]
    assert len(reply.error or "") < 2100


def test_in_a_burst_over_many_symbols_contents_are_forgotten_sooner_and_copies_are_told_all_the_same() -> (
    None
):
    names = [f"A{number}USDT" for number in range(600)]
    made = Session(WIRE, names)
    frames = [trade(number, symbol=name) for name in names for number in range(1, 101)]
    for start in range(0, len(frames), 1000):
        made.receive(frames[start : start + 1000], T0, 1)
    made.tick(T0, 0.0)
    assert made._remembered > REMEMBER_TOGETHER
    for tenth in range(1, 4):
        made.tick(T0, tenth / 10)
    assert made._remembered == 0
    assert made.receive(frames[:1000], T0, 2) == []
    assert made.symbols[names[0]].duplicates == 100
