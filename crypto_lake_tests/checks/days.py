"""Days to check: good ones, what is made of them, and exchanges that tell their candles; how a check is run on one."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal

import duckdb

from crypto_lake import checks
from crypto_lake.checks import Check, Means, Verdict
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.completeness import backfill
from crypto_lake.errors import ExchangeError
from crypto_lake.exchanges.base import Candle, Usage
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection


MINUTE = 60 * SECOND


class Told:
    """An exchange whose candles are those of some lines, in plain decimal arithmetic; or one that is away."""

    candles_at_once = 1440

    def __init__(self, lines: list[RawLine], change: Callable[[list[Candle]], list[Candle]] = list) -> None:
        self.lines = lines
        self.change = change
        self.asked = 0

    @property
    def usage(self) -> Usage:
        return Usage(self.asked, 2 * self.asked)

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        return frozenset(symbols)

    async def candles_1m(self, _symbol: str, start_us: int, end_us: int) -> list[Candle]:
        self.asked += 1
        return self.change(candles_of(self.lines, start_us, end_us))

    async def aclose(self) -> None:
        pass


def candles_of(lines: list[RawLine], start: int, end: int) -> list[Candle]:
    """The candles that the exchange would make of all its trades, from the minute of the first on."""
    trades = sorted((line for line in lines if line.ts_event is not None), key=lambda line: line.id)
    by_minute: dict[int, list[RawLine]] = {}
    for one in trades:
        by_minute.setdefault((one.ts_event or 0) // MINUTE, []).append(one)
    candles: list[Candle] = []
    close: str | None = None
    for minute in range(min(start, trades[0].ts_event or 0) // MINUTE * MINUTE, end, MINUTE):
        inside = by_minute.get(minute // MINUTE, [])
        prices = [t.price or "0" for t in inside]
        close = prices[-1] if prices else close
        if close is None or minute < start:
            continue
        base = [Decimal(t.qty or 0) for t in inside]
        quote = [Decimal(t.price or 0) * Decimal(t.qty or 0) for t in inside]
        bought = [t.side == "buy" for t in inside]
        candles.append(
            Candle(
                minute,
                prices[0] if prices else close,
                max(prices, key=Decimal) if prices else close,
                min(prices, key=Decimal) if prices else close,
                close,
                str(sum(base)),
                minute + MINUTE - 1,
                str(sum(quote)),
                len(inside),
                str(sum(q for q, b in zip(base, bought, strict=True) if b)),
                str(sum(q for q, b in zip(quote, bought, strict=True) if b)),
            )
        )
    return candles


class Away(Told):
    async def candles_1m(self, *_: object) -> list[Candle]:
        self.asked += 1
        raise ExchangeError("http://127.0.0.1:1: no answer")


def run(
    check: Check,
    duck: Duck,
    series: Series,
    now_us: int = LATER,
    asset: str = "bars_1s",
    exchange: Told | None = None,
) -> Verdict:
    with ExchangeCandles(lambda *_: exchange or Told(GOOD)) as reference:
        return checks.run(check, asset, [series], DAY, Means(duck, reference, now_us))


# A trade an hour, at other prices each, since the evening before, and a quote every ten minutes.
GOOD = [
    trade(n + 3, START + n * HOUR + 7 * SECOND, price=f"{190 + n % 5}.12", side=("buy", "sell")[n % 2])
    for n in range(-2, 25)
]


QUOTES = [quote(n, START + n * 10 * MINUTE) for n in range(1, 144)]


def landed(duck: Duck, series: Series, lines: list[RawLine], day: date = DAY, now_us: int = LATER) -> None:
    """A day that was listened to as a whole, and its bars."""
    start = day_start_us(day)
    mine = [line for line in lines if start <= (line.ts_event or line.ts_recv) < start + DAY_US]
    path = land(series.config, mine, day)
    record = sealed(path, mine, [(start, start + DAY_US)])
    JournalWriter(series.layout, "binance").write(record, day)
    bars.build_day(duck, series, day, now_us)


def three_days(duck: Duck, series: Series) -> None:
    """Three days without fault, of which the middle one is looked at."""
    for day in (DAY - timedelta(days=1), DAY, DAY + timedelta(days=1)):
        landed(duck, series, [*GOOD, *QUOTES], day)


def compacted(duck: Duck, series: Series) -> None:
    """The three days, the middle one in a daily file and ticks."""
    three_days(duck, series)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)


def with_candles(duck: Duck, series: Series) -> None:
    """The three days, and the exchange's candles of the middle one."""
    three_days(duck, series)
    backfilled(series, Told(GOOD))


def backfilled(series: Series, exchange: Told) -> None:
    """The candles of the day in a file of the lake."""
    asyncio.run(backfill.backfill_day(exchange, series.config, "binance", SYMBOL, DAY, LATER))


def compared(duck: Duck, series: Series, exchange: Told) -> Verdict:
    """The daily file of the day held against an exchange."""
    daily.compact(duck, series, DAY, LATER)
    return run(checks.EQUALS_EXCHANGE_CANDLES, duck, series, asset="daily_bars", exchange=exchange)


def without(*ids: int) -> list[RawLine]:
    return [line for line in GOOD if line.id not in ids]
