import gzip
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake import schema
from crypto_lake.exchanges.base import Notice, Refused, Reply
from crypto_lake.exchanges.binance.wire import WIRE
from crypto_lake.raw import lines as raw_lines
from crypto_lake.raw.lines import DepthLine, QuoteLine, RawLine, TradeLine

CAPTURES = Path(__file__).parents[2] / "../shared/data/capture"
RECV_US = 1_760_918_400_181_075
Json = dict[str, Any]

TRADE: Json = {
    "e": "trade",
    "E": 1_760_918_400_098_300,
    "s": "SOLUSDT",
    "t": 10_000_001,
    "p": "190.12000000",
    "q": "16.21400000",
    "T": 1_760_918_400_098_195,
    **dict.fromkeys("mM", True),
}
QUOTE: Json = {
    "u": 5_000_005,
    "s": "SOLUSDT",
    "b": "190.11000000",
    "B": "8.58900000",
    "a": "190.12000000",
    "A": "239.90500000",
}
ABSURD_NUMBERS = [
    "",
    "x",
    "nan",
    "inf",
    "-1.0",
    "1e5",
    "1_0",
    " 1",
    "1 2",
    "٣",
    "0x1",
    ".5",
    "5.",
    "0.123456789",
]


def decode(message: object) -> RawLine | DepthLine | Reply | Notice | Refused:
    return WIRE.decode(msgspec.json.encode(message), RECV_US)


def line(message: object) -> RawLine:
    decoded = decode(message)
    assert isinstance(decoded, RawLine), decoded
    return decoded


def without(message: Json, key: str) -> Json:
    return {name: value for name, value in message.items() if name != key}


def test_a_trade_is_a_raw_line() -> None:
    assert line(TRADE) == TradeLine(
        symbol="SOLUSDT",
        ts_event=1_760_918_400_098_195,
        ts_recv=RECV_US,
        id=10_000_001,
        price="190.12000000",
        qty="16.21400000",
        side="sell",
        bid=None,
        bid_qty=None,
        ask=None,
        ask_qty=None,
    )


def test_a_quote_is_a_raw_line_without_a_time() -> None:
    assert line(QUOTE) == QuoteLine(
        symbol="SOLUSDT",
        ts_event=None,
        ts_recv=RECV_US,
        id=5_000_005,
        price=None,
        qty=None,
        side=None,
        bid="190.11000000",
        bid_qty="8.58900000",
        ask="190.12000000",
        ask_qty="239.90500000",
    )


@pytest.mark.parametrize(("buyer_is_maker", "side"), [(True, "sell"), (False, "buy")])
def test_the_side_is_the_takers(buyer_is_maker: bool, side: str) -> None:
    assert line(TRADE | {"m": buyer_is_maker}).side == side


@pytest.mark.parametrize("time", [1_760_918_400_098, 1_760_918_400_098_000])
def test_milliseconds_and_microseconds_are_told_apart(time: int) -> None:
    assert line(TRADE | {"T": time}).ts_event == 1_760_918_400_098_000


def test_the_time_is_that_of_the_trade_and_not_of_the_event() -> None:
    assert line(TRADE | {"E": TRADE["T"] + 5_000_000}).ts_event == TRADE["T"]


def test_a_frame_of_2023_with_order_ids_is_a_trade() -> None:
    assert line(TRADE | {"b": 88, "a": 50}) == line(TRADE)


@pytest.mark.parametrize("message", [TRADE, QUOTE])
def test_what_is_new_in_a_frame_is_skipped(message: Json) -> None:
    assert line(message | {"new": {"deep": [1, None]}, "X": "y"}) == line(message)


@pytest.mark.parametrize("message", [TRADE, QUOTE])
def test_a_combined_frame_says_the_same_as_a_raw_one(message: Json) -> None:
    assert line({"stream": "solusdt@trade", "data": message}) == line(message)


