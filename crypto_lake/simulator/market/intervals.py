"""The intervals of candles, also those that no fixed length has, and in other time zones than UTC.

Here belongs where a candle opens and closes (rest-api.md, "Kline/Candlestick data"): weeks on Mondays, months on their
first day, all of it by the clock of the zone. Three days are counted from 1970-01-01.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from crypto_lake.simulator.market.candles import filled
from crypto_lake.simulator.market.statistics import MINUTE_US, last_price, traded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crypto_lake.simulator.market.tape import Candle, Page, Tape

_DAY_US = 1440 * MINUTE_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIXED_US = {
    "1s": 1_000_000,
    **{f"{count}m": count * MINUTE_US for count in (1, 3, 5, 15, 30)},
    **{f"{count}h": count * 60 * MINUTE_US for count in (1, 2, 4, 6, 8, 12)},
    "1d": _DAY_US,
    "3d": 3 * _DAY_US,
}
NAMES = (*FIXED_US, "1w", "1M")
_FIRST_MONDAY_US = 4 * _DAY_US


class Spell(NamedTuple):
    """From where a candle opens to where the next one does."""

    open_us: int
    close_us: int


class Interval(NamedTuple):
    """An interval by its name, in a zone that is ahead of UTC."""

    name: str
    ahead_us: int = 0

    def at(self, time_us: int) -> Spell:
        """The candle that holds a time."""
        local_us = time_us + self.ahead_us
        if self.name == "1M":
            month = (_EPOCH + timedelta(microseconds=local_us)).replace(
                day=1, hour=0, minute=0, second=0, microsecond=0
            )
            following = (month + timedelta(days=31)).replace(day=1)
            return Spell(_us(month) - self.ahead_us, _us(following) - self.ahead_us)
        length_us = FIXED_US.get(self.name, 7 * _DAY_US)
        since_us = _FIRST_MONDAY_US if self.name == "1w" else 0
        open_us = local_us - (local_us - since_us) % length_us - self.ahead_us
        return Spell(open_us, open_us + length_us)

    def candles(self, tape: Tape, symbol: str, page: Page, now_us: int) -> list[tuple[Spell, Candle]]:
        """The candles of a page, oldest first; the page's own interval does not count."""
        length_us = FIXED_US.get(self.name)
        if length_us is not None and self.ahead_us % length_us == 0:
            found = tape.candles(symbol, page._replace(interval_us=length_us), now_us)
            return [(Spell(it.open_us, it.open_us + length_us), it) for it in found]
        first = next(iter(tape.trades_from(symbol, 0, 1, now_us)), None)
        if first is None:
            return []
        latest_us = max(now_us, tape.recent_trades(symbol, 1, now_us)[0].ts_us)
        spells = list(self._spells(page, first.ts_us, latest_us))
        parts = [traded(tape, symbol, *spell, now_us) for spell in spells]
        known = {candle.open_us: candle for candle in parts if candle}
        opens = [spell.open_us for spell in spells]
        previous = (last_price(tape, symbol, opens[0] - 1, now_us) if opens else None) or first.price
        return list(zip(spells, filled(known, opens, previous), strict=True))

    def _spells(self, page: Page, first_us: int, latest_us: int) -> Iterator[Spell]:
        """See `Page`: forward from its start, or as many as there may be up to its end."""
        last_us = latest_us if page.end_us is None else min(page.end_us, latest_us)
        if page.start_us is None:
            oldest_us = self.at(first_us).open_us
            backward = [self.at(last_us)] if last_us >= oldest_us else []
            while backward and len(backward) < page.limit and backward[-1].open_us > oldest_us:
                backward.append(self.at(backward[-1].open_us - 1))
            yield from reversed(backward)
            return
        spell = self.at(max(page.start_us, first_us))
        if spell.open_us < page.start_us:
            spell = self.at(spell.close_us)
        for _ in range(page.limit):
            if spell.open_us > last_us:
                return
            yield spell
            spell = self.at(spell.close_us)


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
