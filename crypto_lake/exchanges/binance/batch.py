"""Binance spot's trades and quotes many at a time: the short way of the frames that look as they always do. No I/O.

One call decodes all frames of a kind, and a handful of calls over all their bytes judge all their numbers, at a
quarter of what one frame after the other costs. What is unusual in any way is left to `binance.py`.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from crypto_lake.raw.lines import QuoteLine, RawLine, TradeLine

# Ten or twelve digits before the point at most, one at least; `_has_usual_numbers` sees to the eight behind it.
_Price = Annotated[str, Meta(min_length=10, max_length=19)]
_Quantity = Annotated[str, Meta(min_length=10, max_length=21)]
_Id = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
# 2017-01-01, before which Binance has no data, and 2100-01-01, in µs. Milliseconds are below.
_Time = Annotated[int, Meta(ge=1_483_228_800_000_000, lt=4_102_444_800_000_000)]


class _Quote(Struct, gc=False, forbid_unknown_fields=True):
    u: _Id
    s: str
    b: _Price
    B: _Quantity
    a: _Price
    A: _Quantity


class _Trade(Struct, gc=False):
    e: Literal["trade"]
    s: str
    t: _Id
    p: _Price
    q: _Quantity
    T: _Time
    m: bool


_quotes = msgspec.json.Decoder(_Quote).decode_lines
_trades = msgspec.json.Decoder(_Trade).decode_lines
_KIND, _OF_QUOTE = 2, ord("u")  # {"u": …, or {"e":"trade", …
_DIGITS = b"0123456789"
_DIGITS_AS_ZERO = bytes.maketrans(_DIGITS, b"0" * 10)
# What the end of a frame is without its digits. Since each frame ends so, all its points belong to its numbers.
_QUOTE_END = b'"b":".","B":".","a":".","A":"."}\n'
_TRADE_ENDS = tuple(b'"p":".","q":".","T":,"m":%b,"M":true}\n' % maker for maker in (b"true", b"false"))


def decoded(frames: Sequence[bytes], ts_recv: int) -> Sequence[RawLine] | None:
    """The lines of frames received at `ts_recv` (µs), in their order; None where one of them is not as usual."""
    try:
        are_quotes = [frame[_KIND] == _OF_QUOTE for frame in frames]
        # First, since what is neither, such as an event of the order book, is among these, and soon seen.
        trades = _trade_lines(
            [f for f, is_quote in zip(frames, are_quotes, strict=True) if not is_quote], ts_recv
        )
        if trades is None:
            return None
        quotes = _quote_lines(
            [f for f, is_quote in zip(frames, are_quotes, strict=True) if is_quote], ts_recv
        )
    except (IndexError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if quotes is None:
        return None
    if not trades or not quotes:
        return quotes or trades
    next_quote, next_trade = iter(quotes).__next__, iter(trades).__next__
    return [next_quote() if is_quote else next_trade() for is_quote in are_quotes]


def _quote_lines(frames: list[bytes], ts_recv: int) -> list[QuoteLine] | None:
    text = b"\n".join([*frames, b""])
    if not _has_usual_numbers(text, 4 * len(frames)):
        return None
    if text.translate(None, _DIGITS).count(_QUOTE_END) != len(frames):
        return None
    return [QuoteLine(q.s, None, ts_recv, q.u, None, None, None, q.b, q.B, q.a, q.A) for q in _quotes(text)]


def _trade_lines(frames: list[bytes], ts_recv: int) -> list[TradeLine] | None:
    text = b"\n".join([*frames, b""])
    if not _has_usual_numbers(text, 2 * len(frames)):
        return None
    shape = text.translate(None, _DIGITS)
    if sum(map(shape.count, _TRADE_ENDS)) != len(frames):
        return None
    # m: the buyer was the maker, so the taker sold. Neither price nor quantity is zero.
    lines = [
        TradeLine(t.s, t.T, ts_recv, t.t, t.p, t.q, "sell" if t.m else "buy", None, None, None, None)
        for t in _trades(text)
        if float(t.p) and float(t.q)
    ]
    return lines if len(lines) == len(frames) else None


def _has_usual_numbers(text: bytes, count: int) -> bool:
    """Return whether every point is followed by eight digits and a quotation mark, and there are so many points."""
    return text.count(b".") == count == text.translate(_DIGITS_AS_ZERO).count(b'.00000000"')
