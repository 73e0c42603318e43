"""When segments end: by time, by size, seldom where few lines come, and not all in the same second. No I/O.

A symbol's window lasts `write_interval_sec` from a whole multiple of it since midnight UTC, and ends at the hour at the
latest, so that no segment holds two days and an hour's lines never wait for the next one's. Many symbols are cut in
turns, each by the phase that its name gives it.
"""

import zlib
from dataclasses import dataclass

from crypto_lake.config import Collector
from crypto_lake.layout import DAY_US, HOUR_US, SECOND_US

# So many symbols are cut at the same instant on average; as few as people record by hand all are.
_TOGETHER = 32
# Turns follow each other no faster.
_SHORTEST_TURN_US = SECOND_US
_MEGABYTE, _KILOBYTE = 1_000_000, 1_000


@dataclass(frozen=True, slots=True)
class Rotation:
    """See the module. A window of fewer than `least_bytes` goes on until it is `quiet_us` long.

    One that reaches `most_bytes` ends at once; None: there is no such size.
    """

    interval_us: int
    quiet_us: int = 0
    least_bytes: int = 0
    most_bytes: int | None = None

    def is_quiet(self, lasted_us: int, size: int) -> bool:
        """Return whether a window of so many bytes goes on although its interval is over."""
        return size < self.least_bytes and lasted_us < self.quiet_us

    def turns(self, symbols: int) -> int:
        """Return in how many turns within an interval so many symbols are cut."""
        return max(1, min(-(-symbols // _TOGETHER), self.interval_us // _SHORTEST_TURN_US))

    def window_of(self, us: int, phase_us: int = 0) -> tuple[int, int]:
        """The window [start, end) of an instant, for symbols that are cut so long after the others."""
        midnight, hour = us - us % DAY_US, us - us % HOUR_US
        shift = midnight + phase_us
        start = shift + (us - shift) // self.interval_us * self.interval_us
        return max(start, hour), min(start + self.interval_us, hour + HOUR_US)


def rotation(settings: Collector) -> Rotation:
    """Return what the settings say."""
    size = settings.segment_max_mb
    return Rotation(
        interval_us=settings.write_interval_sec * SECOND_US,
        quiet_us=(settings.quiet_interval_sec or 0) * SECOND_US,
        least_bytes=int(settings.quiet_below_kb * _KILOBYTE),
        most_bytes=None if size is None else int(size * _MEGABYTE),
    )


def turn_of(symbol: str, turns: int) -> int:
    """Return which of the turns is a symbol's, counted from 0: always the same, and evenly spread over names."""
    return zlib.crc32(symbol.encode()) % turns
