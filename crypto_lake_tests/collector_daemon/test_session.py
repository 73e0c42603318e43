"""Frames in, lines and events out."""

from collector_daemon.session import SILENT_AFTER_SEC, Event, Refused, Session
from crypto_lake import journal
from crypto_lake.exchanges.base import Reply
from crypto_lake.exchanges.binance import WIRE
from crypto_lake.layout import MINUTE_US
from crypto_lake_tests.collector_daemon.fakes import SYMBOLS, T0, quote, trade


def session() -> Session:
    made = Session(WIRE, SYMBOLS)
    made.connected(1)
    return made


def kept(made: Session, *frames: bytes, now: int = T0) -> list[int]:
    lines = [made.receive(frame, now) for frame in frames]
    return [line.id for line in lines if line is not None]


def of(kind: type[Event], made: Session) -> list[Event]:
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


def test_a_gap_is_told_with_the_times_of_its_neighbours() -> None:
    made = session()
    kept(made, trade(1, T0 + 1), trade(4, T0 + 4))
    assert made.take_events() == [
        journal.Gap(at=T0, symbol="SOLUSDT", first_id=2, last_id=3, event_from=T0 + 1, event_to=T0 + 4)
    ]


def test_a_gap_across_a_reconnect_is_seen() -> None:
    made = session()
    kept(made, trade(1))
    made.disconnected()
    made.connected(2)
    kept(made, trade(3))
    assert len(of(journal.Gap, made)) == 1


def test_the_offset_of_a_minute_is_the_smallest_of_all_symbols_trades() -> None:
    made = session()
    kept(made, trade(1, T0 - 500), now=T0)
    kept(made, trade(1, T0 + 900, "ADAUSDT"), now=T0 + 1000)
    made.tick(T0 + MINUTE_US - 1, 0)
    assert not made.events
    made.tick(T0 + MINUTE_US, 0)
    assert made.take_events() == [journal.ClockOffset(at=T0 + MINUTE_US, minute=T0, offset_us=100, trades=2)]


def test_a_duplicate_takes_no_part_in_the_offset() -> None:
    made = session()
    kept(made, trade(1, T0 - 500), trade(1, T0 + 9000), now=T0)
    made.finish(T0 + 1)
    (offset,) = of(journal.ClockOffset, made)
    assert isinstance(offset, journal.ClockOffset)
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
    made.subscribed(0.0)
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
    made.subscribed(0.0)
    made.disconnected()
    made.tick(T0, 10.0 * SILENT_AFTER_SEC)
    assert not made.events


def test_a_symbol_that_was_not_asked_for_is_refused() -> None:
    made = session()
    frame = trade(1, symbol="XRPUSDT")
    assert kept(made, frame) == []
    assert made.take_events() == [Refused(T0, "a symbol that was not asked for", frame)]


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
