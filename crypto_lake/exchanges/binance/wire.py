"""Binance spot, the stream interface: addresses, subscriptions, frames. No I/O.

Rules are those of binance-spot-api-docs, `web-socket-streams.md` (2026-07-17), unless said otherwise.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from crypto_lake.exchanges.base import Notice, Refused, Reply
from crypto_lake.exchanges.binance import batch
from crypto_lake.raw.lines import DepthLine, Level, QuoteLine, RawLine, TradeLine

# What `schema.PRICE` and `schema.QUANTITY` hold to the last digit; anything else is no market price.
# No possessive quantifiers: Python 3.11 before 3.11.5 lets "5." pass with them.
_PRICE = r"[0-9]{1,10}(?:\.[0-9]{1,8})?"
_QUANTITY = r"[0-9]{1,12}(?:\.[0-9]{1,8})?"
_is_trade = re.compile(rf"(?![0.]* ){_PRICE} (?![0.]*\Z){_QUANTITY}").fullmatch  # neither is zero
_is_quote = re.compile(rf"{_PRICE} {_QUANTITY} {_PRICE} {_QUANTITY}").fullmatch
# A quantity may be zero, which takes the level away.
_are_levels = re.compile(rf"(?:(?![0.]* ){_PRICE} {_QUANTITY}\n)*").fullmatch
# Of a side: as many as an exchange gives of its book. A busy symbol's events have 46 of both sides on average.
MOST_LEVELS = 5_000
# Of one event; a tenth of a second of a busy symbol has some hundred.
_MOST_IDS = 1_000_000
_ID_LIMIT = 1 << 63
# 2017-01-01, before which Binance has no data, and 2100-01-01, in µs.
_EARLIEST_US = 1_483_228_800_000_000
_LATEST_US = 4_102_444_800_000_000
# A time below this cannot be µs of any trade (it would be 1973): the endpoint ignored `timeUnit` and sent ms.
_MILLISECONDS_BELOW = 100_000_000_000_000


# So many frames cost less one by one.
_FEW = 6

# What lines of a stream are called, and what the exchange calls the stream.
_STREAMS = {"trade": "trade", "bookTicker": "bookTicker", "depth": "depth@100ms"}
_DEPTH_BEGINS = b'{"e":"depthUpdate"'

_Levels = tuple[Level, ...]
_Decoded = RawLine | DepthLine | Reply | Notice | Refused


class _Frame(Struct):
    """The union of all frames; what is not listed is skipped. Until 2024 a trade's `a` and `b` were order ids."""

    e: str | None = None
    s: str | None = None
    t: int | None = None
    T: int | None = None
    p: str | None = None
    q: str | None = None
    m: bool | None = None
    U: int | None = None
    u: int | None = None
    E: int | None = None
    b: str | int | _Levels | None = None
    B: str | None = None
    a: str | int | _Levels | None = None
    A: str | None = None
    data: "_Frame | None" = None
    id: int | str | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    code: int | None = None
    msg: str | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(_Frame).decode


class BinanceWire:
    """See `base.WireFormat`."""

    def url(self, base: str) -> str:
        """`wss_url` with microseconds asked for."""
        parts = urlsplit(base)
        query = "&".join(filter(None, [parts.query, "timeUnit=MICROSECOND"]))
        return urlunsplit(parts._replace(query=query))

    def streams(self, symbol: str) -> dict[str, str]:
        """Stream names are lower case."""
        return {f"{symbol.lower()}@{name}": stream for stream, name in _STREAMS.items()}

    def subscribe(self, streams: Sequence[str], request_id: int) -> str:
        """One SUBSCRIBE for all of them; the exchange counts incoming messages, not streams."""
        return _request("SUBSCRIBE", streams, request_id)

    def unsubscribe(self, streams: Sequence[str], request_id: int) -> str:
        """The counterpart of `subscribe`."""
        return _request("UNSUBSCRIBE", streams, request_id)

    def decode(self, frame: bytes, ts_recv: int) -> _Decoded:
        """Raw and combined (`{"stream": …, "data": …}`) frames alike.

        A spot book ticker has no event type and no time; it is known by its update id.
        """
        try:
            message = _decode(frame)
        except msgspec.ValidationError:
            return Refused("a field of the wrong type")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Refused("not JSON")
        if message.data is not None:
            message = message.data
        if message.e == "trade":
            return _trade(message, ts_recv)
        if message.u is not None and message.e is None:
            return _quote(message, ts_recv)
        if message.e == "depthUpdate":
            return _depth(message, ts_recv)
        return _other(message, frame)

    def decode_all(self, frames: Sequence[bytes], ts_recv: int) -> Sequence[_Decoded]:
        """Frames that look as they always do are decoded together; if one does not, or they are few, each by itself.

        So is each of the order book.
        """
        if len(frames) > _FEW:
            if together := batch.decoded(frames, ts_recv):
                return together
            are_depth = [frame.startswith(_DEPTH_BEGINS) for frame in frames]
            if any(are_depth):
                pairs = list(zip(frames, are_depth, strict=True))
                others = iter(self.decode_all([frame for frame, is_depth in pairs if not is_depth], ts_recv))
                return [
                    self.decode(frame, ts_recv) if is_depth else next(others) for frame, is_depth in pairs
                ]
        return [self.decode(frame, ts_recv) for frame in frames]


