"""Symbols that patterns mean: what is listed and delisted while the collector runs."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from collector_daemon import startup
from collector_daemon.daemon import run
from collector_daemon.recorder import Edges
from collector_daemon.universe import Universe
from crypto_lake.config import Config
from crypto_lake.config import Exchange as Section
from crypto_lake.errors import LeftAloneError
from crypto_lake.layout import Layout
from crypto_lake.raw import instruments, journal
from crypto_lake.raw.instruments import Instrument
from crypto_lake_tests.collector_daemon.daemon_runs import DAY
from crypto_lake_tests.collector_daemon.fakes import (
    Exchange,
    FakeClock,
    MarketClock,
    configured,
    open_files,
    records,
    shared,
    until,
)
from crypto_lake_tests.collector_daemon.test_follow import has_come, is_whole, numbers, trading

EARLIER = DAY - timedelta(days=1)
Story = Callable[[Config, Exchange], Awaitable[None]]


def recorded(
    base: Path,
    symbols: Sequence[str],
    story: Story,
    exchange: Exchange | None = None,
    exclude: Sequence[str] = (),
) -> Layout:
    """Run a collector that looks at the exchange's list all the time, until the story is through."""

    async def together() -> Layout:
        async with (exchange or trading()).running() as there:
            config = configured(base, there.port, symbols)
            section = msgspec.structs.replace(config.exchanges[0], exclude=list(exclude))
            config = msgspec.structs.replace(config, exchanges=[section])
            stop = asyncio.Event()
            edges = Edges(look_sec=0.1)
            daemon = asyncio.create_task(run(config, clock=MarketClock(), stop=stop, edges=edges))
            told = asyncio.ensure_future(story(config, there))
            await asyncio.wait({daemon, told}, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            try:
                await daemon
            finally:
                told.cancel()
            told.result()
            return config.layout

    return asyncio.run(together())


def looked(exchange: Exchange, more: int = 2) -> Callable[[], bool]:
    """Whether the list was asked for so many times more."""
    count = exchange.lists_asked + more
    return lambda: exchange.lists_asked > count


def names_of(layout: Layout, kind: type[journal.Listed | journal.Delisted]) -> list[str]:
    return [symbol for one in shared(layout, DAY) if isinstance(one, kind) for symbol in one.symbols]


def stopped_growing(exchange: Exchange, symbol: str) -> Callable[[], bool]:
    return lambda: f"{symbol.lower()}@trade" in exchange.asked["UNSUBSCRIBE"]


async def nothing(_config: Config, _exchange: Exchange) -> None:
    """Never gets so far."""
    await asyncio.Event().wait()


def test_a_pattern_records_what_it_matches_of_what_trades_and_is_not_excluded(tmp_path: Path) -> None:
    exchange = trading()
    exchange.listed = ["SOLUSDT", "ADAUSDT", "SOLEUR", "OLDUSDT", "UPUSDT"]
    exchange.status["OLDUSDT"] = "BREAK"

    async def story(config: Config, _exchange: Exchange) -> None:
        await until(has_come(config, "SOLUSDT"), "a line")

    layout = recorded(tmp_path, ["*USDT"], story, exchange, exclude=["UP*"])
    assert layout.raw_symbols("binance") == ["ADAUSDT", "SOLUSDT"]


def test_a_symbol_that_is_listed_is_recorded_without_a_restart_or_a_break(tmp_path: Path) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "SOLUSDT"), "a line")
        exchange.listed.append("NEWUSDT")
        await until(has_come(config, "NEWUSDT"), "the new symbol")

    exchange = trading()
    layout = recorded(tmp_path, ["*USDT"], story, exchange)
    assert exchange.connections == 1
    assert is_whole(numbers(layout, "SOLUSDT"))
    assert names_of(layout, journal.Listed) == ["NEWUSDT"]


@pytest.mark.parametrize("how", ["gone", "BREAK"])
@pytest.mark.parametrize("words", [["*USDT"], ["all"]])
def test_a_symbol_that_trades_no_more_ends_in_order_and_is_said(
    tmp_path: Path, told: list[str], how: str, words: list[str]
) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "ADAUSDT"), "a line")
        if how == "gone":
            exchange.listed.remove("ADAUSDT")
        exchange.status["ADAUSDT"] = how
        await until(stopped_growing(exchange, "ADAUSDT"), "the end")
        await until(lambda: not any(config.layout.raw_symbol("binance", "ADAUSDT").rglob("*.open")), "a seal")
        await until(looked(exchange), "more looks")

    exchange = trading()
    layout = recorded(tmp_path, words, story, exchange)
    assert exchange.connections == 1
    assert not open_files(layout)
    assert is_whole(numbers(layout, "SOLUSDT"))
    assert is_whole(numbers(layout, "ADAUSDT"))
    assert names_of(layout, journal.Delisted) == ["ADAUSDT"]
    (line,) = told
    reason = "not listed" if how == "gone" else "BREAK"
    assert line == f"binance: trading no more, and recorded no more: ADAUSDT ({reason})"
    ((day, _),) = layout.references("binance")
    kept = instruments.read(layout.reference("binance", day))["ADAUSDT"]
    assert (kept.trading, kept.status) == (False, "TRADING" if how == "gone" else "BREAK")


