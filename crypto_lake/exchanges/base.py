"""The questions that an exchange must answer for the lake to record it: one `Exchange` a package.

Whatever cannot be said in these few terms belongs in the exchange's own package and nowhere else.
`docs/ADD_AN_EXCHANGE.md` is the list of what to do.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple, Protocol, Self, runtime_checkable

from msgspec import Struct

from crypto_lake.exchanges.capabilities import Capabilities
from crypto_lake.layout import MINUTE_US
from crypto_lake.raw.instruments import Instrument
from crypto_lake.raw.intervals import without
from crypto_lake.raw.lines import DEPTH, STREAMS, TRADE, DepthLine, Level, RawLine, Stream, TradeLine


class Reply(Struct, frozen=True):
    """The exchange's answer to a request of ours. `error` is None where it agreed."""

    request_id: int | None
    error: str | None


class Notice(Struct, frozen=True):
    """A frame about the connection itself. `closing`: the exchange is about to end it."""

    text: str
    closing: bool


class Refused(Struct, frozen=True):
    """A frame that cannot be a raw line, and why. `reason` is short and the same for the same kind of fault."""

    reason: str


class Heartbeat(Struct, frozen=True):
    """A frame that says that the connection is alive, and nothing of the market."""


Said = RawLine | DepthLine | Reply | Notice | Refused | Heartbeat


class WireFormat(Protocol):
    """The exchange's stream interface, without any I/O."""

    def url(self, base: str) -> str:
        """The address to connect to, made from the configured `wss_url`."""

    def streams(self, symbol: str) -> Mapping[str, str]:
        """The exchange's names of the streams that carry a symbol, each with what its lines say in `stream`.

        All that there are; which of them are asked for is decided by `Exchange.names`.
        """

    def subscribe(self, streams: Sequence[str], request_id: int) -> str:
        """The frame that asks for streams."""

    def unsubscribe(self, streams: Sequence[str], request_id: int) -> str:
        """The frame that asks for streams no more."""

    def decode(self, frame: bytes, ts_recv: int) -> Said | list[Said]:
        """Return what a frame received at `ts_recv` (µs, local clock) says: one thing, or a list. Never raises."""

    def decode_all(self, frames: Sequence[bytes], ts_recv: int) -> Sequence[Said | list[Said]]:
        """`decode` of each of the frames that came in one read, one item a frame: the hot path."""


class Candle(NamedTuple):
    """One candle as the exchange made it; times in µs UTC, numbers as its own decimal strings.

    `close_time` is the last microsecond that belongs to it: earlier than the interval's end where a halt cut it short.
    What takers bought is None where the exchange does not tell it (`Capabilities.candles`).
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
    taker_buy_base: str | None
    taker_buy_quote: str | None


# An exchange may cut the value of each trade after eight decimals; floats are summed here.
_DUST, _ROUNDING = 3e-8, 1e-6
# What the column of a bar holds.
MOST_TRADES = (1 << 31) - 1


def contradiction(candle: Candle) -> str | None:
    """Return what was to be expected of a candle, and is not so: no trades can have made it. None: nothing.

    Raises:
        ValueError: one of its texts is no number.
    """
    # An exchange that does not tell what takers bought contradicts nothing by that.
    bought = (candle.taker_buy_base or "0", candle.taker_buy_quote or "0")
    texts = (*candle[1:6], candle.volume_quote, *bought)
    numbers = open_, high, low, close, base, quote, taker_base, taker_quote = [float(text) for text in texts]
    rounding = _DUST * (1 + min(candle.trade_count, MOST_TRADES)) + _ROUNDING * high * base
    rules = {
        "finite numbers": all(map(math.isfinite, numbers)),
        f"at most {MOST_TRADES} trades": 0 <= candle.trade_count <= MOST_TRADES,
        "prices above 0": low > 0,
        "a volume where there were trades": base > 0 or not candle.trade_count,
        "low ≤ open, close ≤ high": low <= min(open_, close) <= max(open_, close) <= high,
        "takers to have bought no more than was traded": taker_base <= base and taker_quote <= quote,
        "a value (quote volume) of low … high times the base volume": low * base - rounding
        <= quote
        <= high * base + rounding,
    }
    return next((expected for expected, holds in rules.items() if not holds), None)


class Usage(NamedTuple):
    """The account of what was asked of an exchange: requests sent, and their weight by the exchange's own tariff."""

    requests: int
    weight: int