@pytest.mark.parametrize("key", ["s", "t", "p", "q", "T", "m"])
def test_a_trade_without_one_of_its_fields_is_rejected(key: str) -> None:
    assert decode(without(TRADE, key)) == Refused("a trade with a field missing")


@pytest.mark.parametrize("key", ["s", "b", "B", "a", "A"])
def test_a_quote_without_one_of_its_fields_is_rejected(key: str) -> None:
    assert decode(without(QUOTE, key)) == Refused("a quote with a field missing")


@pytest.mark.parametrize("key", ["b", "a"])
def test_a_quote_whose_price_is_a_number_is_rejected(key: str) -> None:
    assert decode(QUOTE | {key: 190}) == Refused("a quote with a field missing")


@pytest.mark.parametrize("key", ["p", "q"])
@pytest.mark.parametrize("text", [*ABSURD_NUMBERS, "0", "0.00000000", "10000000000000"])
def test_a_trade_with_an_absurd_number_is_rejected(key: str, text: str) -> None:
    assert decode(TRADE | {key: text}) == Refused("a trade with an absurd value")


@pytest.mark.parametrize("key", ["b", "B", "a", "A"])
@pytest.mark.parametrize("text", [*ABSURD_NUMBERS, "10000000000000"])
def test_a_quote_with_an_absurd_number_is_rejected(key: str, text: str) -> None:
    assert decode(QUOTE | {key: text}) == Refused("a quote with an absurd value")


def test_an_empty_side_of_the_book_is_a_quote() -> None:
    assert line(QUOTE | {"b": "0.00000000", "B": "0.00000000"}).bid == "0.00000000"


def test_the_largest_numbers_that_the_columns_hold_are_taken() -> None:
    largest = {"p": "9999999999.99999999", "q": "999999999999.99999999", "t": 2**63 - 1}
    assert line(TRADE | largest).id == 2**63 - 1
    assert decode(TRADE | {"p": "10000000000"}) == Refused("a trade with an absurd value")


@pytest.mark.parametrize("number", [-1, 2**63, 10**30])
def test_an_id_that_no_column_holds_is_rejected(number: int) -> None:
    trade, quote = (
        msgspec.json.encode(message).replace(b"7777", str(number).encode())
        for message in (TRADE | {"t": 7777}, QUOTE | {"u": 7777})
    )
    assert isinstance(WIRE.decode(trade, RECV_US), Refused)
    assert isinstance(WIRE.decode(quote, RECV_US), Refused)


@pytest.mark.parametrize(
    "time", [-1, 0, 1_483_228_799_999, 1_483_228_799_999_999, 4_102_444_800_000, 4_102_444_800_000_000, 2**63]
)
def test_a_trade_before_the_exchange_or_after_the_century_is_rejected(time: int) -> None:
    assert decode(TRADE | {"T": time}) == Refused("a trade with an absurd value")


@pytest.mark.parametrize(
    "change",
    [{"t": "1"}, {"t": 1.5}, {"t": True}, {"p": 190.12}, {"q": None, "m": 1}, {"T": "now"}, {"s": 3}],
)
def test_a_field_of_the_wrong_type_is_rejected(change: Json) -> None:
    assert decode(TRADE | change) == Refused("a field of the wrong type")


@pytest.mark.parametrize("frame", [b"", b"{", b"not json", b'{"e":"trade"', b"\xff\xfe", b'{"s":"\xff"}'])
def test_what_is_not_json_is_rejected(frame: bytes) -> None:
    assert WIRE.decode(frame, RECV_US) == Refused("not JSON")


@pytest.mark.parametrize("frame", [b'{"data":' * 5000, b'{"x":' * 5000])
def test_a_frame_nested_without_end_is_rejected(frame: bytes) -> None:
    assert WIRE.decode(frame, RECV_US) == Refused("not JSON")


