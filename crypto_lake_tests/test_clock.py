"""The lake's time."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector_daemon.clock import SystemClock
from crypto_lake import clock, windows_clock
from crypto_lake import config as configuration
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError
from crypto_lake.simulator.clock import MarketClock

WEEK_US = 7 * 86_400_000_000
BEGAN_US = 1_790_000_000_000_000


@given(passed=st.integers(0, WEEK_US), speed=st.floats(1, 100))
def test_market_time_passes_so_many_times_as_fast_and_is_never_in_the_future(
    passed: int, speed: float
) -> None:
    wall = BEGAN_US + passed
    found = clock.market_us(wall, BEGAN_US, BEGAN_US - WEEK_US, speed)
    assert found == min(wall, BEGAN_US - WEEK_US + int(passed * speed))
    assert found <= wall


@pytest.mark.parametrize("now_us", [clock.wall_us, SystemClock().now_us, MarketClock().now_us])
def test_stamps_are_finer_than_a_millisecond(now_us: Callable[[], int]) -> None:
    seen = [now_us()]
    for _ in range(10_000_000):
        if (now := now_us()) != seen[-1]:
            seen.append(now)
        if len(seen) == 50:
            break
    assert min(later - earlier for earlier, later in pairwise(seen)) < 1000


class _Kernel:
    """Windows' clock, which stands where it is set."""

    def __init__(self) -> None:
        self.ticks = 0

        def ask(into: Any) -> None:  # noqa: ANN401 - what byref() gives has no type
            into._obj.value = self.ticks

        self.GetSystemTimePreciseAsFileTime = ask


def test_windows_stamps_count_from_the_epoch_and_follow_the_clock_when_it_is_set() -> None:
    kernel = _Kernel()
    now_us = windows_clock.precise(kernel)
    kernel.ticks = 133_536_384_001_234_569
    assert now_us() == int(datetime(2024, 2, 29, tzinfo=UTC).timestamp()) * 1_000_000 + 123_456
    kernel.ticks -= 36_000_000_000
    assert now_us() == int(datetime(2024, 2, 28, 23, tzinfo=UTC).timestamp()) * 1_000_000 + 123_456


def test_without_a_clock_the_lakes_time_is_this_machines(lake: Config) -> None:
    assert clock.lake_us(lake, BEGAN_US) == BEGAN_US


def test_with_a_clock_it_is_the_markets(write_config: Callable[..., Path]) -> None:
    began, market = datetime(2026, 1, 8, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    path = write_config(clock={"began": began, "market": market, "speed": 10})
    at = datetime(2026, 1, 8, 0, 6, tzinfo=UTC)
    found = clock.lake_us(configuration.load(path), int(at.timestamp() * 1e6))
    assert found == int(datetime(2026, 1, 1, 1, tzinfo=UTC).timestamp() * 1e6)


@pytest.mark.parametrize("key", ["began", "market"])
def test_half_a_clock_is_refused(write_config: Callable[..., Path], key: str) -> None:
    path = write_config(clock={key: datetime(2026, 1, 8, tzinfo=UTC)})
    with pytest.raises(ConfigError, match=r"clock: began and market belong together"):
        configuration.load(path)


def test_the_exchanges_clock_agrees_with_the_lakes_and_does_not_overtake_this_machines() -> None:
    market = MarketClock(BEGAN_US - WEEK_US, 100.0, began_us=BEGAN_US - WEEK_US)
    assert market.now_us() <= MarketClock().now_us()
    slow = MarketClock(1_000_000, 1.0, began_us=MarketClock().now_us())
    assert 1_000_000 <= slow.now_us() < 11_000_000