class State(NamedTuple):
    """The state of a symbol that an exchange lists: its own `word`, and whether it `trades` at this moment."""

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
    return without(((at, at + MINUTE_US) for at in opened), start_us, end_us)


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


@runtime_checkable
class ListingClient(RestClient, Protocol):
    """One that can be asked for all that the exchange lists, as the collector does each hour.

    Without it symbols can be named, and no patterns given.
    """

    async def instruments(self) -> dict[str, Instrument]:
        """Every symbol that the exchange lists, halted ones too, by its name."""


class IdTrades(RestClient, Protocol):
    """A client of an exchange whose past trades are asked for by id."""

    async def trades_from(self, symbol: str, first_id: int, count: int, ts_recv: int) -> list[TradeLine]:
        """The trades with an id in [first_id, first_id + count), in order, each once, as lines received at `ts_recv`.

        One page: `count` is at most `PastTrades.at_once`. Fewer where the exchange gives fewer; the next page tells if
        it has more.
        """


class Page(NamedTuple):
    """Trades in order of time; nothing that happened before `until_us`, in what was asked for, is not among them."""

    lines: list[TradeLine]
    until_us: int


class TimedTrades(RestClient, Protocol):
    """A client of an exchange whose past trades are asked for by time."""

    async def trades_between(self, symbol: str, start_us: int, end_us: int, ts_recv: int) -> Page:
        """The first trades of [start, end), as many as one request brings, as lines received at `ts_recv`."""


class Book(NamedTuple):
    """The best levels of an order book after the update `id`, each side from the best on."""

    id: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@runtime_checkable
class BookClient(RestClient, Protocol):
    """A client of an exchange whose order book can be recorded (`Capabilities.depth`)."""

    async def book(self, symbol: str, levels: int) -> Book:
        """The book as it is now, so many levels a side at most."""


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
        """Return what this client has asked so far."""


class Client(BulkClient, ProbedClient, Protocol):
    """All that each exchange's client can be asked; past trades only as the exchange's capabilities say."""


@dataclass(frozen=True)
class Limits:
    """The limits of an exchange: what it lets one address do with its streams.

    A connection carries `streams_a_connection` at most, is asked for `streams_a_request` of them in one request, and
    takes a request each `request_pace_sec`. It is renewed when it is `renew_sec` old, before the exchange ends it at
    `connection_sec`. `attempts` to connect are made within `attempts_within_sec` at most, by one process.
    """

    streams_a_connection: int
    streams_a_request: int
    request_pace_sec: float
    renew_sec: float
    connection_sec: float
    attempts: int
    attempts_within_sec: float


@dataclass(frozen=True)
class Archive:
    """A public archive of candles beside the request interface: where it is, and how a client of both is made.

    `client` takes the addresses of the request interface and of the archive.
    """

    url: str
    client: Callable[[str, str], BulkClient]


@dataclass(frozen=True)
class Exchange:
    """All that differs from one exchange to the next; a package's `EXCHANGE`, whose name is the package's.

    `rest` makes a client of the request interface, from its address. It, and `archive`, are functions that import what
    they need when they are called: what only reads a lake needs no HTTP client.
    Nothing of the exchange is older than `first_day`. `recorded` are the streams that are asked for, by name.
    """

    wire: WireFormat
    rest: Callable[[str], Client]
    archive: Archive | None
    limits: Limits
    capabilities: Capabilities
    first_day: date
    recorded: tuple[str, ...] = tuple(stream.name for stream in STREAMS)

    def recording(self, names: Sequence[str]) -> Self:
        """Return the same exchange where these streams are recorded."""
        return replace(self, recorded=tuple(names))

    def has(self, name: str) -> bool:
        """Return whether there is a stream of that name."""
        return name in {stream.name for stream in STREAMS} or (name == DEPTH.name and self.capabilities.depth)

    def names(self, symbol: str) -> list[str]:
        """The exchange's names of the streams that are recorded of a symbol."""
        return [name for name, stream in self.wire.streams(symbol).items() if stream in self.recorded]

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The table of the streams that are recorded, with the id rules that hold at this exchange."""
        return tuple(self.stream(stream) for stream in (*STREAMS, DEPTH) if stream.name in self.recorded)

    def stream(self, stream: Stream) -> Stream:
        """Return the row of a stream with the id rule that holds at this exchange."""
        skips = stream == TRADE and self.capabilities.trade_ids != "contiguous"
        return stream._replace(ids="skipping") if skips else stream
