"""Candles of any day of a lake: the exchange's own where they were fetched, else made of bars or of ticks.

Prices and volumes come back as the whole numbers that they were printed as. A minute of which the lake knows nothing
has no candle; one that was heard and in which nothing was traded is flat, as the exchange has it.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from crypto_lake.disk import parquet
from crypto_lake.layout import DAY_US, HOUR_US, MINUTE_US, day_of, day_start_us
from crypto_lake.series import Series
from crypto_lake.simulator.market.candles import joined
from crypto_lake.simulator.market.tape import E8, Candle, Page

_PRICES = ("open", "high", "low", "close")
# A minute, or an hour, that was asked for is soon asked for again; 60 candles have 27 kB.
_KEPT_HOURS = 1000
_KEPT_DAYS = 4000

# The candles of some interval made of trades in [from, to), with flat ones where that was heard.
OfTrades = Callable[[int, int, int], dict[int, Candle]]


class Candles:
    """The candles of one symbol. `of_trades` makes those of days in `days`, whose ticks are there."""

    def __init__(self, series: Series, days: Iterable[date], of_trades: OfTrades) -> None:
        self._series = series
        self._days = frozenset(days)
        self._of_trades = of_trades
        layout, where = series.layout, (series.exchange, series.symbol)
        known = {*layout.candle_days(*where), *layout.daily_days(*where), *self._days}
        self._first_us = min(map(day_start_us, known))
        self._minutes = lru_cache(_KEPT_HOURS)(self._minutes_of_hour)
        self._hours = lru_cache(_KEPT_DAYS)(self._hours_of_day)

    def page(self, page: Page, now_us: int) -> list[Candle]:
        """See `Tape.candles`."""
        opens = page.opens(self._first_us, now_us)
        if not opens:
            return []
        end_us = min(opens[-1] + page.interval_us, now_us + 1)
        known = _together(self._parts(opens[0], end_us, page.interval_us, now_us), page.interval_us)
        return [known[open_us] for open_us in opens if open_us in known]

    def _parts(self, start_us: int, end_us: int, interval_us: int, now_us: int) -> Iterator[Candle]:
        """Candles as long as can be of what is over, and of the minute in progress what is known of it."""
        if interval_us < MINUTE_US:
            # What is older than the ticks has no candle so short.
            yield from self._of_trades(max(start_us, now_us - 2 * DAY_US), end_us, interval_us).values()
            return
        minute_us = min(end_us, now_us // MINUTE_US * MINUTE_US)
        hour_us = start_us // HOUR_US * HOUR_US
        while hour_us < minute_us:
            is_whole = interval_us % HOUR_US == 0 and hour_us + HOUR_US <= minute_us
            if is_whole:
                whole = self._hours(day_of(hour_us)).get(hour_us)
                yield from () if whole is None else (whole,)
            else:
                yield from (it for it in self._minutes(hour_us) if start_us <= it.open_us < minute_us)
            hour_us += HOUR_US
        if minute_us < end_us:
            yield from self._of_trades(minute_us, end_us, MINUTE_US).values()

    def _hours_of_day(self, day: date) -> dict[int, Candle]:
        start = day_start_us(day)
        minutes = self._of_day(day, start, start + DAY_US)
        return _together((it for _, it in sorted(minutes.items())), HOUR_US)

    def _minutes_of_hour(self, hour_us: int) -> list[Candle]:
        return [it for _, it in sorted(self._of_day(day_of(hour_us), hour_us, hour_us + HOUR_US).items())]

    def _of_day(self, day: date, start_us: int, end_us: int) -> dict[int, Candle]:
        """The minutes of a day in [start, end)."""
        layout, where = self._series.layout, (self._series.exchange, self._series.symbol, day)
        own = layout.candles(*where)
        found = dict(_rows(own, start_us, end_us)) if own.is_file() else {}
        if day in self._days:
            return self._of_trades(start_us, end_us, MINUTE_US) | found
        minutes = layout.minutes(*where)
        return (dict(_rows(minutes, start_us, end_us)) if minutes.is_file() else {}) | found


def _rows(path: Path, start_us: int, end_us: int) -> Iterator[tuple[int, Candle]]:
    """The candles of a file of bars of a minute, without those of which nothing is known."""
    table = parquet.bars(path)
    names = (
        *_PRICES,
        "volume_base",
        "volume_quote",
        "trade_count",
        "taker_buy_base",
        "taker_buy_quote",
        "observed",
    )
    opened = table["window_start"].cast("int64").to_pylist()
    for open_us, *row in zip(opened, *(table[name].to_pylist() for name in names), strict=True):
        *prices, base, quote, trades, taker_base, taker_quote, is_observed = row
        if start_us <= open_us < end_us and (is_observed or trades) and None not in prices:
            opened_at, high, low, close = map(_e8, prices)
            sums = _e8(base), _e8(quote) * E8, trades, _e8(taker_base), _e8(taker_quote) * E8
            yield open_us, Candle(open_us, opened_at, high, low, close, *sums)


def _e8(number: float) -> int:
    """The whole number of 1e-8 that a number was printed as."""
    return round(Decimal(repr(number)) * E8)


def _together(parts: Iterable[Candle], interval_us: int) -> dict[int, Candle]:
    """Candles of an interval; flat parts count where there are no others."""
    flat: dict[int, Candle] = {}
    traded: list[Candle] = []
    for part in parts:
        open_us = part.open_us // interval_us * interval_us
        if part.trades:
            traded.append(part._replace(open_us=open_us))
        else:
            flat.setdefault(open_us, part._replace(open_us=open_us))
    return flat | joined(traded)
