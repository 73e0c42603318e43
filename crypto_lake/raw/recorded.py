"""One recorder's folders around a day, put together: its sources, when it listened, how far off its clock was.

A line's receipt means nothing without its own recorder's clock, so this is where that clock is applied; what several
recorders make together is the catalog's. Everything here is in microseconds since the epoch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import msgspec

from crypto_lake.layout import HOUR_US, MINUTE_US
from crypto_lake.raw import clocks, journal, scan, segments
from crypto_lake.raw.intervals import Interval, union
from crypto_lake.raw.offsets import DRIFT_US, Measured, Offsets, are_few, believed, near
from crypto_lake.raw.offsets import merged as merged_offset
from crypto_lake.raw.sources import Source
from crypto_lake.raw.stretches import Stretch, heard, joined, without_a_hole


@dataclass(frozen=True)
class Recorded:
    """One recorder's side of a symbol, around a day.

    `listened` are the merged stretches in which it listened, on the exchange's clock; `offsets` how far its clock was
    off. `lost` are stretches that it listened to and of which lines, or all, are not there; `gaps` those in which its
    journal says that trades are missing.
    """

    sources: list[Source]
    listened: list[Interval]
    offsets: Offsets
    lost: list[Interval]
    gaps: list[Interval]

    @property
    def is_empty(self) -> bool:
        """Return whether it received nothing, and listened to nothing."""
        return not self.listened and all(source.received is None for source in self.sources)


class Told(NamedTuple):
    """A record, the file that it is of (None for a silent stretch), and when events happened that do not fit it.

    `is_lost`: of a segment that lines, or all, were lost of since.
    """

    path: Path | None
    record: journal.Sealed
    strays: tuple[Interval, ...] = ()
    is_lost: bool = False


def has_strays(record: journal.Sealed) -> bool:
    """Return whether some events cannot have happened when their lines were received, as the clock offset has it."""
    if record.recv_from is None or record.recv_to is None or record.event_from is None:
        return False
    first, last = _expected(record)
    return record.event_from < first - DRIFT_US or (record.event_to or 0) > last + DRIFT_US


def _expected(record: journal.Sealed) -> Interval:
    """Return what was received with a record, on the exchange's clock."""
    offset = record.offset_us or 0
    return (record.recv_from or 0) - offset, (record.recv_to or 0) - offset


def apart(one: Told, scanned: scan.Scanned | None, hours: list[Interval]) -> Told:
    """A record whose events are as it may be believed, and beside it when the lines say they happened, if they do."""
    offset = one.record.offset_us
    if scanned and offset == scanned.least and scanned.record.offset_us is not None:
        # Before strays were set aside, one of them may have been taken for the offset.
        offset = scanned.record.offset_us
    record = msgspec.structs.replace(one.record, offset_us=offset)
    first, last = _expected(record)
    ends = {name: min(max(getattr(record, name), first), last) for name in ("event_from", "event_to")}
    return one._replace(record=msgspec.structs.replace(record, **ends), strays=tuple(hours))


@dataclass(frozen=True)
class Folder:
    """One recorder's records in a folder in order of time; the offsets of its symbol's own trades, and its journal's.

    `rising`: the collector took each id once, as it does unless the exchange counts anew or contradicts itself.
    `displaced` are the other days in whose folders its journal says that trades of its day lie; `late` the hours of
    receipt, counted since the epoch, in which quotes came late; `gaps` the times between which trades are missing.
    """

    day: date
    records: list[Told]
    measured: dict[int, Measured]
    journalled: dict[int, Measured]
    refused: list[scan.Refused]
    rising: bool
    displaced: set[date]
    late: frozenset[int]
    gaps: tuple[Interval, ...]
    shared: Sequence[journal.AnyRecord] = ()
    sealed: Sequence[journal.Sealed] = ()

    @cached_property
    def clocks(self) -> dict[tuple[int, int], clocks.Told]:
        """The clock of each record, by when it was written and when it began."""
        found = clocks.of_each(self.sealed, clocks.told(self.shared))
        return {(record.at, begin(record)): clock for record, clock in found}

    @cached_property
    def offsets(self) -> dict[int, int]:
        """By minute: what all of the collector's trades say, or where the journal does not tell, the symbol's own."""
        return believed(self.measured | self.journalled)

    def offset_at(self, record: journal.Sealed, last: int | None) -> int | None:
        """A record's offset: its own, the collector's of that minute or the last before, else the nearest known.

        None where the clock was set meanwhile, or the machine slept, and nothing was traded that tells which.
        """
        if not record.at and record.recv_to is not None:
            # However lines were split over files that no journal describes, they end at the same instant.
            at_the_end = self.offsets.get(record.recv_to - record.recv_to % MINUTE_US)
            if at_the_end is not None:
                return at_the_end
        if record.offset_us is not None and not self._is_outvoted(record, record.offset_us):
            return record.offset_us
        clock = self.clocks.get((record.at, begin(record))) if record.offset_us is None else None
        if clock and (clock.offsets or clock.was_set):
            return clock.offset_at(begin(record))
        return self._nearest(record, last)

    def _nearest(self, record: journal.Sealed, last: int | None) -> int:
        earlier = [minute for minute in self.offsets if minute <= begin(record)]
        if earlier:
            return self.offsets[max(earlier)]
        if last is not None:
            return last
        if self.offsets:
            return self.offsets[min(self.offsets)]
        return next((one.record.offset_us for one in self.records if one.record.offset_us is not None), 0)

    @cached_property
    def _told_of(self) -> dict[int, list[journal.ClockOffset]]:
        """What the journal tells of each minute: a clock that was set back had some of them twice."""
        found: dict[int, list[journal.ClockOffset]] = {}
        for one in journal.of_kind(self.shared, journal.ClockOffset):
            found.setdefault(one.minute, []).append(one)
        return found

    def _is_outvoted(self, record: journal.Sealed, offset: int) -> bool:
        """Return whether a record's own offset is that of a few trades, and the minute's many trades say otherwise."""
        if record.recv_to is None or record.first_trade_id is None or record.last_trade_id is None:
            return False
        own = record.last_trade_id - record.first_trade_id + 1
        if not are_few(own):
            return False
        minute = record.recv_to - record.recv_to % MINUTE_US
        told = self._told_of.get(minute, [])
        is_alone = not any(near(one.offset_us, offset) for one in told)
        return is_alone and any(one.trades - one.set_aside > own for one in told)


