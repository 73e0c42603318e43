"""The catalog of raw files: each segment's stretch of time on the exchange's clock, and when somebody listened.

The collector's journal says it for each segment that it sealed; files that it does not mention (healed ones, or
landed by hand) are scanned. Nothing is kept: a catalog is made anew from the files whenever it is wanted.

The exchange's clock: local receipt minus the clock offset, which is the smallest `ts_recv - ts_event` known
for that stretch. Events whose times do not fit it are strays: they are found where they say they happened, and say
nothing of the time between. Everything here is in microseconds since the epoch.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from operator import attrgetter
from pathlib import Path

import duckdb

from crypto_lake.errors import RawDataError
from crypto_lake.layout import DAY_US, HOUR_US, day_of, day_start_us
from crypto_lake.raw import asked, journal, journals, recorded, scan, segments
from crypto_lake.raw.intervals import Interval, union
from crypto_lake.raw.kept import Kept, read_kept
from crypto_lake.raw.lines import TICKS
from crypto_lake.raw.offsets import Measured
from crypto_lake.raw.recorded import Folder, Recorded, Told
from crypto_lake.raw.sources import Source, recorders_of
from crypto_lake.series import Series

_start, _end = attrgetter("start"), attrgetter("end")


@dataclass(frozen=True)
class Catalog:
    """All that is known about one symbol's recording around one day.

    `sources` in order of name; `listened` the merged stretches in which somebody listened, on the exchange's clock;
    `proved` are those of which nothing is missing, whoever listened: the exchange was asked for all trades (see
    `asked.py`), or ticks remember it. `recorded` is what each recorder made of it by itself, by name; `refused` are
    files of the day that are left out.
    """

    sources: list[Source]
    listened: list[Interval]
    recorded: dict[str, Recorded]
    refused: tuple[scan.Refused, ...] = ()
    proved: tuple[Interval, ...] = ()

    @property
    def covered(self) -> list[Interval]:
        """The merged stretches of which nothing is missing: somebody listened, or it is proved."""
        return union([*self.listened, *self.proved]) if self.proved else self.listened

    def between(self, start: int, end: int) -> list[Source]:
        """The sources that may hold an event of [start, end)."""
        return [s for s in self.sources if any(first < end and last >= start for first, last in s.spans)]

    def beside(self, start: int, end: int) -> list[Source]:
        """The nearest sources with trades before and after [start, end), both received and fetched ones."""
        found: list[Source] = []
        for by_start, by_end in self._traded:
            before = bisect_left(by_end, start, key=_end)
            found += by_end[max(before - 1, 0) : before]
            after = bisect_left(by_start, end, key=_start)
            found += by_start[after : after + 1]
        return found

    @cached_property
    def _traded(self) -> list[tuple[list[Source], list[Source]]]:
        """The sources with trades, received and fetched ones, by start and by end: each hour of a day is asked for."""
        kinds = [
            [s for s in self.sources if s.has_trades and s.is_healed is healed] for healed in (False, True)
        ]
        return [(sorted(some, key=_start), sorted(some, key=_end)) for some in kinds]

    def touches(self, day: date) -> bool:
        """Return whether any event of the day was recorded, or somebody listened for one."""
        start = day_start_us(day)
        recorded = [*(span for s in self.sources for span in s.spans), *self.covered]
        return any(first < start + DAY_US and last >= start for first, last in recorded)

    @property
    def end(self) -> int:
        """The instant up to which the recording is sealed; 0 for an empty one."""
        return max([*(s.end for s in self.sources), *(end for _, end in self.listened)], default=0)

    def exchange_now(self, now_us: int) -> int:
        """No instant of the exchange that has come yet is later, by the clock of any recorder."""
        return max(one.offsets.exchange_now(now_us) for one in self.recorded.values())

    def offsets(self, sources: Sequence[Source], start: int, end: int) -> dict[int, int]:
        """The offset of each minute in which something of these sources, one recorder's, was received."""
        name = next(iter(recorders_of(one for one in sources if one.received)), "")
        return self.recorded[name].offsets.by_minute(sources, start, end)


