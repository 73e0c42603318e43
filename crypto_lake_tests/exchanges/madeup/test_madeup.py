"""An exchange that differs in everything goes through collector, healing, bars and checks."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import duckdb
import msgspec
import pytest
from pyarrow import parquet as pq

from collector_daemon.daemon import run
from crypto_lake import checks
from crypto_lake.checks import Means, Verdict
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.completeness import backfill, heal, unheard
from crypto_lake.completeness.healed import Healed
from crypto_lake.config import Config, load
from crypto_lake.disk import parquet
from crypto_lake.errors import ConfigError, ExchangeError
from crypto_lake.exchanges import registry
from crypto_lake.layout import DAY_US, SECOND_US, day_of
from crypto_lake.pages import day as day_page
from crypto_lake.pages import preview, validation
from crypto_lake.raw import journal, segments
from crypto_lake.raw.lines import QuoteLine, RawLine, TradeLine, decode
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks

from .server import PAIR, START, Deal, MadeUpExchange, running, tape

DAY = day_of(START)
LATER = START + 2 * DAY_US


@dataclass
class Recorded:
    """A recording, the exchange that goes on answering requests, and its address."""

    folder: Path
    exchange: MadeUpExchange
    port: int

    def copied(self, folder: Path) -> Series:
        """The recorded lake in another folder."""
        shutil.copytree(self.folder, folder / "lake")
        return Series(configured(folder, self.port), "madeup", PAIR)


def configured(folder: Path, port: int, **sections: object) -> Config:
    path = folder / "config.yml"
    section = {
        "name": "madeup",
        "symbols": [PAIR],
        "rest_url": f"http://127.0.0.1:{port}/api",
        "wss_url": f"ws://127.0.0.1:{port}/feed",
    }
    collector = {
        "connections": 1,
        "flush_interval_sec": 0.05,
        "min_free_disk_gb": 0,
        "reconnect_backoff": 0.1,
    }
    written = {"general": {"base_path": "./lake"}, "exchanges": [section], "collector": collector}
    path.write_bytes(msgspec.yaml.encode(written | sections))
    return load(path)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """Some seconds of its market as the collector recorded them, with a second and a half that it did not hear."""
    folder = tmp_path_factory.mktemp("recorded")
    exchange = MadeUpExchange(tape(60))
    with running(exchange) as port:

        async def record() -> None:
            stop = asyncio.Event()
            config = configured(folder, port)
            daemon = asyncio.create_task(run(config, clock=exchange.clock, duration=50, stop=stop))
            while not exchange.has_said_enough() and not daemon.done():  # noqa: ASYNC110 - it is of another thread
                await asyncio.sleep(0.05)
            stop.set()
            await daemon

        asyncio.run(record())
        exchange.nothing_else_happened()
        yield Recorded(folder / "lake", exchange, port)


@pytest.fixture
def series(recorded: Recorded, tmp_path: Path) -> Series:
    return recorded.copied(tmp_path)


def lines(series: Series, kind: str) -> list[RawLine]:
    folder = series.layout.raw_day("madeup", PAIR, DAY)
    found = [path for path in segments.sealed(folder) if path.name.startswith(kind)]
    return [decode(line) for path in found for line in path.read_bytes().splitlines()]


def trades(series: Series, kind: str = "") -> dict[int, TradeLine]:
    return {line.id: line for line in lines(series, kind) if isinstance(line, TradeLine)}


def healed(duck: duckdb.DuckDBPyConnection, series: Series) -> Healed:
    ((_, [done]),) = heal.heal_days(duck, [series], [DAY], lambda: LATER)
    return done


def numbers(deals: list[Deal]) -> tuple[object, ...]:
    """What a bar says of the trades of its second, by plain decimal arithmetic."""
    prices, sizes = [Decimal(deal.px) for deal in deals], [Decimal(deal.sz) for deal in deals]
    bought = [size for size, deal in zip(sizes, deals, strict=True) if deal.taker == "b"]
    value = sum(price * size for price, size in zip(prices, sizes, strict=True))
    ends = (prices[0], max(prices), min(prices), prices[-1])
    return (*map(float, ends), float(sum(sizes)), float(value), float(sum(bought)), len(deals))


def expected(deals: list[Deal]) -> dict[int, tuple[object, ...]]:
    seconds: dict[int, list[Deal]] = {}
    for deal in deals:
        seconds.setdefault(deal.us // SECOND_US, []).append(deal)
    return {second: numbers(some) for second, some in seconds.items()}


def made(duck: duckdb.DuckDBPyConnection, series: Series) -> dict[int, tuple[object, ...]]:
    """The seconds with trades, by the bars."""
    bars.build_day(duck, series, DAY, LATER)
    rows = duck.execute(
        f"""SELECT epoch_us(window_start) // 1000000, open, high, low, close, volume_base, volume_quote,
                   taker_buy_base, trade_count
            FROM {parquet.scan(series.layout.bar_files("madeup", PAIR, DAY))} WHERE trade_count > 0"""
    ).fetchall()
    return {second: tuple(values) for second, *values in rows}


def unobserved(duck: duckdb.DuckDBPyConnection, series: Series) -> list[int]:
    """The seconds between the first and the last trade that the bars say nobody observed."""
    scan = parquet.scan(series.layout.bar_files("madeup", PAIR, DAY))
    rows = duck.execute(
        f"""SELECT epoch_us(window_start) // 1000000 FROM {scan} WHERE NOT observed
            AND window_start > (SELECT min(window_start) FROM {scan} WHERE trade_count > 0)
            AND window_start < (SELECT max(window_start) FROM {scan} WHERE trade_count > 0)"""
    ).fetchall()
    return [second for (second,) in rows]


def verdict(duck: duckdb.DuckDBPyConnection, series: Series, asset: str, name: str) -> Verdict:
    check = next(check for check in checks.ON[asset] if check.name == name)
    with ExchangeCandles() as reference:
        return checks.run(check, asset, [series], DAY, Means(duck, reference, LATER))


def compacted(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    healed(duck, series)
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)


@pytest.fixture(scope="module")
def in_daily_file(
    recorded: Recorded, duck: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    """The recording, healed and compacted."""
    folder = tmp_path_factory.mktemp("compacted")
    compacted(duck, recorded.copied(folder))
    return replace(recorded, folder=folder / "lake")


@pytest.fixture(scope="module")
def with_all(
    in_daily_file: Recorded, duck: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    """The same with its ticks and the exchange's candles."""
    folder = tmp_path_factory.mktemp("with_all")
    series = in_daily_file.copied(folder)
    ticks.make(duck, series, DAY, LATER)
    list(backfill.backfill_days(series.config, [DAY], lambda: LATER))
    return replace(in_daily_file, folder=folder / "lake")


