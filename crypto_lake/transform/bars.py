"""Raw segments to bars: one Parquet part an hour, made by `sql/bars.sql`, and only where something changed.

A part's footer remembers a fingerprint of all that went into it (segments, what was listened to, clock offsets,
values carried in, settings, the transform's version) and the values it hands on. A run walks the hours of a day
in order and rebuilds those whose fingerprint is no longer what it would be now; of a compacted day, the
manifest remembers the same. No other state is kept.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import duckdb
from filelock import FileLock, Timeout
from loguru import logger
from msgspec import Meta, Struct, convert, json, to_builtins

from crypto_lake.config import Config
from crypto_lake.disk import parquet, publish
from crypto_lake.errors import NOT_JSON, LakeBusyError, NoFileError, RawDataError
from crypto_lake.layout import DAY_US, HOUR_US, HOURS_OF_A_DAY, MINUTE_US, SECOND_US, Layout, day_start_us
from crypto_lake.raw import salvage, scan
from crypto_lake.raw.catalog import Catalog, Recording, Source, once_only, paths_of
from crypto_lake.raw.offsets import Interval
from crypto_lake.raw.stretches import merged, without
from crypto_lake.transform.workspace import Workspace

# Goes up when the same raw lines would give other bars: every part is then rebuilt.
TRANSFORM_VERSION = 3
_LOCK_TIMEOUT_SEC = 300


class Carry(Struct, frozen=True):
    """The last values of a part, which the next one starts from; None before the first trade, or quote."""

    close: float | None = None
    bid: float | None = None
    bid_qty: float | None = None
    ask: float | None = None
    ask_qty: float | None = None
    spread: float | None = None


class PartRecord(Struct, frozen=True):
    """What is remembered of a part: what it was made from, and what it hands on."""

    fingerprint: dict[str, Any]
    carry: Carry


@dataclass(frozen=True)
class Series:
    """One symbol's bars in one lake: what is worked on, and with which settings."""

    config: Config
    exchange: str
    symbol: str

    @property
    def layout(self) -> Layout:
        """The lake's paths."""
        return self.config.layout

    def recording(self, connection: duckdb.DuckDBPyConnection) -> Recording:
        """Its raw side, as it is now."""
        return Recording(connection, self.layout, self.exchange, self.symbol)

    def workspace(self, connection: duckdb.DuckDBPyConnection) -> Workspace:
        """What its lines are worked on in; its bars must be `locked`."""
        return Workspace(connection, self.layout, self.exchange, self.symbol)

    @classmethod
    def recorded(cls, config: Config) -> list[Self]:
        """Every symbol that has raw files or bars, whether it is still configured or not."""
        return [
            cls(config, exchange.name, symbol)
            for exchange in config.exchanges
            for symbol in sorted(
                {*config.layout.raw_symbols(exchange.name), *config.layout.bars_symbols(exchange.name)}
            )
        ]


@dataclass(frozen=True)
class Built:
    """What a run did to one symbol's day: the hours rebuilt, and those that were right already."""

    symbol: str
    day: date
    rebuilt: list[int]
    unchanged: int


