"""Daily UTC partitions, today's included, and which of them a run is about."""

import contextlib
from collections.abc import Mapping
from datetime import date

import dagster as dg

from crypto_lake import config
from crypto_lake.errors import LakeError
from crypto_lake.exchanges import registry

# Nothing of any exchange can be older. Not of those configured: partitions must not change with a setting.
FIRST_DAY = registry.first_day().isoformat()
PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
DAILY = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC", end_offset=1)


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
