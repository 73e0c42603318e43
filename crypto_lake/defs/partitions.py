"""Daily UTC partitions, today's included, by shards where there are several; and which of them a run is about.

Candles reach back to an exchange's first day, whatever is recorded (`BACKFILLED`). All else begins with the lake
(`RECORDED`): its first recorded day, as its files have it when this is loaded. Where a sensor sees that an older one is
needed, it makes the day's folder (`requests`): so the run, a process of its own, begins there. The UI shows it when the
definitions are loaded anew.

A shard is a share of the symbols, by a checksum of their names: in no path and no file, so that their number may change
from one start to the next.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple, TypeVar

import dagster as dg
from loguru import logger

from crypto_lake import clock, config
from crypto_lake.defs import reach
from crypto_lake.errors import ConfigError, LakeError, LeftAloneError, StoreError, UnreachableError
from crypto_lake.exchanges import registry
from crypto_lake.layout import day_of
from crypto_lake.series import Series
from crypto_lake.staging import first_day

# Nothing of any exchange can be older. Not of those configured: partitions must not change with a setting.
FIRST_DAY = registry.first_day()
PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
# Dagster sorts the dimensions of a key by their names, and sets a tag of each: `dagster/partition/shard`.
_DATE, _SHARD = "date", "shard"
_MARK = "|"
_Done = TypeVar("_Done")


def first_recorded_day() -> date:
    """The first day that anything was recorded of; of a new lake today."""
    if reach.is_whole():
        return FIRST_DAY
    try:
        loaded = config.load(config.find())
    except LakeError:
        return FIRST_DAY  # What is wrong with the configuration, each run says.
    try:
        first = first_day(loaded)
    except StoreError as error:
        # Loaded all the same: what is not known now is known at the next start, and each run says what is wrong.
        logger.error("{}", error)
        return FIRST_DAY
    return max(FIRST_DAY, first or day_of(clock.now_us(loaded)))


def _configured_shards() -> int:
    with contextlib.suppress(LakeError):  # what is wrong with the configuration, each run says
        return config.load(config.find()).cluster.shards
    return 1


SHARDS = _configured_shards()


def _records_depth() -> bool:
    """Whether depth is recorded, or was and is there."""
    with contextlib.suppress(LakeError):  # what is wrong with the configuration, each run says
        loaded = config.load(config.find())
        there = (bool(loaded.layout.depth_symbols(one.name)) for one in loaded.exchanges)
        return any("depth" in one.streams for one in loaded.exchanges) or any(there)
    return False


# Without it nothing of the order book is shown, and no run has a step for it.
RECORDS_DEPTH = _records_depth()


def _partitions(first: date) -> dg.PartitionsDefinition[str]:
    daily = dg.DailyPartitionsDefinition(start_date=first.isoformat(), timezone="UTC", end_offset=1)
    if SHARDS == 1:
        return daily
    shards = dg.StaticPartitionsDefinition([str(shard) for shard in range(SHARDS)])
    return dg.MultiPartitionsDefinition({_DATE: daily, _SHARD: shards})


BACKFILLED = _partitions(FIRST_DAY)
BEGIN = first_recorded_day()
RECORDED = _partitions(BEGIN)


def nightly(at: str) -> str:
    """The cron words of each night's `at` (HH:MM). Where the lake's clock runs fast, nights come at any time."""
    hour, minute = at.split(":")
    with contextlib.suppress(LakeError):  # what is wrong with the configuration, each run says
        if config.load(config.find()).clock.began:
            return "*/5 * * * *"
    return f"{int(minute)} {int(hour)} * * *"


class Portion(NamedTuple):
    """A partition: a day, of all symbols (`shard` None) or of those of a shard."""

    day: date
    shard: int | None = None

    @property
    def key(self) -> str:
        """Return its name in Dagster."""
        return self.day.isoformat() if self.shard is None else f"{self.day}{_MARK}{self.shard}"

    @property
    def tags(self) -> dict[str, str]:
        """Return the tags of a run of it, as Dagster sets them where it is asked for by its key."""
        if self.shard is None:
            return {PARTITION: self.key}
        dimensions = {_DATE: self.day.isoformat(), _SHARD: str(self.shard)}
        return {PARTITION: self.key} | {f"{PARTITION}/{name}": value for name, value in dimensions.items()}

    @classmethod
    def named(cls, key: str) -> "Portion":
        """Return the partition of a name."""
        day, mark, shard = key.partition(_MARK)
        return cls(date.fromisoformat(day), int(shard) if mark else None)


class Share(NamedTuple):
    """Some symbols of a lake, those of a shard or all (`shard` None), and the days that are worked on."""

    shard: int | None
    series: list[Series]
    days: Sequence[date] = ()

    def key(self, day: date) -> str:
        """Return the name of the partition of a day."""
        return Portion(day, self.shard).key


def shard_of(series: Series) -> int | None:
    """The shard of a symbol; None where there is one for all.

    Raises:
        ConfigError: the number of shards is another than when this process began.
    """
    count = series.config.cluster.shards
    if count != SHARDS:
        raise ConfigError(
            f"cluster.shards: {count}, and {SHARDS} when this process was started; expected it started again after "
            "the setting changed: all of Dagster's, and the workers"
        )
    return series.shard


def shares(series: Iterable[Series]) -> list[Share]:
    """Some symbols by shards."""
    found: dict[int | None, list[Series]] = {shard: [] for shard in (range(SHARDS) if SHARDS > 1 else [None])}
    for one in series:
        found[shard_of(one)].append(one)
    return [Share(shard, some) for shard, some in found.items()]


def shares_of(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, series: Iterable[Series]
) -> list[Share]:
    """The shares of some symbols that a run is about, each with its days, oldest first: one, or those of a range."""
    days: dict[int | None, list[date]] = {}
    for portion in sorted(Portion.named(key) for key in context.partition_keys):
        days.setdefault(portion.shard, []).append(portion.day)
    return [share._replace(days=days[share.shard]) for share in shares(series) if share.shard in days]


def of_each(
    shares: Iterable[Share], work: Callable[[Share], Iterable[_Done]]
) -> Iterator[tuple[Share, _Done]]:
    """Do some work on each share in turn; one that fails keeps no other from it, and then fails the run.

    Raises:
        LeftAloneError, UnreachableError: at once, since no other will be answered either.
        LakeError: the first, when all were tried.
    """
    errors: list[LakeError] = []
    for share in shares:
        try:
            yield from ((share, done) for done in work(share))
        except (LeftAloneError, UnreachableError):
            raise
        except LakeError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def range_tags(first: date, last: date) -> dict[str, str]:
    """Return the tags of a run of some days that follow each other, of all symbols."""
    if SHARDS == 1 and first == last:
        return Portion(first).tags
    ends = (0, SHARDS - 1) if SHARDS > 1 else (None, None)
    return {RANGE_START: Portion(first, ends[0]).key, RANGE_END: Portion(last, ends[1]).key}


def days_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Those tags of a run that say which partitions it is about."""
    return {
        name: value
        for name, value in tags.items()
        if name in {PARTITION, RANGE_START, RANGE_END} or name.startswith(f"{PARTITION}/")
    }


def said(tags: Mapping[str, str]) -> str:
    """Return which partitions a run is about, for people."""
    return "/".join(tags[name] for name in (PARTITION, RANGE_START, RANGE_END) if name in tags)
