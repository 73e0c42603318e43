"""Which days a command is about where none are given: those that are stale, that wait for compaction, that miss trades.

Asked of the files of the lake, or of its store; nothing is made here.
"""

import contextlib
import itertools
from collections.abc import Container, Iterable
from datetime import date, timedelta

from duckdb import DuckDBPyConnection

from crypto_lake.ask.sources import has_minutes
from crypto_lake.clock import now_us
from crypto_lake.completeness import holes
from crypto_lake.completeness.heal import Found, Lack
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.errors import RawDataError
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.raw.catalog import Recording
from crypto_lake.series import Series
from crypto_lake.staging import Rooms, holdings, known, recorded, staged
from crypto_lake.staging.holdings import Kind
from crypto_lake.transform import book, depth, minutes, plan, proof

# So many symbols of a store are brought at a time.
_TOGETHER = 64


def stale_days(config: Config, but: Container[date] = ()) -> list[date]:
    """Every day whose bars are not in line with what was received; nothing is asked of the days `but`."""
    with parquet.connect() as connection:
        if config.store is not None:
            return _stale_in_store(connection, config, but)
        stale = (
            plan.stale_days(connection, series, None, now_us(config), but)
            for series in Series.recorded(config)
        )
        return sorted({day for days in stale for day in days})


def _stale_in_store(connection: DuckDBPyConnection, config: Config, but: Container[date]) -> list[date]:
    """Look at the days in whose folders something came since their bars were made, and at those they point to."""
    touched = list(holdings.unmade(config, recorded(config)))
    found: set[date] = set()
    for begin in range(0, len(touched), _TOGETHER):
        some = [one for one, _ in touched[begin : begin + _TOGETHER]]
        folders_of = [folders for _, folders in touched[begin : begin + _TOGETHER]]
        received = {day for folders in folders_of for day in folders}
        with staged(config, some, received, Rooms.RAW) as local:
            each = zip(local.series, folders_of, strict=True)
            recordings = [(Recording(connection, one), folders) for one, folders in each]
            days = {day for it, folders in recordings for folder in folders for day in it.event_days(folder)}
        wanted = [day for day in days if day not in but]
        with staged(config, some, wanted, Rooms.RAW | Rooms.BARS) as local:
            stale = (
                day
                for day in wanted
                if any(plan.is_stale(connection, one, day, now_us(config)) for one in local.series)
            )
            found |= set(stale)
    return sorted(found)


def days_of(config: Config, *kinds: Kind) -> set[date]:
    """Return the days of which any symbol has a file of one of these kinds."""
    return holdings.days(config, known(config), *kinds)


def for_compaction(config: Config) -> list[date]:
    """Return every finished day that lies in parts, or lacks ticks, minutes, or what was recorded of its book."""
    without_ticks = days_of(config, Kind.DAILY) - days_of(config, Kind.TICKS)
    waiting = days_of(config, Kind.PARTS) | (without_ticks & days_of(config, Kind.RAW))
    waiting |= _without_minutes(config) | _without_books(config)
    return sorted(day for day in waiting if day_start_us(day) + DAY_US <= now_us(config))


def _without_minutes(config: Config) -> set[date]:
    """The days whose minutes are to be made anew, and one of those that have none: a run makes these of all days."""
    if config.store is not None:
        each = holdings.of_each(config, known(config), (Kind.DAILY, Kind.MINUTES))
        days = {day for _, held in each for day in held[Kind.DAILY] - held[Kind.MINUTES]}
        return days if has_minutes(config) else set()
    series = Series.known(config)
    return {*minutes.outdated(series), *itertools.islice(minutes.lacking(series), 1)}


def _without_books(config: Config) -> set[date]:
    """The days whose depth or book is to be made; of a store the runs of each night make them."""
    if config.store is not None:
        return set()
    found: set[date] = set()
    for one in Series.known(config):
        if "depth" in one.source.streams or one.layout.depth_days(one.exchange, one.symbol):
            with parquet.connect() as connection, contextlib.suppress(RawDataError):
                # One that holds something else is told by the run of its day.
                found |= depth.waiting(connection, one)
            found |= book.waiting(one) | proof.waiting(one)
    return found


def find_holes(config: Config, days: list[date] | None) -> Found:
    """Find what is missing by the bars as they are, without days that lack nothing; days None: of every day."""
    with parquet.connect() as connection:
        if config.store is None:
            each = ((one, days or holes.known_days(one)) for one in Series.recorded(config))
            return {key: lack for one, some in each for key, lack in _lacks(connection, one, some)}
        found: Found = {}
        for day in days or _all_days(config):
            with staged(config, recorded(config), [day], Rooms.RAW | Rooms.BARS) as local:
                for one in local.series:
                    found |= dict(_lacks(connection, one, [day]))
        return found


def _lacks(
    connection: DuckDBPyConnection, series: Series, days: Iterable[date]
) -> Iterable[tuple[tuple[str, str, date], Lack]]:
    for day in days:
        lack = Lack.of(connection, series, day, now_us(series.config))
        if not lack.is_none:
            yield (series.exchange, series.symbol, day), lack


def _all_days(config: Config) -> list[date]:
    """Return every day of which anything is known, and those between, since a day may be all hole."""
    days = days_of(config, Kind.RAW, Kind.PARTS, Kind.DAILY)
    first, last = min(days, default=date.max), max(days, default=date.min)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)] if days else []
