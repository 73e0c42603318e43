"""A lake's time: this machine's, or that of a bundled exchange whose market runs fast and in the past.

Days, today among them, are the lake's. What happens on this machine (runs, retries, delays) goes by its own clock.
"""

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if sys.platform == "win32":
    from crypto_lake import windows_clock

if TYPE_CHECKING:
    from crypto_lake.config import Config


def _system_us() -> int:
    return time.time_ns() // 1000


# This machine's time in microseconds since the epoch, UTC. Receive stamps must be finer than a millisecond.
wall_us: Callable[[], int] = _system_us
if sys.platform == "win32" and sys.version_info < (3, 13):
    wall_us = windows_clock.of_this_system()


def market_us(wall_us: int, began_us: int, start_us: int, speed: float) -> int:
    """Market time at a time of this machine; all in microseconds since the epoch, UTC.

    It was `start_us` when this machine's clock was `began_us`, and passes `speed` times as fast since then, until it
    has caught up: it is never in the future.
    """
    return min(wall_us, start_us + int((wall_us - began_us) * speed))


def now_us(config: "Config") -> int:
    """The lake's time now, in microseconds since the epoch, UTC."""
    return lake_us(config, wall_us())


def lake_us(config: "Config", wall_us: int) -> int:
    """The lake's time at a time of this machine, both in microseconds since the epoch, UTC."""
    clock = config.clock
    if clock.began is None or clock.market is None:
        return wall_us
    began_us, start_us = (int(one.timestamp() * 1e6) for one in (clock.began, clock.market))
    return market_us(wall_us, began_us, start_us, clock.speed)
