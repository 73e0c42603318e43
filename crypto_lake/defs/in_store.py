"""What schedules and sensors ask of a lake that lies in a store.

Where something came is told by those who shipped it, so few folders are looked into; whether a day is in line with its
files is asked of `plan`, as in a lake of one machine, over outlines of these.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta

from crypto_lake import checks
from crypto_lake.ask.sources import has_minutes
from crypto_lake.checks import TRADE_IDS_CONTIGUOUS
from crypto_lake.config import Config
from crypto_lake.defs.changes import Seen
from crypto_lake.defs.partitions import BEGIN, Share
from crypto_lake.exchanges import registry
from crypto_lake.pages import validation
from crypto_lake.series import Series
from crypto_lake.staging import Reach, Rooms, holdings, note_day, noted_days, staged
from crypto_lake.staging.holdings import Kind

_RAW = "raw_segments"
_RECENT_DAYS = 3
# Hosts' clocks differ, and what is told of was put some seconds before: so much is looked at again.
_MARGIN_NS = 300 * 10**9

Landed = dict[tuple[str, str], dict[date, int]]


def landed_since(share: Share, landed: Landed, day: date, since: float) -> bool:
    """Return whether something of a share's day came after a time of this machine's (s since the epoch)."""
    return newest_ns(share, landed, day) > max(0, since * 1e9 - _MARGIN_NS)


@contextmanager
def touched(
    config: Config, share: Share, landed: Landed, seen: Seen, is_left_alone: Callable[[date], bool]
) -> Iterator[list[Series]]:
    """Give outlines of those symbols of a share of which something came that was not dealt with, and may be now.

    Without a store, all of them.
    """
    if config.store is None:
        yield share.series
        return
    days: set[date] = set()
    series: list[Series] = []
    for one in share.series:
        new = {
            day
            for day, at_ns in landed.get((one.exchange, one.symbol), {}).items()
            if at_ns > seen.since(day.isoformat()) - _MARGIN_NS
        }
        if new:
            series.append(one)
            days |= new
    if not days or all(map(is_left_alone, days)):
        yield []
        return
    with staged(config, series, days, Rooms.RAW | Rooms.BARS, reach=Reach.OUTLINE) as local:
        yield local.series


def newest_ns(share: Share, landed: Landed, day: date) -> int:
    """Return when something of a share's day last came, by the clock of who shipped it; 0 where nothing did."""
    return max((landed.get((one.exchange, one.symbol), {}).get(day, 0) for one in share.series), default=0)


def waiting(config: Config, series: list[Series], before: date, folders: int) -> list[tuple[date, Series]]:
    """Return the days before one that lie in parts, lack minutes, or got raw files since their bars were made.

    Of the latter so many of the last folders.
    """
    each = holdings.of_each(config, series, (Kind.PARTS, Kind.DAILY, Kind.MINUTES))
    found = [
        (day, one)
        for one, held in each
        for day in held[Kind.PARTS]
        | (held[Kind.DAILY] - held[Kind.MINUTES] if has_minutes(config) else set())
    ]
    found += [(day, one) for one, days in holdings.unmade(config, series) for day in days[-folders:]]
    return [(day, one) for day, one in found if day < before]


def recent_days(config: Config) -> list[date]:
    """Return the last days of the recording."""
    newest = max(noted_days(config), default=None)
    return [newest - timedelta(days=n) for n in range(_RECENT_DAYS - 1, -1, -1)] if newest else []


@contextmanager
def suspects(config: Config, share: Share, day: date) -> Iterator[list[Series]]:
    """Give those symbols of a share that may lack trades of a day: all but those that the check has found whole.

    Each run that makes bars is followed by the check, so one that it knows nothing of has none.
    """
    with staged(config, share.series, [day], Rooms.VERDICTS, reach=Reach.EXACTLY) as local:
        counts = validation.counts(local.config, day, _RAW, TRADE_IDS_CONTIGUOUS.name)
    names = checks.names(share.series)
    some = [
        one for one in share.series if counts.get(names[one.exchange, one.symbol], 0) or not _is_proved(one)
    ]
    if not some:
        yield []
        return
    # The bars of the day before are looked at as well.
    days = [day - timedelta(days=1), day]
    with staged(config, some, days, Rooms.RAW | Rooms.BARS | Rooms.VERDICTS) as local:
        yield local.series


def _is_proved(series: Series) -> bool:
    return registry.exchange(series.exchange).capabilities.trade_ids == "contiguous"


def begin_with(config: Config, days: Iterable[date]) -> None:
    """Let the lake begin with these days, where it began later: runs of them look where it begins."""
    for day in days:
        if config.store is not None and day < BEGIN:
            note_day(config, day)