def still_listened(records: list[Told], sealed: list[journal.Sealed]) -> list[Told]:
    """The journal's records of segments that lines, or all, were lost of since: somebody listened all the same.

    What such a file itself says of listening is taken away.
    """
    held = {segments.name_of(one.path) for one in records if one.path and one.record.at}
    told = {r.segment: r for r in sealed if r.segment and r.segment not in held}
    for number, one in enumerate(records):
        if one.path and segments.name_of(one.path) in told:
            records[number] = one._replace(record=msgspec.structs.replace(one.record, listened=[]))
    return [Told(None, record, is_lost=True) for record in told.values()]


def by_minute(measured: Iterable[tuple[int, Measured]]) -> dict[int, Measured]:
    """The offset by minute; given are instants of receipt and offsets.

    Of a segment the minute it ends in is taken: the journal knows the others, unless the collector died in this one.
    """
    found: dict[int, Measured] = {}
    for at, offset in measured:
        minute = at - at % MINUTE_US
        found[minute] = merged_offset(offset, found.get(minute, offset))
    return found


def begin(record: journal.Sealed) -> int:
    """Return when a record's stretch began, on the local clock (of a healed one: on the exchange's)."""
    if record.recv_from is not None:
        return record.recv_from
    return record.listened[0][0] if record.listened else record.event_from or 0


def merged(recorder: str, folders: Sequence[Folder]) -> Recorded:
    """Put a recorder's folders, in order of days, together."""
    sources: list[Source] = []
    measured = by_minute(pair for folder in folders for pair in folder.measured.items())
    journalled = {minute: one for folder in folders for minute, one in folder.journalled.items()}
    offsets = Offsets(believed(measured | journalled))
    stretches: list[Stretch] = []
    lost: list[Interval] = []
    offset: int | None = None
    before: journal.Sealed | None = None
    for folder in folders:
        for one in folder.records:
            record = one.record
            if one.path is not None and record.lines:
                sources.append(_source(recorder, folder, one, offsets))
            known = folder.offset_at(record, offset)
            offset = offset if known is None else known
            # What cannot be put on the exchange's clock says nothing of it.
            found = [] if known is None else heard(record, known)
            stretches += found
            if one.is_lost:
                lost += [stretch.exchange for stretch in found]
            is_healed = one.path is not None and segments.is_healed(one.path)
            between = without_a_hole(before, record) if before and not is_healed else None
            if between and offset is not None:
                stretches.append(Stretch(between, (between[0] - offset, between[1] - offset)))
            # What was healed lies in between: it takes nothing from what the files on either side prove.
            if record.at or (record.last_trade_id is not None and not is_healed):
                before = record
    gaps = [gap for folder in folders for gap in folder.gaps]
    return Recorded(sources, union(joined(stretches)), offsets, lost, gaps)


def _source(recorder: str, folder: Folder, told: Told, offsets: Offsets) -> Source:
    record, path = told.record, told.path or Path()
    received = _interval(record.recv_from, record.recv_to)
    bounds = [us for us in (record.event_from, record.event_to) if us is not None]
    bounds += offsets.span(*received) if received else ()
    name = f"{folder.day.isoformat()}/{segments.name_of(path)}"
    vouches = record.at and folder.rising
    trade_ids = _interval(record.first_trade_id, record.last_trade_id) if vouches else None
    return Source(
        name,
        (path,),
        record.size,
        min(bounds),
        max(bounds),
        received,
        trade_ids,
        has_trades=record.event_from is not None,
        strays=told.strays,
        has_late=_is_of_hours(received, folder.late),
        recorders=(recorder,) if received else (),
        is_described=bool(record.at),
    )


def _is_of_hours(received: Interval | None, hours: frozenset[int]) -> bool:
    """Return whether something was received in one of these hours, counted since the epoch."""
    if not hours or received is None:
        return False
    first, last = received
    return not hours.isdisjoint(range(first // HOUR_US, last // HOUR_US + 1))


def _interval(first: int | None, last: int | None) -> Interval | None:
    return None if first is None or last is None else (first, last)
