"""A wall clock that steps is noticed, one that runs fast is not mistaken for it."""

import pytest

from collector_daemon.clock import StepDetector, SystemClock
from crypto_lake_tests.collector_daemon.fakes import T0, FakeClock


def looking(clock: FakeClock, looks: int = 10) -> StepDetector:
    detector = StepDetector()
    for _ in range(looks):
        assert detector.step_us(clock.wall, clock.mono) == 0
        clock.pass_by(0.2)
    return detector


@pytest.mark.parametrize("pace", [1.0, 60.0, 1000.0])
def test_a_steady_clock_does_not_step_at_any_pace(pace: float) -> None:
    looking(FakeClock(pace=pace), looks=100)


@pytest.mark.parametrize("step_sec", [-3600, -6, 6, 3600, 86400 * 30])
def test_a_step_is_measured(step_sec: int) -> None:
    clock = FakeClock()
    detector = looking(clock)
    clock.wall += step_sec * 1_000_000
    assert abs(detector.step_us(clock.wall, clock.mono) - step_sec * 1_000_000) < 500_000
    clock.pass_by(0.2)
    assert detector.step_us(clock.wall, clock.mono) == 0


def test_a_busy_moment_is_no_step() -> None:
    clock = FakeClock()
    detector = looking(clock)
    clock.pass_by(30)
    assert detector.step_us(clock.wall, clock.mono) == 0


def test_a_clock_that_changes_its_pace_is_followed() -> None:
    clock = FakeClock()
    detector = looking(clock)
    clock.pace = 600.0
    found = []
    for _ in range(10):
        clock.pass_by(0.2)
        found.append(detector.step_us(clock.wall, clock.mono))
    assert found[2:] == [0] * 8


def test_the_systems_clock_is_in_microseconds() -> None:
    assert 1_700_000_000_000_000 < SystemClock().now_us() < 4_102_444_800_000_000
    assert T0 > 0
