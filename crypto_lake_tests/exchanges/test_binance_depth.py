"""The order book's events and snapshots, from Binance's frames and answers."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import Refused
from crypto_lake.exchanges.binance import batch, books
from crypto_lake.exchanges.binance.wire import MOST_LEVELS, WIRE
from crypto_lake.raw.lines import DepthLine, RawLine, is_book_line
from crypto_lake_tests.exchanges.test_binance_batch import QUOTE, TRADE

RECV_US = 1_760_918_400_181_075
EVENT: dict[str, Any] = {
    "e": "depthUpdate",
    "E": 1_760_918_400_098_000,
    "s": "SOLUSDT",
    "U": 5_000_001,
    "u": 5_000_013,
    "b": [["190.11000000", "8.58900000"], ["190.10000000", "0.00000000"]],
    "a": [],
}
LINE = DepthLine(
    "SOLUSDT",
    EVENT["E"],
    RECV_US,
    5_000_001,
    5_000_013,
    (("190.11000000", "8.58900000"), ("190.10000000", "0.00000000")),
    (),
)


def frame(**changed: object) -> bytes:
    return json.dumps({**EVENT, **changed}, separators=(",", ":")).encode()


def test_a_depth_event_is_a_line_raw_or_combined_in_micro_or_milliseconds() -> None:
    combined = b'{"stream":"solusdt@depth@100ms","data":%b}' % frame()
    for one in (frame(), combined, frame(E=EVENT["E"] // 1000)):
        assert WIRE.decode(one, RECV_US) == LINE


@pytest.mark.parametrize(
    "changed",
    [
        {"U": 5_000_014},
        {"u": 2**63},
        {"U": -1},
        {"u": 6_000_001},
        {"E": 1},
        {"E": 2**62},
        {"b": [["0.00000000", "1"]]},
        {"b": [["-1", "1"]]},
        {"a": [["1", "1e5"]]},
        {"a": [["1", ""]]},
        {"a": [["1 1", "1"]]},
        {"a": [["1", "1\n2 2"]]},
        {"a": [["1", "1"]] * (MOST_LEVELS + 1)},
    ],
    # A name is in an environment variable while the test runs, and Windows has none that long.
    ids=lambda changed: str(changed)[:30],
)
def test_an_absurd_depth_event_is_refused(changed: dict[str, object]) -> None:
    assert WIRE.decode(frame(**changed), RECV_US) == Refused("a depth event with an absurd value")


@pytest.mark.parametrize("key", ["E", "s", "U", "u", "b", "a"])
def test_a_depth_event_that_lacks_a_field_is_refused(key: str) -> None:
    less = json.dumps({name: value for name, value in EVENT.items() if name != key}).encode()
    assert WIRE.decode(less, RECV_US) == Refused("a depth event with a field missing")


@pytest.mark.parametrize("levels", ["x", 7, [["1"]], [["1", "1", "1"]], [[1, 2]], {"1": "1"}])
def test_levels_of_another_shape_are_refused(levels: object) -> None:
    assert isinstance(WIRE.decode(frame(b=levels), RECV_US), Refused)


@given(st.lists(st.sampled_from([TRADE, QUOTE, frame(), frame(u="x"), b"no"]), min_size=7, max_size=30))
def test_depth_events_among_others_are_what_each_is_by_itself(frames: list[bytes]) -> None:
    assert WIRE.decode_all(frames, RECV_US) == [WIRE.decode(one, RECV_US) for one in frames]


def test_trades_and_quotes_among_depth_events_keep_their_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, way = list[int](), batch.decoded

    def counting(frames: Sequence[bytes], ts_recv: int) -> Sequence[RawLine] | None:
        decoded.append(len(frames))
        return way(frames, ts_recv)

    monkeypatch.setattr(batch, "decoded", counting)
    lines = WIRE.decode_all([*[QUOTE, TRADE] * 5, frame()], RECV_US)
    assert (lines[-1], decoded) == (LINE, [11, 10])


BOOK = {"lastUpdateId": 7, "bids": [["2.0", "1.0"], ["1.0", "1.0"]], "asks": [["2.1", "1.0"], ["2.2", "1.0"]]}


def test_an_answer_of_depth_is_a_book() -> None:
    found = books.book(json.dumps(BOOK).encode(), "SOLUSDT", 2)
    assert found == (7, (("2.0", "1.0"), ("1.0", "1.0")), (("2.1", "1.0"), ("2.2", "1.0")))


def test_a_book_with_one_side_empty_is_a_book() -> None:
    assert books.book(json.dumps({**BOOK, "asks": []}).encode(), "SOLUSDT", 2).asks == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"lastUpdateId": -1},
        {"lastUpdateId": 2**63},
        {"lastUpdateId": None},
        {"bids": [["1.0", "1.0"], ["2.0", "1.0"]]},
        {"asks": [["2.1", "1.0"], ["2.1", "1.0"]]},
        {"asks": [["2.1", "0.00"]]},
        {"asks": [["2.1", "1.0"], ["2.2", "1.0"], ["2.3", "1.0"]]},
        {"asks": "none"},
        {"asks": [["2.0", "1.0"], ["2.2", "1.0"]]},
        {"asks": [["1.9", "1.0"], ["2.2", "1.0"]]},
    ],
    ids=str,
)
def test_an_answer_of_depth_that_no_book_has_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ExchangeError, match="depth of SOLUSDT"):
        books.book(json.dumps({**BOOK, **changed}).encode(), "SOLUSDT", 2)


def test_a_book_weighs_as_the_exchange_says() -> None:
    weights = [books.weight(levels) for levels in (1, 100, 101, 500, 1000, 1001, 5000)]
    assert weights == [5, 5, 25, 25, 50, 250, 250]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"SOL", b"ADA"),
        (b'"id":5000013', b'"id":1'),
        (b'"8.589', b'"x'),
        (b'"depth"', b'"trade"'),
        (b"}", b""),
    ],
)
def test_what_is_no_line_of_the_book_is_told_apart(old: bytes, new: bytes) -> None:
    line = json.dumps(
        {
            "stream": "depth",
            "symbol": "SOLUSDT",
            "ts_event": EVENT["E"],
            "ts_recv": RECV_US,
            "first_id": 5_000_001,
            "id": 5_000_013,
            "bids": EVENT["b"],
            "asks": [],
        },
        separators=(",", ":"),
    ).encode()
    assert is_book_line(line, "SOLUSDT")
    assert old in line
    assert not is_book_line(line.replace(old, new), "SOLUSDT")
