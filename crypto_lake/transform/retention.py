"""Raw segments that are safe elsewhere are compressed, later removed, as `retention` says; by default nothing is.

A folder of raw segments is safe elsewhere when each day that its lines happened on has a daily file and ticks, both
with the checksums that they were verified with, and the ticks name the segments. One that is not what was received, by
its own checksum, stays with its whole folder: what was made of it is as wrong as it is. Journals always stay, the
symbol's own alone in its folder: they say what was listened to, and where trades lie that came on another day.

Segments of the order book are safe elsewhere when the depth of each day that they touch names them, and
has the checksum that it was verified with.

A segment that ticks were not made from, since another recorder's lacked nothing, goes with the others if each of its
lines is in the ticks, and stays for good if one is not: nobody else has that.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from loguru import logger

from crypto_lake import sql
from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import RawDataError
from crypto_lake.layout import COMPRESSED_SUFFIX, DAY_US, day_of, day_start_us
from crypto_lake.raw import book_scan, originals, scan, segments
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.kept import read_kept
from crypto_lake.raw.lines import OF_BOOK, TICKS
from crypto_lake.series import Series
from crypto_lake.transform import daily, depth
from crypto_lake.transform.plan import Plan
from crypto_lake.transform.workspace import locked

# A segment is compressed in memory; one that was put there by hand may be too large for that, and stays.
_LARGEST = 256 << 20


def apply(connection: duckdb.DuckDBPyConnection, series: Iterable[Series], now_us: int) -> None:
    """Bring the raw folders of series in line with the settings; one that cannot be keeps no other from it.

    Raises:
        OSError: the disk refused; what was done before stays done.
        RawDataError: a raw file holds something else, or not what was received; it and its folder stay.
    """
    errors: list[str] = []
    for one in series:
        settings = one.config.retention
        for day in one.layout.raw_days(one.exchange, one.symbol):
            age = (day_of(now_us) - day).days
            try:
                if _is_due(settings.prune_raw_after_days, age):
                    _prune(connection, one, day)
                    _prune_book(connection, one, day)
                elif _is_due(settings.compress_raw_after_days, age):
                    _compress(connection, one, day)
                    _compress_book(connection, one, day)
            except RawDataError as error:
                logger.error("{} {}: {}", one.symbol, day, error)
                errors.append(str(error))
    if errors:
        raise RawDataError("; ".join(errors))


def compress(path: Path, checksum: str | None = None) -> Path:
    """Replace a sealed segment by its compressed form, once that has been read back and found equal; its path.

    Raises:
        OSError: the disk refused; the segment is as it was.
        RawDataError: it has not the checksum given, or what was read back differs; the segment is as it was.
    """
    content = path.read_bytes()
    found = checksums.of_bytes(content)
    if checksum not in {None, found}:
        raise RawDataError(f"{path}: has the checksum {found}; expected {checksum}; not compressed")
    target = path.with_name(path.name + COMPRESSED_SUFFIX)
    with publish.publishing(target) as temporary:
        temporary.write_bytes(pa.compress(content, codec="zstd", asbytes=True))
        if pa.decompress(temporary.read_bytes(), len(content), codec="zstd", asbytes=True) != content:
            raise RawDataError(f"{path}: what was compressed reads back differently; expected the same bytes")
    path.unlink()
    return target


def _is_due(after_days: int | None, age: int) -> bool:
    return after_days is not None and age >= after_days


def _compress(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> None:
    found = segments.sealed(series.layout.raw_day(series.exchange, series.symbol, day))
    if _compressible(found) and _is_safe(connection, series, day, found):
        _compress_all(series, day, found)


def _compressible(found: list[Path]) -> list[Path]:
    return [path for path in found if path.suffix != COMPRESSED_SUFFIX and path.stat().st_size <= _LARGEST]


def _compress_all(series: Series, day: date, found: list[Path]) -> None:
    if plain := _compressible(found):
        known = originals.noted(series.layout, series.exchange, series.symbol, day)
        with locked(series):
            for path in plain:
                compress(path, originals.expected(series.layout, path, known))
        logger.info("{} {}: {} raw segments compressed", series.symbol, day, len(plain))


def _prune(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> None:
    folder = series.layout.raw_day(series.exchange, series.symbol, day)
    found = segments.sealed(folder)
    spare = _spare(series, day) if any(segments.recorder_of(path) for path in found) else set()
    if {segments.name_of(path) for path in found} - spare and _is_safe(connection, series, day, found):
        with locked(series):
            _be_sure(series, day, found)
            _remove(series, day, _held(connection, series, day, found, spare), "ticks stand")


def _remove(series: Series, day: date, found: list[Path], instead: str) -> None:
    """Remove segments of a folder, under the lock of their symbol."""
    for path in found:
        path.unlink()
        plain = path.with_name(segments.name_of(path))
        plain.with_name(plain.name + COMPRESSED_SUFFIX).unlink(missing_ok=True)
        series.layout.checksum(plain).unlink(missing_ok=True)
    folder = series.layout.raw_day(series.exchange, series.symbol, day)
    if not any(folder.iterdir()):
        folder.rmdir()
    logger.info("{} {}: {} raw segments removed; their {} for them", series.symbol, day, len(found), instead)


def _prune_book(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> None:
    if found := _of_book(connection, series, day):
        with locked(series):
            _be_sure(series, day, found)
            _remove(series, day, found, "depth stands")


def _compress_book(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> None:
    folder = series.layout.raw_day(series.exchange, series.symbol, day)
    if _compressible(segments.sealed(folder, [OF_BOOK])):
        _compress_all(series, day, _of_book(connection, series, day))


def _of_book(connection: duckdb.DuckDBPyConnection, series: Series, received: date) -> list[Path]:
    """Return the segments of the book that were received on a day, if all of them are safe elsewhere."""
    found = book_scan.of_folder(connection, series, received)
    near = [received + timedelta(days=n) for n in (-1, 0, 1)]
    days = {day for one in found for day in [*one.event_days, *near] if one.touches(day)}
    of_days = {day: kept for day in days if (kept := depth.read_kept(series, day))}
    for one in found:
        own = [kept for day, kept in of_days.items() if one.touches(day)]
        is_named = bool(own) and all((one.name, one.size) in kept.segments for kept in own)
        if not is_named or not of_days.keys() >= {*one.event_days}:
            return []
    whole = all(
        checksums.of(series.layout.depth(series.exchange, series.symbol, day)) == kept.sha256
        for day, kept in of_days.items()
    )
    return [one.path for one in found] if whole else []


def _spare(series: Series, received: date) -> set[str]:
    """Return the names of the segments of a folder that the ticks of any day near it were not made from."""
    days = [received + timedelta(days=n) for n in (-1, 0, 1)]
    kept = [read_kept(series.layout, series.exchange, series.symbol, day) for day in days]
    used = {name for one in kept if one for name, _ in one.segments}
    spare = {name for one in kept if one for name, _ in one.spare} - used
    folder = f"{received.isoformat()}/"
    return {name.removeprefix(folder) for name in spare if name.startswith(folder)}


def _held(
    connection: duckdb.DuckDBPyConnection, series: Series, received: date, found: list[Path], spare: set[str]
) -> list[Path]:
    """Return those segments without spare ones of which a line is in no ticks."""
    doubtful = [path for path in found if segments.name_of(path) in spare]
    if not doubtful:
        return found
    days = [received + timedelta(days=n) for n in (-1, 0, 1)]
    ticks = {
        stream.table: parquet.scan(
            [
                path
                for day in days
                if (path := series.layout.ticks(series.exchange, series.symbol, stream.table, day)).exists()
            ]
        )
        for stream in TICKS
    }
    (raw,) = scan.of_slots(doubtful, range(len(doubtful)))
    answer = sql.ask(connection, "transform/not_held", {"raw": f"({raw})"} | ticks)
    kept = {doubtful[slot]: lines for slot, lines in answer.fetchall()}
    for path, lines in kept.items():
        logger.warning(
            "{}: {} of its lines are in no ticks, though another recording is whole; it stays", path, lines
        )
    return [path for path in found if path not in kept]


def _be_sure(series: Series, day: date, found: list[Path]) -> None:
    """Look at the checksums of what is about to be removed; those of segments that have none cannot be.

    Raises:
        RawDataError: a segment is not what was received.
    """
    known = originals.noted(series.layout, series.exchange, series.symbol, day)
    for path in found:
        wanted = originals.expected(series.layout, path, known)
        if wanted and (wrong := originals.difference(path, wanted)):
            raise RawDataError(f"{path}: {wrong}; nothing of its folder is removed")


def _is_safe(
    connection: duckdb.DuckDBPyConnection, series: Series, received: date, found: list[Path]
) -> bool:
    """Return whether all that a folder holds is in verified ticks and daily files."""
    recording = Recording(connection, series)
    if recording.refused(received):
        return False
    days = recording.event_days(received)
    if any(segments.recorder_of(path) for path in found):
        # A day is read from what lies right before it as well, where there are several recorders.
        days |= {day + timedelta(days=1) for day in days}
    for day in sorted(days):
        plan = Plan(recording.around(day), series, day, day_start_us(day) + DAY_US)
        sources = [*plan.read(), *plan.spare()]
        here = {(s.name, s.size) for s in sources if s.name.startswith(f"{received.isoformat()}/")}
        if here and not _holds(series, day, here):
            return False
    return True


def _holds(series: Series, day: date, wanted: set[tuple[str, int]]) -> bool:
    kept = read_kept(series.layout, series.exchange, series.symbol, day)
    if kept is None or not wanted.issubset(kept.known):
        return False
    ticks = {one.table: series.layout.ticks(series.exchange, series.symbol, one.table, day) for one in TICKS}
    return _is_as_verified(series, day) and all(
        checksums.of(path) == kept.sha256[table] for table, path in ticks.items()
    )


def _is_as_verified(series: Series, day: date) -> bool:
    path = series.layout.daily(series.exchange, series.symbol, day)
    return path.exists() and checksums.of(path) == daily.recorded_checksum(series, day)
