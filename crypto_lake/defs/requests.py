"""Requests for runs of a day, as schedules and sensors make them."""

from datetime import date

import dagster as dg

from crypto_lake.defs.partitions import BEGIN, Portion, shard_of
from crypto_lake.series import Series


def of_day(series: Series, day: date, run_key: str, job_name: str | None = None) -> dg.RunRequest:
    """Request a run of a day, of which some `series` of the lake has something; where there are shards, of its shard.

    Of a day before all that this process knows of, there is no partition in it, and none to be asked for by its key. So
    the day's folder is made, which the run finds when it looks where the lake begins, and the day is told by a tag.
    """
    portion = Portion(day, shard_of(series))
    if day >= BEGIN:
        return dg.RunRequest(run_key=run_key, job_name=job_name, partition_key=portion.key)
    series.layout.parts_day(series.exchange, series.symbol, day).mkdir(parents=True, exist_ok=True)
    return dg.RunRequest(run_key=run_key, job_name=job_name, tags=portion.tags)
