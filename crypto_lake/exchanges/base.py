"""What an exchange must answer for the lake to record it. One module beside this one for each exchange.

To add an exchange: a wire module with `WIRE` (a `WireFormat`) and a REST module with `client` (a `RestClient`), both
entered in `registry.py`; then replay one of its real captures through the tests of this package. Whatever
cannot be said in these few terms belongs in the exchange's own module and nowhere else.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from crypto_lake.layout import MINUTE_US
from crypto_lake.raw.lines import RawLine, TradeLine


class Reply(Struct, frozen=True):
    """The exchange's answer to a request of ours. `error` is None where it agreed."""

    request_id: int | None
    error: str | None


class Notice(Struct, frozen=True):
    """A frame about the connection itself. `closing`: the exchange is about to end it."""

    text: str
    closing: bool


class Rejected(Struct, frozen=True):
    """A frame that cannot be a raw line, and why. `reason` is short and the same for the same kind of fault."""

    reason: str


class WireFormat(Protocol):
    """The exchange's stream interface, without any I/O. `max_streams` is how many one connection may carry."""

    max_streams: int

    def url(self, base: str) -> str:
        """The address to connect to, made from the configured `wss_url`."""

    def streams(self, symbol: str) -> list[str]:
        """The names of the streams that carry a symbol's trades and its quotes, in this order."""

    def subscribe(self, streams: Sequence[str], request_id: int) -> str:
        """The frame that asks for streams."""

    def unsubscribe(self, streams: Sequence[str], request_id: int) -> str:
        """The frame that asks for streams no more."""

    def decode(self, frame: bytes, ts_recv: int) -> RawLine | Reply | Notice | Rejected:
        """What a frame received at `ts_recv` (µs, local clock) says. Never raises."""

    def decode_all(
        self, frames: Sequence[bytes], ts_recv: int
    ) -> "Sequence[RawLine | Reply | Notice | Rejected]":
        """`decode` of each of the frames that came in one read: the hot path."""


class Candle(NamedTuple):
    """One candle as the exchange made it; times in µs UTC, numbers as its own decimal strings.

    `close_time` is the last microsecond that belongs to it: earlier than the interval's end where a halt cut it short.
    """

    open_time: int
    open: str
    high: str
    low: str
    close: str
    volume_base: str
    close_time: int
    volume_quote: str
    trade_count: int
    taker_buy_base: str
    taker_buy_quote: str


class Usage(NamedTuple):
    """What was asked of an exchange: requests sent, and their weight by the exchange's own tariff."""

    requests: int
    weight: int


class State(NamedTuple):
    """What an exchange says of a symbol that it lists: its own `word`, and whether it `trades` at this moment."""

    word: str
    trades: bool


class ServerTime(NamedTuple):
    """The exchange's clock, µs UTC, and whether it was told `in_microseconds`.

    `answered_by` names the exchange's place that answered; None where it does not say.
    """

    us: int
    in_microseconds: bool
    answered_by: str | None


def uncovered(opened: Iterable[int], start_us: int, end_us: int) -> list[tuple[int, int]]:
    """The stretches of [start, end) that no 1-minute candle covers, by the times at which they open, in order."""
    edges = [start_us, *(edge for at in opened for edge in (at, at + MINUTE_US)), end_us]
    return [(first, last) for first, last in zip(edges[::2], edges[1::2], strict=True) if first < last]


def holes(candles: Sequence[Candle], start_us: int, end_us: int) -> list[tuple[int, int]]:
    """`uncovered`, of candles in order."""
    return uncovered((candle.open_time for candle in candles), start_us, end_us)


class RestClient(Protocol):
    """The exchange's request interface. Every method raises `ExchangeError` where no usable answer came."""

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        """Those of the symbols that the exchange lists, whether they trade at this moment or not."""

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        """The 1-minute candles whose open time is in [start, end), in order; fewer where it has none."""

    async def aclose(self) -> None:
        """Let go of the connections."""


class TradesClient(RestClient, Protocol):
    """One that can be asked for past trades too, as healing does."""

    async def trades_from(self, symbol: str, first_id: int, count: int, ts_recv: int) -> list[TradeLine]:
        """The trades with an id in [first_id, first_id + count), in order, each once, as lines received at `ts_recv`.

        One page: `count` is at most 1000. Fewer where the exchange gives fewer; the next page tells if it has more.
        """


class ProbedClient(RestClient, Protocol):
    """One that can be asked how the exchange itself is, as `crypto-lake doctor` does."""

    async def time(self) -> ServerTime:
        """The exchange's clock."""

    async def states(self, symbols: Sequence[str]) -> dict[str, State]:
        """The state of those of the symbols that the exchange lists."""


class BulkClient(RestClient, Protocol):
    """A client for many candles: how many minutes of them one request brings at most, and what was asked so far."""

    candles_at_once: int

    @property
    def usage(self) -> Usage:
        """What this client has asked so far."""


class Client(TradesClient, BulkClient, ProbedClient, Protocol):
    """All that one exchange's client can be asked."""
