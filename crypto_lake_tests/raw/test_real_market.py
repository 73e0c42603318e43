"""Real market data from end to end: a capture across midnight UTC, through exchange, collector, bars, daily files.

The captures lie beside the checkout (`../shared/data`) and are not part of the project.
"""

import asyncio
import csv
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path

import duckdb
import msgspec
import pytest

from collector_daemon.clock import SystemClock
from collector_daemon.daemon import run
from crypto_lake import checks, config
from crypto_lake.ask import sources, views
from crypto_lake.checks import Means
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.exchanges.base import Candle, Usage
from crypto_lake.exchanges.binance.wire import WIRE
from crypto_lake.layout import day_of, day_start_us
from crypto_lake.raw import scan
from crypto_lake.raw.lines import RawLine
from crypto_lake.series import Series
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.replay import Replay
from crypto_lake.simulator.server.exchange import SimulatedExchange, running
from crypto_lake.transform import bars, daily
from crypto_lake_tests.exchanges.test_binance import recorded
from crypto_lake_tests.transform.test_one_id_twice import fit_of

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CAPTURES = [DATA / "capture" / f"btcusdt_{day}.gz" for day in ("20240808", "20240809")]
DAYS = [date(2024, 8, 8), date(2024, 8, 9)]
OVER = day_start_us(date(2024, 8, 11))
SPEED = 30
LONGEST_SEC = 120

pytestmark = [
    pytest.mark.waits,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the real captures are not there: {DATA}"),
]


class FollowingClock(SystemClock):
    """Stamps by the replay's clock, which is the recorder's of then."""

    def __init__(self, market: MarketClock) -> None:
        self._market = market

    def now_us(self) -> int:
        return self._market.now_us()


async def collect(lake: Config, exchange: SimulatedExchange, clock: SystemClock) -> None:
    stop = asyncio.Event()
    recording = asyncio.create_task(run(lake, clock=clock, stop=stop, duration=LONGEST_SEC))
    while not exchange.finished and not recording.done():  # noqa: ASYNC110 - another thread's, without an event
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    stop.set()
    await recording


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """A lake of both days, collected from the replay and compacted."""
    replay = Replay(*CAPTURES)
    clock = replay.clock(SPEED)
    exchange = SimulatedExchange(replay, clock)
    path = tmp_path_factory.mktemp("real") / "config.yml"
    with running(exchange) as address:
        path.write_text(
            f"general: {{base_path: ./lake}}\nexchanges: [{{name: binance, symbols: [BTCUSDT], "
            f'rest_url: "{address.rest_url}", wss_url: "{address.ws_url}"}}]\n'
            # At sixty times life's speed, a second connection in the same process would cost whole seconds of stamps.
            "collector: {connections: 1}\n",
            encoding="utf-8",
        )
        lake = config.load(path)
        asyncio.run(collect(lake, exchange, FollowingClock(clock)))
    series = Series(lake, "binance", "BTCUSDT")
    with parquet.connect() as connection:
        for day in DAYS:
            bars.build_day(connection, series, day, OVER)
            assert daily.compact(connection, series, day, OVER)
    return lake


@pytest.fixture(scope="module")
def asked(made: Config) -> Iterator[Callable[[str], dict[int, list[float]]]]:
    """Ask for numbers by the interval's start, in µs."""
    with parquet.connect() as duck:
        views.create(duck, made)

        def ask(sql: str) -> dict[int, list[float]]:
            return {start: [float(value) for value in row] for start, *row in duck.execute(sql).fetchall()}

        yield ask


NINE = "open, high, low, close, volume_base, volume_quote, trade_count, taker_buy_base, taker_buy_quote"


def test_every_whole_minute_equals_the_exchanges_own_candle_in_all_nine_columns(
    asked: Callable[[str], dict[int, list[float]]],
) -> None:
    candles: dict[int, list[float]] = {}
    for day in DAYS:
        for row in csv.reader((DATA / "candles" / f"BTCUSDT-1m-{day}.csv").read_text().splitlines()):
            candles[int(row[0]) * 1000] = [float(row[n]) for n in (1, 2, 3, 4, 5, 7, 8, 9, 10)]
    ours = asked(f"SELECT epoch_us(window_start), {NINE} FROM bars_1m WHERE observed")
    assert len(ours) == 10
    assert ours == {start: candles[start] for start in ours}


@pytest.mark.parametrize("interval", ["1s", "1m"])
def test_bars_equal_those_made_in_plain_decimal_arithmetic(
    asked: Callable[[str], dict[int, list[float]]], interval: str
) -> None:
    columns = [
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote_volume",
        "trades",
        "taker_buy_base",
        "taker_buy_quote",
        "first_id",
        "last_id",
    ]
    with (DATA / "golden" / f"BTCUSDT-{interval}-2024-08-08_09.csv").open(encoding="utf-8") as file:
        golden = {
            int(row["open_time_us"]): [float(row[name]) for name in columns] for row in csv.DictReader(file)
        }
    query = f"SELECT epoch_us(window_start), {NINE}, first_trade_id, last_trade_id FROM bars_{interval}"
    assert asked(f"{query} WHERE trade_count > 0") == golden