def test_a_renamed_symbol_ends_and_another_begins(tmp_path: Path) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "ADAUSDT"), "a line")
        exchange.listed[exchange.listed.index("ADAUSDT")] = "NEWUSDT"
        await until(has_come(config, "NEWUSDT"), "the new name")
        await until(stopped_growing(exchange, "ADAUSDT"), "the end of the old one")

    layout = recorded(tmp_path, ["*USDT"], story)
    assert names_of(layout, journal.Listed) == ["NEWUSDT"]
    assert names_of(layout, journal.Delisted) == ["ADAUSDT"]


def test_a_name_is_recorded_through_a_halt_and_ends_when_it_is_listed_no_more(tmp_path: Path) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        exchange.status["ADAUSDT"] = "HALT"
        await until(looked(exchange), "a look at the halt")
        assert not exchange.asked["UNSUBSCRIBE"]
        exchange.listed.remove("ADAUSDT")
        await until(stopped_growing(exchange, "ADAUSDT"), "the end")
        exchange.listed.append("ADAUSDT")
        streams = ["adausdt@trade", "adausdt@bookTicker"]
        await until(lambda: exchange.subscribed.count(streams) == 2, "its return")

    layout = recorded(tmp_path, ["SOLUSDT", "ADAUSDT"], story)
    assert names_of(layout, journal.Delisted) == ["ADAUSDT"]
    assert names_of(layout, journal.Listed) == ["ADAUSDT"]


def test_a_list_without_a_name_that_it_never_had_ends_nothing(tmp_path: Path) -> None:
    """An exchange that answers for the names it is asked for may have a list of its own idea."""
    exchange = trading()
    exchange.item_only_if_asked = {"ADAUSDT"}

    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "ADAUSDT"), "a line")
        await until(looked(exchange), "two looks")

    recorded(tmp_path, ["SOLUSDT", "ADAUSDT"], story, exchange)
    assert not exchange.asked["UNSUBSCRIBE"]


@pytest.mark.parametrize("left", [[], ["SOLUSDT"]])
def test_a_list_that_lost_most_of_itself_ends_nothing_and_its_new_symbols_are_taken(
    tmp_path: Path, told: list[str], left: list[str]
) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "ADAUSDT"), "a line")
        exchange.listed = [*left, *(["NEWUSDT"] if left else [])]
        await until(looked(exchange), "two looks")
        if left:
            await until(has_come(config, "NEWUSDT"), "the new symbol")

    exchange = trading()
    exchange.listed = ["SOLUSDT", "ADAUSDT", "SUIUSDT", "XRPUSDT", "BTCUSDT"]
    layout = recorded(tmp_path, ["all"], story, exchange)
    assert not exchange.asked["UNSUBSCRIBE"]
    assert any("that is not believed, and ends no recording" in line for line in told)
    ((day, _),) = layout.references("binance")
    assert len(instruments.trading(instruments.read(layout.reference("binance", day)))) == 5


def test_a_list_that_cannot_be_had_ends_nothing_and_is_asked_for_again(
    tmp_path: Path, told: list[str]
) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "ADAUSDT"), "a line")
        exchange.fails_to_list = True
        exchange.listed = ["SOLUSDT", "ADAUSDT", "NEWUSDT"]
        await until(looked(exchange), "two looks")
        exchange.fails_to_list = False
        await until(has_come(config, "NEWUSDT"), "the new symbol")

    recorded(tmp_path, ["all"], story)
    assert told[0].endswith("what is recorded goes on, and the list is asked for again")


def test_an_exchange_that_wants_to_be_left_alone_is_not_asked_for_its_list(tmp_path: Path) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "ADAUSDT"), "a line")
        exchange.wants_to_be_left_alone = True
        await until(looked(exchange, 0), "a look")
        count = exchange.lists_asked
        await asyncio.sleep(0.5)
        assert exchange.lists_asked == count

    recorded(tmp_path, ["all"], story)