def build_day(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> Built:
    """Bring the parts of a symbol's day in line with its raw segments.

    A day that is over (by `now_us`) has all its intervals; one in progress those up to the last sealed instant. A day
    without any event has none, and whatever was made of it before stays.

    An hour that cannot be made does not keep the later ones from it. A damaged segment is mended on the way.

    Raises:
        PartlyBuiltError: a segment holds, or held, something other than raw lines; all that could be made is.
        LakeBusyError: another run has been at this symbol for minutes.
    """
    with locked(series), series.workspace(connection) as workspace:
        built, failed = _build(connection, workspace, series, day, now_us)
        if said := _salvaged(series, failed):
            said = [one.reason for one in failed] + said
            built, failed = _build(connection, workspace, series, day, now_us, built)
    logger.info(
        "{} {}: {} hours made anew, {} as they were", series.symbol, day, len(built.rebuilt), built.unchanged
    )
    if said or failed:
        raise PartlyBuiltError([*said, *(one.reason for one in failed)], [built])
    return built


class PartlyBuiltError(RawDataError):
    """Raw files that hold something other than raw lines were left out; `built` is what was done all the same."""

    def __init__(self, reasons: Iterable[str], built: list[Built]) -> None:
        super().__init__("; ".join(reasons))
        self.built = built


class _Failed(NamedTuple):
    """Why something was left out, and the segments that it may be the fault of; `refused`: a file, not an hour."""

    reason: str
    suspects: list[Path]
    refused: bool


def _salvaged(series: Series, failed: list[_Failed]) -> list[str]:
    """Mend what may have failed; what is said of it. A file that no journal describes may still be copied here."""
    lake = series.layout, series.exchange, series.symbol
    of_hours = [path for one in failed if not one.refused for path in one.suspects]
    refused = [path for one in failed if one.refused for path in one.suspects]
    return salvage.salvage(*lake, of_hours) + salvage.salvage(*lake, refused, salvage.SETTLED_SEC)


def _build(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    series: Series,
    day: date,
    now_us: int,
    before: Built | None = None,
) -> tuple[Built, list[_Failed]]:
    """Walk the hours of a day; what a walk `before` this one has rebuilt counts as rebuilt."""
    is_whole = _daily_is_whole(series, day)
    known = _without_damaged(series, day, remembered(series, day, daily_counts=is_whole))
    rebuilt = set(before.rebuilt) if before else set()
    unchanged = 0
    carry = carry_before(connection, series, day)
    plan = _Plan(series.recording(connection).around(day), series, day, now_us)
    failed = [_Failed(one.reason, [one.path], refused=True) for one in plan.catalog.refused]
    for hour in plan.hours():
        wanted = plan.fingerprint(hour, carry)
        record = known.get(hour)
        if record is None or record.fingerprint != wanted:
            try:
                record = _build_part(connection, workspace, plan, hour, wanted)
            except RawDataError as error:
                logger.error("{}", error)
                failed.append(_Failed(str(error), plan.files(wanted), refused=False))
                continue
            rebuilt.add(hour)
        elif hour not in rebuilt:
            unchanged += 1
        carry = record.carry
    if not is_whole and not failed:
        _replace_daily(series, day)
    return Built(series.symbol, day, sorted(rebuilt), unchanged), failed


def build_all(connection: duckdb.DuckDBPyConnection, config: Config, day: date, now_us: int) -> list[Built]:
    """`build_day` for every recorded symbol; one whose raw files cannot be read does not keep the others from it.

    Raises:
        PartlyBuiltError: what was wrong with those.
    """
    done: list[Built] = []
    errors: list[str] = []
    for series in Series.recorded(config):
        try:
            with publish.told_of_folders():
                done.append(build_day(connection, series, day, now_us))
        except PartlyBuiltError as error:
            done += error.built
            errors.append(str(error))
        except NoFileError as error:
            errors.append(str(error))
    if errors:
        raise PartlyBuiltError(errors, done)
    return done


def build_days(
    connection: duckdb.DuckDBPyConnection, config: Config, days: Iterable[date], now_us: Callable[[], int]
) -> Iterator[tuple[date, list[Built]]]:
    """`build_all` day by day, each yielded when it is done; a day of which nothing could be made is left out.

    Raises:
        RawDataError: what was wrong with raw files, when all days were tried.
    """
    errors: list[str] = []
    for day in days:
        try:
            built = build_all(connection, config, day, now_us())
        except PartlyBuiltError as error:
            errors.append(str(error))
            built = error.built
            if not any(one.rebuilt or one.unchanged for one in built):
                continue
        yield day, built
    if errors:
        raise RawDataError("; ".join(errors))


def is_stale(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> bool:
    """Whether `build_day` would rebuild anything."""
    return _is_stale(connection, series, series.recording(connection), day, now_us)


def _is_stale(
    connection: duckdb.DuckDBPyConnection, series: Series, recording: Recording, day: date, now_us: int
) -> bool:
    known = remembered(series, day)
    plan = _Plan(recording.around(day), series, day, now_us)
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
    connection: duckdb.DuckDBPyConnection, series: Series, received: list[date] | None, now_us: int
) -> list[date]:
    """The days, oldest first, whose bars are not in line with what was received on the days given (None: on any)."""
    recording = series.recording(connection)
    if received is None:
        received = series.layout.raw_days(series.exchange, series.symbol)
    candidates = {day for folder in received for day in recording.event_days(folder)}
    return [day for day in sorted(candidates) if _is_stale(connection, series, recording, day, now_us)]


def _daily_is_whole(series: Series, day: date) -> bool:
    """Whether a day's daily file, if it has one, is what it was made as; it is read whole for that."""
    daily = series.layout.daily(series.exchange, series.symbol, day)
    what = parquet.damage(daily, series.layout.checksum(daily)) if daily.exists() else None
    if what:
        logger.error("{} {}; its hours are made anew where raw segments or ticks allow it", daily, what)
    return what is None


def _replace_daily(series: Series, day: date) -> None:
    """Let a damaged daily file go, once parts hold every hour of its day: readers then look at those."""
    layout = series.layout
    daily = layout.daily(series.exchange, series.symbol, day)
    if len(layout.parts(series.exchange, series.symbol, day)) == HOURS_OF_A_DAY:
        # In this order: one that a crash leaves is damaged still, since it lacks its checksum.
        for path in (layout.manifest(daily), layout.checksum(daily), daily):
            path.unlink(missing_ok=True)


def _without_damaged(series: Series, day: date, known: dict[int, PartRecord]) -> dict[int, PartRecord]:
    """What is remembered, but for parts whose footer is whole and whose pages are not."""
    parts = {hour: series.layout.part(series.exchange, series.symbol, day, hour) for hour in known}
    bad = {hour for hour, part in parts.items() if part.exists() and not parquet.is_readable(part)}
    for hour in sorted(bad):
        logger.error("{}: damaged; it is made anew where raw segments or ticks allow it", parts[hour])
    return {hour: record for hour, record in known.items() if hour not in bad}


def remembered(series: Series, day: date, *, daily_counts: bool = True) -> dict[int, PartRecord]:
    """What parts and manifest remember of a day, by hour; a part, being younger, wins.

    A manifest counts beside a readable daily file only (and not without `daily_counts`), and what cannot be understood
    counts as absent: those hours are then made anew.
    """
    layout = series.layout
    daily = layout.daily(series.exchange, series.symbol, day)
    counts = daily_counts and parquet.footer(daily) is not None
    found = _in_manifest(series, day) if counts else {}
    for hour in range(HOURS_OF_A_DAY):
        path = layout.part(series.exchange, series.symbol, day, hour)
        if path.exists() and (footer := parquet.footer(path)) is not None:
            with contextlib.suppress(*NOT_JSON):
                found[hour] = _understood(convert(footer, PartRecord))
    return found


def _in_manifest(series: Series, day: date) -> dict[int, PartRecord]:
    """What a day's manifest remembers by hour; nothing where there is none that can be understood."""
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
    """What others than the transform read of a fingerprint; the transform itself only compares it."""

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
            return _last_values(connection, parquet.scan(paths))
        logger.error("{} {}: its bars cannot be read; the day before it is looked at", series.symbol, earlier)
    return Carry()


@dataclass(frozen=True)
class _Plan:
    """Which hours a day should have, and what each would be made from."""

    catalog: Catalog
    series: Series
    day: date
    now_us: int

    def hours(self) -> Iterator[int]:
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
        sealed = min(self.catalog.end, self.catalog.offsets.exchange_now(self.now_us))
        return min(end, sealed - sealed % step)

    def fingerprint(self, hour: int, carry: Carry) -> dict[str, Any]:
        start = self._start(hour)
        end = start + HOUR_US
        sources = self.catalog.between(start, end)
        transformer = self.series.config.transformer
        offsets = self.catalog.offsets.by_minute(sources, start, end)
        return {
            "version": TRANSFORM_VERSION,
            "step": transformer.resample_interval_sec * SECOND_US,
            "compression": transformer.parquet_compression,
            "hour_start": start,
            "until": self._until(hour),
            "segments": [[source.name, source.size] for source in sources],
            "offsets": [list(one) for one in offsets.items()],
            "listened": clipped(self.catalog.listened, start, end),
            "beside": self._beside(sources, start, end),
            "carry": to_builtins(carry),
        }

    def _beside(self, sources: list[Source], start: int, end: int) -> list[list[Any]]:
        """Where healed trades may prove an hour that nobody listened to all of: segments that bring those around it."""
        if not without(self.catalog.listened, start, end):
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


def heard(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, series: Series, catalog: Catalog, day: date
) -> list[Interval]:
    """When somebody listened on a finished day, on the exchange's clock, and what healed trades prove of the rest."""
    plan = _Plan(catalog, series, day, day_start_us(day) + DAY_US)
    found: list[Interval] = []
    for hour in range(HOURS_OF_A_DAY):
        fingerprint = plan.fingerprint(hour, Carry())
        beside = plan.sources(fingerprint, "beside")
        found += _listened(connection, workspace, fingerprint, [*plan.sources(fingerprint), *beside])
    return merged(found)


class Hits(NamedTuple):
    """The share of an hour's trades that were made at the prevailing quote, 0 to 1; None without trades or quotes.

    `as_received` with quotes placed by the local clock, `corrected` by the exchange's: what the correction is worth.
    """

    as_received: float | None
    corrected: float | None


def hits(connection: duckdb.DuckDBPyConnection, series: Series, day: date, hour: int) -> Hits:
    """Measure how well an hour's quotes fit its trades.

    Raises:
        RawDataError: a segment holds something other than raw lines.
    """
    plan = _Plan(series.recording(connection).around(day), series, day, day_start_us(day) + DAY_US)
    fingerprint = plan.fingerprint(hour, Carry())
    sources = plan.sources(fingerprint)
    _set_variables(connection, series, fingerprint)
    query = (files("crypto_lake") / "sql" / "hits.sql").read_text(encoding="utf-8")
    try:
        lines = _once(scan.lines(paths_of(sources)), sources)
        row = connection.execute(query.replace("FROM raw", f"FROM {lines}")).fetchall()[0]
    except duckdb.Error as error:
        raise RawDataError(f"{series.symbol} {day} hour {hour:02d}: {' '.join(str(error).split())}") from None
    return Hits(*row)


def newest_hits(connection: duckdb.DuckDBPyConnection, config: Config, built: list[Built]) -> dict[str, Hits]:
    """By symbol, `hits` of the newest hour that was made anew; those of which none was are left out."""
    rebuilt = {one.symbol: one for one in built if one.rebuilt}
    return {
        series.symbol: hits(
            connection, series, rebuilt[series.symbol].day, rebuilt[series.symbol].rebuilt[-1]
        )
        for series in Series.recorded(config)
        if series.symbol in rebuilt
    }


def clipped(intervals: list[Interval], start: int, end: int) -> list[list[int]]:
    """The parts of intervals that lie in [start, end)."""
    return [[max(a, start), min(b, end)] for a, b in intervals if a < end and b > start]


@contextlib.contextmanager
def locked(series: Series) -> Iterator[None]:
    """Nobody else writes this symbol's bars meanwhile.

    Raises:
        LakeBusyError: somebody else has been at it for minutes.
    """
    path = series.layout.bars_lock(series.exchange, series.symbol)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path, timeout=_LOCK_TIMEOUT_SEC):
            yield
    except Timeout:
        raise LakeBusyError(
            f"{path}: held by another run for {_LOCK_TIMEOUT_SEC} s; expected it free"
        ) from None


