"""Faults of the bundled exchange, on request.

Here belong the list of faults, how they are written on a command line, and what those do that act on frames. Each fault
is off by default; `SimulatedExchange.faults` may be replaced at any time and counts for open connections too, save for
those that were given `faults` of their own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from crypto_lake.simulator.market.tape import DepthEvent, Quote, Trade, to_e8

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crypto_lake.simulator.market.tape import Event

TRADING, BREAK = "TRADING", "BREAK"
GARBAGE = "<html>502 Bad Gateway</html>"
_HTTP_ERRORS = range(400, 600)


class Change(NamedTuple):
    """A change of what is listed, so many real seconds after the exchange opened; `to` is a symbol's new name."""

    symbol: str
    after_s: float = 0.0
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Faults:
    """The faults to show. Seconds are real seconds since a connection was accepted; `every` counts from 1 up.

    Raises:
        ValueError: a number that cannot be meant.
    """

    disconnect_after_s: float | None = None  # the exchange closes the connection, politely
    abort: bool = False  # with disconnect_after_s: a TCP reset instead, without a close frame
    stall_after_s: float | None = (
        None  # the connection stays open and nothing comes any more, not even a pong
    )
    server_shutdown_after_s: float | None = None  # `serverShutdown`, and the connection is closed at once
    lag_s: float | None = None  # every other connection gets its events so much later than the rest
    refuse_connections: int | None = None  # HTTP status that answers the WebSocket handshake
    duplicate_every: int | None = None  # each nth event of a connection comes twice
    reorder_every: int | None = None  # each nth event of a connection comes after the one that follows it
    garbage_every: int | None = None  # after each nth event of a connection comes a frame that is not JSON
    lose_trades_every: int | None = None  # trades with an id divisible by n are not streamed; REST has them
    lose_quotes_every: int | None = None  # quotes with an update id divisible by n are not streamed
    lose_depth_every: int | None = None  # depth events with a last id divisible by n are not streamed
    double_depth_every: int | None = None  # depth events with a last id divisible by n come twice
    # Depth events with a last id divisible by n begin where the event before began, and tell its changes again.
    overlap_depth_every: int | None = None
    snapshot_stale_s: float | None = None  # REST's depth is that of so many seconds of market time before
    snapshot_lacks_every: int | None = None  # REST's depth is without each nth level of a side, from the best
    rest_error_every: int | None = None  # each nth REST request fails with HTTP 500
    milliseconds: bool = False  # times come in milliseconds, whatever was asked for
    archive_checksum_wrong: bool = False  # no checksum of the archive fits its file
    halted: tuple[
        tuple[int, int], ...
    ] = ()  # no candle opens in these `[from, to)`, microseconds of market time
    listed: tuple[Change, ...] = ()  # of the tape's symbols, these are listed no sooner
    delisted: tuple[Change, ...] = ()  # from then on their status is BREAK, and nothing of them is streamed
    # The old name is gone; a new one of the tape, if given, trades from then on.
    renamed: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if name.endswith("_s") and value is not None and not value >= 0:
                raise ValueError(f"{name} must be at least 0 seconds, not {value}")
            if name.endswith("_every") and value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")
        if self.refuse_connections is not None and self.refuse_connections not in _HTTP_ERRORS:
            raise ValueError(
                f"refuse_connections must be an HTTP status of 400 to 599, not {self.refuse_connections}"
            )

    def is_halted(self, open_us: int) -> bool:
        """Return whether no candle opens at that time."""
        return any(start <= open_us < end for start, end in self.halted)

    def status(self, symbol: str, open_s: float) -> str | None:
        """The status of one of the tape's symbols, so long after the exchange opened; None while it is not listed."""
        if any(symbol == it.symbol and open_s < it.after_s for it in self.listed):
            return None
        for it in self.renamed:
            if symbol == (it.symbol if open_s >= it.after_s else it.to):
                return None
        is_out = any(symbol == it.symbol and open_s >= it.after_s for it in self.delisted)
        return BREAK if is_out else TRADING


