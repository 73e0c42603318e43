"""The records of the collector's journals, one struct a kind. `docs/FORMAT.md` lists all; `journal` reads them.

All times are the collector's own clock, microseconds UTC, unless a field's name says `event`. Light, for the collector.
"""

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct

from crypto_lake.layout import DAY_US, HOUR_US, day_start_us

# A line with a number that cannot be meant is no record: one such would bring days by the thousand, or times that no
# calendar has. A time is one before 2100; how far a clock was off is less than that.
LATEST_US = 4_102_444_800_000_000
Instant = Annotated[int, Meta(ge=0, lt=LATEST_US)]
Offset = Annotated[int, Meta(gt=-LATEST_US, lt=LATEST_US)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
HIGHEST_ID = 2**63 - 1
# An id of a trade or a quote.
Id = Annotated[int, Meta(ge=0, le=HIGHEST_ID)]
# A window is an hour long at most; a write that is late, or a clock that is set a little, may make it longer.
_LONGEST_STRETCH_US = 2 * HOUR_US


class Record(Struct, tag_field="kind", frozen=True, kw_only=True):
    """The keys of every record: `kind`, and `at`, when it was written."""

    at: Instant


class OfSymbol(Record, frozen=True, kw_only=True):
    """A record that concerns one symbol; it lies in that symbol's own journal."""

    symbol: str


class Started(Record, tag="started", frozen=True, kw_only=True):
    """A collector began to work."""

    version: str
    pid: Count
    symbols: list[str]


class Stopped(Record, tag="stopped", frozen=True, kw_only=True):
    """A collector ended in good order, with everything sealed."""

    reason: str


class Listed(Record, tag="listed", frozen=True, kw_only=True):
    """The exchange's list has symbols that patterns mean and that were not recorded: they are from here on."""

    symbols: list[str]


class Delisted(Record, tag="delisted", frozen=True, kw_only=True):
    """Symbols trade, or are listed, no more: what was recorded of them is sealed, and nothing more is expected."""

    symbols: list[str]


class Connected(Record, tag="connected", frozen=True, kw_only=True):
    """A connection was opened. Its number counts from 1 since the start."""

    connection: Count
    url: str


class Subscribed(Record, tag="subscribed", frozen=True, kw_only=True):
    """The exchange confirmed the streams: from here on somebody is listening."""

    connection: Count
    streams: list[str]


class Disconnected(Record, tag="disconnected", frozen=True, kw_only=True):
    """A connection ended, or an attempt at one failed; nobody has listened on it since `last_frame`.

    `last_frame` is None where it never got as far as a frame.
    """

    connection: Count
    reason: str
    last_frame: Instant | None


class Notice(Record, tag="notice", frozen=True, kw_only=True):
    """A frame without market data other than the answers to our own requests, verbatim."""

    connection: Count
    frame: str


class Silent(Record, tag="silent", frozen=True, kw_only=True):
    """A subscribed stream has not sent anything for `seconds` since it was subscribed, or since it last did."""

    stream: str
    seconds: Count


class Gap(OfSymbol, tag="gap", frozen=True, kw_only=True):
    """Trade ids that did not come: `first_id` to `last_id`, both missing, between two events of the exchange."""

    first_id: Id
    last_id: Id
    event_from: Instant
    event_to: Instant


class Jumped(OfSymbol, tag="jumped", frozen=True, kw_only=True):
    """An id came that is not where the exchange was counting, and not so little ahead that something is missing.

    `expected` is the next id of a trade, or the least of a quote; where there is none above, the highest of all. Of
    many like it in an hour only the first are written; `unwritten` is how many were not since the one before.
    """

    stream: str
    id: Id
    expected: Id
    unwritten: Count = 0


class Contents(Struct, frozen=True):
    """The contents of a trade, as it was told."""

    ts_event: Instant | None
    price: str | None
    qty: str | None
    side: str | None


class Conflict(OfSymbol, tag="conflict", frozen=True, kw_only=True):
    """A trade id came again with other contents; both are raw lines. `unwritten` as in `Jumped`."""

    id: Id
    first: Contents
    second: Contents
    unwritten: Count = 0


class Late(OfSymbol, tag="late", frozen=True, kw_only=True):
    """A quote came after one with a higher id, `after`: over a connection that is behind another.

    `unwritten` as in `Jumped`.
    """

    id: Id
    after: Id
    unwritten: Count = 0


class ClockOffset(Record, tag="clock_offset", frozen=True, kw_only=True):
    """The smallest `ts_recv - ts_event` among all trades that were received in a minute.

    `minute` is its start on the collector's clock. `set_aside` is how many smaller differences were not believed; where
    it is that of all `trades`, the offset is the one known before.
    """

    minute: Instant
    offset_us: Offset
    trades: Count
    set_aside: Count = 0


class Away(Record, tag="away", frozen=True, kw_only=True):
    """The local clock was set, the machine slept, or the collector was held up for long: until `at` nobody looked.

    `left` is when somebody looked last, on the clock as it ran then, and `last_frame` until when frames prove listening
    by that clock; None where nobody was listening. `step_us` is by how much more the local clock
    moved meanwhile than time seemed to pass: 0, they went alike; None, that is not known. A machine that sleeps may
    seem to have its clock set forward.
    """

    left: Instant
    last_frame: Instant | None
    step_us: Offset | None


class Sealed(OfSymbol, tag="sealed", frozen=True, kw_only=True):
    """A stretch of one symbol's listening was closed, and with it its segment.

    `segment` is the file's name (`part_0001.jsonl`) in the folder of the journal's own day, or None where
    nothing was received and so no file was made. `recv_*` are the first and last `ts_recv` in it, `event_*` the
    smallest and largest `ts_event`, `*_trade_id` the smallest and largest trade id; None without such lines.
    `offset_us` is the smallest difference of the two, or where its trades do not tell it (there are none, or their
    times are implausible) that of all symbols; None where that is not known either.
    `listened` are the [from, to) stretches in which the symbol's streams were subscribed and alive. `sha256` is that of
    the segment's bytes; None where there is no segment, and in journals written before it was noted.
    """

    segment: str | None
    lines: Count
    size: Count
    recv_from: Instant | None
    recv_to: Instant | None
    event_from: Instant | None
    event_to: Instant | None
    offset_us: Offset | None
    listened: list[tuple[Instant, Instant]]
    first_trade_id: Id | None = None
    last_trade_id: Id | None = None
    sha256: str | None = None


class BookBreak(OfSymbol, tag="book_break", frozen=True, kw_only=True):
    """The chain of depth events broke: after `after_id` the next event begins with `first_id`.

    `reason`: `lost`: what lies between did not come, though somebody listened; `unheard`: nobody did for a while;
    `anew`: the exchange counts from elsewhere, so `first_id` may be below `after_id`. `unwritten` as in `Jumped`.
    """

    after_id: Id
    first_id: Id
    reason: str
    unwritten: Count = 0


class DepthSealed(OfSymbol, tag="depth_sealed", frozen=True, kw_only=True):
    """A segment of a symbol's book was closed; names and times as in `Sealed`.

    `lines` are its events and its `snapshots`; `first_id` and `last_id` the least and the highest id of its events;
    None, as `event_*`, where it holds snapshots alone.
    """

    segment: str
    lines: Count
    snapshots: Count
    size: Count
    recv_from: Instant
    recv_to: Instant
    event_from: Instant | None
    event_to: Instant | None
    first_id: Id | None
    last_id: Id | None
    sha256: str


class Displaced(OfSymbol, tag="displaced", frozen=True, kw_only=True):
    """In the journal of a day: trades of that day were received on a quite different one, `landed`.

    So written when the local clock is off by days, or history is replayed.
    """

    landed: str


class Recovered(OfSymbol, tag="recovered", frozen=True, kw_only=True):
    """An open segment of a collector that had died was sealed; `torn_bytes` were cut from its end.

    `moved_bytes` in it were no raw lines, as a power loss leaves them, and lie in `_rejected` now.
    """

    segment: str | None
    torn_bytes: Count
    moved_bytes: Count = 0


class Mended(Record, tag="mended", frozen=True, kw_only=True):
    """So many bytes of this journal were no records, as a power loss leaves them, and lie in `_rejected` now."""

    moved_bytes: Count


AnyRecord = (
    Started
    | Stopped
    | Listed
    | Delisted
    | Connected
    | Subscribed
    | Disconnected
    | Notice
    | Silent
    | Gap
    | Jumped
    | Conflict
    | Late
    | ClockOffset
    | Away
    | Sealed
    | BookBreak
    | DepthSealed
    | Displaced
    | Recovered
    | Mended
)
KINDS: tuple[type[Record], ...] = AnyRecord.__args__
SymbolRecord = Gap | Jumped | Conflict | Late | Sealed | BookBreak | DepthSealed | Displaced | Recovered


def is_plausible(record: AnyRecord, day: date | None) -> bool:
    """Return whether a record of a day's journal agrees with itself and with the day; other ones count as not there."""
    match record:
        case Gap():
            return record.first_id <= record.last_id
        case DepthSealed():
            return _is_depth_of(record, day)
        case Sealed():
            return _agrees(record, day)
    return True


def _is_depth_of(record: DepthSealed, day: date | None) -> bool:
    received = (record.recv_from, record.recv_to)
    pairs = [received, (record.event_from, record.event_to), (record.first_id, record.last_id)]
    is_of_day = all(_is_near(us, day) for us in received)
    return _are_ends(pairs) and record.snapshots <= record.lines and is_of_day


def _are_ends(pairs: list[tuple[int | None, int | None]]) -> bool:
    """Return whether of each beginning and end both are known, or neither, and none ends before it begins."""
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    is_whole = all((one is None) == (other is None) for one, other in pairs)
    return is_whole and all(one <= other for one, other in known)


def _is_near(us: int, day: date | None) -> bool:
    """Return whether a time is of a day; a day more on either side, for the clock may be set meanwhile."""
    first = day_start_us(day) - DAY_US if day else 0
    return day is None or first <= us <= first + 3 * DAY_US


def _agrees(record: Sealed, day: date | None) -> bool:
    """Return whether nobody is said to have listened for days, or in another week, by what may be one changed digit."""
    received = (record.recv_from, record.recv_to)
    pairs = [received, (record.event_from, record.event_to), (record.first_trade_id, record.last_trade_id)]
    has_events_of_lines = record.event_from is None or record.recv_from is not None
    is_in_order = _are_ends([*pairs, *record.listened])
    is_short = all(end - start <= _LONGEST_STRETCH_US for start, end in record.listened)
    times = [us for pair in (received, *record.listened) for us in pair if us is not None]
    # A window ends at midnight.
    is_of_day = all(_is_near(us, day) for us in times)
    return has_events_of_lines and is_in_order and is_short and is_of_day
