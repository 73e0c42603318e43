"""Raw lines: one struct a stream, and the table of streams that everything dispatches on.

Here belongs what is true of a kind of line wherever it is met: its keys, what it may hold, how its ids follow each
other, in which segments it lies and which Parquet table is made of it. How lines lie in files is told in `segments`,
how SQL reads them in `scan`. Light, for the collector.
"""

import json
import re
from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from crypto_lake import schema

# 2017-01-01, before which Binance has no data: a time below is in other units, or none. And 2100-01-01. In µs.
EARLIEST_US = 1_483_228_800_000_000
LATEST_US = 4_102_444_800_000_000
_ID_LIMIT = 1 << 63
# What `schema.PRICE` and `schema.QUANTITY` hold.
_is_price = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,8})?").fullmatch
_is_quantity = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,8})?").fullmatch

# The segments of a day by what is in them: trades and quotes as they were received, trades that were fetched later,
# and the order book, which nobody reads who asks for trades and quotes.
RECEIVED = "part"
HEALED = "heal"
OF_BOOK = "depth"


# The structs have no defaults, so that a line without one of its keys is none; the order of their fields, after
# `stream`, is the order of the keys (`schema.RAW_LINE`). Without garbage collection: they hold no containers.
class TradeLine(Struct, tag_field="stream", tag="trade", gc=False):
    """A trade."""

    symbol: str
    ts_event: int
    ts_recv: int
    id: int
    price: str
    qty: str
    side: str
    bid: None
    bid_qty: None
    ask: None
    ask_qty: None

    def is_sound(self) -> bool:
        """Return whether its numbers and times can be what they say."""
        return (
            _is_time(self.ts_event)
            and self.side in {"buy", "sell"}
            and _is_price(self.price) is not None
            and _is_quantity(self.qty) is not None
        )


class QuoteLine(Struct, tag_field="stream", tag="bookTicker", gc=False):
    """The best bid and the best ask. The exchange gives it no time."""

    symbol: str
    ts_event: None
    ts_recv: int
    id: int
    price: None
    qty: None
    side: None
    bid: str
    bid_qty: str
    ask: str
    ask_qty: str

    def is_sound(self) -> bool:
        """Return whether its numbers can be what they say."""
        return all(map(_is_price, (self.bid, self.ask))) and all(
            map(_is_quantity, (self.bid_qty, self.ask_qty))
        )


# Price and quantity, as the exchange's own decimal strings.
Level = tuple[str, str]


class DepthLine(Struct, tag_field="stream", tag="depth", gc=False):
    """The levels that changed since the event before, with all that is there now; a quantity of 0: nothing.

    The events of a symbol are a chain: `first_id` follows the `id` of the one before.
    """

    symbol: str
    ts_event: int
    ts_recv: int
    first_id: int
    id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def is_sound(self) -> bool:
        """Return whether its numbers and times can be what they say."""
        return _is_time(self.ts_event) and 0 <= self.first_id <= self.id and _are_levels(self.bids, self.asks)


class DepthSnapshotLine(Struct, tag_field="stream", tag="depthSnapshot", gc=False):
    """The best levels of a book at an id, each side from the best on. What lies beyond them is not known."""

    symbol: str
    ts_event: None
    ts_recv: int
    first_id: None
    id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]

    def is_sound(self) -> bool:
        """Return whether its numbers can be what they say."""
        return _are_levels(self.bids, self.asks)


RawLine = TradeLine | QuoteLine
BookLine = DepthLine | DepthSnapshotLine
# How the ids of a symbol's lines follow each other: each by one, so that a skipped one is a missing line; or upwards,
# and then one that comes late is worth nothing ("rising"), or as much as any ("skipping"); or each line has several,
# from the one after the last of the line before on ("chained").
IdRule = Literal["contiguous", "rising", "skipping", "chained"]


class Stream(NamedTuple):
    """One kind of raw line.

    name: what its lines say under `stream`.
    word: what the journal calls it.
    line: the struct of its lines; it has an `id`, a `symbol`, both times, and tells whether it `is_sound`.
    ids: how its ids follow each other; `exchanges.base.Exchange.streams` has what holds at one exchange.
    has_event_time: whether the exchange says when it happened; if not, its receipt is put on the exchange's clock.
    family: the segments in which its lines lie, by the beginning of their names.
    table: the Parquet table that a finished day's lines become, which is also a folder's name and a view's.
    columns: those of the table.
    """

    name: str
    word: str
    line: type[Struct]
    ids: IdRule
    has_event_time: bool
    family: str
    table: str
    columns: tuple[schema.Column, ...]


