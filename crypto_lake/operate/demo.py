"""The whole pipeline told as it happens, on this machine alone: bundled exchange, collector, bars, checks, a query.

Everything is the real thing but the exchange, which is the bundled one, and the clock of both it and the collector: it
runs fast, and so that the recording crosses midnight. All that is made lies in one new folder.
"""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn
from rich.table import Table

from collector_daemon.clock import SystemClock
from collector_daemon.daemon import run
from crypto_lake import config as configuration
from crypto_lake import logs
from crypto_lake.ask import query
from crypto_lake.config import Config
from crypto_lake.errors import LakeError
from crypto_lake.layout import MINUTE_US, SECOND_US, day_start_us
from crypto_lake.operate import jobs
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import SimulatedExchange, running

if TYPE_CHECKING:
    from crypto_lake.defs.launch import Verdict

SYMBOLS = ("SOLUSDT", "SUIUSDT", "ADAUSDT")
_SEED = 7
_RECORDING_SEC = 30
# The market stands still until somebody listens; a collector claims nothing until it knows how fast it then runs.
_SETTLING_SEC = 4
# One whole minute on either side of midnight.
_CANDLE_DAYS = 3
_CONFIG = """\
# The demo's lake. The exchange behind these addresses was the bundled one; it is gone.
general: {{base_path: ./lake}}
exchanges:
  - name: binance
    symbols: [{symbols}]
    rest_url: "{rest_url}"
    wss_url: "{wss_url}"
# Market time ran many times as fast as this machine's, and so did each of its delays.
checks: {{max_clock_offset_sec: 60, max_clock_drift_sec: 60}}
"""
_SAMPLE = """\
SELECT symbol, strftime(window_start, '%H:%M') AS minute, open, high, low, close, volume_base, round(vwap, 6) AS vwap,
       round(spread, 6) AS spread, trade_count AS trades, quote_count AS quotes
FROM bars_1m WHERE observed ORDER BY window_start, symbol LIMIT 12"""
# Every whole minute of ours beside the exchange's own candle of it.
_COMPARISON = """\
SELECT count(*), count(*) FILTER (
    (b.open, b.high, b.low, b.close, b.volume_base, b.volume_quote, b.trade_count, b.taker_buy_base, b.taker_buy_quote)
  = (c.open, c.high, c.low, c.close, c.volume_base, c.volume_quote, c.trade_count, c.taker_buy_base, c.taker_buy_quote))
FROM bars_1m AS b JOIN candles_1m AS c USING (symbol, window_start) WHERE b.observed"""


class _FastClock(SystemClock):
    """The collector's clock in a demonstration: stamps are market time, everything else is real."""

    def __init__(self, market: MarketClock) -> None:
        self._market = market

    def now_us(self) -> int:
        """Market time."""
        return self._market.now_us()


def tell(minutes: int, *, serve: bool) -> None:
    """Run it: about `minutes` of market in half a minute, and what becomes of them.

    Raises:
        LakeError: a step failed, or an ERROR check did.
    """
    console = jobs.console()
    folder = Path.cwd() / f"demo-lake-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    midnight = datetime.now(UTC).date()
    speed = max(1.0, minutes * 60 / _RECORDING_SEC)
    begin = day_start_us(midnight) - minutes // 2 * MINUTE_US - int(_SETTLING_SEC * speed) * SECOND_US
    market = MarketClock(begin, speed, waiting=True)
    exchange = SimulatedExchange(SyntheticMarket(_SEED, SYMBOLS), market)
    with running(exchange) as address:
        console.print(f"The bundled exchange listens at {address.ws_url}", highlight=False)
        config = _make_folder(folder, address.ws_url, address.rest_url)
        _record(console, config, market, minutes)
        verdicts = _process(console, config, midnight)
    failed = _summary(console, config, folder, verdicts)
    if serve:
        _serve(console)
    if failed:
        raise LakeError(f"checks failed: {failed}")


