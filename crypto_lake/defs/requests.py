"""Requests for runs of a day, as schedules and sensors make them."""

from datetime import date

import dagster as dg

from crypto_lake.defs.partitions import BEGIN, PARTITION
from crypto_lake.series import Series


def of_day(series: Series, day: date, run_key: str, job_name: str | None = None) -> dg.RunRequest:
    """Request a run of a day, of which some `series` of the lake has something.

    Of a day before all that this process knows of, there is no partition in it, and none to be asked for by its key. So
    the day's folder is made, which the run finds when it looks where the lake begins, and the day is told by a tag.
    """
    if day >= BEGIN:
        return dg.RunRequest(run_key=run_key, job_name=job_name, partition_key=day.isoformat())
    series.layout.parts_day(series.exchange, series.symbol, day).mkdir(parents=True, exist_ok=True)
    return dg.RunRequest(run_key=run_key, job_name=job_name, tags={PARTITION: day.isoformat()})
