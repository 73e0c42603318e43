"""The plan of a day: which hours there should be, what each would be made from, and which are not in line with that.

A part's footer remembers a fingerprint of all that went into it (segments, what was listened to, clock offsets,
values carried in, settings, the transform's version) and the values it hands on; of a compacted day, the manifest
remembers the same. No other state is kept.
"""

import contextlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import duckdb
from loguru import logger
from msgspec import Meta, Struct, convert, json, to_builtins

from crypto_lake.disk import parquet, publish
from crypto_lake.errors import NOT_JSON
from crypto_lake.exchanges import registry
from crypto_lake.layout import DAY_US, HOUR_US, HOURS_OF_A_DAY, SECOND_US, day_start_us
from crypto_lake.raw import segments
from crypto_lake.raw.catalog import Catalog, Recording
from crypto_lake.raw.intervals import clipped, without
from crypto_lake.raw.sources import Source, paths_of, recorders_of
from crypto_lake.series import Series
from crypto_lake.transform.chosen import MARGIN_US, Choice, Chosen

# Goes up when the same raw lines would give other bars: every part is then rebuilt.
TRANSFORM_VERSION = 3


class Carry(Struct, frozen=True):
    """The last values of a part, which the next one starts from; None before the first trade, or quote."""

    close: float | None = None
    bid: float | None = None
    bid_qty: float | None = None
    ask: float | None = None
    ask_qty: float | None = None
    spread: float | None = None


class PartRecord(Struct, frozen=True):
    """The memory of a part: what it was made from, and what it hands on."""

    fingerprint: dict[str, Any]
    carry: Carry


