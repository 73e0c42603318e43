"""Frames of one read become what each of them would become by itself."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_lake.exchanges.base import Refused
from crypto_lake.exchanges.binance import batch
from crypto_lake.exchanges.binance.wire import WIRE

RECV_US = 1_760_918_400_181_075
TRADE = (
    b'{"e":"trade","E":1760918400098200,"s":"SOLUSDT","t":10000001,"p":"190.12000000","q":"16.21400000",'
    b'"T":1760918400098195,"m":true,"M":true}'
)
QUOTE = (
    b'{"u":5000005,"s":"SOLUSDT","b":"190.11000000","B":"8.58900000","a":"190.12000000","A":"239.90500000"}'
)
COMMON = [TRADE, TRADE.replace(b'"m":true', b'"m":false'), QUOTE, QUOTE.replace(b"SOL", b"1INCH")]


def together(frames: list[bytes]) -> Sequence[object]:
    """What frames are worth among so many others that they are decoded together."""
    others = [QUOTE, TRADE] * 4
    return list(WIRE.decode_all([*frames, *others], RECV_US))[: len(frames)]


def by_itself(frames: list[bytes]) -> list[object]:
    return [WIRE.decode(frame, RECV_US) for frame in frames]


@given(st.lists(st.sampled_from(COMMON), min_size=1, max_size=20))
def test_usual_frames_take_the_short_way_in_their_order(frames: list[bytes]) -> None:
    assert batch.decoded(frames, RECV_US) == by_itself(frames)


@pytest.mark.parametrize(
    ("frame", "old", "new"),
    [
        (TRADE, b"190.12000000", number)
        for number in [
            *(
                b"0.00000000",
                b"00.00000000",
                b"12345678901.00000000",
                b"1e5.00000000",
                b".00000000",
                b"-1.00000000",
            ),
            *(
                b"1_0.00000000",
                b"190.120000001",
                b"190.12.00000000",
                b"190",
                b"nan",
                b"\\u0031.00000000",
                b" 1.00000000",
            ),
        ]
    ]
    + [
        (QUOTE, b"239.90500000", b"1234567890123.00000000"),
        (QUOTE, b"239.90500000", b"ABC.00000000"),
        (QUOTE, b'"A":', b'"e":"bookTicker","A":'),
        (QUOTE, b"5000005", b"-5"),
        (QUOTE, b"5000005", b"9223372036854775808"),
        (TRADE, b"10000001", b"-1"),
        (TRADE, b'"T":1760918400098195', b'"T":1760918400098'),
        (TRADE, b'"T":1760918400098195', b'"T":1"'),
        (TRADE, b'"e":"trade"', b'"e":"aggTrade"'),
        (TRADE, b'"m":true', b'"m":null'),
        (TRADE, b'"T"', b'"b":1,"a":2,"T"'),
        (QUOTE, b"}", b""),
        (QUOTE, b"SOL", b"\xff"),
    ],
)
def test_an_unusual_frame_among_others_is_what_it_is_by_itself(frame: bytes, old: bytes, new: bytes) -> None:
    assert old in frame
    frames = [QUOTE, TRADE, frame.replace(old, new), QUOTE, TRADE]
    assert together(frames) == by_itself(frames)


def test_two_frames_that_make_up_for_each_other_do_not_hide_what_is_wrong_with_them() -> None:
    bare = QUOTE.replace(b"190.11000000", b"abcdefghij").replace(b"8.58900000", b"abcdefghij")
    bare = bare.replace(b"190.12000000", b"abcdefghij").replace(b"239.90500000", b"abcdefghij")
    double = QUOTE[:-1] + b"," + QUOTE[QUOTE.index(b'"b"') :]
    assert together([bare, double])[0] == Refused("a quote with an absurd value")


numbers = st.one_of(
    st.decimals(min_value=0, max_value=10**13, places=8).map(str),
    st.from_regex(r"[0-9.e_ -]{0,12}\.?0{6,9}", fullmatch=True),
    st.text(max_size=12),
)


@st.composite
def nearly_usual(draw: st.DrawFn) -> bytes:
    frame: dict[str, object] = json.loads(draw(st.sampled_from(COMMON)))
    for key in draw(st.sets(st.sampled_from(sorted(frame)), max_size=2)):
        frame[key] = draw(numbers if isinstance(frame[key], str) else st.integers(-5, 2**65))
    return json.dumps(frame, separators=(",", ":"), ensure_ascii=draw(st.booleans())).encode()


@given(
    st.lists(
        st.one_of(nearly_usual(), st.sampled_from(COMMON), st.binary(max_size=4)), min_size=1, max_size=4
    )
)
def test_whatever_comes_together_is_what_it_is_alone(frames: list[bytes]) -> None:
    assert together(frames) == by_itself(frames)


@given(st.sampled_from(COMMON), st.binary(max_size=2), st.integers(min_value=0, max_value=200))
def test_damage_is_seen_as_by_itself(frame: bytes, junk: bytes, position: int) -> None:
    frames = [QUOTE, frame[:position] + junk + frame[position + 1 :], TRADE]
    assert together(frames) == by_itself(frames)
