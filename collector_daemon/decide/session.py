"""The meaning of frames: `(frames, now) -> lines and events`. Copies dropped, holes seen, silence noticed. No I/O.

A session lasts as long as the daemon and is shared by all connections of an exchange: whichever delivers first wins.
A hole in the trade ids becomes a gap only when no connection has filled it within a short grace.
All `now` are µs UTC of the local clock, all `monotonic` seconds.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from collector_daemon.decide.chained_ids import ChainedIds
from collector_daemon.decide.ids import REMEMBER_MOST, REMEMBER_TOGETHER
from collector_daemon.decide.latency import Latency
from collector_daemon.decide.oddities import Oddities
from collector_daemon.decide.rules import RULES, Ids
from crypto_lake.exchanges.base import Heartbeat, Notice, Refused, Reply, WireFormat
from crypto_lake.layout import MINUTE_US
from crypto_lake.raw import journal
from crypto_lake.raw.lines import STREAMS, DepthLine, RawLine, Stream
from crypto_lake.raw.offsets import KEPT, Follow, smallest
from crypto_lake.showing import printable

if TYPE_CHECKING:
    from collector_daemon.decide.ids import Odd

# A thin symbol is silent for minutes in good health; one whose name the exchange does not know, for ever.
SILENT_AFTER_SEC = 300
# So long another connection, or a trade out of order, may take to fill a hole.
GRACE_SEC = 2.0
# In characters; a message may have a million.
_LONGEST_TEXT = 2000


def shortened(text: str) -> str:
    """A text of the exchange's as far as a person may want to read it, in visible characters, and how long it was."""
    told = printable(text[:_LONGEST_TEXT], _LONGEST_TEXT)
    return told if len(text) <= _LONGEST_TEXT else f"{told} (cut: {len(text)} characters)"


class RefusedFrame(Struct, frozen=True):
    """A frame that cannot become a line, verbatim, and why."""

    ts_recv: int
    reason: str
    frame: bytes


class Farewell(Struct, frozen=True):
    """The exchange is about to end the connection that this came over."""


Event = journal.AnyRecord | Reply | RefusedFrame | Farewell | Heartbeat


@dataclass(slots=True)
class StreamState:
    """The state of one stream of one symbol. `kept` counts its lines since the start, `last_event` is µs UTC.

    `name` is the exchange's word for it; `measures`: its lines tell how late they come, and how far the clock is off.
    The rest is for the sake of its silence: `since` when it was subscribed or last spoke, in monotonic seconds, None
    where nobody is subscribed; `spoken` is what `kept` was then.
    """

    name: str
    ids: Ids
    measures: bool
    kept: int = 0
    last_event: int | None = None
    since: float | None = None
    spoken: int = 0
    reported: bool = False


@dataclass(slots=True)
class SymbolState:
    """The state of one symbol; counters count since the start, times are µs UTC.

    `streams` is by the struct of their lines. `breaks` are those of the chain of depth events, `anchored` when the last
    snapshot of its book came.
    """

    streams: dict[type[Struct], StreamState]
    latency: Latency = field(default_factory=Latency)
    gaps: int = 0
    missing: int = 0
    duplicates: int = 0
    last_frame: int | None = None
    breaks: int = 0
    anchored: int | None = None

    def of(self, stream: Stream) -> StreamState:
        """Return what is known of one of its streams."""
        return self.streams[stream.line]