@pytest.mark.parametrize("message", [[], 3, None, "text", [TRADE]])
def test_json_that_is_no_object_is_rejected(message: object) -> None:
    assert decode(message) == Refused("a field of the wrong type")


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"e": "aggTrade", "s": "SOLUSDT", "a": 1, "p": "1", "q": "1", "T": TRADE["T"], "m": True},
        {"e": "kline", "s": "SOLUSDT", "k": {}},
        {"e": "bookTicker"} | QUOTE,
        {"stream": "solusdt@trade", "data": None},
        {"lastUpdateId": 1, "bids": [], "asks": []},
    ],
)
def test_an_event_that_was_not_asked_for_is_rejected(message: Json) -> None:
    assert decode(message) == Refused("an unknown event")


@pytest.mark.parametrize(
    "message",
    [
        {"e": "serverShutdown", "E": 1_770_123_456_789},
        {"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1_770_123_456_789}},
    ],
)
def test_a_shutdown_is_announced_verbatim(message: Json) -> None:
    assert decode(message) == Notice(msgspec.json.encode(message).decode(), closing=True)


def test_bytes_that_are_no_text_in_a_part_that_is_skipped_do_no_harm() -> None:
    notice = WIRE.decode(b'{"e":"serverShutdown","why":"\xff"}', RECV_US)
    assert notice == Notice('{"e":"serverShutdown","why":"\\xff"}', closing=True)


@pytest.mark.parametrize("result", [None, [], ["solusdt@trade"], True])
def test_an_acknowledgement_is_a_reply_without_an_error(result: object) -> None:
    assert decode({"result": result, "id": 7}) == Reply(7, None)


@pytest.mark.parametrize(
    "message",
    [
        {"code": 2, "msg": "Invalid request: unknown method", "id": 7},
        {"error": {"code": 2, "msg": "Invalid request"}, "id": 7},
    ],
)
def test_a_refusal_is_a_reply_with_the_frame_as_its_error(message: Json) -> None:
    assert decode(message) == Reply(7, msgspec.json.encode(message).decode())


def test_a_refusal_without_an_id_is_a_reply_all_the_same() -> None:
    message = {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}
    assert decode(message) == Reply(None, msgspec.json.encode(message).decode())


@pytest.mark.parametrize("request_id", [None, "abc"])
def test_an_id_that_is_not_one_of_ours_is_none(request_id: str | None) -> None:
    assert decode({"result": None, "id": request_id}) == Reply(None, None)


def test_microseconds_are_asked_for_in_the_address() -> None:
    assert WIRE.url("wss://host:9443/ws") == "wss://host:9443/ws?timeUnit=MICROSECOND"
    assert WIRE.url("wss://host/ws?x=1") == "wss://host/ws?x=1&timeUnit=MICROSECOND"


def test_stream_names_are_lower_case() -> None:
    assert WIRE.streams("SOLUSDT") == {
        "solusdt@trade": "trade",
        "solusdt@bookTicker": "bookTicker",
        "solusdt@depth@100ms": "depth",
    }


def test_all_streams_are_asked_for_in_one_request() -> None:
    streams = [*WIRE.streams("SOLUSDT"), *WIRE.streams("ADAUSDT")]
    request = msgspec.json.decode(WIRE.subscribe(streams, 7))
    assert request == {"method": "SUBSCRIBE", "params": streams, "id": 7}


# Whatever comes

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)
decimals = st.decimals(min_value=0, max_value=10**13, places=8).map(str)
# What stands where the exchange's own value belongs: mostly something near to one.
spoilt = st.one_of(decimals, st.sampled_from([*ABSURD_NUMBERS, "0", "12.5"]), st.integers(), json_values)


@st.composite
def messages(draw: st.DrawFn) -> Json:
    """A trade or quote with some fields replaced or missing, raw or combined."""
    message = dict(draw(st.sampled_from([TRADE, QUOTE])))
    for key in draw(st.sets(st.sampled_from(sorted(message)), max_size=3)):
        message[key] = draw(spoilt)
    for key in draw(st.sets(st.sampled_from(sorted(message)), max_size=1)):
        del message[key]
    return {"stream": "x", "data": message} if draw(st.booleans()) else message


