"""The latency of trades from the exchange to us, over a minute, in bounded memory. No I/O."""

from array import array
from typing import NamedTuple

# The newest so many trades of a minute stand for all of them.
_SAMPLES = 2048


class Spread(NamedTuple):
    """Microseconds from the exchange's stamp to our receipt; includes how far our clock is off."""

    smallest: int
    p50: int
    p99: int
    largest: int


class Latency:
    """One symbol's samples of the minute that runs."""

    __slots__ = ("_samples", "add")

    def __init__(self) -> None:
        # Eight bytes a sample: thousands of symbols have some each.
        self._samples = array("q")
        self.add = self._samples.append

    def trim(self) -> None:
        """Forget the oldest samples, if there are twice as many as are wanted: called at every tick."""
        if len(self._samples) > 2 * _SAMPLES:
            del self._samples[:-_SAMPLES]

    def spread(self) -> Spread | None:
        """Of the newest samples since the last `clear`; None where there are none."""
        if not self._samples:
            return None
        ordered = sorted(self._samples[-_SAMPLES:])
        last = len(ordered) - 1
        return Spread(ordered[0], ordered[last // 2], ordered[last * 99 // 100], ordered[last])

    def clear(self) -> None:
        """Begin a new minute."""
        del self._samples[:]
