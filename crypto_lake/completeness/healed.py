"""The result of a heal, and how what it fetched lands: beside what was received, a file for each hour."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from crypto_lake.layout import HOUR_US, day_of
from crypto_lake.raw import segments
from crypto_lake.raw.lines import TradeLine
from crypto_lake.series import Series


@dataclass
class Healed:
    """The result of a run for one symbol's day; in trades, but for `requests` and `files`.

    `missing` when it began, the parts of other days that its holes reach into included; `fetched` and landed;
    `withheld` the exchange did not return. `too_many`: more are missing than `heal.max_trades`, and none was fetched
    (by time, where that shows only on the way: no more).
    """

    symbol: str
    day: date
    missing: int = 0
    fetched: int = 0
    withheld: int = 0
    requests: int = 0
    files: int = 0
    too_many: bool = False


def land(series: Series, lines: Iterable[TradeLine], done: Healed) -> None:
    """Land trades, a file for each hour, so that no hour is made anew whose trades were all there.

    Raises:
        OSError: the disk refused.
    """
    for hour, some in groupby(
        sorted(lines, key=lambda line: line.id), key=lambda line: line.ts_event // HOUR_US
    ):
        batch = list(some)
        day = day_of(hour * HOUR_US)
        segments.land_healed(series.layout, series.exchange, series.symbol, day, batch)
        done.files += 1
        done.fetched += len(batch)
