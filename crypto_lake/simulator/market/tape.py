"""The events of the market, in plain records, and what a source of them must answer.

Here belong the records, the questions and the numbers' units. A tape knows nothing of sockets, of wire formats or of
what the real time is: whoever asks says what time it is now, and no answer knows anything later than that.

Prices and quantities are integers of 1e-8 (`E8` to the whole), as fine as the exchange's own 8-decimal strings.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

E8 = 100_000_000
_DECIMALS = 8


class Trade(NamedTuple):
    """One trade; times in microseconds since the epoch, UTC."""

    id: int
    ts_us: int  # when it was matched, T on the wire
    event_us: int  # E on the wire
    sent_us: int  # when it leaves the exchange, on the market's clock
    price: int  # 1e-8
    qty: int  # 1e-8
    buyer_is_maker: bool  # True: the taker sold


class Quote(NamedTuple):
    """Best bid and ask after a change of the book; `sent_us` in microseconds since the epoch, UTC."""

    update_id: int
    sent_us: int  # when it leaves the exchange, on the market's clock; the wire carries no time
    bid: int  # 1e-8, as all below
    bid_qty: int
    ask: int
    ask_qty: int


Levels: TypeAlias = "tuple[tuple[int, int], ...]"
"""Prices and quantities of one side of a book, 1e-8, best first."""


class DepthEvent(NamedTuple):
    """The changes of the book from one update id to another; a quantity of 0 removes a level."""

    first_id: int
    last_id: int
    event_us: int  # E on the wire
    sent_us: int  # when it leaves the exchange, on the market's clock
    bids: Levels
    asks: Levels


Event: TypeAlias = Trade | Quote | DepthEvent


class Book(NamedTuple):
    """What is known of the book after the change `update_id`."""

    update_id: int
    bids: Levels
    asks: Levels


class Loss(NamedTuple):
    """Something that a recording lacks: ids of trades, or, where there are none, all of a stretch of time."""

    sent_us: int  # when it is told
    from_us: int
    to_us: int
    first_id: int | None
    last_id: int | None


class Candle(NamedTuple):
    """One candle, exact; `[open_us, open_us + interval)`."""

    open_us: int
    open: int  # 1e-8, as the next three
    high: int
    low: int
    close: int
    volume: int  # 1e-8
    quote_volume: int  # 1e-16: price times quantity, nothing rounded
    trades: int
    taker_buy_volume: int  # 1e-8
    taker_buy_quote_volume: int  # 1e-16


class Instrument(NamedTuple):
    """An instrument: what is traded under a symbol, and in which steps."""

    base: str
    quote: str
    tick: int  # smallest change of the price, 1e-8
    step: int  # smallest change of the quantity, 1e-8


class Page(NamedTuple):
    """The candles that are asked for, by the exchange's rules.

    Only `start_us`: the oldest from there. Only `end_us`: the newest up to it. Both: as with `start_us`, up to
    `end_us`. Neither: the newest.
    """

    interval_us: int  # candles open at multiples of it since the epoch
    start_us: int | None  # first open time allowed
    end_us: int | None  # last open time allowed
    limit: int

    def opens(self, first_us: int, last_us: int) -> range:
        """The open times meant, where the first trade was at `first_us` and `last_us` is the latest time known."""
        interval_us = self.interval_us
        oldest = first_us // interval_us * interval_us
        newest = min(last_us, last_us if self.end_us is None else self.end_us) // interval_us * interval_us
        if self.start_us is None:
            oldest = max(oldest, newest - (self.limit - 1) * interval_us)
        else:
            oldest = max(oldest, -(-self.start_us // interval_us) * interval_us)
            newest = min(newest, oldest + (self.limit - 1) * interval_us)
        return range(oldest, newest + 1, interval_us)


class Tape(Protocol):
    """A source of one market's past, and of its future up to any `now_us` it is asked for."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols traded, in the exchange's spelling."""

    @property
    def end_us(self) -> int | None:
        """Return when the last event was sent; None where the tape has no end."""

    def instrument(self, symbol: str) -> Instrument:
        """Return what the symbol stands for; KeyError for one that is not traded."""

    def events(self, symbol: str, start_us: int, end_us: int) -> Iterator[Trade | Quote]:
        """Trades and quotes with `start_us <= sent_us < end_us`, in the order they are sent."""

    def losses(self, symbol: str, start_us: int, end_us: int) -> Iterator[Loss]:
        """What is missing of it, with `start_us <= sent_us < end_us`, as far as the source can tell."""

    def depth(self, symbol: str, start_us: int, end_us: int, window_us: int) -> Iterator[DepthEvent]:
        """Changes of the book with `start_us <= sent_us < end_us`, an event for each window in which there were any."""

    def book(self, symbol: str, limit: int, now_us: int) -> Book | None:
        """The best `limit` levels a side now; None while nothing is known of them."""

    def book_due_us(self, symbol: str, now_us: int) -> int:
        """When a question after the book that is asked now is answered; it is not before now."""

    def quote(self, symbol: str, now_us: int) -> Quote | None:
        """The newest quote up to now; None before the first."""

    def trades_from(self, symbol: str, from_id: int, limit: int, now_us: int) -> Sequence[Trade]:
        """The oldest `limit` trades with an id of at least `from_id`, none later than now."""

    def recent_trades(self, symbol: str, limit: int, now_us: int) -> Sequence[Trade]:
        """The newest `limit` trades up to now, oldest first."""

    def last_trade_id(self, symbol: str, time_us: int, now_us: int) -> int:
        """Id of the newest trade matched up to a time and known now; 0 where there is none."""

    def candles(self, symbol: str, page: Page, now_us: int) -> list[Candle]:
        """The candles of the page, oldest first; the one that is open at `now_us` is made of what is known by then."""


def to_e8(text: str) -> int:
    """`"0.12300000"` as an integer of 1e-8.

    Raises:
        ValueError: not a decimal number, or finer than 1e-8.
    """
    whole, point, part = text.partition(".")
    if point and len(part) == _DECIMALS and whole.isdigit() and part.isdigit():
        return int(whole + part)
    try:
        scaled = Decimal(text) * E8
    except ArithmeticError as error:
        raise ValueError(f"not a decimal number: {text!r}") from error
    if scaled != int(scaled):
        raise ValueError(f"finer than 1e-8: {text!r}")
    return int(scaled)


def from_e8(value: int) -> str:
    """An integer of 1e-8 as the exchange writes it: eight decimals."""
    return f"{value // E8}.{value % E8:08d}"