def held(text: str, column_type: str) -> bool:
    """Whether a DECIMAL(width,scale) holds a number to its last digit."""
    width, scale = (int(digits) for digits in re.findall(r"\d+", column_type))
    number = Decimal(text)
    exact = number == round(number, scale)
    return exact and 0 <= number < Decimal(10) ** (width - scale)


def check_acceptable(decoded: RawLine) -> None:
    """What the lake relies on in any line it ever keeps."""
    encoded = msgspec.json.encode(decoded)
    assert b"\n" not in encoded
    said = msgspec.json.decode(encoded)
    assert list(said) == schema.names(schema.RAW_LINE)
    assert raw_lines.decode(encoded) == decoded
    for column in schema.RAW_LINE:
        value = said[column.name]
        if value is not None and column.type.startswith("DECIMAL"):
            assert held(value, column.type)
        if value is not None and column.type == "BIGINT":
            assert 0 <= value < 2**63


@given(st.binary())
def test_no_bytes_make_it_raise(frame: bytes) -> None:
    assert isinstance(WIRE.decode(frame, RECV_US), RawLine | Reply | Notice | Refused)


@given(json_values.map(lambda value: msgspec.json.encode(value, order="deterministic")))
def test_no_json_makes_it_raise(frame: bytes) -> None:
    assert isinstance(WIRE.decode(frame, RECV_US), RawLine | Reply | Notice | Refused)


@given(messages(), st.binary(max_size=2), st.integers(min_value=0, max_value=200))
def test_no_damage_to_a_real_frame_makes_it_raise(message: Json, junk: bytes, position: int) -> None:
    frame = msgspec.json.encode(message)
    damaged = frame[:position] + junk + frame[position + 1 :]
    assert isinstance(WIRE.decode(damaged, RECV_US), RawLine | Reply | Notice | Refused)


@given(messages())
def test_whatever_becomes_a_line_fits_the_columns_and_survives_the_disk(message: Json) -> None:
    decoded = decode(message)
    if isinstance(decoded, RawLine):
        check_acceptable(decoded)


# What really came


@pytest.fixture(scope="module")
def lines() -> list[RawLine]:
    """What became of the trades and quotes of a real recording."""
    if not CAPTURES.is_dir():
        pytest.skip("the folder of real market data is not beside this checkout")
    decoded = [one for recv_us, frame in recorded() for one in WIRE.decode_all([frame], recv_us)]
    lines = [one for one in decoded if isinstance(one, RawLine)]
    assert len(lines) == len(decoded), "some frames did not become lines"
    return lines


def recorded() -> Iterator[tuple[int, bytes]]:
    """Receipt (µs) and frame, from the streams that the lake asks for."""
    for path in sorted(CAPTURES.glob("*.gz")):
        with gzip.open(path) as frames:
            for nanoseconds, _, frame in (line.strip().partition(b" ") for line in frames):
                if b'@trade"' in frame or b'@bookTicker"' in frame:
                    yield int(nanoseconds) // 1000, frame


def test_every_trade_and_quote_of_a_real_recording_is_understood(lines: list[RawLine]) -> None:
    assert sum(isinstance(line, TradeLine) for line in lines) == 19_904
    assert sum(isinstance(line, QuoteLine) for line in lines) == 73_174
    for one in lines[::100]:
        check_acceptable(one)


def test_trade_ids_of_a_real_recording_have_no_hole(lines: list[RawLine]) -> None:
    ids = [line.id for line in lines if isinstance(line, TradeLine)]
    assert ids == list(range(3_735_683_259, 3_735_703_163))


def test_update_ids_of_a_real_recording_rise(lines: list[RawLine]) -> None:
    ids = [line.id for line in lines if isinstance(line, QuoteLine)]
    assert all(before < after for before, after in pairwise(ids))


def test_times_of_a_real_recording_are_microseconds_that_never_fall(lines: list[RawLine]) -> None:
    times = [line.ts_event for line in lines if line.ts_event is not None]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (1_723_161_255_342_000, 1_723_161_905_800_000)
