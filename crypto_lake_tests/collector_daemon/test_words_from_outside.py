"""What an exchange says when it refuses or hangs up: told in visible characters, wherever it is told."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from websockets.asyncio.server import ServerConnection

from collector_daemon.daemon import run
from crypto_lake.cli import cli
from crypto_lake.config import Config
from crypto_lake.errors import ExchangeError
from crypto_lake.raw import journal
from crypto_lake_tests.collector_daemon.daemon_runs import DAY, record, status_of
from crypto_lake_tests.collector_daemon.fakes import Exchange, MarketClock, configured, records, trade, until

EVIL = "\x1b[31m\x9b2J\u202e\x07 wss://user:CANARY@host"


def assert_harmless(config: Config) -> None:
    """Nothing in the journal and the status steers a terminal, or has a key in it."""
    told = [msgspec.json.decode(msgspec.json.encode(one)) for one in records(config.layout, DAY)]
    status = status_of(config)
    told.append(msgspec.json.decode(msgspec.json.encode(status)))
    assert all(text.isprintable() and "CANARY" not in text for text in _texts(told))


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in values for text in _texts(one)]


async def hang_up_rudely(connection: ServerConnection) -> None:
    await connection.send(trade(1).decode())
    await connection.close(1008, EVIL)


def test_the_reason_of_a_close_is_told_in_visible_characters(tmp_path: Path) -> None:
    async def twice(config: Config, _stop: asyncio.Event) -> None:
        await until(lambda: exchange.connections > 1, "another connection")

    exchange = Exchange(hang_up_rudely)
    config = record(tmp_path, exchange, twice)
    ends = records(config.layout, DAY, journal.Disconnected)
    assert "\\x1b[31m" in str(ends[0])
    assert_harmless(config)


@pytest.mark.parametrize("text", [EVIL, EVIL * 10_000])
def test_a_refused_subscription_is_told_in_visible_characters_and_cut(tmp_path: Path, text: str) -> None:
    exchange = Exchange()
    exchange.answer = msgspec.json.encode({"code": 2, "msg": text}).decode()

    async def attempt() -> Config:
        async with exchange.running():
            config = configured(tmp_path, exchange.port)
            with pytest.raises(ExchangeError) as caught:
                await run(config, stop=asyncio.Event())
            assert str(caught.value).isprintable()
            assert len(str(caught.value)) < 1000
            return config

    assert_harmless(asyncio.run(attempt()))


def test_a_notice_is_in_the_journal_in_visible_characters(tmp_path: Path) -> None:
    frame = msgspec.json.encode({"e": "serverShutdown", "why": "\x9b31m\u202e"}).decode()

    async def notice(connection: ServerConnection) -> None:
        await connection.send(frame)
        await connection.send(trade(1).decode())
        await connection.wait_closed()

    async def noticed(config: Config, _stop: asyncio.Event) -> None:
        await until(lambda: bool(records(config.layout, DAY, journal.Notice)), "the notice")

    config = record(tmp_path, Exchange(notice), noticed)
    assert_harmless(config)


async def close_with_the_key(connection: ServerConnection) -> None:
    await connection.send(trade(1).decode())
    await connection.close(1008, "no such key: CANARY")


async def leave_with_the_key(connection: ServerConnection) -> None:
    await connection.send(msgspec.json.encode({"e": "serverShutdown", "why": "no such key: CANARY"}).decode())
    await connection.send(trade(1).decode())
    await connection.wait_closed()


@pytest.mark.parametrize("echo", [close_with_the_key, leave_with_the_key])
def test_an_exchange_that_repeats_the_key_of_its_address_is_quoted_without_it(
    tmp_path: Path, echo: Callable[[ServerConnection], Awaitable[None]]
) -> None:
    async def attempt() -> Config:
        exchange, stop = Exchange(echo), asyncio.Event()
        async with exchange.running():
            config = configured(tmp_path, exchange.port)
            keyed = f"ws://127.0.0.1:{exchange.port}/ws?key=CANARY"
            section = msgspec.structs.replace(config.exchanges[0], wss_url=keyed)
            config = msgspec.structs.replace(config, exchanges=[section])
            daemon = asyncio.create_task(run(config, clock=MarketClock(), stop=stop))
            await until(lambda: exchange.connections > 1, "another connection")
            stop.set()
            await daemon
            return config

    config = asyncio.run(attempt())
    assert "no such key: …" in str(records(config.layout, DAY))
    assert_harmless(config)


def test_the_status_of_a_collector_of_before_cannot_steer_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = record(tmp_path / "lake", Exchange(), lambda lake, _: until(lake.layout.collector_status.exists))
    status = status_of(config)
    assert status is not None
    path = config.layout.collector_status
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(status, reason=EVIL)))
    (tmp_path / "config.yml").write_bytes(msgspec.yaml.encode(config))
    said = CliRunner().invoke(
        cli, ["status", "--config", str(tmp_path / "config.yml")], catch_exceptions=False
    )
    assert "stopped" in said.output
    assert all(line.isprintable() for line in said.output.splitlines())
    assert "CANARY" not in said.output