TRADE = Stream(
    name="trade",
    word="trade",
    line=TradeLine,
    ids="contiguous",
    has_event_time=True,
    family=RECEIVED,
    table="trades",
    columns=schema.TRADE,
)
QUOTE = Stream(
    name="bookTicker",
    word="quote",
    line=QuoteLine,
    ids="rising",
    has_event_time=False,
    family=RECEIVED,
    table="quotes",
    columns=schema.QUOTE,
)
# Of each symbol, in the order in which an exchange's `WireFormat.streams` names them.
STREAMS = (TRADE, QUOTE)
# Beside them, where it is wanted.
DEPTH = Stream(
    name="depth",
    word="depth",
    line=DepthLine,
    ids="chained",
    has_event_time=True,
    family=OF_BOOK,
    table="depth",
    columns=schema.DEPTH,
)


# The book's events, whose ids are a chain, and the snapshots that it begins from and is held against (its anchors).
BOOK_LINES: tuple[type[BookLine], ...] = (DepthLine, DepthSnapshotLine)


def of_family(family: str, streams: Sequence[Stream] = STREAMS) -> tuple[Stream, ...]:
    """The streams whose lines lie in the segments of a family."""
    return tuple(stream for stream in streams if stream.family == family)


# All there are.
FAMILIES = tuple(sorted({HEALED, OF_BOOK, *(stream.family for stream in STREAMS)}))
# The lines that were received side by side become a day's ticks side by side, under one manifest.
TICKS = of_family(RECEIVED)


_by_line = {stream.line: stream for stream in STREAMS}


def stream_of(line: RawLine) -> Stream:
    """The row of the table that a line belongs to."""
    return _by_line[type(line)]


def decoder(streams: Sequence[Stream] = STREAMS) -> "msgspec.json.Decoder[Any]":
    """A decoder of raw lines, each as the struct of its stream."""
    return msgspec.json.Decoder(reduce(or_, (stream.line for stream in streams)))


_decoder = decoder()


def decode(line: bytes) -> RawLine:
    """A raw line.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: the bytes are none.
    """
    said: RawLine = _decoder.decode(line)
    return said


_book_decoder = msgspec.json.Decoder(BookLine)


def decode_book(line: bytes) -> BookLine:
    """A line of the book's segments.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: the bytes are none.
    """
    said: BookLine = _book_decoder.decode(line)
    return said


def is_raw_line(line: bytes, symbol: str) -> bool:
    """Return whether the bytes are a raw line of this symbol, and one whose numbers and times can be what they say."""
    try:
        said = decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return _is_of(said, symbol) and _is_for_all(said, line)


def is_book_line(line: bytes, symbol: str) -> bool:
    """Return whether the bytes are a line of this symbol's book, whose numbers and times can be what they say."""
    try:
        said = decode_book(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return _is_of(said, symbol) and _is_for_all(said, line)


def _is_of(said: RawLine | BookLine, symbol: str) -> bool:
    return said.symbol == symbol and 0 <= said.id < _ID_LIMIT and _is_time(said.ts_recv) and said.is_sound()


def _is_for_all(said: RawLine | BookLine, line: bytes) -> bool:
    """Return whether every reader takes the bytes for this line: they are UTF-8, and have each of its keys once.

    msgspec takes the last of two keys, and skips what stands under a key that it does not know; DuckDB refuses the
    line, and with it the whole file.
    """
    # As the collector writes it: most lines, at a tenth of the cost.
    if line.removesuffix(b"\n") == msgspec.json.encode(said):
        return True
    try:
        # Numbers as text: Python converts none of thousands of digits.
        keys = json.loads(
            line.decode(), parse_int=str, object_pairs_hook=lambda pairs: [key for key, _ in pairs]
        )
    except (ValueError, RecursionError):
        return False
    return all(keys.count(key) == 1 for key in ("stream", *said.__struct_fields__))


def _are_levels(*sides: tuple[Level, ...]) -> bool:
    return all(_is_price(price) and _is_quantity(qty) for side in sides for price, qty in side)


def _is_time(us: int) -> bool:
    return EARLIEST_US <= us < LATEST_US