@pytest.mark.parametrize("words", [["*USDT"], ["SOLUSDT"]], ids=["a pattern", "a name"])
def test_an_exchange_that_wants_to_be_left_alone_is_not_asked_about_a_changed_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    asked, clock = [], FakeClock()

    async def refuse(section: Section, *_names: object) -> None:
        asked.append(section.symbols)
        raise LeftAloneError("x", 7200)

    for question in ("listed", "check_symbols"):
        monkeypatch.setattr(startup, question, refuse)
    (section,) = configured(tmp_path, 1, words).exchanges
    universe = Universe(Layout(tmp_path), section, clock, 3600)

    def choose() -> None:
        with pytest.raises(LeftAloneError):
            asyncio.run(universe.choose(section))

    choose()
    clock.pass_by(7100)
    choose()
    assert len(asked) == 1
    clock.pass_by(200)
    choose()
    assert len(asked) == 2


def test_a_recording_of_which_every_symbol_is_gone_waits_for_new_ones(tmp_path: Path) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "ADAEUR"), "a line")
        exchange.listed.remove("ADAEUR")
        await until(stopped_growing(exchange, "ADAEUR"), "the end")
        await until(looked(exchange), "a while without any")
        exchange.listed.append("SOLEUR")
        await until(has_come(config, "SOLEUR"), "the new one")

    exchange = trading()
    exchange.listed.append("ADAEUR")
    recorded(tmp_path, ["*EUR"], story, exchange)


def test_what_no_connection_has_room_for_gets_connections_of_its_own(tmp_path: Path) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(lambda: exchange.connections == 1, "the connection")
        exchange.listed.append("NEWUSDT")
        await until(lambda: exchange.connections == 2, "another connection")
        await until(lambda: ["newusdt@trade", "newusdt@bookTicker"] in exchange.subscribed, "its streams")

    exchange = Exchange()
    exchange.listed = [f"S{n:03}USDT" for n in range(512)]
    recorded(tmp_path, ["*USDT"], story, exchange)


def test_a_symbol_that_no_folder_can_be_named_after_is_left_out_and_said_once(
    tmp_path: Path, told: list[str]
) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "SOLUSDT"), "a line")
        await until(looked(exchange), "two looks")

    exchange = trading()
    exchange.listed = ["SOLUSDT", "币安人生USDT", "币安EUR"]
    layout = recorded(tmp_path, ["*USDT"], story, exchange)
    assert layout.raw_symbols("binance") == ["SOLUSDT"]
    assert told == ["binance: not recorded, since no folder is named so: 币安人生USDT"]


def test_a_lake_of_names_has_its_table_of_instruments_too(tmp_path: Path) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(lambda: bool(config.layout.references("binance")), "the table")
        before = config.layout.reference("binance", DAY).stat().st_mtime_ns
        await until(looked(exchange), "two looks at the same")
        assert config.layout.reference("binance", DAY).stat().st_mtime_ns == before

    layout = recorded(tmp_path, ["SOLUSDT"], story)
    table = instruments.read(layout.reference("binance", DAY))
    assert table["SUIUSDT"] == Instrument("SUIUSDT", "TRADING", True, "SUI", "USDT", "0.01", None, DAY)


def test_a_table_that_cannot_be_written_ends_no_recording(tmp_path: Path, told: list[str]) -> None:
    (tmp_path / "reference").write_bytes(b"a file")

    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "SOLUSDT"), "a line")
        await until(looked(exchange), "two looks")

    recorded(tmp_path, ["*USDT"], story)
    assert "the table of instruments cannot be written" in told[0]


def test_a_new_symbol_that_the_exchange_refuses_costs_the_others_nothing(
    tmp_path: Path, told: list[str]
) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(has_come(config, "SOLUSDT"), "a line")
        exchange.refuses = "badusdt@trade"
        exchange.listed += ["BADUSDT", "NEWUSDT"]
        await until(has_come(config, "NEWUSDT"), "the other new symbol")
        await until(looked(exchange), "more looks")
        assert names_of(config.layout, journal.Listed) == ["NEWUSDT"]

    exchange = trading()
    layout = recorded(tmp_path, ["*USDT"], story, exchange)
    assert exchange.connections == 1
    assert is_whole(numbers(layout, "SOLUSDT"))
    assert (
        told[0].partition(": {")[0] == "binance: BADUSDT is left out, since the exchange refuses its streams"
    )
    sealed = [one for one in records(layout, DAY, journal.Sealed) if isinstance(one, journal.Sealed)]
    assert not [one for one in sealed if one.symbol == "BADUSDT" and one.listened]


def test_connections_that_are_begun_later_and_fail_end_nothing(tmp_path: Path) -> None:
    async def story(config: Config, exchange: Exchange) -> None:
        await until(lambda: exchange.connections == 1, "the connection")
        await until(looked(exchange), "a look")
        exchange.refuses = "newusdt@trade"
        exchange.listed.append("NEWUSDT")
        await until(lambda: exchange.connections >= 3, "a second attempt")

    exchange = Exchange()
    exchange.listed = [f"S{n:03}USDT" for n in range(512)]
    recorded(tmp_path, ["*USDT"], story, exchange)