class Recording:
    """One symbol's raw side, folder by folder. What it has read it keeps, so make a new one for each question."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, series: Series) -> None:
        self._connection = connection
        self._layout = series.layout
        self._exchange = series.exchange
        self._symbol = series.symbol
        self._folders: dict[date, dict[str, Folder]] = {}

    def around(self, day: date) -> Catalog:
        """The catalog of a day: its own folder, both neighbours', and those that its journal points to.

        A trade is received on the wrong side of midnight where the local clock is off or the network slow, and days
        away from it where history is replayed.
        """
        beside = {day - timedelta(days=1), day + timedelta(days=1)}
        elsewhere = (landed for one in self._folder(day).values() for landed in one.displaced)
        folders = {day, *beside, *elsewhere}
        found = self._merged(folders)
        kept = read_kept(self._layout, self._exchange, self._symbol, day)
        found = _with_ticks(found, kept, self._ticks(day)) if kept else found
        return replace(
            found, refused=tuple(one for at in sorted(folders - beside) for one in self.refused(at))
        )

    def _ticks(self, day: date) -> tuple[Path, ...]:
        return tuple(self._layout.ticks(self._exchange, self._symbol, stream.table, day) for stream in TICKS)

    def event_days(self, received: date) -> set[date]:
        """The days whose events were received, or listened for, on a day; that day itself where a file is refused."""
        folder = self._merged({received})
        spans = [*(span for s in folder.sources for span in s.spans), *folder.covered]
        found = {day_of(us) for start, end in spans for us in range(start - start % DAY_US, end + 1, DAY_US)}
        return found | ({received} if self.refused(received) else set())

    def refused(self, received: date) -> list[scan.Refused]:
        """The files of a folder that hold something other than raw lines of the symbol: they are left out."""
        return [refused for one in self._folder(received).values() for refused in one.refused]

    def _merged(self, days: set[date]) -> Catalog:
        folders = [self._folder(day) for day in sorted(days)]
        names = sorted({name for folder in folders for name in folder})
        of_each = {
            name: recorded.merged(name, [folder[name] for folder in folders if name in folder])
            for name in names
        }
        sources = sorted((s for one in of_each.values() for s in one.sources), key=lambda s: s.name)
        listened = [stretch for one in of_each.values() for stretch in one.listened]
        stretches = [
            one for day in sorted(days) for one in asked.read(self._layout, self._exchange, self._symbol, day)
        ]
        return Catalog(sources, union(listened), of_each, proved=tuple(union(stretches)))

    def _folder(self, day: date) -> dict[str, Folder]:
        if day not in self._folders:
            self._folders[day] = self._read(day)
        return self._folders[day]

    def _read(self, day: date) -> dict[str, Folder]:
        """What each recorder left in a folder, by name; one without a name is always among them."""
        place = self._exchange, self._symbol, day
        found = segments.by_recorder(self._layout.raw_day(*place))
        names = sorted({*self._layout.recorders(*place), *found})
        told = {name: journals.of_recorder(self._layout.of(name), *place) for name in names}
        sealed = {name: list(journal.of_kind(some, journal.Sealed)) for name, some in told.items()}
        described = {(r.segment, r.size): r for some in sealed.values() for r in some if r.segment}
        paths = [path for some in found.values() for path in some]
        keys = {path: (segments.name_of(path), _size_of(path)) for path in paths}
        unknown = [path for path in paths if keys[path] not in described]
        looked_at = scan.scan_files(self._connection, unknown, self._symbol) if unknown else {}
        scanned = {path: one for path, one in looked_at.items() if isinstance(one, scan.Scanned)}
        # A folder without any file is not in use any more.
        is_in_use = len(paths) > len(unknown) - len(scanned)
        folders: dict[str, Folder] = {}
        for name in names:
            own = found.get(name, [])
            records = [
                Told(path, described.get(keys[path]) or scanned[path].record)
                for path in own
                if path in scanned or keys[path] in described
            ]
            records = self._without_strays(records)
            records += [Told(None, r) for r in sealed[name] if r.segment is None]
            records += recorded.still_listened(records, sealed[name]) if is_in_use else []
            shared = journals.shared(self._layout.of(name), self._exchange, day)
            looks = [looked_at[path] for path in own if path in looked_at]
            folders[name] = _folder(day, records, told[name], shared, looks)
        return folders

    def _without_strays(self, records: list[Told]) -> list[Told]:
        """The same, where events lie far from the rest with these apart: only the lines themselves tell which do."""
        paths = [one.path for one in records if one.path and recorded.has_strays(one.record)]
        if not paths:
            return records
        looked_at = scan.scan_files(self._connection, paths, self._symbol)
        scanned = {path: one for path, one in looked_at.items() if isinstance(one, scan.Scanned)}
        hours = scan.event_hours(self._connection, list(scanned)) if scanned else {}
        return [
            recorded.apart(one, scanned.get(one.path), hours.get(one.path, []))
            if one.path is not None and one.path in paths
            else one
            for one in records
        ]


def _folder(
    day: date,
    records: list[Told],
    told: Sequence[journal.SymbolRecord],
    shared: Sequence[journal.AnyRecord],
    looked_at: Iterable[scan.Scanned | scan.Refused],
) -> Folder:
    """A recorder's folder: its records, what its journals tell of the symbol and of all, and what scans found."""
    records.sort(key=lambda one: recorded.begin(one.record))
    known = [one.record for one in records if one.record.at and one.record.event_from is not None]
    measured = [(r.recv_to, Measured(r.offset_us, 1)) for r in known if r.recv_to and r.offset_us is not None]
    refused: list[scan.Refused] = []
    for one in looked_at:
        if isinstance(one, scan.Scanned):
            measured += one.offsets.items()
        else:
            refused.append(one)
    journalled = {
        r.minute: Measured(r.offset_us, r.trades - r.set_aside)
        for r in journal.of_kind(shared, journal.ClockOffset)
    }
    return Folder(
        day=day,
        records=records,
        measured=recorded.by_minute(measured),
        journalled=journalled,
        refused=refused,
        rising=not any(isinstance(one, journal.Jumped | journal.Conflict) for one in told),
        displaced=journals.displaced(told),
        late=frozenset(one.at // HOUR_US for one in journal.of_kind(told, journal.Late)),
        gaps=tuple((one.event_from, one.event_to) for one in journal.of_kind(told, journal.Gap)),
        shared=shared,
        sealed=list(journal.of_kind(told, journal.Sealed)),
    )


def _size_of(path: Path) -> int:
    """Return how many bytes of lines a segment holds; -1, as none has, where it is compressed and does not say so."""
    try:
        return segments.size_of(path)
    except RawDataError:
        return -1


def _with_ticks(found: Catalog, kept: Kept, paths: tuple[Path, ...]) -> Catalog:
    """Ticks stand for the segments they were made from, once one of these is gone."""
    there = {(source.name, source.size) for source in found.sources}
    if there.issuperset(kept.segments):
        return found
    size = sum(path.stat().st_size for path in paths)
    received = [path for path in map(Path, dict(kept.segments)) if not segments.is_healed(path)]
    ticks = Source(
        f"ticks/{paths[0].stem}",
        paths,
        size,
        *kept.span,
        received=None,
        trade_ids=kept.trade_ids,
        has_trades=kept.trade_ids is not None,
        is_ticks=True,
        recorders=tuple(sorted({segments.recorder_of(path) for path in received})),
    )
    others = [source for source in found.sources if (source.name, source.size) not in kept.known]
    # Healed trades prove a stretch as long as their files are there: then the ticks alone remember it.
    proved = tuple(union([*found.proved, *kept.listened]))
    listened = union([*found.listened, *(kept.listened if kept.heard is None else kept.heard)])
    return replace(found, sources=[*others, ticks], listened=listened, proved=proved)
