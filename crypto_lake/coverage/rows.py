"""The rows of a day's coverage: one a symbol that has a daily file, told from the files of the lake alone."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
from msgspec import Struct, structs

from crypto_lake import checks, sql
from crypto_lake.checks import Outcome, on_candles, on_raw
from crypto_lake.checks.batch import Batch
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.checks.subject import Subject
from crypto_lake.completeness import candles
from crypto_lake.coverage import book
from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import LakeError
from crypto_lake.layout import DAY_US, MINUTE_US, SECOND_US, day_start_us
from crypto_lake.pages import validation
from crypto_lake.raw import scan, segments
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.intervals import clipped, union
from crypto_lake.raw.kept import Kept, read_kept
from crypto_lake.raw.lines import TICKS
from crypto_lake.series import Series

# So many symbols share a statement.
_TOGETHER = 256


class File(Struct, frozen=True):
    """A file that a row tells of: its path from the lake's folder, with slashes, its size and its SHA-256."""

    path: str
    bytes: int
    sha256: str


class Row(Struct, frozen=True):
    """What there is of a symbol's day. The fields are the columns of `schema.COVERAGE`, which says what each means."""

    exchange: str
    symbol: str
    day: date
    trades: int
    trade_ids_missing: int | None
    trades_healed: int | None
    seconds_observed: int
    seconds_listened: int
    quotes: int
    book_boundaries: int | None
    boundaries_proved: int | None
    boundaries_contradicted: int | None
    book_breaks: int | None
    candle_minutes: int | None
    candle_minutes_equal: int | None
    checks_passed: int
    checks_warned: int
    checks_failed: int
    checks_unverifiable: int
    files: list[File]
    transform_version: int | None
    complete: bool


def of_day(
    connection: duckdb.DuckDBPyConnection,
    all_series: Iterable[Series],
    day: date,
    now_us: int,
    *,
    thorough: bool = False,
    failures: list[LakeError] | None = None,
) -> list[Row]:
    """Return the rows of a day, of those symbols that have a daily file, in order of exchange and symbol.

    `thorough`: each file is read for its checksum; else the one is told that was noted when it was made. Where
    `failures` are given, a symbol whose files cannot be read is left out, and told there.

    Raises:
        LakeError: a file cannot be read.
    """
    found = [one for one in all_series if _daily(one, day).is_file()]
    found.sort(key=lambda one: (one.exchange, one.symbol))
    outcomes = _outcomes(found, day)
    rows: list[Row] = []
    with ExchangeCandles() as reference:
        for at in range(0, len(found), _TOGETHER):
            some = [
                Subject(connection, one, day, now_us, [_daily(one, day)], reference)
                for one in found[at : at + _TOGETHER]
            ]
            try:
                with publish.told_of_folders():
                    rows += list(_of_subjects(some, outcomes, thorough=thorough))
            except LakeError:
                if failures is None:
                    raise
                rows += _of_each(some, outcomes, failures)
    return rows


def _of_each(
    subjects: Iterable[Subject], outcomes: dict[tuple[str, str], list[Outcome]], failures: list[LakeError]
) -> Iterator[Row]:
    for one in subjects:
        try:
            with publish.told_of_folders():
                yield from _of_subjects([one], outcomes, thorough=False)
        except LakeError as error:
            failures.append(error)


def days_with_rows(series: Iterable[Series]) -> list[date]:
    """The days of which there can be rows: those with a daily file, oldest first."""
    return sorted({day for one in series for day in one.layout.daily_days(one.exchange, one.symbol)})


def _daily(series: Series, day: date) -> Path:
    return series.layout.daily(series.exchange, series.symbol, day)


class _Numbers(NamedTuple):
    """The numbers of a day's bars."""

    observed: int
    trades: int
    quotes: int


def _of_subjects(
    subjects: Sequence[Subject], outcomes: dict[tuple[str, str], list[Outcome]], *, thorough: bool
) -> Iterator[Row]:
    batch = Batch([*subjects])
    missing = on_raw.missing_trades(batch)
    for subject, numbers, holes in zip(subjects, _numbers(batch), missing, strict=True):
        series = subject.series
        told = outcomes.get((series.exchange, series.symbol), [])
        kept = read_kept(series.layout, series.exchange, series.symbol, subject.day)
        numbered = subject.exchange.trade_ids == "contiguous"
        minutes, equal = _minutes(subject)
        of_book = book.told(subject.connection, series, subject.day, thorough=thorough)
        row = Row(
            exchange=series.exchange,
            symbol=series.symbol,
            day=subject.day,
            trades=numbers.trades,
            trade_ids_missing=sum(int(hole["trades_missing"]) for hole in holes) if numbered else None,
            trades_healed=_healed(subject, kept),
            seconds_observed=numbers.observed * subject.step // SECOND_US,
            seconds_listened=_listened(subject, kept),
            quotes=numbers.quotes,
            book_boundaries=of_book.boundaries,
            boundaries_proved=of_book.proved,
            boundaries_contradicted=of_book.contradicted,
            book_breaks=of_book.breaks,
            candle_minutes=minutes,
            candle_minutes_equal=equal,
            checks_passed=told.count("passed"),
            checks_warned=told.count("warning"),
            checks_failed=told.count("failed"),
            checks_unverifiable=told.count("unverifiable"),
            files=list(_files(series, subject.day, thorough=thorough)),
            transform_version=_version(series, subject.day),
            complete=False,
        )
        yield structs.replace(row, complete=_is_complete(row))