def _request(method: str, streams: Sequence[str], request_id: int) -> str:
    return msgspec.json.encode({"method": method, "params": list(streams), "id": request_id}).decode()


def _trade(frame: _Frame, ts_recv: int) -> TradeLine | Refused:
    symbol, number, time, price, qty, maker = frame.s, frame.t, frame.T, frame.p, frame.q, frame.m
    if symbol is None or number is None or time is None or price is None or qty is None or maker is None:
        return Refused("a trade with a field missing")
    return trade_line(Trade(symbol, number, time, price, qty, maker), ts_recv)


class Trade(NamedTuple):
    """A trade as the exchange spells it, in streams and answers alike; `time` in ms or µs."""

    symbol: str
    number: int
    time: int
    price: str
    qty: str
    buyer_is_maker: bool


def trade_line(trade: Trade, ts_recv: int) -> TradeLine | Refused:
    """A trade received at `ts_recv` (µs, local clock) as a raw line, or why it cannot be one."""
    symbol, number, time, price, qty, maker = trade
    if time < _MILLISECONDS_BELOW:
        time *= 1000
    if not (_is_trade(f"{price} {qty}") and 0 <= number < _ID_LIMIT and _EARLIEST_US <= time < _LATEST_US):
        return Refused("a trade with an absurd value")
    # m: the buyer was the maker, so the taker sold.
    side = "sell" if maker else "buy"
    return TradeLine(symbol, time, ts_recv, number, price, qty, side, None, None, None, None)


def _quote(frame: _Frame, ts_recv: int) -> QuoteLine | Refused:
    symbol, number, bid, bid_qty, ask, ask_qty = frame.s, frame.u, frame.b, frame.B, frame.a, frame.A
    if symbol is None or number is None or bid_qty is None or ask_qty is None:
        return Refused("a quote with a field missing")
    if not (isinstance(bid, str) and isinstance(ask, str)):
        return Refused("a quote with a field missing")
    if not (_is_quote(f"{bid} {bid_qty} {ask} {ask_qty}") and 0 <= number < _ID_LIMIT):
        return Refused("a quote with an absurd value")
    return QuoteLine(symbol, None, ts_recv, number, None, None, None, bid, bid_qty, ask, ask_qty)


def _depth(frame: _Frame, ts_recv: int) -> DepthLine | Refused:
    symbol, first, last, time, bids, asks = frame.s, frame.U, frame.u, frame.E, frame.b, frame.a
    if symbol is None or first is None or last is None or time is None:
        return Refused("a depth event with a field missing")
    if not (isinstance(bids, tuple) and isinstance(asks, tuple)):
        return Refused("a depth event with a field missing")
    if time < _MILLISECONDS_BELOW:
        time *= 1000
    are_ids = 0 <= first <= last < min(_ID_LIMIT, first + _MOST_IDS)
    if not (are_ids and _EARLIEST_US <= time < _LATEST_US and are_levels(bids) and are_levels(asks)):
        return Refused("a depth event with an absurd value")
    return DepthLine(symbol, time, ts_recv, first, last, bids, asks)


def are_levels(side: Sequence[Level]) -> bool:
    """Return whether levels are prices and quantities that a market may have, and not too many."""
    if len(side) > MOST_LEVELS:
        return False
    joined = "\n".join([*map(" ".join, side), ""])
    # A text with an end of line in it would pass for two.
    return joined.count("\n") == len(side) and _are_levels(joined) is not None


def _other(frame: _Frame, raw: bytes) -> Reply | Notice | Refused:
    # What the decoder skips it does not check: some bytes may be no text.
    text = raw.decode(errors="backslashreplace")
    request_id = frame.id if isinstance(frame.id, int) else None
    if frame.e == "serverShutdown":
        return Notice(text, closing=True)
    if frame.code is not None or frame.error is not msgspec.UNSET:
        return Reply(request_id, text)
    if frame.result is not msgspec.UNSET:
        return Reply(request_id, None)
    return Refused("an unknown event")


WIRE = BinanceWire()
