"""The stretches of a day for which an exchange was asked for all its trades; what it gave of them has landed.

They are what healing by time proves, as ids are what healing by id does. `asked.json` lies in the day's own folder, and
is written after the trades: a crash between the two only asks again. One that cannot be understood counts as not there.
All times are µs of the exchange's clock.
"""

from datetime import date

from msgspec import Struct, json

from crypto_lake.disk import publish
from crypto_lake.errors import NOT_JSON
from crypto_lake.layout import DAY_US, Layout, day_start_us
from crypto_lake.raw.intervals import Interval, union


class _Asked(Struct):
    stretches: list[Interval]


def read(layout: Layout, exchange: str, symbol: str, day: date) -> list[Interval]:
    """The stretches of a day, merged, and nothing beyond it."""
    try:
        found = json.decode(publish.read(layout.asked(exchange, symbol, day)), type=_Asked).stretches
    except (OSError, *NOT_JSON):
        return []
    start, end = day_start_us(day), day_start_us(day) + DAY_US
    return union((max(first, start), min(last, end)) for first, last in found if first < end and last > start)


def enter(layout: Layout, exchange: str, symbol: str, day: date, stretch: Interval) -> None:
    """Add a stretch of a day. Whoever enters holds the lock of the symbol's healing.

    Raises:
        OSError: the disk refused.
    """
    stretches = union([*read(layout, exchange, symbol, day), stretch])
    publish.write(layout.asked(exchange, symbol, day), json.encode(_Asked(stretches)) + b"\n")