def test_the_trades_of_both_days_are_proved_complete(made: Config, duck: duckdb.DuckDBPyConnection) -> None:
    series = [Series(made, "binance", "BTCUSDT")]
    with ExchangeCandles() as reference:
        means = Means(duck, reference, OVER)
        verdicts = [
            checks.run(checks.TRADE_IDS_CONTIGUOUS, "raw_segments", series, day, means) for day in DAYS
        ]
    assert [verdict.passed for verdict in verdicts] == [True, True]
    ids = "max(last_trade_id) - min(first_trade_id) + 1"
    total = duck.execute(
        f"SELECT sum(trade_count), {ids} FROM {parquet.scan(sources.of_days(made).seconds.paths)}"
    ).fetchall()
    assert total == [(19_904, 19_904)]


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """What the recorder of the capture received, as segments of the days in which it did."""
    path = tmp_path_factory.mktemp("received") / "config.yml"
    path.write_text(
        "general: {base_path: ./lake}\nexchanges: [{name: binance, symbols: [BTCUSDT], "
        'rest_url: "http://127.0.0.1:1/api/v3", wss_url: "ws://127.0.0.1:1/ws"}]\n',
        encoding="utf-8",
    )
    series = Series(config.load(path), "binance", "BTCUSDT")
    lines: dict[date, list[RawLine]] = {}
    for recv_us, frame in recorded():
        line = WIRE.decode(frame, recv_us)
        assert isinstance(line, RawLine)
        lines.setdefault(day_of(recv_us), []).append(line)
    for day, some in lines.items():
        path = series.layout.segment("binance", "BTCUSDT", day, 1)
        path.parent.mkdir(parents=True)
        path.write_bytes(msgspec.json.Encoder().encode_lines(some))
    return series


@pytest.mark.parametrize(("day", "hour"), [(date(2024, 8, 8), 23), (date(2024, 8, 9), 0)])
def test_the_share_of_trades_at_the_prevailing_quote_rises_from_a_tenth_to_a_half(
    received: Series, duck: duckdb.DuckDBPyConnection, day: date, hour: int
) -> None:
    before, after = fit_of(duck, received, day, hour)
    assert before is not None
    assert after is not None
    assert before < 0.15
    assert after > 0.45


def test_quotes_fit_the_trades_far_better_than_by_the_recorders_slow_clock(
    made: Config, duck: duckdb.DuckDBPyConnection
) -> None:
    """How often a second's last price lies within a dollar of the quote at its end: the bar's, and the one received."""
    lines = scan.lines(list(made.layout.base.glob("raw/binance/BTCUSDT/*/part_*.jsonl")))
    duck.execute(f"CREATE TEMP VIEW bars AS FROM {parquet.scan(sources.of_days(made).seconds.paths)}")
    ((ours, received),) = duck.execute(
        f"""SELECT avg((close BETWEEN b.bid - 1 AND b.ask + 1)::INT), avg((close BETWEEN q.bid - 1 AND q.ask + 1)::INT)
           FROM (FROM bars WHERE trade_count > 0 AND observed) AS b
           ASOF JOIN (SELECT ts_recv, bid::DOUBLE AS bid, ask::DOUBLE AS ask FROM {lines} WHERE bid IS NOT NULL) AS q
               ON epoch_us(b.window_start) + 1000000 > q.ts_recv"""
    ).fetchall()
    assert ours > received + 0.2


class CandleFiles:
    """The exchange's own candles of then, from the files beside the capture."""

    candles_at_once = 1440
    usage = Usage(0, 0)

    async def listed(self, symbols: Sequence[str]) -> frozenset[str]:
        return frozenset(symbols)

    async def candles_1m(self, symbol: str, start_us: int, end_us: int) -> list[Candle]:
        rows = csv.reader((DATA / "candles" / f"{symbol}-1m-{day_of(start_us)}.csv").read_text().splitlines())
        candles = [
            Candle._make(
                [int(row[0]) * 1000, *row[1:6], int(row[6]) * 1000 + 999, row[7], int(row[8]), *row[9:11]]
            )
            for row in rows
        ]
        return [candle for candle in candles if start_us <= candle.open_time < end_us]

    async def aclose(self) -> None:
        pass


def test_the_check_against_the_exchanges_candles_holds_for_every_whole_minute(
    made: Config, duck: duckdb.DuckDBPyConnection
) -> None:
    """Minutes outside 23:55 to 00:04 were not recorded: they warn, with the reason, and do not fail."""
    series = [Series(made, "binance", "BTCUSDT")]
    with ExchangeCandles(lambda *_: CandleFiles()) as reference:
        means = Means(duck, reference, OVER)
        verdicts = [
            checks.run(checks.EQUALS_EXCHANGE_CANDLES, "daily_bars", series, day, means) for day in DAYS
        ]
    assert [verdict.outcome for verdict in verdicts] == ["warning", "warning"]
    excused = [
        (f"{row['first']:%H:%M}", f"{row['last']:%H:%M}") for v in verdicts for row in v.rows["BTCUSDT"]
    ]
    assert excused == [("00:00", "23:53"), ("23:54", "23:54"), ("00:05", "23:59")]
