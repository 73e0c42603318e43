import time

import pytest

from crypto_lake.clock import wall_us
from crypto_lake.simulator.clock import MarketClock


def test_a_waiting_clock_stands_still_until_it_is_started() -> None:
    clock = MarketClock(5_000_000, speed=1e6, waiting=True)
    assert clock.now_us() == clock.now_us() == 5_000_000
    clock.start()
    time.sleep(0.001)
    assert clock.now_us() > 5_000_000


def test_starting_a_clock_again_changes_nothing() -> None:
    clock = MarketClock(0, speed=1e6)
    time.sleep(0.001)
    before = clock.now_us()
    clock.start()
    assert clock.now_us() >= before > 0


def test_a_clock_without_a_start_shows_the_wall_clocks_time() -> None:
    before = wall_us()
    assert MarketClock().now_us() >= before


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_clock_that_would_not_run_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        MarketClock(speed=speed)
