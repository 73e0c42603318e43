"""Daily UTC partitions, today's included, and which of them a run is about."""

from datetime import date

import dagster as dg

# Binance opened in July 2017; nothing of it can be older.
FIRST_DAY = "2017-07-01"
DAILY = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, timezone="UTC", end_offset=1)


def days_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> list[date]:
    """The days of a run, oldest first: one, or those of a range."""
    return sorted(date.fromisoformat(key) for key in context.partition_keys)