def parse_faults(words: Iterable[str]) -> Faults:
    """`name=value` words as faults; `halted` is a start and an end, ISO 8601 in UTC, with a slash between them.

    `listed=NEWUSDT@60` and `delisted=ADAUSDT@90` are a symbol and seconds, `renamed=SUIUSDT/SUXUSDT@120` an old and a
    new name; each of these may be given several times.

    Raises:
        ValueError: an unknown name or a value that does not fit, in one line.
    """
    known = {field.name: str(field.type) for field in fields(Faults)}
    values: dict[str, object] = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in known:
            raise ValueError(f"unknown fault {name!r}; there are {', '.join(known)}")
        try:
            value = _value(known[name], text)
            before = values.get(name, ())
            values[name] = before + value if isinstance(value, tuple) and isinstance(before, tuple) else value
        except ValueError as error:
            raise ValueError(f"fault {name}: {text!r} does not fit") from error
    return Faults(**values)  # type: ignore[arg-type]


def _value(kind: str, text: str) -> object:
    if kind.startswith("float"):
        return float(text)
    if kind.startswith("int"):
        return int(text)
    if kind == "bool":
        return {"true": True, "false": False}[text] if text in ("true", "false") else int(text) != 0
    if "Change" in kind:
        names, _, after_s = text.partition("@")
        symbol, _, to = names.partition("/")
        return (Change(symbol, float(after_s or 0), to or None),)
    start, end = (time_us(part) for part in text.split("/"))
    return ((start, end),)


def time_us(text: str) -> int:
    """An ISO 8601 time as microseconds since the epoch; UTC unless it says otherwise.

    Raises:
        ValueError: not a time.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


class Mangler:
    """The effect of faults on one connection's events: `(event, frame) -> frames to send`."""

    def __init__(self) -> None:
        self._count = 0
        self._held: str | None = None
        self._depth_before: dict[str, tuple[int, str]] = {}

    def overlapping(self, every: int, stream: str, event: DepthEvent, text: str) -> str:
        """The payload to send in place of a depth event's own: now and then with the changes of the one before."""
        last_id, before = self._depth_before.get(stream, (None, ""))
        self._depth_before[stream] = event.last_id, text
        overlaps = last_id == event.first_id - 1 and _each(every, event.last_id)
        return _together(before, text) if overlaps else text

    def frames(self, faults: Faults, event: Event | None, frame: str) -> list[str]:
        """The frames to send in place of the event's own frame, in order; none for one that is lost or held back."""
        if _is_lost(faults, event):
            return []
        self._count += 1
        if self._held is None and _each(faults.reorder_every, self._count):
            self._held = frame
            return []
        frames = [frame]
        if self._held is not None:
            frames.append(self._held)
            self._held = None
        is_double = isinstance(event, DepthEvent) and _each(faults.double_depth_every, event.last_id)
        if is_double or _each(faults.duplicate_every, self._count):
            frames.append(frame)
        if _each(faults.garbage_every, self._count):
            frames.append(GARBAGE)
        return frames


def _is_lost(faults: Faults, event: Event | None) -> bool:
    match event:
        case Trade():
            return _each(faults.lose_trades_every, event.id)
        case Quote():
            return _each(faults.lose_quotes_every, event.update_id)
        case DepthEvent():
            return _each(faults.lose_depth_every, event.last_id)
    return False


def _together(before: str, text: str) -> str:
    """A depth event that tells the changes of the one before, too."""
    first, event = json.loads(before), json.loads(text)
    event["U"] = first["U"]
    for side in "ba":
        levels = dict(first[side]) | dict(event[side])
        event[side] = sorted(levels.items(), key=lambda level: to_e8(level[0]), reverse=side == "b")
    return json.dumps(event, separators=(",", ":"))


def _each(every: int | None, number: int) -> bool:
    return every is not None and number % every == 0