def test_it_is_found_beside_the_others_by_its_folder() -> None:
    assert registry.names() == ["binance", "madeup"]
    assert registry.exchange("madeup").capabilities.trade_ids == "rising"


def test_every_trade_of_a_message_is_a_line_whose_numbers_are_those_of_the_message(
    recorded: Recorded, series: Series
) -> None:
    found = trades(series)
    said = {deal.id: deal for deal in recorded.exchange.deals if deal.id in recorded.exchange.said}
    assert len(said) > 80
    assert found.keys() == said.keys()
    for number, line in found.items():
        deal = said[number]
        qty = "0.0000001" if deal.sz == "1e-7" else deal.sz
        assert (line.price, line.qty, line.side) == (deal.px, qty, {"b": "buy", "s": "sell"}[deal.taker])


def test_ids_that_skip_are_no_gaps_in_the_journal(series: Series) -> None:
    written = list(journal.read(series.layout.journal("madeup", DAY)))
    assert sum(isinstance(one, journal.Subscribed) for one in written) == 2
    assert not [one for one in written if isinstance(one, journal.Gap | journal.Jumped | journal.Notice)]
    assert any(isinstance(line, QuoteLine) for line in lines(series, "part"))


def test_bars_are_made_of_what_was_heard(
    recorded: Recorded, series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    heard = [deal for deal in recorded.exchange.deals if deal.id in recorded.exchange.said]
    assert made(duck, series) == expected(heard)
    assert unobserved(duck, series)


def test_what_nobody_heard_is_fetched_by_time_and_the_bars_are_whole(
    recorded: Recorded, series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    lost = {deal.id for deal in recorded.exchange.deals} - recorded.exchange.said
    assert len(lost) > 40
    done = healed(duck, series)
    assert (done.fetched, done.missing, done.too_many) == (len(lost), len(lost), False)
    assert trades(series, "heal").keys() == lost
    assert made(duck, series) == expected(recorded.exchange.deals)
    assert not unobserved(duck, series)


def test_what_was_healed_is_not_asked_for_again(series: Series, duck: duckdb.DuckDBPyConnection) -> None:
    assert unheard.find(duck, series, DAY, LATER)
    assert healed(duck, series).requests
    assert not unheard.find(duck, series, DAY, LATER)
    assert not healed(duck, series).requests


def test_a_list_of_asked_stretches_that_is_damaged_only_asks_again(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    healed(duck, series)
    series.layout.asked("madeup", PAIR, DAY).write_bytes(b'{"stretches": [[1')
    assert (healed(duck, series).fetched, bool(unheard.find(duck, series, DAY, LATER))) == (0, False)


def test_a_stretch_of_more_trades_than_a_heal_may_fetch_stays_and_says_so(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    few = msgspec.structs.replace(
        series.config, heal=msgspec.structs.replace(series.config.heal, max_trades=15)
    )
    done = healed(duck, Series(few, "madeup", PAIR))
    assert (done.too_many, done.fetched <= 15) == (True, True)
    assert unheard.find(duck, series, DAY, LATER)


@pytest.mark.parametrize("lie", ["stands still", "another time", "nothing happened"])
def test_an_answer_that_cannot_be_true_lands_nothing(
    recorded: Recorded,
    series: Series,
    duck: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
    lie: str,
) -> None:
    monkeypatch.setattr(recorded.exchange, "lie", lie)
    with pytest.raises(ExchangeError, match=PAIR):
        healed(duck, series)
    assert not trades(series, "heal")
    assert unheard.find(duck, series, DAY, LATER)


@pytest.mark.parametrize(
    ("asset", "name", "reason"),
    [
        ("raw_segments", "trade_ids_contiguous", "trade ids skip"),
        ("raw_segments", "trade_ids_unambiguous", "trade ids skip"),
        ("raw_segments", "quotes_fresh", "neither id nor time"),
        ("daily_bars", "equals_exchange_candles", "seven of nine columns were compared"),
        ("ticks", "trade_ids_contiguous", "trade ids skip"),
        ("candles_1m", "backfill_agrees_with_live", "seven of nine columns were compared"),
    ],
)
def test_what_its_data_cannot_prove_is_unverifiable_and_says_why(
    with_all: Recorded,
    tmp_path: Path,
    duck: duckdb.DuckDBPyConnection,
    asset: str,
    name: str,
    reason: str,
) -> None:
    found = verdict(duck, with_all.copied(tmp_path), asset, name)
    assert (found.outcome, found.passed, found.counts) == ("unverifiable", False, {PAIR: 0})
    assert reason in found.unverifiable[PAIR]


@pytest.mark.parametrize(
    "name", ["schema_matches", "no_missing_seconds", "prices_are_consistent", "checksum_matches"]
)
def test_what_needs_nothing_of_the_exchange_passes(
    in_daily_file: Recorded, tmp_path: Path, duck: duckdb.DuckDBPyConnection, name: str
) -> None:
    series = in_daily_file.copied(tmp_path)
    assert verdict(duck, series, "daily_bars", name).outcome == "passed"


def test_a_candle_that_differs_warns_since_no_id_tells_whose_fault_it_is(
    in_daily_file: Recorded, tmp_path: Path, duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_daily_file.exchange, "lie", "another candle")
    found = verdict(duck, in_daily_file.copied(tmp_path), "daily_bars", "equals_exchange_candles")
    assert (found.outcome, found.unverifiable) == ("warning", {})
    assert {row["reason"] for row in found.rows[PAIR]} <= {
        "no trade ids prove it complete",
        "nobody was listening",
    }


def test_its_candles_are_kept_without_what_takers_bought(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    ((_, [file], _),) = backfill.backfill_days(series.config, [DAY], lambda: LATER)
    table = pq.read_table(file.path, columns=["volume_base", "taker_buy_base", "taker_buy_quote"])
    assert table["volume_base"].null_count == 0
    assert table["taker_buy_base"].null_count == table["taker_buy_quote"].null_count == file.rows > 0


def test_the_report_of_a_day_says_unverifiable_and_why(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    bars.build_day(duck, series, DAY, LATER)
    found = verdict(duck, series, "raw_segments", "trade_ids_contiguous")
    validation.enter(duck, series.config, [series], "raw_segments", [found], LATER)
    report = msgspec.json.decode(series.layout.validation(DAY).read_bytes())
    assert report["outcome"] == "unverifiable"
    assert "trade ids skip" in report["checks"][0]["unverifiable"][PAIR]
    page = series.layout.validation_page(DAY).read_text(encoding="utf-8")
    assert '<span class="unverifiable">unverifiable</span>' in page
    assert f"<td>{PAIR} unverifiable</td>" in page
    assert "trade ids skip" in page


def test_no_page_counts_missing_trades_by_ids_that_skip(
    series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    bars.build_day(duck, series, DAY, LATER)
    assert preview.lacking(duck, [series], DAY).trades_missing is None
    page = day_page.write(series.config, [series], DAY).read_text(encoding="utf-8")
    assert "<dt>trades missing</dt><dd>unverifiable</dd>" in page


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"backfill": {"source": "archive"}}, "backfill.source: madeup has no archive; expected rest"),
        (
            {"collector": {"max_connection_age_sec": 3601}},
            "collector.max_connection_age_sec: 3601; expected 3600 at most, when madeup ends a connection",
        ),
    ],
)
def test_what_it_cannot_do_is_refused_when_the_configuration_asks_for_it(
    tmp_path: Path, sections: dict[str, object], said: str
) -> None:
    config = configured(tmp_path, 1, **sections)
    with pytest.raises(ConfigError) as caught:
        registry.check(config, tmp_path / "config.yml")
    assert str(caught.value) == f"{tmp_path / 'config.yml'}: {said}"


def test_an_order_book_that_it_has_not_is_refused_when_the_configuration_asks_for_it(tmp_path: Path) -> None:
    config = configured(tmp_path, 1)
    section = msgspec.structs.replace(config.exchanges[0], streams=["trade", "bookTicker", "depth"])
    with pytest.raises(ConfigError, match=r"streams: madeup has no depth; expected trade, bookTicker$"):
        registry.check(msgspec.structs.replace(config, exchanges=[section]), tmp_path / "config.yml")