def _numbers(batch: Batch) -> list[_Numbers]:
    with parquet.named(path for one in batch.subjects for path in one.files):
        answer = sql.ask(
            batch.subjects[0].connection, "coverage/counts", batch.bars_of([*range(len(batch.subjects))])
        )
        return [_Numbers(*map(int, numbers)) for _, *numbers in answer.fetchall()]


def _is_complete(row: Row) -> bool:
    """Return whether nothing that a row tells leaves a doubt; what it does not tell (null) leaves none."""
    day = DAY_US // SECOND_US
    return (
        not row.trade_ids_missing
        and row.seconds_observed == row.seconds_listened == day
        and row.candle_minutes == row.candle_minutes_equal
        and not (row.boundaries_contradicted or row.book_breaks)
        and row.checks_passed > 0
        and not (row.checks_warned or row.checks_failed or row.checks_unverifiable)
    )


def _listened(subject: Subject, kept: Kept | None) -> int:
    """Return how many seconds of the day somebody listened to throughout."""
    start = day_start_us(subject.day)
    if kept and kept.heard is not None:
        # The journals say the same, of each of a thousand segments.
        listened = union(kept.heard)
    else:
        listened = Recording(subject.connection, subject.series).around(subject.day).listened
    return sum(
        max(0, last // SECOND_US - -(-first // SECOND_US))
        for first, last in clipped(listened, start, start + DAY_US)
    )


def _healed(subject: Subject, kept: Kept | None) -> int | None:
    """Return how many trades of the day were fetched; None where files that held some are gone."""
    series, start = subject.series, day_start_us(subject.day)
    folder = series.layout.raw_day(series.exchange, series.symbol, subject.day)
    there = [path for path in segments.sealed(folder) if segments.is_healed(path)]
    names = {f"{subject.day}/{segments.name_of(path)}" for path in there}
    made_from = [name for name, _ in kept.segments] if kept else []
    if any(segments.is_healed(Path(name)) and name not in names for name in made_from):
        return None
    if not there:
        return 0
    ((count,),) = subject.connection.execute(
        f"SELECT count(DISTINCT id) FROM {scan.lines(there)} WHERE ts_event >= ? AND ts_event < ?",
        [start, start + DAY_US],
    ).fetchall()
    return int(count)


def _minutes(subject: Subject) -> tuple[int | None, int | None]:
    """Return how many candles of the exchange there are of a finished day, and how many of our minutes equal them."""
    series = subject.series
    path = series.layout.candles(series.exchange, series.symbol, subject.day)
    # Where bars do not make up minutes there are none to be equal.
    has_minutes = not MINUTE_US % subject.step
    if subject.exchange.candles == "none" or not has_minutes or not candles.finished(path):
        return None, None
    table = subject.reference.of(series, subject.day)
    different = sum(bool(row["candle"]) for row in on_candles.differences(subject, table))
    return table.num_rows, table.num_rows - different


def _outcomes(all_series: Sequence[Series], day: date) -> dict[tuple[str, str], list[Outcome]]:
    """By exchange and symbol: the outcomes of the checks of a day, as its validation has them."""
    if not all_series:
        return {}
    told = validation.read(all_series[0].config, day)
    by_name = {name: key for key, name in checks.names(all_series).items()}
    found: dict[tuple[str, str], list[Outcome]] = {}
    for check in told:
        for name, count in check["counts"].items():
            if key := by_name.get(name):
                doubt: Outcome = "unverifiable" if name in check["unverifiable"] else "passed"
                found.setdefault(key, []).append(
                    ("warning" if check["severity"] == "WARN" else "failed") if count else doubt
                )
    return found


def _files(series: Series, day: date, *, thorough: bool) -> Iterator[File]:
    layout, place = series.layout, (series.exchange, series.symbol)
    paths = [
        layout.daily(*place, day),
        layout.minutes(*place, day),
        *(layout.ticks(*place, stream.table, day) for stream in TICKS),
        layout.candles(*place, day),
        layout.depth(*place, day),
        layout.book(*place, day),
        layout.boundaries(*place, day),
        layout.proof(*place, day),
    ]
    for path in paths:
        if path.is_file():
            noted = None if thorough else checksums.noted(layout.checksum(path))
            yield File(layout.key(path), path.stat().st_size, noted or checksums.of(path))


def _version(series: Series, day: date) -> int | None:
    """Return the version of the transform that made a day's bars; None where its file does not say."""
    version = (parquet.footer(_daily(series, day)) or {}).get("version")
    return version if isinstance(version, int) else None