def is_stale(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> bool:
    """Return whether `build_day` would rebuild anything."""
    return _is_stale(connection, series, Recording(connection, series), day, now_us)


def _is_stale(
    connection: duckdb.DuckDBPyConnection, series: Series, recording: Recording, day: date, now_us: int
) -> bool:
    known = remembered(series, day)
    plan = Plan(recording.around(day), series, day, now_us)
    daily = series.layout.daily(series.exchange, series.symbol, day)
    is_damaged = daily.exists() and parquet.footer(daily) is None and any(plan.hours())
    if plan.catalog.refused or is_damaged:
        return True
    carry = carry_before(connection, series, day)
    for hour in plan.hours():
        record = known.get(hour)
        if record is None or record.fingerprint != plan.fingerprint(hour, carry):
            return True
        carry = record.carry
    return False


def stale_days(
    connection: duckdb.DuckDBPyConnection,
    series: Series,
    received: list[date] | None,
    now_us: int,
    but: Container[date] = (),
) -> list[date]:
    """The days, oldest first, whose bars are not in line with what was received on the days given (None: on any).

    Nothing is asked of the days `but`.
    """
    recording = Recording(connection, series)
    if received is None:
        received = segments.days(series.layout, series.exchange, series.symbol)
    candidates = {day for folder in received for day in recording.event_days(folder)}
    wanted = sorted(day for day in candidates if day not in but)
    return [day for day in wanted if _is_stale(connection, series, recording, day, now_us)]


def remembered(series: Series, day: date, *, daily_counts: bool = True) -> dict[int, PartRecord]:
    """Return what parts and manifest remember of a day, by hour; a part, being younger, wins.

    A manifest counts beside a readable daily file only (and not without `daily_counts`), and what cannot be understood
    counts as absent: those hours are then made anew.
    """
    layout = series.layout
    daily = layout.daily(series.exchange, series.symbol, day)
    counts = daily_counts and parquet.footer(daily) is not None
    found = _in_manifest(series, day) if counts else {}
    for hour, path in layout.parts_by_hour(series.exchange, series.symbol, day).items():
        if (footer := parquet.footer(path)) is not None:
            with contextlib.suppress(*NOT_JSON):
                found[hour] = _understood(convert(footer, PartRecord))
    return found


def _in_manifest(series: Series, day: date) -> dict[int, PartRecord]:
    """Return what a day's manifest remembers by hour; nothing where there is none that can be understood."""
    layout = series.layout
    path = layout.manifest(layout.daily(series.exchange, series.symbol, day))
    with contextlib.suppress(OSError, *NOT_JSON):
        manifest = json.decode(publish.read(path), type=_Manifest)
        return {int(hour): _understood(record) for hour, record in manifest.made_from.items()}
    return {}


class _Manifest(Struct):
    """The part of a manifest that the transform wants."""

    made_from: dict[Annotated[str, Meta(pattern="^([01][0-9]|2[0-3])$")], PartRecord]


class _Fingerprint(Struct):
    """The keys of a fingerprint that others than the transform read; the transform itself only compares it."""

    segments: list[tuple[str, int]]
    until: int


def _understood(record: PartRecord) -> PartRecord:
    """The same record.

    Raises:
        msgspec.ValidationError: its fingerprint is none.
    """
    convert(record.fingerprint, _Fingerprint)
    return record


def carry_before(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> Carry:
    """The values that a day starts from: the last ones of the latest earlier day that has bars."""
    for earlier in reversed(series.layout.bar_days(series.exchange, series.symbol)):
        if earlier >= day:
            continue
        # A daily file that cannot be read is made anew, with the values that its manifest has.
        if records := remembered(series, earlier) or _in_manifest(series, earlier):
            return records[max(records)].carry
        paths = series.layout.bar_files(series.exchange, series.symbol, earlier)
        with contextlib.suppress(duckdb.Error):
            return last_values(connection, parquet.scan(paths))
        logger.error("{} {}: its bars cannot be read; the day before it is looked at", series.symbol, earlier)
    return Carry()


def last_values(connection: duckdb.DuckDBPyConnection, table: str) -> Carry:
    """Return the last values of a table of bars; those of no bar where it has no row."""
    columns = ", ".join(Carry.__struct_fields__)
    last = f"SELECT {columns} FROM {table} ORDER BY window_start DESC LIMIT 1"
    return next((Carry(*row) for row in connection.execute(last).fetchall()), Carry())


@dataclass(frozen=True)
class Plan:
    """The hours that a day should have, and what each would be made from."""

    catalog: Catalog
    series: Series
    day: date
    now_us: int

    def hours(self) -> Iterator[int]:
        """Yield the hours that the day has by now; none where nothing of it was recorded or listened for."""
        if self.catalog.touches(self.day):
            for hour in range(HOURS_OF_A_DAY):
                if self._until(hour) > self._start(hour):
                    yield hour

    def _start(self, hour: int) -> int:
        return day_start_us(self.day) + hour * HOUR_US

    def _until(self, hour: int) -> int:
        """The end of the hour, or of the last interval of a day in progress that is wholly sealed."""
        end = self._start(hour) + HOUR_US
        if self.now_us >= day_start_us(self.day) + DAY_US:
            return end
        step = self.series.config.transformer.resample_interval_sec * SECOND_US
        # Whatever a journal says, nobody has listened to what is still to come.
        sealed = min(self.catalog.end, self.catalog.exchange_now(self.now_us))
        return min(end, sealed - sealed % step)

    def fingerprint(self, hour: int, carry: Carry) -> dict[str, Any]:
        """Return all that goes into an hour's part, for comparison with what the part remembers."""
        return self.made_from(hour) | {"carry": to_builtins(carry)}

    def made_from(self, hour: int) -> dict[str, Any]:
        """Return the same but for the values carried in."""
        start = self._start(hour)
        end = start + HOUR_US
        sources, here, before = self.chosen(hour)
        transformer = self.series.config.transformer
        offsets = {} if here else self.catalog.offsets(sources, start, end)
        made_from: dict[str, Any] = {
            "version": TRANSFORM_VERSION,
            "step": transformer.resample_interval_sec * SECOND_US,
            "compression": transformer.parquet_compression,
            "hour_start": start,
            "until": self._until(hour),
            "segments": [[source.name, source.size] for source in sources],
            "offsets": [list(one) for one in offsets.items()],
            "listened": [list(one) for one in clipped(self.catalog.covered, start, end)],
            "beside": self._beside(sources, start, end),
        }
        if here:
            made_from["recorders"] = {
                name: {
                    "here": name in here,
                    "before": name in before,
                    "offsets": [list(one) for one in self._offsets_around(name, sources, start)],
                }
                for name in recorders_of(one for one in sources if one.received)
            }
        return made_from

    def chosen(self, hour: int) -> Chosen:
        """The sources that an hour is read from, and whose they are."""
        return self.choice.of(self._start(hour), self._until(hour))

    def read(self) -> list[Source]:
        """All sources that the day is read from."""
        if not self.choice.is_free:
            return self._all()
        names = {source.name for hour in range(HOURS_OF_A_DAY) for source in self.chosen(hour).sources}
        return [source for source in self.catalog.sources if source.name in names]

    def spare(self) -> list[Source]:
        """The sources of the day that need not be read, since another recorder's lack nothing."""
        if not self.choice.is_free:
            return []
        read = {source.name for source in self.read()}
        return [source for source in self._all() if source.name not in read]

    def _all(self) -> list[Source]:
        start = day_start_us(self.day)
        return self.catalog.between(start, start + DAY_US)

    @cached_property
    def choice(self) -> Choice:
        """The choice between recorders."""
        proves = registry.exchange(self.series.exchange).capabilities.trade_ids == "contiguous"
        return Choice(self.catalog, day_start_us(self.day), proves)

    def _offsets_around(self, name: str, sources: list[Source], start: int) -> Iterable[tuple[int, int]]:
        """One recorder's offsets, by minute, of an hour that several are read for, and of what is near its borders."""
        own = [one for one in sources if name in one.recorders]
        offsets = self.catalog.recorded[name].offsets
        return offsets.by_minute(own, start - MARGIN_US, start + HOUR_US + MARGIN_US).items()

    def _beside(self, sources: list[Source], start: int, end: int) -> list[list[Any]]:
        """Return the segments that bring the trades around an hour, where healed trades may prove what nobody heard."""
        if not without(self.catalog.covered, start, end):
            return []
        beside = self.catalog.beside(start, end)
        healed = any(source.is_healed for source in [*sources, *beside])
        return [[source.name, source.size] for source in beside] if healed else []

    def files(self, fingerprint: dict[str, Any]) -> list[Path]:
        """The segments that an hour was to be made from, and those beside it."""
        sources = [*self.sources(fingerprint), *self.sources(fingerprint, "beside")]
        return paths_of(source for source in sources if not source.is_ticks)

    def sources(self, fingerprint: dict[str, Any], key: str = "segments") -> list[Source]:
        """Those that a fingerprint names under a key."""
        wanted = {name for name, _ in fingerprint[key]}
        return [source for source in self.catalog.sources if source.name in wanted]
