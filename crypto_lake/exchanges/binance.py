"""Binance spot, the stream interface: addresses, subscriptions, frames. No I/O.

Rules are those of binance-spot-api-docs, `web-socket-streams.md` (2026-07-17), unless said otherwise.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from crypto_lake.exchanges.base import Notice, Rejected, Reply
from crypto_lake.segments import RawLine

# What `schema.PRICE` and `schema.QUANTITY` hold to the last digit; anything else is no market price. One match for all
# numbers of a frame, with a space between them, costs the hot path half of what one for each does.
# No possessive quantifiers, which would be faster still: Python 3.11 before 3.11.5 lets "5." pass with them.
_PRICE = r"[0-9]{1,10}(?:\.[0-9]{1,8})?"
_QUANTITY = r"[0-9]{1,12}(?:\.[0-9]{1,8})?"
_is_trade = re.compile(rf"(?![0.]* ){_PRICE} (?![0.]*\Z){_QUANTITY}").fullmatch  # neither is zero
_is_quote = re.compile(rf"{_PRICE} {_QUANTITY} {_PRICE} {_QUANTITY}").fullmatch
_ID_LIMIT = 1 << 63
# 2017-01-01, before which Binance has no data, and 2100-01-01, in µs.
_EARLIEST_US = 1_483_228_800_000_000
_LATEST_US = 4_102_444_800_000_000
# A time below this cannot be µs of any trade (it would be 1973): the endpoint ignored `timeUnit` and sent ms.
_MILLISECONDS_BELOW = 100_000_000_000_000


class _Frame(Struct):
    """The union of all frames; what is not listed is skipped. Until 2024 a trade's `a` and `b` were order ids."""

    e: str | None = None
    s: str | None = None
    t: int | None = None
    T: int | None = None
    p: str | None = None
    q: str | None = None
    m: bool | None = None
    u: int | None = None
    b: str | int | None = None
    B: str | None = None
    a: str | int | None = None
    A: str | None = None
    data: "_Frame | None" = None
    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    code: int | None = None
    msg: str | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Quote(Struct, gc=False):
    """A book ticker as it comes, and nothing else: decoded in half the time of `_Frame`."""

    u: int
    s: str
    b: str
    B: str
    a: str
    A: str
    e: str | None = None


class _Trade(Struct, gc=False):
    """The same for a trade."""

    e: str
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


_decode = msgspec.json.Decoder(_Frame).decode
_decode_quote = msgspec.json.Decoder(_Quote).decode
_decode_trade = msgspec.json.Decoder(_Trade).decode
_QUOTE_BEGINS = b'{"u":'
_TRADE_BEGINS = b'{"e":"trade"'


class BinanceWire:
    """See `base.WireFormat`."""

    max_streams = 1024

    def url(self, base: str) -> str:
        """`wss_url` with microseconds asked for."""
        parts = urlsplit(base)
        query = "&".join(filter(None, [parts.query, "timeUnit=MICROSECOND"]))
        return urlunsplit(parts._replace(query=query))

    def streams(self, symbol: str) -> list[str]:
        """Stream names are lower case."""
        return [f"{symbol.lower()}@trade", f"{symbol.lower()}@bookTicker"]

    def subscribe(self, streams: Sequence[str], request_id: int) -> str:
        """One SUBSCRIBE for all of them; the exchange counts incoming messages, not streams."""
        return _request("SUBSCRIBE", streams, request_id)

    def unsubscribe(self, streams: Sequence[str], request_id: int) -> str:
        """The counterpart of `subscribe`."""
        return _request("UNSUBSCRIBE", streams, request_id)

    def decode(self, frame: bytes, ts_recv: int) -> RawLine | Reply | Notice | Rejected:
        """Raw and combined (`{"stream": …, "data": …}`) frames alike.

        Frames that look as they always do take a short way. If they fail on it, the long one finds out why.
        """
        try:
            if frame.startswith(_QUOTE_BEGINS):
                quote = _decode_quote(frame)
                bid, bid_qty, ask, ask_qty = quote.b, quote.B, quote.a, quote.A
                if (
                    quote.e is None
                    and _is_quote(f"{bid} {bid_qty} {ask} {ask_qty}")
                    and 0 <= quote.u < _ID_LIMIT
                ):
                    return RawLine(
                        "bookTicker",
                        quote.s,
                        None,
                        ts_recv,
                        quote.u,
                        None,
                        None,
                        None,
                        bid,
                        bid_qty,
                        ask,
                        ask_qty,
                    )
            elif frame.startswith(_TRADE_BEGINS):
                return _trade(_decode_trade(frame), ts_recv)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        return self._decode_slowly(frame, ts_recv)

    def _decode_slowly(self, frame: bytes, ts_recv: int) -> RawLine | Reply | Notice | Rejected:
        """Any frame at all. A spot book ticker has no event type and no time; it is known by its update id."""
        try:
            message = _decode(frame)
        except msgspec.ValidationError:
            return Rejected("a field of the wrong type")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Rejected("not JSON")
        if message.data is not None:
            message = message.data
        if message.e == "trade":
            return _trade(message, ts_recv)
        if message.u is not None and message.e is None:
            return _quote(message, ts_recv)
        return _other(message, frame)


def _request(method: str, streams: Sequence[str], request_id: int) -> str:
    return msgspec.json.encode({"method": method, "params": list(streams), "id": request_id}).decode()


def _trade(frame: _Frame | _Trade, ts_recv: int) -> RawLine | Rejected:
    symbol, number, time, price, qty, maker = frame.s, frame.t, frame.T, frame.p, frame.q, frame.m
    if symbol is None or number is None or time is None or price is None or qty is None or maker is None:
        return Rejected("a trade with a field missing")
    if time < _MILLISECONDS_BELOW:
        time *= 1000
    if not (_is_trade(f"{price} {qty}") and 0 <= number < _ID_LIMIT and _EARLIEST_US <= time < _LATEST_US):
        return Rejected("a trade with an absurd value")
    # m: the buyer was the maker, so the taker sold.
    side = "sell" if maker else "buy"
    return RawLine("trade", symbol, time, ts_recv, number, price, qty, side, None, None, None, None)


def _quote(frame: _Frame, ts_recv: int) -> RawLine | Rejected:
    symbol, number, bid, bid_qty, ask, ask_qty = frame.s, frame.u, frame.b, frame.B, frame.a, frame.A
    if symbol is None or number is None or bid_qty is None or ask_qty is None:
        return Rejected("a quote with a field missing")
    if not (isinstance(bid, str) and isinstance(ask, str)):
        return Rejected("a quote with a field missing")
    if not (_is_quote(f"{bid} {bid_qty} {ask} {ask_qty}") and 0 <= number < _ID_LIMIT):
        return Rejected("a quote with an absurd value")
    return RawLine("bookTicker", symbol, None, ts_recv, number, None, None, None, bid, bid_qty, ask, ask_qty)


def _other(frame: _Frame, raw: bytes) -> Reply | Notice | Rejected:
    # What the decoder skips it does not check: there may be bytes in it that are no text.
    text = raw.decode(errors="backslashreplace")
    request_id = frame.id if isinstance(frame.id, int) else None
    if frame.e == "serverShutdown":
        return Notice(text, closing=True)
    if frame.code is not None or frame.error is not msgspec.UNSET:
        return Reply(request_id, text)
    if frame.result is not msgspec.UNSET:
        return Reply(request_id, None)
    return Rejected("an unknown event")


WIRE = BinanceWire()
