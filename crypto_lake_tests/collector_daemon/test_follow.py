"""A configuration file that is edited while the daemon runs."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from loguru import logger
from websockets.asyncio.server import ServerConnection

from collector_daemon.daemon import run
from collector_daemon.follow import Follow
from crypto_lake import config as configuration
from crypto_lake.config import Config
from crypto_lake.layout import Layout
from crypto_lake.raw import journal
from crypto_lake_tests.collector_daemon.daemon_runs import DAY
from crypto_lake_tests.collector_daemon.fakes import Exchange, Hasty, lines_of, records, trade, until
from crypto_lake_tests.collector_daemon.test_main import ended, landed, start, with_exchange, write_config

Story = Callable[[Config, Path, Exchange], Awaitable[None]]


def trading() -> Exchange:
    """An exchange that trades whatever it was asked for and not asked to leave out."""
    exchange = Exchange()

    async def script(connection: ServerConnection) -> None:
        for number in range(1, 100_000):
            for name in exchange.asked["SUBSCRIBE"] - exchange.asked["UNSUBSCRIBE"]:
                symbol, _, kind = name.partition("@")
                if kind == "trade":
                    await connection.send(trade(number, symbol=symbol.upper()).decode())
            await asyncio.sleep(0.005)

    exchange.script = script
    return exchange


def followed(base: Path, story: Story, exchange: Exchange) -> Layout:
    """Run a daemon that follows its file, until the story is through."""

    async def together() -> Layout:
        async with exchange.running():
            path = write_config(base, exchange.port)
            config, stop = configuration.load(path), asyncio.Event()
            follow = Follow(path, config, asyncio.Event())
            daemon = asyncio.create_task(run(config, clock=Hasty(), stop=stop, follow=follow))
            await until(lambda: landed(config.layout) > 0, "the first line")
            await story(config, path, exchange)
            stop.set()
            await daemon
            return config.layout

    return asyncio.run(together())


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def has_come(config: Config, symbol: str) -> Callable[[], bool]:
    return lambda: any(config.layout.raw_symbol("binance", symbol).rglob("part_*.jsonl*"))


def numbers(layout: Layout, symbol: str) -> list[int]:
    return [line.id for line in lines_of(layout, symbol, DAY)]


def is_whole(found: list[int]) -> bool:
    return found == list(range(found[0], found[-1] + 1))


def test_a_symbol_that_is_added_is_recorded_without_dropping_the_others(tmp_path: Path) -> None:
    async def add(config: Config, path: Path, _exchange: Exchange) -> None:
        edit(path, "ADAUSDT]", "ADAUSDT, SUIUSDT]")
        await until(has_come(config, "SUIUSDT"), "the added symbol")

    exchange = trading()
    layout = followed(tmp_path, add, exchange)
    assert exchange.connections == 1
    assert all(is_whole(numbers(layout, symbol)) for symbol in ("SOLUSDT", "ADAUSDT", "SUIUSDT"))
    assert not records(layout, DAY, journal.Gap)


def test_nobody_is_said_to_have_listened_to_a_symbol_before_it_was_added(tmp_path: Path) -> None:
    async def add(config: Config, path: Path, _exchange: Exchange) -> None:
        await asyncio.sleep(0.3)
        edit(path, "ADAUSDT]", "ADAUSDT, SUIUSDT]")
        await until(has_come(config, "SUIUSDT"), "the added symbol")

    layout = followed(tmp_path, add, trading())
    sealed = [one for one in records(layout, DAY) if isinstance(one, journal.Sealed)]
    since = {one.symbol: one.listened[0][0] for one in reversed(sealed) if one.listened}
    assert since["SUIUSDT"] - since["SOLUSDT"] > 250_000


def test_a_symbol_that_is_taken_out_is_sealed_and_asked_for_no_more(tmp_path: Path) -> None:
    async def remove(config: Config, path: Path, exchange: Exchange) -> None:
        await until(has_come(config, "ADAUSDT"), "its first line")
        edit(path, ", ADAUSDT]", "]")
        await until(lambda: bool(exchange.asked["UNSUBSCRIBE"]), "the request")
        count = landed(config.layout)
        await until(lambda: landed(config.layout) > count + 20, "more of the others")

    exchange = trading()
    layout = followed(tmp_path, remove, exchange)
    assert (exchange.connections, exchange.asked["UNSUBSCRIBE"]) == (
        1,
        {"adausdt@trade", "adausdt@bookTicker"},
    )
    assert numbers(layout, "SOLUSDT")[-1] > numbers(layout, "ADAUSDT")[-1] + 10
    assert is_whole(numbers(layout, "SOLUSDT"))


def test_a_pattern_that_is_added_means_what_the_exchange_lists_now(tmp_path: Path) -> None:
    async def add(config: Config, path: Path, exchange: Exchange) -> None:
        exchange.listed.append("NEWUSDT")
        edit(path, "ADAUSDT]", 'ADAUSDT, "*USDT"]\n    exclude: [SUIUSDT]')
        await until(has_come(config, "NEWUSDT"), "what the pattern matches")

    exchange = trading()
    layout = followed(tmp_path, add, exchange)
    assert exchange.connections == 1
    assert layout.raw_symbols("binance") == ["ADAUSDT", "NEWUSDT", "SOLUSDT"]


@pytest.mark.parametrize(
    ("after", "said"),
    [("ADAUSDT, nonsense]", "exchanges[0].symbols"), ("ADAUSDT, NOSUCH]", "does not list NOSUCH")],
)
def test_a_broken_new_configuration_is_told_in_one_line_and_ignored(
    tmp_path: Path, after: str, said: str
) -> None:
    told: list[str] = []
    sink = logger.add(lambda message: told.append(str(message)), format="{message}", level="WARNING")

    async def break_it(config: Config, path: Path, _exchange: Exchange) -> None:
        edit(path, "ADAUSDT]", after)
        await until(lambda: bool(told), "a word about it")
        count = landed(config.layout)
        await until(lambda: landed(config.layout) > count + 20, "more lines")

    try:
        followed(tmp_path, break_it, trading())
    finally:
        logger.remove(sink)
    (line,) = told
    assert line.startswith("the changed configuration is ignored")
    assert said in line


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_a_hangup_asks_for_the_exchanges_list_as_well(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "lake")

    async def story(exchange: Exchange) -> None:
        process = start(write_config(tmp_path, exchange.port, symbols='["*USDT"]'))
        await until(lambda: landed(layout) > 10, "lines")
        exchange.listed.append("NEWUSDT")
        process.send_signal(signal.SIGHUP)
        await until(lambda: any(layout.raw_symbol("binance", "NEWUSDT").rglob("part_*")), "the new symbol")
        process.terminate()
        assert (await ended(process))[0] == 0

    with_exchange(story, trading())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_a_hangup_asks_for_the_file_to_be_read_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "lake")

    async def story(exchange: Exchange) -> None:
        path = write_config(tmp_path, exchange.port)
        process = start(path)
        await until(lambda: landed(layout) > 10, "lines")
        edit(path, "ADAUSDT]", "ADAUSDT, SUIUSDT]")
        process.send_signal(signal.SIGHUP)
        await until(
            lambda: any(layout.raw_symbol("binance", "SUIUSDT").rglob("part_*.jsonl*")), "the added symbol"
        )
        process.terminate()
        assert (await ended(process))[0] == 0

    with_exchange(story, trading())
