"""What the lake is for, by the commands a person types: collected, turned into Parquet, backfilled, asked in SQL.

The exchange is the bundled one, on loopback and at life's speed; everything else is what runs anywhere.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from crypto_lake.layout import DAY_US, Layout
from crypto_lake.raw.lines import QuoteLine, RawLine, TradeLine, decode
from crypto_lake.simulator.clock import MarketClock
from crypto_lake.simulator.market.synthetic import SyntheticMarket
from crypto_lake.simulator.server.exchange import SimulatedExchange, running
from crypto_lake_tests import processes

pytestmark = pytest.mark.waits

SYMBOLS = ["SOLUSDT", "SUIUSDT", "ADAUSDT"]
DAYS = 90
_MARGIN_SEC = 90
Command = Callable[..., str]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    # The recording is of one day, and the 90 days before it: not the moment to cross midnight.
    left = DAY_US / 1e6 - datetime.now(UTC).timestamp() % (DAY_US / 1e6)
    if left < _MARGIN_SEC:
        time.sleep(left + 1)
    return Layout(tmp_path_factory.mktemp("acceptance") / "lake")


@pytest.fixture(scope="module")
def command(layout: Layout) -> Iterator[Command]:
    """Run `crypto-lake …` to its good end; what it said.

    Candles are of a market with few trades: ninety days of a busy one take the bundled exchange a minute to make up.
    """
    folder = layout.base.parent
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    # The busy one is so busy that each symbol trades within seconds, whatever the hour.
    busy, quiet = (
        SimulatedExchange(SyntheticMarket(5, SYMBOLS, rate=rate), MarketClock()) for rate in (100, 0.05)
    )
    with running(busy) as live, running(quiet) as past:

        def run(*words: str) -> str:
            address = past if words[0] == "backfill" else live
            text = (
                f"general: {{base_path: ./lake}}\nexchanges: [{{name: binance, symbols: [{', '.join(SYMBOLS)}], "
                f'rest_url: "{address.rest_url}", wss_url: "{address.ws_url}"}}]\n'
            )
            (folder / "config.yml").write_text(text, encoding="utf-8")
            done = processes.run("crypto_lake", *words, cwd=folder, DAGSTER_HOME=str(home))
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield run


@pytest.fixture(scope="module")
def collected(command: Command, layout: Layout) -> dict[str, list[RawLine]]:
    """What a collector of a few seconds left on disk, by symbol."""
    command("collector", "--duration", "6")
    return {
        symbol: [
            decode(line)
            for path in sorted(layout.raw_symbol("binance", symbol).rglob("part_*.jsonl"))
            for line in path.read_bytes().splitlines()
        ]
        for symbol in SYMBOLS
    }


@pytest.fixture(scope="module")
def bars(command: Command, collected: dict[str, list[RawLine]], layout: Layout) -> str:
    """The bars as any DuckDB reads them."""
    command("transformer")
    return f"read_parquet('{layout.base.as_posix()}/parquet/binance/*/*/*/*/*.parquet')"


@pytest.fixture(scope="module")
def candles(command: Command, layout: Layout) -> str:
    """The backfilled candles as any DuckDB reads them."""
    command("backfill", "--days", str(DAYS))
    return f"read_parquet('{layout.base.as_posix()}/backfill/binance/*/*.parquet')"


def test_live_trades_and_quotes_of_the_configured_symbols_are_collected(
    collected: dict[str, list[RawLine]],
) -> None:
    for symbol, lines in collected.items():
        assert {line.symbol for line in lines} == {symbol}
        assert {type(line) for line in lines} == {TradeLine, QuoteLine}
        # Lines lie in order of receipt (docs/FORMAT.md), and one connection may be a trade ahead of the other.
        received = [line.ts_recv for line in lines]
        assert received == sorted(received)
        ids = sorted(line.id for line in lines if isinstance(line, TradeLine))
        assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_one_second_parquet_is_produced_that_holds_every_trade(
    collected: dict[str, list[RawLine]], bars: str
) -> None:
    rows = duckdb.execute(
        f"SELECT symbol, sum(trade_count), count(*) = count(DISTINCT window_start), "
        f"max(epoch_us(window_start) % 1000000) FROM {bars} GROUP BY symbol"
    ).fetchall()
    trades = {
        symbol: sum(isinstance(line, TradeLine) for line in lines) for symbol, lines in collected.items()
    }
    # The bars end at the last second that is wholly sealed, the recording a little later.
    found = {symbol: (trades[symbol] * 0.6 < count, unique, off) for symbol, count, unique, off in rows}
    assert found == dict.fromkeys(SYMBOLS, (True, True, 0))
    assert all(count <= trades[symbol] for symbol, count, _, _ in rows)


def test_ninety_days_are_backfilled_minute_by_minute(candles: str) -> None:
    today = datetime.now(UTC).date()
    rows = duckdb.execute(
        f"SELECT symbol, count(*), count(DISTINCT window_start), min(window_start)::DATE, max(window_start)::DATE "
        f"FROM {candles} GROUP BY symbol"
    ).fetchall()
    minutes = DAYS * 1440
    first, last = today - timedelta(days=DAYS), today - timedelta(days=1)
    assert sorted(rows) == [(symbol, minutes, minutes, first, last) for symbol in sorted(SYMBOLS)]


def test_duckdb_queries_verify_both(command: Command, bars: str, candles: str, layout: Layout) -> None:
    """The same answers from the command, from the saved views, and from the Parquet files."""
    with duckdb.connect(str(layout.database), read_only=True) as saved:
        for view, files in {"bars_1s": bars, "candles_1m": candles}.items():
            question = "SELECT sum(trade_count)::BIGINT AS trades, count(*) AS rows FROM"
            (answer,) = saved.execute(f"{question} {view}").fetchall()
            assert duckdb.execute(f"{question} {files}").fetchall() == [answer]
            assert str(answer[0]) in command("query", f"{question} {view}")
        wrong = "low > least(open, close) OR high < greatest(open, close) OR volume_base < 0 OR spread < 0"
        for view in ("bars_1s", "bars_1m", "candles_1m"):
            assert saved.execute(f"SELECT count(*) FROM {view} WHERE {wrong}").fetchall() == [(0,)]


def test_the_checks_of_the_day_pass_and_leave_a_page(command: Command, bars: str, layout: Layout) -> None:
    said = command("validate")
    assert "failed" not in said
    pages = sorted((layout.logs / "validation").glob("*.html"))
    assert str(pages[-1].parent) in said
