"""The raw segments of a lake go stale after a few of the intervals in which its collector seals."""

from datetime import timedelta

import pytest

from crypto_lake.config import Collector
from crypto_lake.defs import freshness


@pytest.mark.parametrize(
    ("collector", "minutes"),
    [
        (Collector(), (5, 15)),
        (Collector(write_interval_sec=600), (20, 40)),
        (Collector(quiet_interval_sec=900), (30, 60)),
    ],
    ids=["as shipped", "ten minutes", "quiet symbols a quarter of an hour"],
)
def test_a_lake_that_is_sealed_seldom_goes_stale_later(
    collector: Collector, minutes: tuple[int, int]
) -> None:
    policy = freshness.policy(collector)
    found = [window.to_timedelta() for window in (policy.warn_window, policy.fail_window) if window]  # type: ignore[attr-defined]
    assert found == [timedelta(minutes=one) for one in minutes]
