"""The catalog of raw files: each segment's stretch of time on the exchange's clock, and when somebody listened.

The collector's journal says it for each segment that it sealed; files that it does not mention (healed ones, or
landed by hand) are scanned. Nothing is kept: a catalog is made anew from the files whenever it is wanted.

The exchange's clock: local receipt minus the clock offset, which is the smallest `ts_recv - ts_event` known
for that stretch. Events whose times do not fit it are strays: they are found where they say they happened, and say
nothing of the time between. Everything here is in microseconds since the epoch.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec

from crypto_lake.errors import RawDataError
from crypto_lake.layout import DAY_US, HOUR_US, MINUTE_US, day_of, day_start_us
from crypto_lake.raw import asked, journal, journals, scan, segments
from crypto_lake.raw.intervals import Interval, union
from crypto_lake.raw.kept import Kept, read_kept
from crypto_lake.raw.lines import TICKS
from crypto_lake.raw.offsets import DRIFT_US, Measured, Offsets, are_few, believed, near
from crypto_lake.raw.offsets import merged as merged_offset
from crypto_lake.raw.sources import Source
from crypto_lake.raw.stretches import Stretch, heard, joined, without_a_hole
from crypto_lake.series import Series


@dataclass(frozen=True)
class Catalog:
    """All that is known about one symbol's recording around one day.

    `sources` in order of name; `listened` the merged stretches in which somebody listened, on the exchange's clock;
    `asked` are those for which the exchange was asked for all trades (see `asked.py`). `offsets` is how far the
    collector's clock was off; `refused` are files of the day that are left out.
    """

    sources: list[Source]
    listened: list[Interval]
    offsets: "Offsets"
    refused: tuple[scan.Refused, ...] = ()
    asked: tuple[Interval, ...] = ()

    @property
    def covered(self) -> list[Interval]:
        """The merged stretches of which nothing is missing: somebody listened, or the exchange was asked for all."""
        return union([*self.listened, *self.asked]) if self.asked else self.listened

    def between(self, start: int, end: int) -> list[Source]:
        """The sources that may hold an event of [start, end)."""
        return [s for s in self.sources if any(first < end and last >= start for first, last in s.spans)]

    def beside(self, start: int, end: int) -> list[Source]:
        """The nearest sources with trades before and after [start, end), both received and fetched ones."""
        found: list[Source] = []
        for healed in (False, True):
            traded = [s for s in self.sources if s.has_trades and s.is_healed is healed]
            found += sorted((s for s in traded if s.end < start), key=lambda s: s.end)[-1:]
            found += sorted((s for s in traded if s.start >= end), key=lambda s: s.start)[:1]
        return found

    def touches(self, day: date) -> bool:
        """Return whether any event of the day was recorded, or somebody listened for one."""
        start = day_start_us(day)
        recorded = [*(span for s in self.sources for span in s.spans), *self.covered]
        return any(first < start + DAY_US and last >= start for first, last in recorded)

    @property
    def end(self) -> int:
        """The instant up to which the recording is sealed; 0 for an empty one."""
        return max([*(s.end for s in self.sources), *(end for _, end in self.listened)], default=0)


class Recording:
    """One symbol's raw side, folder by folder. What it has read it keeps, so make a new one for each question."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, series: Series) -> None:
        self._connection = connection
        self._layout = series.layout
        self._exchange = series.exchange
        self._symbol = series.symbol
        self._folders: dict[date, _Folder] = {}

    def around(self, day: date) -> Catalog:
        """The catalog of a day: its own folder, both neighbours', and those that its journal points to.

        A trade is received on the wrong side of midnight where the local clock is off or the network slow, and days
        away from it where history is replayed.
        """
        beside = {day - timedelta(days=1), day + timedelta(days=1)}
        folders = {day, *beside, *self._folder(day).displaced}
        found = _merge([self._folder(folder) for folder in sorted(folders)])
        kept = read_kept(self._layout, self._exchange, self._symbol, day)
        found = _with_ticks(found, kept, self._ticks(day)) if kept else found
        return replace(
            found, refused=tuple(one for at in sorted(folders - beside) for one in self.refused(at))
        )

    def _ticks(self, day: date) -> tuple[Path, ...]:
        return tuple(self._layout.ticks(self._exchange, self._symbol, stream.table, day) for stream in TICKS)

    def event_days(self, received: date) -> set[date]:
        """The days whose events were received, or listened for, on a day; that day itself where a file is refused."""
        folder = _merge([self._folder(received)])
        spans = [*(span for s in folder.sources for span in s.spans), *folder.covered]
        found = {day_of(us) for start, end in spans for us in range(start - start % DAY_US, end + 1, DAY_US)}
        return found | ({received} if self.refused(received) else set())

    def refused(self, received: date) -> list[scan.Refused]:
        """The files of a folder that hold something other than raw lines of the symbol: they are left out."""
        return self._folder(received).refused

    def _folder(self, day: date) -> "_Folder":
        if day not in self._folders:
            self._folders[day] = self._read(day)
        return self._folders[day]

    def _read(self, day: date) -> "_Folder":
        told = journals.of_symbol(self._layout, self._exchange, self._symbol, day)
        sealed = list(journal.of_kind(told, journal.Sealed))
        described = {(r.segment, r.size): r for r in sealed if r.segment}
        found = segments.sealed(self._layout.raw_day(self._exchange, self._symbol, day))
        keys = {path: (segments.name_of(path), _size_of(path)) for path in found}
        unknown = [path for path in found if keys[path] not in described]
        looked_at = scan.scan_files(self._connection, unknown, self._symbol) if unknown else {}
        scanned = {path: one for path, one in looked_at.items() if isinstance(one, scan.Scanned)}
        refused = [one for one in looked_at.values() if isinstance(one, scan.Refused)]
        records: list[_Told] = [
            _Told(path, described.get(keys[path]) or scanned[path].record)
            for path in found
            if path in scanned or keys[path] in described
        ]
        records = self._without_strays(records)
        records += [_Told(None, r) for r in sealed if r.segment is None]
        records += _still_listened(records, sealed)
        records.sort(key=lambda one: _begin(one.record))
        known = [one.record for one in records if one.record.at and one.record.event_from is not None]
        measured = [
            (r.recv_to, Measured(r.offset_us, 1)) for r in known if r.recv_to and r.offset_us is not None
        ]
        measured += [pair for one in scanned.values() for pair in one.offsets.items()]
        shared = journals.shared(self._layout, self._exchange, day)
        journalled = {
            r.minute: Measured(r.offset_us, r.trades - r.set_aside)
            for r in journal.of_kind(shared, journal.ClockOffset)
        }
        return _Folder(
            day=day,
            records=records,
            measured=_by_minute(measured),
            journalled=journalled,
            refused=refused,
            rising=not any(isinstance(one, journal.Jumped | journal.Conflict) for one in told),
            displaced=journals.displaced(told),
            asked=tuple(asked.read(self._layout, self._exchange, self._symbol, day)),
            late=frozenset(one.at // HOUR_US for one in journal.of_kind(told, journal.Late)),
        )

    def _without_strays(self, records: list["_Told"]) -> list["_Told"]:
        """The same, where events lie far from the rest with these apart: only the lines themselves tell which do."""
        paths = [one.path for one in records if one.path and _has_strays(one.record)]
        if not paths:
            return records
        looked_at = scan.scan_files(self._connection, paths, self._symbol)
        scanned = {path: one for path, one in looked_at.items() if isinstance(one, scan.Scanned)}
        hours = scan.event_hours(self._connection, list(scanned)) if scanned else {}
        return [
            _apart(one, scanned.get(one.path), hours.get(one.path, []))
            if one.path is not None and one.path in paths
            else one
            for one in records
        ]


class _Told(NamedTuple):
    """A record, the file that it is of (None for a silent stretch), and when events happened that do not fit it."""

    path: Path | None
    record: journal.Sealed
    strays: tuple[Interval, ...] = ()


def _has_strays(record: journal.Sealed) -> bool:
    """Return whether some events cannot have happened when their lines were received, as the clock offset has it."""
    if record.recv_from is None or record.recv_to is None or record.event_from is None:
        return False
    first, last = _expected(record)
    return record.event_from < first - DRIFT_US or (record.event_to or 0) > last + DRIFT_US


def _expected(record: journal.Sealed) -> Interval:
    """Return what was received with a record, on the exchange's clock."""
    offset = record.offset_us or 0
    return (record.recv_from or 0) - offset, (record.recv_to or 0) - offset


def _apart(one: _Told, scanned: scan.Scanned | None, hours: list[Interval]) -> _Told:
    """A record whose events are as it may be believed, and beside it when the lines say they happened, if they do."""
    offset = one.record.offset_us
    if scanned and offset == scanned.least and scanned.record.offset_us is not None:
        # Before strays were set aside, one of them may have been taken for the offset.
        offset = scanned.record.offset_us
    record = msgspec.structs.replace(one.record, offset_us=offset)
    first, last = _expected(record)
    ends = {name: min(max(getattr(record, name), first), last) for name in ("event_from", "event_to")}
    return _Told(one.path, msgspec.structs.replace(record, **ends), tuple(hours))


def _size_of(path: Path) -> int:
    """Return how many bytes of lines a segment holds; -1, as none has, where it is compressed and does not say so."""
    try:
        return segments.size_of(path)
    except RawDataError:
        return -1


@dataclass(frozen=True)
class _Folder:
    """One folder's records in order of time; the offsets of its symbol's own trades, and its journal's.

    `rising`: the collector took each id once, as it does unless the exchange counts anew or contradicts itself.
    `displaced` are the other days in whose folders its journal says that trades of its day lie; `late` the hours of
    receipt, counted since the epoch, in which quotes came late.
    """

    day: date
    records: list[_Told]
    measured: dict[int, Measured]
    journalled: dict[int, Measured]
    refused: list[scan.Refused]
    rising: bool
    displaced: set[date]
    asked: tuple[Interval, ...]
    late: frozenset[int]

    @cached_property
    def offsets(self) -> dict[int, int]:
        """By minute: what all of the collector's trades say, or where the journal does not tell, the symbol's own."""
        return believed(self.measured | self.journalled)

    def offset_at(self, record: journal.Sealed, last: int | None) -> int:
        """A record's offset: its own, the collector's of that minute or the last before, else the nearest known."""
        if not record.at and record.recv_to is not None:
            # However lines were split over files that no journal describes, they end at the same instant.
            at_the_end = self.offsets.get(record.recv_to - record.recv_to % MINUTE_US)
            if at_the_end is not None:
                return at_the_end
        if record.offset_us is not None and not self._is_outvoted(record, record.offset_us):
            return record.offset_us
        earlier = [minute for minute in self.offsets if minute <= _begin(record)]
        if earlier:
            return self.offsets[max(earlier)]
        if last is not None:
            return last
        if self.offsets:
            return self.offsets[min(self.offsets)]
        return next((one.record.offset_us for one in self.records if one.record.offset_us is not None), 0)

    def _is_outvoted(self, record: journal.Sealed, offset: int) -> bool:
        """Return whether a record's own offset is that of a few trades, and the minute's many trades say otherwise."""
        if record.recv_to is None or record.first_trade_id is None or record.last_trade_id is None:
            return False
        told = self.journalled.get(record.recv_to - record.recv_to % MINUTE_US)
        own = record.last_trade_id - record.first_trade_id + 1
        return told is not None and are_few(own) and told.trades > own and not near(told.us, offset)


def _still_listened(records: list[_Told], sealed: list[journal.Sealed]) -> list[_Told]:
    """The journal's records of segments that lines, or all, were lost of since: somebody listened all the same.

    What such a file itself says of listening is taken away. A folder without any file is not in use any more.
    """
    held = {segments.name_of(one.path) for one in records if one.path and one.record.at}
    told = {r.segment: r for r in sealed if r.segment and r.segment not in held}
    for number, one in enumerate(records):
        if one.path and segments.name_of(one.path) in told:
            records[number] = one._replace(record=msgspec.structs.replace(one.record, listened=[]))
    return [_Told(None, record) for record in told.values()] if any(one.path for one in records) else []


def _by_minute(measured: Iterable[tuple[int, Measured]]) -> dict[int, Measured]:
    """The offset by minute; given are instants of receipt and offsets.

    Of a segment the minute it ends in is taken: the journal knows the others, unless the collector died in this one.
    """
    found: dict[int, Measured] = {}
    for at, offset in measured:
        minute = at - at % MINUTE_US
        found[minute] = merged_offset(offset, found.get(minute, offset))
    return found


def _begin(record: journal.Sealed) -> int:
    """Return when a record's stretch began, on the local clock (of a healed one: on the exchange's)."""
    if record.recv_from is not None:
        return record.recv_from
    return record.listened[0][0] if record.listened else record.event_from or 0


def _merge(folders: Iterable[_Folder]) -> Catalog:
    sources: list[Source] = []
    folders = list(folders)
    measured = _by_minute(pair for folder in folders for pair in folder.measured.items())
    journalled = {minute: one for folder in folders for minute, one in folder.journalled.items()}
    offsets = Offsets(believed(measured | journalled))
    stretches: list[Stretch] = []
    offset: int | None = None
    before: journal.Sealed | None = None
    for folder in folders:
        for one in folder.records:
            record = one.record
            offset = folder.offset_at(record, offset)
            if one.path is not None and record.lines:
                source = _source(folder.day, one.path, one, offsets)
                source = replace(source, has_late=_is_of_hours(source, folder.late))
                sources.append(source if folder.rising else replace(source, trade_ids=None))
            stretches += heard(record, offset)
            is_healed = one.path is not None and segments.is_healed(one.path)
            if before and not is_healed and (between := without_a_hole(before, record)):
                stretches.append(Stretch(between, (between[0] - offset, between[1] - offset)))
            # What was healed lies in between: it takes nothing from what the files on either side prove.
            if record.at or (record.last_trade_id is not None and not is_healed):
                before = record
    sources.sort(key=lambda s: s.name)
    stretches_asked = union(stretch for folder in folders for stretch in folder.asked)
    return Catalog(sources, union(joined(stretches)), offsets, asked=tuple(stretches_asked))


def _with_ticks(found: Catalog, kept: Kept, paths: tuple[Path, ...]) -> Catalog:
    """Ticks stand for the segments they were made from, once one of these is gone."""
    there = {(source.name, source.size) for source in found.sources}
    if there.issuperset(kept.segments):
        return found
    size = sum(path.stat().st_size for path in paths)
    ticks = Source(
        f"ticks/{paths[0].stem}",
        paths,
        size,
        *kept.span,
        received=None,
        trade_ids=kept.trade_ids,
        has_trades=kept.trade_ids is not None,
        is_ticks=True,
    )
    others = [source for source in found.sources if (source.name, source.size) not in kept.segments]
    listened = union([*found.listened, *kept.listened])
    return Catalog([*others, ticks], listened, found.offsets, asked=found.asked)


def _source(day: date, path: Path, told: _Told, offsets: Offsets) -> Source:
    record = told.record
    received = _interval(record.recv_from, record.recv_to)
    bounds = [us for us in (record.event_from, record.event_to) if us is not None]
    bounds += offsets.span(*received) if received else ()
    name = f"{day.isoformat()}/{segments.name_of(path)}"
    trade_ids = _interval(record.first_trade_id, record.last_trade_id) if record.at else None
    has_trades = record.event_from is not None
    return Source(
        name, (path,), record.size, min(bounds), max(bounds), received, trade_ids, has_trades, told.strays
    )


def _is_of_hours(source: Source, hours: frozenset[int]) -> bool:
    """Return whether a source was received in one of these hours, counted since the epoch."""
    if not hours or source.received is None:
        return False
    first, last = source.received
    return not hours.isdisjoint(range(first // HOUR_US, last // HOUR_US + 1))


def _interval(first: int | None, last: int | None) -> Interval | None:
    return None if first is None or last is None else (first, last)