def _make_folder(folder: Path, ws_url: str, rest_url: str) -> Config:
    """A lake and a Dagster instance of the demo's own, which everything below then uses."""
    home = folder / "dagster"
    try:
        home.mkdir(parents=True)
    except OSError as error:
        raise LakeError(f"{folder}: cannot be made: {error}") from None
    path = folder / "config.yml"
    text = _CONFIG.format(symbols=", ".join(SYMBOLS), rest_url=rest_url, wss_url=ws_url)
    path.write_text(text, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ[configuration.ENVIRONMENT_VARIABLE] = str(path)
    config = configuration.load(path)
    logs.start(config, "transformer")
    return config


def _record(console: Console, config: Config, market: MarketClock, minutes: int) -> None:
    """The collector, in a thread with an event loop of its own, for so many market minutes."""
    console.print(
        f"The collector records {minutes} minutes of market, {market.speed:g} times as fast, across midnight."
    )
    errors: list[BaseException] = []
    done = threading.Event()

    def collect() -> None:
        try:
            asyncio.run(
                run(config, clock=_FastClock(market), duration=minutes * 60 / market.speed + _SETTLING_SEC)
            )
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            errors.append(error)
        done.set()

    start = market.now_us()
    threading.Thread(target=collect, name="collector", daemon=True).start()
    with _bar(console, "recording", minutes * 60) as advance:
        while not done.wait(0.2):
            advance((market.now_us() - start) / 1e6)
    if errors:
        raise errors[0]


def _process(console: Console, config: Config, midnight: date) -> "list[Verdict]":
    """Everything that Dagster does with a recording; each step is a run in the demo's own instance."""
    yesterday = midnight - timedelta(days=1)
    candle_days = [midnight - timedelta(days=n) for n in range(_CANDLE_DAYS, 0, -1)]
    with _step(console, "Bars: raw segments to one-second bars, a part an hour"):
        jobs.transform(config, [yesterday, midnight])
    with _step(console, f"Compaction: {yesterday} is over and becomes a daily file a symbol"):
        jobs.compact(config, [yesterday])
    with _step(console, f"Backfill: the exchange's own candles of {_CANDLE_DAYS} days"):
        jobs.backfill(config, candle_days)
    with _step(console, "Checks"):
        return jobs.validate(config, [yesterday, midnight])


def _summary(console: Console, config: Config, folder: Path, verdicts: "list[Verdict]") -> int:
    """Return what was made, what the checks say, a sample, where to look next; how many checks failed."""
    console.print(_made(config, folder))
    failed = jobs.report_verdicts(config, verdicts)
    connection = query.connect(config)
    console.print("\nOne-minute bars (the view bars_1m):")
    query.show(connection, config, _SAMPLE)
    compared, equal = connection.execute(_COMPARISON).fetchall()[0]
    console.print(
        f"{equal} of {compared} one-minute bars before midnight equal the exchange's own candles in nine columns."
    )
    told = {name: sum(one.outcome == name for one in verdicts) for name in ("passed", "warning", "failed")}
    console.print(
        f"{told['passed']} of {len(verdicts)} checks passed, {told['warning']} warned, {told['failed']} failed.",
        style="bold red" if failed else "bold green",
    )
    console.print("A warning is due: nobody recorded the first day before the demonstration began.")
    console.print(f"\nAll of it lies in {folder}", highlight=False, soft_wrap=True, markup=False)
    console.print("Look next:", highlight=False)
    config_file = folder / "config.yml"
    for what, command in (
        ("ask it", f'crypto-lake query --config "{config_file}" "FROM bars_1s LIMIT 5"'),
        ("its state", f'crypto-lake status --config "{config_file}"'),
        ("the UI", "crypto-lake demo --serve  (this again, with Dagster's UI left open)"),
        ("the real exchange", "crypto-lake init my-lake, and in that folder: crypto-lake up"),
    ):
        console.print(f"  {what + ':':<20}{command}", highlight=False, soft_wrap=True)
    return failed + int(compared != equal or not compared)


def _made(config: Config, folder: Path) -> Table:
    table = Table("what", "where", "files", "bytes", title="What was made")
    base = config.layout.base
    for what, pattern in (
        ("raw segments", "raw/binance/*/*/part_*.jsonl"),
        ("collector journal", "raw/binance/_journal/*.jsonl"),
        ("bars of the day in progress", "parquet/binance/*/year=*/month=*/day=*/part-*.parquet"),
        ("daily files", "parquet/binance/*/*.parquet"),
        ("backfilled candles", "backfill/binance/*/*.parquet"),
        ("validations", "logs/validation/*.json"),
        ("views for any DuckDB client", "lake.duckdb"),
    ):
        sizes = [path.stat().st_size for path in base.glob(pattern)]
        where = (base / pattern).relative_to(folder).as_posix()
        table.add_row(what, where, str(len(sizes)), f"{sum(sizes):,}")
    return table


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    console.print(what, highlight=False)
    with console.status("working"):
        yield


@contextmanager
def _bar(console: Console, what: str, total: float) -> Iterator[Callable[[float], None]]:
    """A progress bar on a terminal; elsewhere a plain line every quarter of the way."""
    if console.is_terminal:
        with Progress(
            *Progress.get_default_columns(), TimeElapsedColumn(), console=console, transient=True
        ) as progress:
            task = progress.add_task(what, total=total)
            yield lambda done: progress.update(task, completed=done)
        return
    quarters = iter((0.25, 0.5, 0.75, 1.0, 2.0))
    waiting = next(quarters)

    def advance(done: float) -> None:
        nonlocal waiting
        while done / total >= waiting:
            console.print(f"  {what}: {waiting:.0%}", highlight=False)
            waiting = next(quarters)

    yield advance


def _serve(console: Console) -> None:
    """Dagster's UI on the demo's instance, on loopback, until Ctrl-C."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    console.print(f"Dagster's UI: http://127.0.0.1:{port} (Ctrl-C ends it)", highlight=False)
    command = [sys.executable, "-m", "dagster", "dev", "-m", "crypto_lake.definitions"]
    command += ["--host", "127.0.0.1", "--port", port]
    with subprocess.Popen(command, cwd=os.environ["DAGSTER_HOME"]) as process:  # noqa: S603 - our own words only
        try:
            process.wait()
        except KeyboardInterrupt:
            process.wait()
