"""How long nothing may land before the UI says so: a few of the intervals in which the collector seals."""

from datetime import timedelta

import dagster as dg

from crypto_lake import config
from crypto_lake.config import Collector
from crypto_lake.errors import LakeError

# The sensor that reports landings looks each minute, so of a short interval the windows are no shorter than these.
_SUSPICIOUS = timedelta(minutes=5)
_SILENT = timedelta(minutes=15)


def of_landings() -> dg.FreshnessPolicy:
    """Return the policy for the lake of this process's configuration, as it is when definitions are loaded."""
    try:
        collector = config.load(config.find()).collector
    except LakeError:
        collector = Collector()  # What is wrong with the configuration, each run says.
    return policy(collector)


def policy(collector: Collector) -> dg.FreshnessPolicy:
    """Return the policy for a collector: it warns after two of the longest intervals, and fails after four."""
    longest = timedelta(seconds=max(collector.write_interval_sec, collector.quiet_interval_sec or 0))
    return dg.FreshnessPolicy.time_window(
        warn_window=max(_SUSPICIOUS, 2 * longest), fail_window=max(_SILENT, 4 * longest)
    )