def window(start: int, offsets: Iterable[int]) -> scan.Window:
    """The hour from `start` on; quotes of it were received in minutes that are among the keys of its offsets."""
    minutes = list(offsets)
    recv_from, recv_to = (min(minutes), max(minutes) + MINUTE_US) if minutes else (0, 0)
    return scan.Window(start, start + HOUR_US, recv_from, recv_to)


def _build_part(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    plan: _Plan,
    hour: int,
    fingerprint: dict[str, Any],
) -> PartRecord:
    series = plan.series
    sources = plan.sources(fingerprint)
    beside = plan.sources(fingerprint, "beside")
    query = (files("crypto_lake") / "sql" / "bars.sql").read_text(encoding="utf-8")
    wanted = window(fingerprint["hour_start"], (minute for minute, _ in fingerprint["offsets"]))
    try:
        listened = _listened(connection, workspace, fingerprint, [*sources, *beside])
        _set_variables(connection, series, fingerprint | {"listened": listened})
        query = query.replace("FROM raw", f"FROM {_once(workspace.lines(sources, wanted), sources)}")
        connection.execute(f"CREATE OR REPLACE TEMP TABLE part AS {query}")
    except duckdb.Error as error:
        raise RawDataError(
            f"{series.symbol} {plan.day} hour {hour:02d}: {' '.join(str(error).split())}"
        ) from None
    record = PartRecord(fingerprint, _last_values(connection, "part"))
    path = series.layout.part(series.exchange, series.symbol, plan.day, hour)
    compression = series.config.transformer.parquet_compression
    parquet.write(
        connection,
        "FROM part ORDER BY window_start",
        path,
        compression,
        footer=to_builtins(record),
    )
    connection.execute("DROP TABLE part")
    return record


