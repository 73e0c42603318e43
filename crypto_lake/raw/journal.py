"""The collector's journals: what it lived through, a record a line. `docs/FORMAT.md` lists all.

They answer what market data cannot: when was somebody listening, why not, how far off was the clock. What concerns a
symbol lies in the symbol's own folder of the day, so that nobody reads of a thousand symbols to learn of one; what
concerns connections and the clock in one file for all (`journals` reads both). All times are the collector's own clock,
microseconds UTC, unless a field's name says `event`. Light, for the collector.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from loguru import logger
from msgspec import Meta, Struct

from crypto_lake.disk import mending
from crypto_lake.errors import NOT_JSON
from crypto_lake.layout import DAY_US, HOUR_US, day_start_us
from crypto_lake.raw.lines import EARLIEST_US

# A line with a number that cannot be meant is no record: one such would bring days by the thousand, or times that no
# calendar has. A time is one before 2100; how far a clock was off is less than that.
_LATEST_US = 4_102_444_800_000_000
Instant = Annotated[int, Meta(ge=0, lt=_LATEST_US)]
Offset = Annotated[int, Meta(gt=-_LATEST_US, lt=_LATEST_US)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# An id of a trade or a quote.
Id = Annotated[int, Meta(ge=0, le=2**63 - 1)]
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

    `expected` is the next id of a trade, or the least of a quote. Of many like it in an hour only the first are
    written; `unwritten` is how many were not since the one before.
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
    | Sealed
    | Displaced
    | Recovered
    | Mended
)
KINDS: tuple[type[Record], ...] = AnyRecord.__args__
SymbolRecord = Gap | Jumped | Conflict | Late | Sealed | Displaced | Recovered

_decoder = msgspec.json.Decoder(AnyRecord)
_R = TypeVar("_R", bound=Record)


class _AnyKind(Struct):
    """The keys of every record, those of a later version included."""

    kind: str
    at: Annotated[int, Meta(ge=EARLIEST_US, lt=_LATEST_US)]


_decode_any = msgspec.json.Decoder(_AnyKind).decode
_KNOWN = frozenset(str(kind.__struct_config__.tag) for kind in KINDS)
# How many lines of a file were no records, and how many of a later version, when that was last told.
_told: dict[Path, tuple[int, int]] = {}
_MOST_TOLD = 1000


def _is_plausible(record: AnyRecord, day: date | None) -> bool:
    """Return whether a record of a day's journal agrees with itself and with the day; other ones count as not there."""
    if isinstance(record, Gap):
        return record.first_id <= record.last_id
    return not isinstance(record, Sealed) or _agrees(record, day)


def _agrees(record: Sealed, day: date | None) -> bool:
    """Return whether nobody is said to have listened for days, or in another week, by what may be one changed digit."""
    received = (record.recv_from, record.recv_to)
    pairs = [received, (record.event_from, record.event_to), (record.first_trade_id, record.last_trade_id)]
    known = [(one, other) for one, other in pairs if one is not None and other is not None]
    is_whole = all((one is None) == (other is None) for one, other in pairs)
    has_events_of_lines = record.event_from is None or record.recv_from is not None
    is_in_order = all(one <= other for one, other in [*known, *record.listened])
    is_short = all(end - start <= _LONGEST_STRETCH_US for start, end in record.listened)
    times = [us for pair in (received, *record.listened) for us in pair if us is not None]
    # A window ends at midnight; a day more on either side, for the clock may be set meanwhile.
    first = day_start_us(day) - DAY_US if day else 0
    is_of_day = day is None or all(first <= us <= first + 3 * DAY_US for us in times)
    return is_whole and has_events_of_lines and is_in_order and is_short and is_of_day


def _day_of(path: Path) -> date | None:
    """The day of a journal: a shared one has its name, a symbol's own that of its folder."""
    for name in (path.stem, path.parent.name):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(name)
    return None


def is_record(line: bytes) -> bool:
    """Return whether the bytes are a record, if only of a later version of the lake."""
    return _is_known(line) or _is_later(line)


def _is_later(line: bytes) -> bool:
    """Return whether the bytes are a record of a kind that only a later version of the lake knows."""
    try:
        return _decode_any(line).kind not in _KNOWN
    except NOT_JSON:
        return False


def _is_known(line: bytes) -> bool:
    return _decodes(_decoder.decode, line)


def _decodes(decode: Callable[[bytes], object], line: bytes) -> bool:
    try:
        decode(line)
    except NOT_JSON:
        return False
    return True


def read(path: Path) -> Iterator[AnyRecord]:
    """The records of one journal file, in order; none where there is no file. A torn last line is left out.

    So is a line that is no record, as a power loss leaves them, one whose numbers cannot be meant, and one of a kind
    that only a later version knows: how many there are is logged, once for each file. The collector's next start takes
    the first ones out.
    """
    yield from records(path, content(path))


def content(path: Path) -> bytes:
    """The bytes of a journal; none where there is no file."""
    if path.is_file():
        return path.read_bytes()
    # A folder, which somebody has made; the recording is then taken as one without a journal of that day.
    if path.exists() and path not in _told:
        _told[path] = 0, 0
        logger.error("{}: is a folder; expected a journal, or nothing there yet", path)
    return b""


def records(path: Path, content: bytes) -> list[AnyRecord]:
    """The records in the bytes of a journal, as `read` has them; its path says of which day it is."""
    whole = content[: content.rfind(b"\n") + 1]
    known: list[AnyRecord] = []
    bad = later = 0
    day = _day_of(path)
    for line in whole.splitlines():
        try:
            found = [_decoder.decode(line)]
        except NOT_JSON:
            if _is_later(line):
                later += 1
                continue
            bad += 1
            # What stands whole beside a block of NULs counts.
            found = [_decoder.decode(one) for one in mending.good(line, _is_known)]
        plausible = [record for record in found if _is_plausible(record, day)]
        bad += len(found) - len(plausible)
        known += plausible
    if (bad or later) and _told.get(path) != (bad, later):
        if len(_told) >= _MOST_TOLD:
            _told.clear()
        _told[path] = bad, later
        _tell(path, bad, later)
    return known


def _tell(path: Path, bad: int, later: int) -> None:
    if bad:
        logger.error("{}: {} lines are no journal records, and are left out", path, bad)
    if later:
        logger.info("{}: {} records are of a later version, and are left out", path, later)


def of_kind(records: Iterable[AnyRecord], kind: type[_R]) -> Iterator[_R]:
    """Those records that are of one kind."""
    return (record for record in records if isinstance(record, kind))


def file_name(path: Path | None) -> str | None:
    """The name under which `Sealed` and `Recovered` know a segment; None stays None."""
    return path.name if path else None
