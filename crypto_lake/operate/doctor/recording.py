"""A short recording in a temporary lake, held against the exchange's own trades and candles.

The collector records as it always does; two connections of the doctor's own listen beside it. The part of the first
minute that came before the recording is fetched by trade id, as healing does, so that this minute can be compared too.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from collector_daemon.clock import Clock, LakeClock, SystemClock
from collector_daemon.daemon import run
from crypto_lake import clock
from crypto_lake.ask import views
from crypto_lake.checks.reference import NINE, SEVEN, ExchangeCandles
from crypto_lake.config import Config, Exchange
from crypto_lake.disk import parquet
from crypto_lake.errors import ExchangeError, LakeError
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.base import IdTrades
from crypto_lake.layout import MINUTE_US, SECOND_US, day_of
from crypto_lake.operate.doctor import streams
from crypto_lake.operate.doctor.finding import Finding
from crypto_lake.operate.doctor.requests import Asked
from crypto_lake.operate.doctor.streams import Heard
from crypto_lake.raw import segments
from crypto_lake.raw.lines import TradeLine, decode
from crypto_lake.series import Series
from crypto_lake.transform import bars

# More symbols would say no more, and would cost the exchange's patience: each may take dozens of requests.
_MOST_SYMBOLS = 5
_MOST_PAGES = 10
# Trades are on their way for a while, and the exchange's candles come from a database that follows the market.
_SETTLED_US = 2 * SECOND_US
_SHOWN = 3
_COMPARE = """\
SELECT strftime(c.window_start, '%H:%M'), ({ours}) IS NOT DISTINCT FROM ({theirs})
FROM exchanges_own AS c LEFT JOIN bars_1m AS b ON b.window_start = c.window_start AND b.symbol = $symbol
WHERE epoch_us(c.window_start) >= $start AND epoch_us(c.window_start) < $stop
ORDER BY c.window_start"""


@dataclass
class _Trades:
    """One symbol's recorded trades, in order of id; none is lacking from `whole_from` on (µs, exchange time)."""

    symbol: str
    recorded: list[TradeLine]
    whole_from: int = 0


class _Past(NamedTuple):
    """The client that is asked for past trades, and how many a request brings."""

    client: IdTrades
    at_once: int


def compare(config: Config, exchange: Exchange, asked: Asked, seconds: float) -> Iterator[Finding]:
    """Record some of the trading symbols for `seconds`, and hold what came against the exchange's own account of it."""
    some = asked.trading[:_MOST_SYMBOLS]
    with tempfile.TemporaryDirectory(prefix="crypto-lake-doctor-", ignore_cleanup_errors=True) as folder:
        lake = _lake(config, exchange, some, Path(folder))
        try:
            end_us = clock.now_us(lake) + int(seconds * lake.clock.speed * SECOND_US) - asked.offset_us
            one, other = asyncio.run(_record(lake, some, seconds))
            yield from streams.compare(one, other)
            trades = [_recorded(lake, symbol) for symbol in some]
            yield from _times(trades)
            yield from asyncio.run(_against_trades(lake, trades))
            yield from _against_candles(lake, trades, end_us - int(_SETTLED_US * lake.clock.speed))
        except (LakeError, OSError) as error:
            yield Finding.failed("recording", f"{error}")


def _lake(config: Config, exchange: Exchange, symbols: list[str], folder: Path) -> Config:
    """The configuration of a lake in the temporary folder, which knows these symbols alone."""
    replace = msgspec.structs.replace
    return replace(
        config,
        general=replace(config.general, base_path=str(folder)),
        exchanges=[replace(exchange, symbols=symbols, exclude=[])],
        collector=replace(config.collector, metrics_port=None, min_free_disk_gb=0, name=None, share=None),
    )


async def _record(lake: Config, symbols: list[str], seconds: float) -> tuple[Heard, Heard]:
    """Run the collector, and two connections beside it that are never replaced."""
    (exchange,) = lake.exchanges
    stop = asyncio.Event()
    listeners = [asyncio.ensure_future(streams.listen(exchange, symbols, stop)) for _ in range(2)]
    time: Clock = SystemClock() if lake.clock.began is None else LakeClock(lake)
    try:
        await run(lake, clock=time, duration=seconds)
    finally:
        stop.set()
        one, other = await asyncio.gather(*listeners)
    return one, other


def _recorded(lake: Config, symbol: str) -> _Trades:
    (exchange,) = lake.exchanges
    layout = lake.layout
    lines = [
        decode(line)
        for day in layout.raw_days(exchange.name, symbol)
        for path in segments.sealed(layout.raw_day(exchange.name, symbol, day))
        for line in path.read_bytes().splitlines()
    ]
    once = {line.id: line for line in lines if isinstance(line, TradeLine)}
    return _Trades(symbol, [once[number] for number in sorted(once)])


def _times(trades: list[_Trades]) -> Iterator[Finding]:
    """Yield whether the stream's trade times are as fine as was asked for."""
    events = [line.ts_event for one in trades for line in one.recorded]
    if not events:
        yield Finding.warning(
            "recording", "no trade came; quiet symbols take longer, see --seconds, or name a busy one"
        )
    elif all(event % 1000 == 0 for event in events):
        yield Finding.warning(
            "stream times",
            f"all of {len(events)} trade times are whole milliseconds; microseconds were asked for",
        )
    else:
        yield Finding.ok("stream times", "in microseconds, as asked for")


