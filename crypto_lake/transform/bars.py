"""Raw segments to bars: one Parquet part an hour, and only where something changed.

A run plans the hours of a day, of many symbols at once, and makes those whose fingerprint is no longer what it would be
now. An hour whose values carried in may change waits until the hour before it is made: so a run goes in rounds.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import duckdb
from loguru import logger
from msgspec import to_builtins

from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import NoFileError, RawDataError
from crypto_lake.layout import HOURS_OF_A_DAY
from crypto_lake.raw import salvage
from crypto_lake.raw.catalog import Recording
from crypto_lake.series import Series
from crypto_lake.transform import batch, minutes
from crypto_lake.transform.hours import Hour, Run
from crypto_lake.transform.plan import Carry, PartRecord, Plan, carry_before, remembered
from crypto_lake.transform.quote_fit import Hits
from crypto_lake.transform.workspace import Workspace, locked

# So many symbols are planned and locked at a time, which bounds memory and how long others wait for one of them.
_TOGETHER = 64
# Of a run of more symbols the log has one line.
_TOLD_APART = 20
# So many reasons an error names.
_REASONS = 20


@dataclass(frozen=True)
class Built:
    """The result of a run for one symbol's day: the hours made anew, and those that were right already.

    `fit` is how well the quotes of the newest one rebuilt fit its trades, if that was asked.
    """

    symbol: str
    day: date
    rebuilt: list[int]
    unchanged: int
    fit: Hits | None = None


def build_day(
    connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int, *, with_fit: bool = False
) -> Built:
    """`build_all` of one symbol.

    Raises:
        PartlyBuiltError, LakeBusyError: as `build_all`.
    """
    (built,) = build_all(connection, [series], day, now_us, with_fit=with_fit)
    return built


class PartlyBuiltError(RawDataError):
    """Raw files that hold something other than raw lines were left out; `built` is what was done all the same."""

    def __init__(self, reasons: Iterable[str], built: list[Built]) -> None:
        told = list(reasons)
        more = [f"and {len(told) - _REASONS} more, see the log"] if len(told) > _REASONS else []
        super().__init__("; ".join([*told[:_REASONS], *more]))
        self.built = built


def build_all(
    connection: duckdb.DuckDBPyConnection,
    series: Iterable[Series],
    day: date,
    now_us: int,
    *,
    with_fit: bool = False,
) -> list[Built]:
    """Bring the parts of a day in line with the raw segments of each series.

    A day that is over (by `now_us`) has all its intervals; one in progress those up to the last sealed instant. A day
    without any event has none, and whatever was made of it before stays.

    An hour that cannot be made does not keep the later ones from it, nor a symbol the others. A damaged segment is
    mended on the way.

    Raises:
        PartlyBuiltError: a segment holds, or held, something other than raw lines; all that could be made is.
        LakeBusyError: another run has been at one of these symbols for minutes.
        LakeError: the disk refused.
    """
    done: list[Built] = []
    errors: list[str] = []
    for some in _batched(series, _TOGETHER):
        with locked(*some), Workspace(connection, *some) as workspace:
            for made, said in _build(connection, workspace, some, day, now_us, with_fit=with_fit):
                done += [made] if made else []
                errors += said
    _log(day, done)
    if errors:
        raise PartlyBuiltError(errors, done)
    return done


def _batched(series: Iterable[Series], size: int) -> Iterator[list[Series]]:
    rest = iter(series)
    while some := list(islice(rest, size)):
        yield some


def _log(day: date, done: list[Built]) -> None:
    told = "{} {}: {} hours made anew, {} as they were"
    if len(done) <= _TOLD_APART:
        for one in done:
            logger.info(told, one.symbol, day, len(one.rebuilt), one.unchanged)
    else:
        rebuilt, unchanged = sum(len(one.rebuilt) for one in done), sum(one.unchanged for one in done)
        logger.info(told, f"{len(done)} symbols", day, rebuilt, unchanged)


class _Failed(NamedTuple):
    """Why something was left out, and the segments that it may be the fault of; `refused`: a file, not an hour."""

    reason: str
    suspects: list[Path]
    refused: bool


@dataclass
class _Day:
    """One symbol's day while a run is at it: its plan, what is remembered of its hours, and what was done."""

    plan: Plan
    carry: Carry
    known: dict[int, PartRecord]
    is_whole: bool
    rebuilt: set[int] = field(default_factory=set)
    fit: Hits | None = None
    failed: dict[int, _Failed] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._made_from = {hour: self.plan.made_from(hour) for hour in self.plan.hours()}

    @property
    def failures(self) -> list[_Failed]:
        """All that was left out: files, and hours."""
        refused = [_Failed(one.reason, [one.path], refused=True) for one in self.plan.catalog.refused]
        return [*refused, *self.failed.values()]

    def stale(self) -> list[Hour]:
        """The hours to be made now, in order; some that follow one of these may be found stale when it is made."""
        found: list[Hour] = []
        carry, run = self.carry, None
        for hour, made_from in self._made_from.items():
            record = self.known.get(hour)
            if hour in self.failed:
                continue
            # Of an hour that follows one to be made nobody knows yet what is carried into it.
            carried = record.fingerprint.get("carry") if record and run else to_builtins(carry)
            if record and record.fingerprint == made_from | {"carry": carried}:
                carry, run = record.carry, None
            else:
                run = run or Run(carry)
                found.append(Hour(self.plan, hour, made_from, run))
        return found

    def built(self) -> Built:
        """Return what a run has done."""
        unchanged = len(self._made_from.keys() - self.rebuilt - self.failed.keys())
        return Built(self.plan.series.symbol, self.plan.day, sorted(self.rebuilt), unchanged, self.fit)


