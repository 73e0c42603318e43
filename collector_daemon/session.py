"""What frames mean: `(frame, now) -> lines and events`. Duplicates dropped, gaps seen, silence noticed. No I/O.

A session lasts as long as the daemon and outlives connections, so that a trade missed during a reconnect is a gap.
All `now` are µs UTC of the local clock, all `monotonic` seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from collector_daemon.ids import Hole, QuoteIds, TradeIds
from collector_daemon.latency import Latency
from crypto_lake import journal
from crypto_lake.exchanges.base import Notice, Rejected, Reply, WireFormat
from crypto_lake.layout import MINUTE_US
from crypto_lake.segments import RawLine

# A thin symbol is silent for minutes in good health; one whose name the exchange does not know, for ever.
SILENT_AFTER_SEC = 300


class Refused(Struct, frozen=True):
    """A frame that cannot become a line, verbatim, and why."""

    ts_recv: int
    reason: str
    frame: bytes


Event = journal.AnyRecord | Reply | Refused


@dataclass(slots=True)
class SymbolState:
    """What is known of one symbol; counters count since the start, times are µs UTC."""

    trade_ids: TradeIds = field(default_factory=TradeIds)
    quote_ids: QuoteIds = field(default_factory=QuoteIds)
    latency: Latency = field(default_factory=Latency)
    trades: int = 0
    quotes: int = 0
    gaps: int = 0
    missing: int = 0
    duplicates: int = 0
    last_trade_event: int | None = None
    last_frame: int | None = None


@dataclass(slots=True)
class _Stream:
    """One subscribed stream, for the sake of its silence. `since` is monotonic seconds."""

    name: str
    symbol: str
    is_trade: bool
    since: float
    count: int = 0
    reported: bool = False


class Session:
    """One exchange's frames.

    `receive` returns the line to keep, if there is one; all else that happened is appended to `events`, in
    order, for the caller to take away with `take_events`. `closing` tells that the exchange is about to hang up.
    """

    def __init__(self, wire: WireFormat, symbols: Sequence[str]) -> None:
        self._wire = wire
        self._decode = wire.decode
        self._connection = 0
        self._streams: list[_Stream] = []
        self._minute = _Minute()
        self.symbols = {symbol: SymbolState() for symbol in symbols}
        self.events: list[Event] = []
        self.rejected = 0
        self.closing = False

    def take_events(self) -> list[Event]:
        """What happened since the last call."""
        events, self.events = self.events, []
        return events

    def connected(self, connection: int) -> None:
        """A new connection: quotes may count from anywhere, and nothing is subscribed yet."""
        self._connection = connection
        self.closing = False
        for state in self.symbols.values():
            state.quote_ids.reset()

    def subscribed(self, monotonic: float) -> None:
        """From now on every stream is expected to speak."""
        self._streams = [
            _Stream(name, symbol, is_trade, monotonic, self._count(symbol, is_trade=is_trade))
            for symbol in self.symbols
            for name, is_trade in zip(self._wire.streams(symbol), (True, False), strict=True)
        ]

    def disconnected(self) -> None:
        """Nothing is expected any more."""
        self._streams = []

    def receive(self, frame: bytes, now: int) -> RawLine | None:
        """The line that a frame received at `now` is worth, or None."""
        line = self._decode(frame, now)
        if not isinstance(line, RawLine):
            self._not_a_line(line, frame, now)
            return None
        state = self.symbols.get(line.symbol)
        if state is None:
            self._refuse("a symbol that was not asked for", frame, now)
            return None
        state.last_frame = now
        if line.ts_event is not None:
            return line if self._is_new_trade(line, line.ts_event, state, now) else None
        if state.quote_ids.accept(line.id):
            state.quotes += 1
            return line
        state.duplicates += 1
        return None

    def _is_new_trade(self, line: RawLine, ts_event: int, state: SymbolState, now: int) -> bool:
        verdict = state.trade_ids.accept(line.id, ts_event)
        if verdict is not True:
            if verdict is False:
                state.duplicates += 1
                return False
            self._gap(line.symbol, state, verdict, now)
        state.trades += 1
        state.last_trade_event = ts_event
        late = now - ts_event
        state.latency.add(late)
        minute = self._minute
        if not minute.start <= now < minute.end:
            self._turn_minute(now)
        minute.trades += 1
        if late < minute.smallest:  # noqa: PLR1730 - the hot path, where a call to min() is felt
            minute.smallest = late
        return True

    def _gap(self, symbol: str, state: SymbolState, hole: Hole, now: int) -> None:
        state.gaps += 1
        state.missing += hole.last_id - hole.first_id + 1
        self.events.append(journal.Gap(at=now, symbol=symbol, **hole._asdict()))

    def _not_a_line(self, said: Reply | Notice | Rejected, frame: bytes, now: int) -> None:
        if isinstance(said, Reply):
            self.events.append(said)
            if said.error is not None:
                self._notice(said.error, now)
        elif isinstance(said, Notice):
            self._notice(said.text, now)
            self.closing = self.closing or said.closing
        else:
            self._refuse(said.reason, frame, now)

    def _notice(self, text: str, now: int) -> None:
        self.events.append(journal.Notice(at=now, connection=self._connection, frame=text))

    def _refuse(self, reason: str, frame: bytes, now: int) -> None:
        self.rejected += 1
        self.events.append(Refused(now, reason, frame))

    def tick(self, now: int, monotonic: float) -> None:
        """Time passes without a frame: minutes end, silence grows long."""
        if self._minute.trades and not self._minute.start <= now < self._minute.end:
            self._turn_minute(now)
        for stream in self._streams:
            self._listen_for(stream, now, monotonic)

    def finish(self, now: int) -> None:
        """The daemon stops: what the minute has seen so far is its clock offset."""
        self._turn_minute(now)

    def _listen_for(self, stream: _Stream, now: int, monotonic: float) -> None:
        count = self._count(stream.symbol, is_trade=stream.is_trade)
        if count != stream.count:
            stream.count, stream.since, stream.reported = count, monotonic, False
            return
        seconds = int(monotonic - stream.since)
        if seconds >= SILENT_AFTER_SEC and not stream.reported:
            stream.reported = True
            self.events.append(journal.Silent(at=now, stream=stream.name, seconds=seconds))

    def _count(self, symbol: str, *, is_trade: bool) -> int:
        state = self.symbols[symbol]
        return state.trades if is_trade else state.quotes

    def _turn_minute(self, now: int) -> None:
        minute = self._minute
        if minute.trades:
            self.events.append(
                journal.ClockOffset(
                    at=now, minute=minute.start, offset_us=minute.smallest, trades=minute.trades
                )
            )
        minute.begin(now)


class _Minute:
    """The smallest `ts_recv - ts_event` of all trades received in one minute of the local clock."""

    __slots__ = ("end", "smallest", "start", "trades")

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, now: int) -> None:
        self.start = now - now % MINUTE_US
        self.end = self.start + MINUTE_US
        self.smallest = 1 << 62
        self.trades = 0
