"""The made-up exchange's stream interface."""

import re
from collections.abc import Sequence
from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from crypto_lake.exchanges.base import Heartbeat, Notice, Refused, Reply, Said
from crypto_lake.raw.lines import QuoteLine, TradeLine

_is_plain = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,8})?").fullmatch


class Trade(Struct):
    """A trade, in streams and answers alike; `px` and `sz` are JSON numbers, kept as the text that they are."""

    id: int
    ns: int
    px: Raw
    sz: Raw
    taker: str


class _Frame(Struct):
    ch: str | None = None
    pair: str = ""
    trades: list[Trade] = []
    n: int = 0
    bid: tuple[Raw, Raw] | None = None
    ask: tuple[Raw, Raw] | None = None
    ack: int | None = None
    nack: int | None = None
    why: str | None = None


_decode = msgspec.json.Decoder(_Frame).decode


def plain(number: Raw) -> str:
    """A JSON number's own text, or, if that has an exponent, the same number without; no float is made of it.

    Raises:
        ValueError: it is no number that a market has.
    """
    text = bytes(number).decode()
    if "e" in text.lower():
        text = format(Decimal(text), "f")
    if not _is_plain(text):
        raise ValueError(text)
    return text


def trade_line(trade: Trade, pair: str, ts_recv: int) -> TradeLine | Refused:
    """A trade as a raw line, or why it cannot be one."""
    try:
        price, qty = plain(trade.px), plain(trade.sz)
        side = {"b": "buy", "s": "sell"}[trade.taker]
    except (ArithmeticError, KeyError, ValueError):
        return Refused("a trade with an absurd value")
    return TradeLine(pair, trade.ns // 1000, ts_recv, trade.id, price, qty, side, None, None, None, None)


class MadeUpWire:
    """See `base.WireFormat`."""

    def url(self, base: str) -> str:
        """Nothing is added to it."""
        return base

    def streams(self, symbol: str) -> dict[str, str]:
        """A channel for each."""
        return {f"deals/{symbol}": "trade", f"top/{symbol}": "bookTicker"}

    def subscribe(self, streams: Sequence[str], request_id: int) -> str:
        """One channel a request."""
        return msgspec.json.encode({"want": streams[0], "req": request_id}).decode()

    def unsubscribe(self, streams: Sequence[str], request_id: int) -> str:
        """The counterpart of `subscribe`."""
        return msgspec.json.encode({"drop": streams[0], "req": request_id}).decode()

    def decode(self, frame: bytes, ts_recv: int) -> Said | list[Said]:
        """A frame of deals says as many things as it has trades."""
        try:
            said = _decode(frame)
            if said.ch == "deals":
                return [trade_line(trade, said.pair, ts_recv) for trade in said.trades]
            return _quote(said, ts_recv) or _other(said)
        except (msgspec.MsgspecError, UnicodeDecodeError, ArithmeticError, ValueError):
            return Refused("not as agreed")

    def decode_all(self, frames: Sequence[bytes], ts_recv: int) -> list[Said | list[Said]]:
        """One after the other."""
        return [self.decode(frame, ts_recv) for frame in frames]


def _quote(said: _Frame, ts_recv: int) -> QuoteLine | None:
    if said.ch != "top" or not said.bid or not said.ask:
        return None
    book = [plain(number) for number in (*said.bid, *said.ask)]
    # It has no id: the time of receipt rises as well, and `n` tells frames of one read apart.
    number = ts_recv * 100 + said.n % 100
    return QuoteLine(said.pair, None, ts_recv, number, None, None, None, *book)


def _other(said: _Frame) -> Said:
    if said.ack is not None or said.nack is not None:
        return Reply(said.ack or said.nack, said.why)
    others: dict[str | None, Said] = {"alive": Heartbeat(), "bye": Notice("bye", closing=True)}
    return others.get(said.ch, Refused("an unknown frame"))


WIRE = MadeUpWire()
