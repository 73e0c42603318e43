"""Which raw files hold what: each segment's stretch of time on the exchange's clock, and when somebody listened.

The collector's journal says it for each segment that it sealed; files that it does not mention (healed ones, or
landed by hand) are scanned. Nothing is kept: a catalog is made anew from the files whenever it is wanted.

The exchange's clock: local receipt minus the clock offset, which is the smallest `ts_recv - ts_event` known
for that stretch. Everything here is in microseconds since the epoch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb

from crypto_lake import journal, segments
from crypto_lake.errors import RawDataError
from crypto_lake.layout import DAY_US, MINUTE_US, Layout, day_of, day_start_us
from crypto_lake.parquet import path_list
from crypto_lake.schema import RAW_LINE, typed

# How far a line may lie outside its segment's stretch, since the offset differs a little from minute to minute.
_MARGIN_US = MINUTE_US

Interval = tuple[int, int]


@dataclass(frozen=True)
class Source:
    """A sealed segment. `name` is its folder and file, as fingerprints spell it; [start, end] its stretch.

    `offset_us` is None where it holds no trade that was received live.
    """

    name: str
    path: Path
    size: int
    start: int
    end: int
    offset_us: int | None


@dataclass(frozen=True)
class Catalog:
    """All that is known about one symbol's recording around one day.

    `sources` in order of name; `listened` the merged stretches in which somebody listened, on the exchange's clock;
    `offsets` what the journal measured, by minute of receipt.
    """

    sources: list[Source]
    listened: list[Interval]
    offsets: dict[int, int]

    def between(self, start: int, end: int) -> list[Source]:
        """The sources that may hold an event of [start, end)."""
        return [s for s in self.sources if s.start < end + _MARGIN_US and s.end >= start - _MARGIN_US]

    def touches(self, day: date) -> bool:
        """Whether any event of the day was recorded."""
        start = day_start_us(day)
        return any(s.start < start + DAY_US and s.end >= start for s in self.sources)

    def offset_before(self, start: int) -> int | None:
        """The last offset known from sources that end before an instant; None where there is none."""
        earlier = [s for s in self.sources if s.end < start and s.offset_us is not None]
        return max(earlier, key=lambda s: s.end).offset_us if earlier else None

    @property
    def end(self) -> int:
        """The instant up to which the recording is sealed; 0 for an empty one."""
        return max([*(s.end for s in self.sources), *(end for _, end in self.listened)], default=0)


def read(
    connection: duckdb.DuckDBPyConnection, layout: Layout, exchange: str, symbol: str, day: date
) -> Catalog:
    """The catalog of a day: its own folder, both neighbours', and those that its journal points to.

    A trade is received on the wrong side of midnight where the local clock is off or the network slow, and days
    away from it where history is replayed.

    Raises:
        RawDataError: a raw file or a journal holds something else.
    """
    folders = {day - timedelta(days=1), day, day + timedelta(days=1)}
    for record in journal.of_kind(journal.read(layout.journal(exchange, day)), journal.Displaced):
        if record.symbol == symbol:
            folders.add(date.fromisoformat(record.landed))
    return _merge([_folder(connection, layout, exchange, symbol, folder) for folder in sorted(folders)])


def event_days(
    connection: duckdb.DuckDBPyConnection, layout: Layout, exchange: str, symbol: str, received: date
) -> set[date]:
    """The days whose events were received on a day."""
    folder = _merge([_folder(connection, layout, exchange, symbol, received)])
    return {day_of(us) for s in folder.sources for us in range(s.start - s.start % DAY_US, s.end + 1, DAY_US)}


@dataclass(frozen=True)
class _Folder:
    """One folder's records (`path` beside each, None for a silent stretch) and its journal's offsets."""

    day: date
    records: list[tuple[Path | None, journal.Sealed]]
    offsets: dict[int, int]


def _folder(
    connection: duckdb.DuckDBPyConnection, layout: Layout, exchange: str, symbol: str, day: date
) -> _Folder:
    written = list(journal.read(layout.journal(exchange, day)))
    sealed = [r for r in journal.of_kind(written, journal.Sealed) if r.symbol == symbol]
    described = {(r.segment, r.size): r for r in sealed if r.segment}
    found = segments.sealed(layout.raw_day(exchange, symbol, day))
    sizes = {path: path.stat().st_size for path in found}
    unknown = [path for path in found if (path.name, sizes[path]) not in described]
    scanned = _scan(connection, unknown, symbol) if unknown else {}
    records: list[tuple[Path | None, journal.Sealed]] = [
        (path, described.get((path.name, sizes[path])) or scanned[path]) for path in found
    ]
    records += [(None, r) for r in sealed if r.segment is None]
    offsets = {r.minute: r.offset_us for r in journal.of_kind(written, journal.ClockOffset)}
    return _Folder(day, records, offsets)


def _scan(
    connection: duckdb.DuckDBPyConnection, paths: list[Path], symbol: str
) -> dict[Path, journal.Sealed]:
    """Records for files that the journal does not describe.

    Somebody was listening from such a file's first line to its last; a healed file says nothing about listening, and
    its receipt times nothing about the clock.
    """
    try:
        rows = connection.execute(
            f"""SELECT filename, count(*), min(ts_recv), max(ts_recv), min(ts_event), max(ts_event),
                       min(ts_recv - ts_event), min(id) FILTER (stream = 'trade'), max(id) FILTER (stream = 'trade')
                FROM {_read_json(paths, ", filename = true")} GROUP BY filename"""
        ).fetchall()
    except duckdb.Error as error:
        raise RawDataError(str(error)) from None
    by_path = {Path(path): values for path, *values in rows}
    records = {}
    for path in paths:
        lines, recv_from, recv_to, event_from, event_to, offset, *ids = by_path.get(path, [0] + [None] * 7)
        healed = is_healed(path)
        records[path] = journal.Sealed(
            at=0,
            symbol=symbol,
            segment=path.name,
            lines=lines,
            size=path.stat().st_size,
            recv_from=None if healed else recv_from,
            recv_to=None if healed else recv_to,
            event_from=event_from,
            event_to=event_to,
            offset_us=None if healed else offset,
            listened=[] if healed or lines == 0 else [(recv_from, recv_to)],
            first_trade_id=ids[0],
            last_trade_id=ids[1],
        )
    return records


def is_healed(path: Path) -> bool:
    """Whether a segment was fetched rather than received."""
    return path.name.startswith("heal_")


def create_raw(connection: duckdb.DuckDBPyConnection, paths: list[Path]) -> None:
    """Make the view `raw`: the lines of some segments, and whether they were `healed` (fetched, not received)."""
    columns = ", ".join(f"NULL::{column.type} AS {column.name}" for column in RAW_LINE)
    queries = [f"SELECT {columns}, false AS healed WHERE false"]
    kinds = {healed: [path for path in paths if is_healed(path) is healed] for healed in (False, True)}
    queries += [
        f"SELECT *, {healed} AS healed FROM {_read_json(some)}" for healed, some in kinds.items() if some
    ]
    connection.execute(f"CREATE OR REPLACE TEMP VIEW raw AS {' UNION ALL '.join(queries)}")


def _read_json(paths: list[Path], more: str = "") -> str:
    return f"read_json({path_list(paths)}, format = 'newline_delimited', columns = {typed(RAW_LINE)}{more})"


def _merge(folders: Iterable[_Folder]) -> Catalog:
    sources: list[Source] = []
    offsets: dict[int, int] = {}
    stretches: list[_Stretch] = []
    before: journal.Sealed | None = None
    for folder in folders:
        offsets |= folder.offsets
        in_time = sorted(folder.records, key=lambda pair: pair[1].recv_from or pair[1].event_from or 0)
        fallback = next((r.offset_us for _, r in in_time if r.offset_us is not None), 0)
        for path, record in in_time:
            offset = fallback = record.offset_us if record.offset_us is not None else fallback
            if path is not None and record.lines:
                sources.append(_source(folder.day, path, record, offset))
            stretches += _stretches(record, offset)
            if before and (between := _without_a_hole(before, record)):
                stretches.append(_Stretch(between, (between[0] - offset, between[1] - offset)))
            before = record
    sources.sort(key=lambda s: s.name)
    return Catalog(sources, merged(_joined(stretches)), offsets)


def _source(day: date, path: Path, record: journal.Sealed, offset: int) -> Source:
    bounds = [us for us in (record.event_from, record.event_to) if us is not None]
    bounds += [us - offset for us in (record.recv_from, record.recv_to) if us is not None]
    name = f"{day.isoformat()}/{path.name}"
    return Source(name, path, record.size, min(bounds), max(bounds), record.offset_us)


class _Stretch(NamedTuple):
    """A stretch of listening, on the local clock and on the exchange's."""

    local: Interval
    exchange: Interval


