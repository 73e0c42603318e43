"""Daily UTC partitions, today's included, and which of them a run is about.

Candles reach back to an exchange's first day, whatever is recorded (`BACKFILLED`). All else begins with the lake
(`RECORDED`): its first recorded day, as its files have it when this is loaded. Where a sensor sees that an older one is
needed, it makes the day's folder (`requests`): so the run, a process of its own, begins there. The UI shows it when the
definitions are loaded anew.
"""

import contextlib
from collections.abc import Mapping
from datetime import date

import dagster as dg

from crypto_lake import clock, config
from crypto_lake.defs import reach
from crypto_lake.errors import LakeError
from crypto_lake.exchanges import registry
from crypto_lake.layout import day_of

# Nothing of any exchange can be older. Not of those configured: partitions must not change with a setting.
FIRST_DAY = registry.first_day()
PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def first_recorded_day() -> date:
    """The first day that anything was recorded of; of a new lake today."""
    if reach.is_whole():
        return FIRST_DAY
    try:
        loaded = config.load(config.find())
    except LakeError:
        return FIRST_DAY  # What is wrong with the configuration, each run says.
    days = [loaded.layout.first_day(exchange.name) for exchange in loaded.exchanges]
    first = min((day for day in days if day), default=day_of(clock.now_us(loaded)))
    return max(FIRST_DAY, first)


def _daily(first: date) -> dg.DailyPartitionsDefinition:
    return dg.DailyPartitionsDefinition(start_date=first.isoformat(), timezone="UTC", end_offset=1)


BACKFILLED = _daily(FIRST_DAY)
BEGIN = first_recorded_day()
RECORDED = _daily(BEGIN)


def nightly(at: str) -> str:
    """The cron words of each night's `at` (HH:MM). Where the lake's clock runs fast, nights come at any time."""
    hour, minute = at.split(":")
    with contextlib.suppress(LakeError):  # what is wrong with the configuration, each run says
        if config.load(config.find()).clock.began:
            return "*/5 * * * *"
    return f"{int(minute)} {int(hour)} * * *"


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[date]:
    """The days of a run, oldest first: one, or those of a range."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)


def days_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Those tags of a run that say which days it is about."""
    return {name: value for name, value in tags.items() if name in {PARTITION, RANGE_START, RANGE_END}}
