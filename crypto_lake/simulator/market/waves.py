"""Numbers that look random, are smooth, and can be asked for at any point: the synthetic market's nature.

Here belong pure functions of (seed, time). Nothing here keeps state. Only additions, multiplications, divisions and
integer mixing are used, which every machine does alike to the last bit; sines and logarithms are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US

# Period and height of each wave of a price; together they stay well below 1, so that no price reaches zero.
_OCTAVES = (
    (7 * DAY_US, 0.12),
    (DAY_US, 0.04),
    (4 * 3600 * SECOND_US, 0.012),
    (1800 * SECOND_US, 0.004),
    (240 * SECOND_US, 0.0012),
    (20 * SECOND_US, 0.0005),
)


def mixed(seed: int, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A well-spread 64-bit number for each number (the finaliser of splitmix64)."""
    x = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed % 2**64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(seed: int, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each number."""
    return (mixed(seed, numbers) >> np.uint64(11)).astype(np.float64) / 2.0**53


def _wave(seed: int, times_us: NDArray[np.int64], period_us: int) -> NDArray[np.float64]:
    """Smooth between random heights in [-1, 1) at each multiple of the period."""
    first = int(times_us[0]) // period_us
    periods = (times_us - first * period_us) / period_us
    cells = periods.astype(np.int64)
    heights = 2 * uniform(seed, first + np.arange(int(cells[-1]) + 2)) - 1
    x = periods - cells
    left, right = heights[cells], heights[cells + 1]
    height: NDArray[np.float64] = left + (right - left) * (x * x * (3 - 2 * x))
    return height


def swing(seed: int, times_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """The price's factor at each time (rising, at least one): around 1, within 0.8 and 1.2, continuous."""
    total = np.ones(len(times_us))
    for number, (period_us, height) in enumerate(_OCTAVES):
        total += height * _wave(seed + 16 * (number + 1), times_us, period_us)
    return total


def elapsed_activity(seconds: float) -> float:
    """Seconds of average activity in the first `seconds` since a midnight: more in the morning, less at night.

    Rises strictly: the activity at any moment is between 0.5 and 1.5 times the average.
    """
    days, rest = divmod(seconds, 86_400)
    x = rest / 86_400
    return 86_400 * (days + x + 2.5 * x * x * (1 - x) * (1 - x))
