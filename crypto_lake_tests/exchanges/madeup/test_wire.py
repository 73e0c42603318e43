"""What the made-up exchange says over its WebSocket, and what of it become lines."""

import pytest

from collector_daemon.decide.session import RefusedFrame, Session
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.base import Heartbeat
from crypto_lake.raw.lines import RawLine

from .server import PAIR, START


@pytest.mark.parametrize(
    ("number", "kept"),
    [
        ("1234567890.12345679", "1234567890.12345679"),
        ("0.10", "0.10"),
        ("1e-7", "0.0000001"),
        ("9007199254.74099301", "9007199254.74099301"),
    ],
)
def test_a_price_that_no_float_holds_is_kept_to_the_last_digit(number: str, kept: str) -> None:
    wire = registry.exchange("madeup").wire
    frame = f'{{"ch":"deals","pair":"{PAIR}","trades":[{{"id":1,"ns":1,"px":{number},"sz":1,"taker":"b"}}]}}'
    said = wire.decode(frame.encode(), START)
    assert isinstance(said, list)
    (line,) = said
    assert isinstance(line, RawLine)
    assert line.price == kept


def test_one_bad_trade_of_a_message_keeps_no_other_from_being_a_line() -> None:
    known = registry.exchange("madeup")
    session = Session(known.wire, [PAIR], known.streams)
    deals = ",".join(
        f'{{"id":{n},"ns":{START + n}000,"px":{price},"sz":1,"taker":"b"}}'
        for n, price in enumerate(("1", "-1", "2"))
    )
    kept = session.receive([f'{{"ch":"deals","pair":"{PAIR}","trades":[{deals}]}}'.encode()], START, 1)
    assert [line.id for line in kept] == [0, 2]
    assert [type(event) for event in session.take_events()] == [RefusedFrame]


def test_a_sign_of_life_is_no_line_no_refusal_and_proves_no_subscription() -> None:
    known = registry.exchange("madeup")
    session = Session(known.wire, [PAIR], known.streams)
    assert session.receive([b'{"ch":"alive"}'], START, 1) == []
    assert (session.take_events(), session.rejected) == ([Heartbeat()], 0)