def _stretches(record: journal.Sealed, offset: int) -> list[_Stretch]:
    """What a record says of listening.

    All trades between the first and the last of one stretch were listened to, whatever the clock says.
    """
    found = [_Stretch((start, end), (start - offset, end - offset)) for start, end in record.listened]
    if len(found) == 1 and record.event_from is not None and record.event_to is not None:
        local, (start, end) = found[0]
        found = [_Stretch(local, (min(start, record.event_from), max(end, record.event_to)))]
    return found


def _without_a_hole(before: journal.Sealed, after: journal.Sealed) -> Interval | None:
    """The time between two files that no journal describes, if their trade ids prove that nothing is missing."""
    described = before.at or after.at
    if described or before.last_trade_id is None or after.first_trade_id != before.last_trade_id + 1:
        return None
    if before.recv_to is None or after.recv_from is None or after.recv_from < before.recv_to:
        return None
    return before.recv_to, after.recv_from


def _joined(stretches: list[_Stretch]) -> list[Interval]:
    """Stretches that touch on the local clock are one, though the offset changed from one to the next."""
    found: list[_Stretch] = []
    for stretch in sorted(stretches):
        if found and stretch.local[0] <= found[-1].local[1]:
            found[-1] = _Stretch(
                _hull(found[-1].local, stretch.local), _hull(found[-1].exchange, stretch.exchange)
            )
        else:
            found.append(stretch)
    return [stretch.exchange for stretch in found]


def _hull(one: Interval, other: Interval) -> Interval:
    return min(one[0], other[0]), max(one[1], other[1])


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """Intervals as the fewest that cover the same, in order."""
    found: list[Interval] = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found