def _build(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    series: Sequence[Series],
    day: date,
    now_us: int,
    *,
    with_fit: bool,
) -> list[tuple[Built | None, list[str]]]:
    """Return what was made of each series, which are locked, None where nothing can be, and what was wrong with it."""
    days: list[_Day] = []
    none: list[tuple[Built | None, list[str]]] = []
    for one in series:
        try:
            with publish.told_of_folders():
                days.append(_planned(connection, one, day, now_us))
        except NoFileError as error:
            none.append((None, [str(error)]))
    _forget_damaged(connection, days)
    _in_rounds(connection, workspace, days, with_fit=with_fit)
    mended = [(number, again) for number, of in enumerate(days) if (again := _mended(connection, of, now_us))]
    _in_rounds(connection, workspace, [again for _, again in mended], with_fit=with_fit)
    for number, again in mended:
        days[number] = again
    for of in days:
        if not of.is_whole and not of.failures:
            _replace_daily(of.plan.series, day)
    return none + [(of.built(), of.said + [failed.reason for failed in of.failures]) for of in days]


def _mended(connection: duckdb.DuckDBPyConnection, of: _Day, now_us: int) -> _Day | None:
    """Mend what could not be read, if it can be, and return the day planned anew; None where nothing was mended."""
    failures = of.failures
    said = _salvaged(of.plan.series, failures)
    if not said:
        return None
    again = _planned(connection, of.plan.series, of.plan.day, now_us)
    again.rebuilt, again.fit = of.rebuilt, of.fit
    again.said = [failed.reason for failed in failures] + said
    return again


def _planned(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> _Day:
    plan = Plan(Recording(connection, series).around(day), series, day, now_us)
    is_whole = _daily_is_whole(series, day)
    known = remembered(series, day, daily_counts=is_whole)
    return _Day(plan, carry_before(connection, series, day), known, is_whole)


def _forget_damaged(connection: duckdb.DuckDBPyConnection, days: Iterable[_Day]) -> None:
    """Forget parts whose footer is whole and whose pages are not: they are made anew."""
    parts = {
        path: (of, hour)
        for of in days
        for hour, path in of.plan.series.layout.parts_by_hour(
            of.plan.series.exchange, of.plan.series.symbol, of.plan.day
        ).items()
        if hour in of.known
    }
    for path in parquet.unreadable(connection, list(parts)):
        logger.error("{}: damaged; it is made anew where raw segments or ticks allow it", path)
        of, hour = parts[path]
        del of.known[hour]


def _in_rounds(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, days: Sequence[_Day], *, with_fit: bool
) -> None:
    """Make stale hours until there are none: at most a round for each hour of a day."""
    by_plan = {id(one.plan): one for one in days}
    while stale := [hour for one in days for hour in one.stale()]:
        newest = {id(hour.plan): hour for hour in stale}
        made = batch.make(connection, workspace, stale, list(newest.values()) if with_fit else [])
        for hour, record in made.records:
            of = by_plan[id(hour.plan)]
            of.known[hour.hour] = record
            of.rebuilt.add(hour.hour)
        for hour, fit in made.fits:
            of = by_plan[id(hour.plan)]
            of.fit = fit if hour.hour == max(of.rebuilt, default=None) else of.fit
        for hour, reason in made.failed:
            logger.error("{}", reason)
            by_plan[id(hour.plan)].failed[hour.hour] = _Failed(reason, hour.files, refused=False)


def _salvaged(series: Series, failed: list[_Failed]) -> list[str]:
    """Mend what may have failed; what is said of it. A file that no journal describes may still be copied here."""
    lake = series.layout, series.exchange, series.symbol
    of_hours = [path for one in failed if not one.refused for path in one.suspects]
    refused = [path for one in failed if one.refused for path in one.suspects]
    return salvage.salvage(*lake, of_hours) + salvage.salvage(*lake, refused, salvage.SETTLED_SEC)


def build_days(
    connection: duckdb.DuckDBPyConnection,
    series: Sequence[Series],
    days: Iterable[date],
    now_us: Callable[[], int],
) -> Iterator[tuple[date, list[Built]]]:
    """`build_all`, with the fit, day by day, each yielded when it is done; one of which nothing was made is left out.

    Raises:
        RawDataError: what was wrong with raw files, when all days were tried.
    """
    errors: list[str] = []
    for day in days:
        try:
            built = build_all(connection, series, day, now_us(), with_fit=True)
        except PartlyBuiltError as error:
            errors.append(str(error))
            built = error.built
            if not any(one.rebuilt or one.unchanged for one in built):
                continue
        yield day, built
    if errors:
        raise RawDataError("; ".join(errors))


def _daily_is_whole(series: Series, day: date) -> bool:
    """Return whether a day's daily file, if it has one, is what it was made as; it is read whole for that."""
    daily = series.layout.daily(series.exchange, series.symbol, day)
    what = checksums.damage(daily, series.layout.checksum(daily)) if daily.exists() else None
    if what:
        logger.error("{} {}; its hours are made anew where raw segments or ticks allow it", daily, what)
    return what is None


def _replace_daily(series: Series, day: date) -> None:
    """Let a damaged daily file go, once parts hold every hour of its day: readers then look at those."""
    layout = series.layout
    daily = layout.daily(series.exchange, series.symbol, day)
    if len(layout.parts(series.exchange, series.symbol, day)) == HOURS_OF_A_DAY:
        minutes.forget(series, day)
        # In this order: one that a crash leaves is damaged still, since it lacks its checksum.
        for path in (layout.manifest(daily), layout.checksum(daily), daily):
            path.unlink(missing_ok=True)