def _listened(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    fingerprint: dict[str, Any],
    sources: list[Source],
) -> list[Interval]:
    """When somebody listened in an hour, and what healed trades prove of the rest, as `sql/proved.sql` tells it."""
    start, end = fingerprint["hour_start"], fingerprint["hour_start"] + HOUR_US
    listened = [(first, last) for first, last in fingerprint["listened"]]
    missed = without(listened, start, end)
    healed = [source for source in sources if source.is_healed]
    if not missed or not healed:
        return listened
    received = [source for source in sources if not source.is_healed]
    stretches = [{"start": first, "stop": last} for first, last in missed]
    connection.execute("SET VARIABLE missed = $missed", {"missed": stretches})
    query = (files("crypto_lake") / "sql" / "proved.sql").read_text(encoding="utf-8")
    query = query.replace("FROM received", f"FROM {workspace.lines(received)}")
    proved = connection.execute(query.replace("FROM healed", f"FROM {workspace.lines(healed)}")).fetchall()
    return merged([*listened, *proved])


def _once(lines: str, sources: list[Source]) -> str:
    """The lines of sources once each; where none can be there twice, looking for copies would be half the work."""
    return lines if once_only(sources) else scan.once(lines)


def _set_variables(
    connection: duckdb.DuckDBPyConnection, series: Series, fingerprint: dict[str, Any]
) -> None:
    values = {
        "symbol": series.symbol,
        "hour_start": fingerprint["hour_start"],
        "hour_end": fingerprint["hour_start"] + HOUR_US,
        "until": fingerprint["until"],
        "step": fingerprint["step"],
        "offsets": [{"minute": minute, "offset_us": offset} for minute, offset in fingerprint["offsets"]],
        "listened": [{"start": start, "stop": stop} for start, stop in fingerprint["listened"]],
        "carry": fingerprint["carry"],
    }
    for name, value in values.items():
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})


def _last_values(connection: duckdb.DuckDBPyConnection, table: str) -> Carry:
    columns = ", ".join(Carry.__struct_fields__)
    row = connection.execute(f"SELECT {columns} FROM {table} ORDER BY window_start DESC LIMIT 1").fetchone()
    return Carry(*row) if row else Carry()
