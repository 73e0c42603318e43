"""Raw segments to bars: one Parquet part an hour, and only where something changed.

A run walks the hours of a day in order and rebuilds those whose fingerprint is no longer what it would be now.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb
from loguru import logger

from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import NoFileError, RawDataError
from crypto_lake.layout import HOURS_OF_A_DAY
from crypto_lake.raw import salvage
from crypto_lake.raw.catalog import Recording
from crypto_lake.series import Series
from crypto_lake.transform import hours, quote_fit
from crypto_lake.transform.plan import PartRecord, Plan, carry_before, remembered
from crypto_lake.transform.quote_fit import Hits
from crypto_lake.transform.workspace import Workspace, locked


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
    """Bring the parts of a symbol's day in line with its raw segments.

    A day that is over (by `now_us`) has all its intervals; one in progress those up to the last sealed instant. A day
    without any event has none, and whatever was made of it before stays.

    An hour that cannot be made does not keep the later ones from it. A damaged segment is mended on the way.

    Raises:
        PartlyBuiltError: a segment holds, or held, something other than raw lines; all that could be made is.
        LakeBusyError: another run has been at this symbol for minutes.
    """
    with locked(series), Workspace(connection, series) as workspace:
        plan = Plan(Recording(connection, series).around(day), series, day, now_us)
        built, failed = _build(connection, workspace, plan, with_fit=with_fit)
        if said := _salvaged(series, failed):
            said = [one.reason for one in failed] + said
            plan = Plan(Recording(connection, series).around(day), series, day, now_us)
            built, failed = _build(connection, workspace, plan, built, with_fit=with_fit)
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
    plan: Plan,
    before: Built | None = None,
    *,
    with_fit: bool,
) -> tuple[Built, list[_Failed]]:
    """Walk the hours of a day; what a walk `before` this one has rebuilt counts as rebuilt."""
    series, day = plan.series, plan.day
    is_whole = _daily_is_whole(series, day)
    known = _without_damaged(series, day, remembered(series, day, daily_counts=is_whole))
    rebuilt = set(before.rebuilt) if before else set()
    unchanged = 0
    carry = carry_before(connection, series, day)
    failed = [_Failed(one.reason, [one.path], refused=True) for one in plan.catalog.refused]
    planned = list(plan.hours())
    for hour in planned:
        wanted = plan.fingerprint(hour, carry)
        record = known.get(hour)
        if record is None or record.fingerprint != wanted:
            # The day's newest hour is the one that the fit will be asked of.
            keep_lines = with_fit and hour == planned[-1]
            try:
                record = hours.make(connection, workspace, plan, hour, wanted, keep_lines=keep_lines)
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
    fit = quote_fit.hits(connection, workspace, plan, max(rebuilt)) if with_fit and rebuilt else None
    return Built(series.symbol, day, sorted(rebuilt), unchanged, fit), failed


def build_all(
    connection: duckdb.DuckDBPyConnection,
    series: Iterable[Series],
    day: date,
    now_us: int,
    *,
    with_fit: bool = False,
) -> list[Built]:
    """`build_day` of each series; one whose raw files cannot be read does not keep the others from it.

    Raises:
        PartlyBuiltError: what was wrong with those.
    """
    done: list[Built] = []
    errors: list[str] = []
    for one in series:
        try:
            with publish.told_of_folders():
                done.append(build_day(connection, one, day, now_us, with_fit=with_fit))
        except PartlyBuiltError as error:
            done += error.built
            errors.append(str(error))
        except NoFileError as error:
            errors.append(str(error))
    if errors:
        raise PartlyBuiltError(errors, done)
    return done


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
        # In this order: one that a crash leaves is damaged still, since it lacks its checksum.
        for path in (layout.manifest(daily), layout.checksum(daily), daily):
            path.unlink(missing_ok=True)


def _without_damaged(series: Series, day: date, known: dict[int, PartRecord]) -> dict[int, PartRecord]:
    """Return what is remembered, but for parts whose footer is whole and whose pages are not."""
    parts = {hour: series.layout.part(series.exchange, series.symbol, day, hour) for hour in known}
    bad = {hour for hour, part in parts.items() if part.exists() and not parquet.is_readable(part)}
    for hour in sorted(bad):
        logger.error("{}: damaged; it is made anew where raw segments or ticks allow it", parts[hour])
    return {hour: record for hour, record in known.items() if hour not in bad}