class Session:
    """One exchange's frames.

    `receive` returns the lines to keep; all else that happened is appended to `events`, in order, for the caller to
    take away with `take_events`. Depth events to keep are added to `depth`, for `take_depth`: they go a way of their
    own. `unanchored` are the symbols whose books began, or broke, since the caller last took them out of it.
    `streams` is the table of those that it records. `quoted` takes out of a text of the exchange's what is secret in
    its address.
    """

    def __init__(
        self,
        wire: WireFormat,
        symbols: Iterable[str],
        streams: Sequence[Stream] = STREAMS,
        quoted: Callable[[str], str] = str,
    ) -> None:
        self.quoted = quoted
        self._wire = wire
        self._decode_all = wire.decode_all
        self._table = streams
        self._kinds = frozenset(stream.line for stream in streams) - {DepthLine}
        self._minute = _Minute()
        self._odd: list[Odd] = []
        # What is odd about lines without a time leaves the others beside them as good a measure as before.
        self._odd_untimed: list[Odd] = []
        self._oddities = Oddities()
        self.symbols: dict[str, SymbolState] = {}
        self._chains: dict[str, ChainedIds] = {}
        self.depth: list[DepthLine] = []
        self.unanchored: set[str] = set()
        self._offset = Follow()
        self.events: list[Event] = []
        self.rejected = 0
        # Contents of trades, as of the last tick.
        self._remembered = 0
        self.expect(symbols)

    def take_events(self) -> list[Event]:
        """Return what happened since the last call."""
        events, self.events = self.events, []
        return events

    def take_depth(self) -> list[DepthLine]:
        """Return the depth events to keep since the last call."""
        depth, self.depth = self.depth, []
        return depth

    def chain(self, symbol: str) -> ChainedIds | None:
        """Return the chain of a symbol's depth events; None where they are not recorded."""
        return self._chains.get(symbol)

    def expect(self, symbols: Iterable[str]) -> None:
        """Frames of these symbols may come from now on."""
        for symbol in symbols:
            names = {stream: name for name, stream in self._wire.streams(symbol).items()}
            self.symbols[symbol] = SymbolState(
                {stream.line: self._expected(stream, symbol, names[stream.name]) for stream in self._table}
            )

    def _expected(self, stream: Stream, symbol: str, name: str) -> StreamState:
        odd = self._odd if stream.has_event_time else self._odd_untimed
        ids = RULES[stream.ids](symbol, stream.word, odd)
        if isinstance(ids, ChainedIds):
            self._chains[symbol] = ids
            return StreamState(name, ids, measures=False)
        return StreamState(name, ids, stream.has_event_time)

    def forget(self, symbols: Iterable[str], now: int) -> None:
        """These symbols were given up: what is missing of them stays so."""
        given_up = {symbol: self.symbols[symbol] for symbol in symbols}
        self._tell_gaps(given_up, now, 0.0, -math.inf)
        for symbol in given_up:
            del self.symbols[symbol]
            self._chains.pop(symbol, None)
        self.unanchored -= {*given_up}

    def begin_anew(self, symbols: Iterable[str]) -> None:
        """A connection is being opened for symbols that none carries: ids that rise may count from anywhere."""
        for stream in self._streams_of(symbols):
            stream.ids.reset()

    def settle(self, symbols: Iterable[str], monotonic: float) -> None:
        """A connection begins that may be ahead of others that carry these symbols."""
        for stream in self._streams_of(symbols):
            stream.ids.settle(monotonic)

    def subscribed(self, symbols: Iterable[str], monotonic: float) -> None:
        """From now on every stream of these symbols is expected to speak."""
        for stream in self._streams_of(symbols):
            stream.since, stream.spoken, stream.reported = monotonic, stream.kept, False

    def disconnected(self, symbols: Iterable[str]) -> None:
        """Nothing is expected of these symbols any more: no connection carries them."""
        for stream in self._streams_of(symbols):
            stream.since = None

    def _streams_of(self, symbols: Iterable[str]) -> Iterator[StreamState]:
        return (stream for symbol in symbols for stream in self.symbols[symbol].streams.values())

    def receive(self, frames: Sequence[bytes], now: int, connection: int) -> list[RawLine]:
        """The lines that frames received together at `now` over a connection are worth.

        A frame that is worth none and makes no event brought copies.
        """
        lines = self._kept(zip(self._decode_all(frames, now), frames, strict=True), now, connection)
        if self._odd or self._odd_untimed:
            self._tell_odd(now)
        return lines

    def _kept(self, decoded: Iterable[tuple[Any, bytes]], now: int, connection: int) -> list[RawLine]:
        """`decoded` is what each frame says, as `WireFormat.decode_all` has it, beside the frame."""
        lines: list[RawLine] = []
        kinds = self._kinds
        for said, frame in decoded:
            kind = said.__class__
            if kind not in kinds:
                if kind is DepthLine:
                    self._take_in(said, frame, now)
                elif isinstance(said, list):
                    lines += self._kept(zip(said, repeat(frame)), now, connection)
                else:
                    self._not_a_line(said, frame, now, connection)
                continue
            state = self.symbols.get(said.symbol)
            if state is None:
                self._refuse("a symbol that was not asked for", frame, now)
                continue
            state.last_frame = now
            stream = state.streams[kind]
            if not stream.ids.accept(said):
                state.duplicates += 1
                continue
            stream.kept += 1
            lines.append(said)
            if stream.measures:
                stream.last_event = said.ts_event
                # Else it measures neither clock nor latency: one of its contents, or its id, is wrong.
                if not self._odd:
                    self._measure(now - said.ts_event, state, now)
        return lines

    def _take_in(self, line: DepthLine, frame: bytes, now: int) -> None:
        """Keep a depth event, unless it is a copy."""
        state = self.symbols.get(line.symbol)
        stream = state.streams.get(DepthLine) if state else None
        if state is None or stream is None:
            self._refuse(f"a {'stream' if state else 'symbol'} that was not asked for", frame, now)
            return
        state.last_frame = now
        if stream.ids.accept(line):
            if not stream.kept:
                self.unanchored.add(line.symbol)
            stream.kept += 1
            self.depth.append(line)

    def _measure(self, late: int, state: SymbolState, now: int) -> None:
        """Take note of a line that came so many µs after its event, by two clocks."""
        state.latency.add(late)
        minute = self._minute
        if not minute.start <= now < minute.end:
            self._turn_minute(now)
        minute.trades += 1
        if late < minute.bound:
            minute.keep(late)

    def _tell_gaps(self, symbols: dict[str, SymbolState], now: int, monotonic: float, grace: float) -> None:
        for symbol, state in symbols.items():
            state.latency.trim()
            for stream in state.streams.values():
                for hole in stream.ids.overdue(monotonic, grace):
                    state.gaps += 1
                    state.missing += hole.last_id - hole.first_id + 1
                    self.events.append(journal.Gap(at=now, symbol=symbol, **hole._asdict()))
            if chain := self._chains.get(symbol):
                found = chain.breaks(monotonic, grace)
                if found:
                    state.breaks += len(found)
                    self.unanchored.add(symbol)
                    records = (journal.BookBreak(at=now, symbol=symbol, **one._asdict()) for one in found)
                    self.events += self._oddities.limited(records, now)

    def _tell_odd(self, now: int) -> None:
        """At once, so that the journal says so before the segment is sealed that has the line: readers rely on it."""
        self.events += self._oddities.records([*self._odd, *self._odd_untimed], now)
        self._odd.clear()
        self._odd_untimed.clear()

    def _not_a_line(
        self, said: Reply | Notice | Refused | Heartbeat, frame: bytes, now: int, connection: int
    ) -> None:
        if isinstance(said, Heartbeat):
            # An event, so that the frame is not taken for the copy of a trade, which proves that streams were granted.
            self.events.append(said)
        elif isinstance(said, Reply):
            error = said.error if said.error is None else shortened(self.quoted(said.error))
            self.events.append(Reply(said.request_id, error))
            if error is not None:
                self.events.append(journal.Notice(at=now, connection=connection, frame=error))
        elif isinstance(said, Notice):
            self.events.append(
                journal.Notice(at=now, connection=connection, frame=shortened(self.quoted(said.text)))
            )
            if said.closing:
                self.events.append(Farewell())
        else:
            self._refuse(said.reason, frame, now)

    def _refuse(self, reason: str, frame: bytes, now: int) -> None:
        self.rejected += 1
        self.events.append(RefusedFrame(now, reason, frame))

    def tick(self, now: int, monotonic: float) -> None:
        """Time passes without a frame: minutes end, silence grows long, holes stay open."""
        if self._minute.trades and not self._minute.start <= now < self._minute.end:
            self._turn_minute(now)
        most = REMEMBER_MOST if self._remembered < REMEMBER_TOGETHER else 0
        self._remembered = 0
        for stream in self._streams_of(self.symbols):
            self._listen_for(stream, now, monotonic)
            self._remembered += stream.ids.tick(monotonic, most)
        self._tell_odd(now)
        self._tell_gaps(self.symbols, now, monotonic, GRACE_SEC)

    def finish(self, now: int) -> None:
        """The daemon stops: what the minute has seen so far is its clock offset, and what is missing is a gap."""
        self._turn_minute(now)
        self._tell_gaps(self.symbols, now, 0.0, -math.inf)
        self.events += self._oddities.rest()

    def clock_was_set(self, step_us: int, now: int) -> None:
        """Hold the next trades against no offset of before, and those of the minute so far not against one of after."""
        self._turn_minute(now)
        self._offset.was_set(step_us)
        for chain in self._chains.values():
            chain.clock_was_set()

    def _listen_for(self, stream: StreamState, now: int, monotonic: float) -> None:
        if stream.since is None:
            return
        if stream.kept != stream.spoken:
            stream.spoken, stream.since, stream.reported = stream.kept, monotonic, False
            return
        seconds = int(monotonic - stream.since)
        if seconds >= SILENT_AFTER_SEC and not stream.reported:
            stream.reported = True
            self.events.append(journal.Silent(at=now, stream=stream.name, seconds=seconds))

    def _turn_minute(self, now: int) -> None:
        minute = self._minute
        if minute.trades:
            found = self._offset.next(minute.late, minute.trades)
            self.events.append(
                journal.ClockOffset(
                    at=now,
                    minute=minute.start,
                    offset_us=found.us,
                    trades=minute.trades,
                    set_aside=found.set_aside,
                )
            )
        minute.begin(now)


class _Minute:
    """The smallest `ts_recv - ts_event` of all trades received in one minute of the local clock.

    What is not below `bound` is none of those in `late`.
    """

    __slots__ = ("bound", "end", "late", "start", "trades")

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, now: int) -> None:
        self.start = now - now % MINUTE_US
        self.end = self.start + MINUTE_US
        self.late: list[int] = []
        self.bound = 1 << 62
        self.trades = 0

    def keep(self, late: int) -> None:
        self.late = smallest(self.late, [late])
        if len(self.late) == KEPT:
            self.bound = self.late[-1]