async def _against_trades(lake: Config, trades: list[_Trades]) -> list[Finding]:
    """Hold the recorded trades against those that the exchange gives by id."""
    (exchange,) = lake.exchanges
    past = registry.exchange(exchange.name).capabilities.past_trades
    if past is None or past.by != "id":
        for one in trades:
            one.whole_from = _minute(one.recorded[0]) + MINUTE_US if one.recorded else 0
        return [Finding.warning("trades", "the exchange gives no past trades by id to compare with")]
    client = registry.rest_client(exchange.name, exchange.rest_url)
    try:
        # The exchange's own limit of requests is known once it was asked what it lists.
        await client.listed([one.symbol for one in trades])
        by_id = _Past(cast("IdTrades", client), past.at_once)
        found = [await _against_its_trades(lake, by_id, one) for one in trades if one.recorded]
    except ExchangeError as error:
        return [Finding.failed("past trades", f"{error}; lost trades could not be healed from there")]
    finally:
        await client.aclose()
    return found


async def _against_its_trades(lake: Config, past: _Past, one: _Trades) -> Finding:
    first, last = one.recorded[0].id, one.recorded[-1].id
    last = min(last, first + past.at_once * _MOST_PAGES - 1)
    theirs: dict[int, TradeLine] = {}
    for start in range(first, last + 1, past.at_once):
        count = min(past.at_once, last + 1 - start)
        theirs |= {line.id: line for line in await past.client.trades_from(one.symbol, start, count, 0)}
    ours = {line.id: line for line in one.recorded if line.id <= last}
    missing = [number for number in range(first, last + 1) if number not in ours]
    unlike = [number for number, line in ours.items() if _content(line) != _content(theirs.get(number))]
    await _fetch_before(lake, past, one)
    if missing or unlike:
        what = [
            f"{len(missing)} were not received" if missing else "",
            f"{len(unlike)} differ" if unlike else "",
        ]
        shown = ", ".join(str(number) for number in [*missing, *unlike][:_SHOWN])
        return Finding.failed(
            "trades",
            f"{one.symbol}: of {last + 1 - first:,}, {' and '.join(filter(None, what))} ({shown}); run this again, "
            "and if it stays so, look for what loses data between here and the exchange",
        )
    return Finding.ok(
        "trades", f"{one.symbol}: {last + 1 - first:,}, none missing, equal to those fetched by id"
    )


def _content(line: TradeLine | None) -> tuple[object, ...] | None:
    """Return what two accounts of one trade must agree in. Streams and requests may tell times in different units."""
    return None if line is None else (line.price, line.qty, line.side, line.ts_event // 1000)


async def _fetch_before(lake: Config, past: _Past, one: _Trades) -> None:
    """Land the trades of the first minute that were made before the recording began; none where they are too many."""
    (exchange,) = lake.exchanges
    first = one.recorded[0]
    begin = one.whole_from = _minute(first)
    found: dict[int, TradeLine] = {}
    for page in range(1, _MOST_PAGES + 1):
        start = max(0, first.id - page * past.at_once)
        count = first.id - (page - 1) * past.at_once - start
        lines = (
            await past.client.trades_from(one.symbol, start, count, clock.now_us(lake)) if count > 0 else []
        )
        found |= {line.id: line for line in lines}
        if not lines or lines[0].ts_event < begin:
            break
    else:
        one.whole_from += MINUTE_US
        return
    before = [found[number] for number in sorted(found) if found[number].ts_event >= begin]
    if before:
        segments.land_healed(lake.layout, exchange.name, one.symbol, day_of(begin), before)


def _minute(line: TradeLine) -> int:
    return line.ts_event - line.ts_event % MINUTE_US


def _against_candles(lake: Config, trades: list[_Trades], end_us: int) -> Iterator[Finding]:
    """Make bars of the recording, and hold each minute that ended before `end_us` against the exchange's candle."""
    (exchange,) = lake.exchanges
    told = registry.exchange(exchange.name).capabilities.candles
    if told == "none":
        yield Finding.warning("candles", "the exchange has none to compare with")
        return
    columns = NINE if told == "with taker volumes" else SEVEN
    compare = _COMPARE.format(
        ours=", ".join(f"b.{name}" for name in columns), theirs=", ".join(f"c.{name}" for name in columns)
    )
    compared, unlike = 0, []
    with parquet.connect() as connection, ExchangeCandles() as reference:
        for one in trades:
            if not one.recorded:
                continue
            series = Series(lake, exchange.name, one.symbol)
            bounds = {"symbol": one.symbol, "start": one.whole_from, "stop": end_us - end_us % MINUTE_US}
            for day in sorted({day_of(one.whole_from), day_of(max(one.whole_from, end_us))}):
                bars.build_day(connection, series, day, clock.now_us(lake))
                connection.register("exchanges_own", reference.of(series, day))
                views.create(connection, lake)
                rows = connection.execute(compare, bounds).fetchall()
                compared += len(rows)
                unlike += [f"{one.symbol} {minute}" for minute, is_equal in rows if not is_equal]
    yield _verdict(compared, unlike, "nine" if columns == NINE else "seven")


def _verdict(compared: int, unlike: list[str], columns: str) -> Finding:
    if unlike:
        return Finding.failed(
            "candles",
            f"{len(unlike)} of {compared} minutes differ from the exchange's ({', '.join(unlike[:_SHOWN])}); if no "
            "trade is missing above, do not trust these bars",
        )
    if not compared:
        return Finding.warning(
            "candles", "no whole minute was recorded to compare; expected --seconds 90 or more"
        )
    return Finding.ok(
        "candles", f"{compared} of {compared} minutes equal the exchange's in {columns} columns"
    )
