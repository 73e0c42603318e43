"""Several connections to one exchange: none of their ends costs a trade."""

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection

from collector_daemon.connect.link import Link
from collector_daemon.connect.stream_group import grouped
from collector_daemon.connect.turns import AttemptLimit
from collector_daemon.daemon import run
from collector_daemon.land.jobs import Note
from collector_daemon.land.landing import Landing
from collector_daemon.recorder import Edges, Recorder
from crypto_lake.config import Config
from crypto_lake.exchanges import registry
from crypto_lake.exchanges.binance import EXCHANGE
from crypto_lake.raw import journal
from crypto_lake.raw.lines import TradeLine
from crypto_lake_tests.collector_daemon.daemon_runs import DAY, forty_seconds, record, status_of, until_landed
from crypto_lake_tests.collector_daemon.fakes import (
    BURST,
    INTERVAL_SEC,
    SYMBOLS,
    T0,
    Exchange,
    Hasty,
    MarketClock,
    Swift,
    Tape,
    configured,
    hang_up,
    lines_of,
    quote,
    records,
    says,
    silence,
    trade,
    until,
)

FAREWELL = b'{"e":"serverShutdown","E":1770123456789}'


def trades(config: Config) -> list[int]:
    return sorted(line.id for line in lines_of(config.layout, "SOLUSDT", DAY) if isinstance(line, TradeLine))


def is_whole(config: Config) -> bool:
    """Every trade from the first to the last, each once, and nothing told as missing."""
    numbers = trades(config)
    gaps = records(config.layout, DAY, journal.Gap)
    return numbers == list(range(numbers[0], numbers[-1] + 1)) and not gaps


def ends(config: Config) -> list[str]:
    return [one.reason for one in records(config.layout, DAY) if isinstance(one, journal.Disconnected)]


def test_so_many_connections_as_configured_are_open_at_once(tmp_path: Path) -> None:
    async def look(config: Config, _stop: asyncio.Event) -> None:
        def live() -> int:
            status = status_of(config)
            return status.exchanges[0].live if status else 0

        await until(lambda: live() == 3, "three connections")

    record(tmp_path, Exchange(says(trade(1))), look, clock=Hasty(), connections=3)


def test_the_second_connection_is_not_begun_before_the_first_succeeded(tmp_path: Path) -> None:
    exchange = Exchange(scripts=[silence])
    exchange.answer = ""

    async def look(_config: Config, _stop: asyncio.Event) -> None:
        await until(lambda: exchange.connections == 1, "the first")
        await asyncio.sleep(0.3)

    record(tmp_path, exchange, look, clock=Hasty(), connections=2)
    assert exchange.connections == 1


def test_a_trade_that_comes_over_both_is_kept_once(tmp_path: Path) -> None:
    exchange = Exchange(says(*[trade(number) for number in range(1, 50)], trade(50)))

    async def both(config: Config, stop: asyncio.Event) -> None:
        await until(lambda: exchange.connections == 2, "the second")
        await asyncio.sleep(0.2)
        await until_landed(50)(config, stop)

    config = record(tmp_path, exchange, both, clock=Hasty(), connections=2)
    assert trades(config) == list(range(1, 51))


def test_connections_that_drop_in_turn_lose_nothing(tmp_path: Path) -> None:
    tape = Tape()
    dropping = [tape.plays(lives=seconds, then=hang_up) for seconds in (0.5, 0.8, 0.9, 1.3)]
    exchange = Exchange(tape.plays(), scripts=dropping)
    config = record(tmp_path, exchange, until_landed(1000), clock=Swift(), connections=2)
    assert is_whole(config)
    assert len(ends(config)) >= 5


def test_while_one_of_two_drops_somebody_listens_all_the_time(tmp_path: Path) -> None:
    tape = Tape()
    exchange = Exchange(tape.plays(), scripts=[tape.plays(lives=0.5, then=hang_up)])
    config = record(tmp_path, exchange, until_landed(500), clock=Swift(), connections=2)
    (stretch,) = {
        tuple(one.listened) for one in records(config.layout, DAY) if isinstance(one, journal.Sealed)
    }
    assert len(stretch) == 1


def test_a_trade_that_neither_connection_brought_is_a_gap(tmp_path: Path) -> None:
    exchange = Exchange(says(trade(1, T0), trade(3, T0 + 5)))
    config = record(tmp_path, exchange, until_landed(2), connections=2)
    gaps = [one for one in records(config.layout, DAY) if isinstance(one, journal.Gap)]
    assert [(gap.symbol, gap.first_id, gap.last_id) for gap in gaps] == [("SOLUSDT", 2, 2)]


def test_an_old_connection_is_renewed_before_it_is_broken(tmp_path: Path) -> None:
    tape = Tape()
    exchange = Exchange(tape.plays())
    config = record(tmp_path, exchange, until_landed(1500), clock=Hasty(), max_connection_age_sec=1)
    assert is_whole(config)
    assert ends(config)[0] == "renewed after 1 s"
    assert exchange.connections >= 3


def test_an_exchange_that_says_farewell_is_left_only_for_another_connection(tmp_path: Path) -> None:
    tape = Tape()
    scripts = [tape.plays(FAREWELL), hang_up, says(then=hang_up), tape.plays()]
    exchange = Exchange(scripts=scripts)
    config = record(tmp_path, exchange, until_landed(500), clock=Swift())
    assert is_whole(config)
    assert ends(config)[-2] == "the exchange asked us to leave"
    assert exchange.connections == 4


def test_an_exchange_that_says_farewell_and_hangs_up_is_called_again_at_once(tmp_path: Path) -> None:
    exchange = Exchange(scripts=[says(trade(1), FAREWELL, then=hang_up), says(trade(2))])
    config = record(tmp_path, exchange, until_landed(2), reconnect_backoff=600)
    assert trades(config) == [1, 2]


def test_quotes_go_on_when_every_connection_was_lost_and_the_ids_begin_anew(tmp_path: Path) -> None:
    exchange = Exchange(says(quote(1), quote(2)), scripts=[says(quote(900), then=hang_up)])
    config = record(tmp_path, exchange, until_landed(3), connections=2)
    assert [line.id for line in lines_of(config.layout, "SOLUSDT", DAY)] == [900, 1, 2]


def test_quotes_that_only_the_slower_connection_brings_are_kept_and_told(tmp_path: Path) -> None:
    async def behind(connection: ServerConnection) -> None:
        await connection.send(quote(100).decode())
        await until(lambda: exchange.connections == 2, "one that is ahead")
        await asyncio.sleep(0.3)
        await says(quote(110), quote(150))(connection)

    exchange = Exchange(scripts=[behind, says(quote(150))])
    config = record(tmp_path, exchange, until_landed(3), clock=Hasty(), connections=2)
    assert [line.id for line in lines_of(config.layout, "SOLUSDT", DAY)] == [100, 150, 110]
    late = [
        (one.id, one.after)
        for one in records(config.layout, DAY, journal.Late)
        if isinstance(one, journal.Late)
    ]
    assert late == [(110, 150)]


def test_all_connections_together_keep_to_the_limit_of_attempts(tmp_path: Path) -> None:
    exchange, clock = Exchange(says(trade(1), then=hang_up)), Swift()
    look = forty_seconds(clock, lambda: exchange.connections > BURST)
    record(tmp_path, exchange, look, edges=Edges(random=lambda: 0.0), clock=clock, connections=3)
    assert BURST < exchange.connections <= BURST + 1 + clock.seconds / INTERVAL_SEC


def test_two_that_the_exchange_accepted_at_the_same_instant_are_moved_apart(tmp_path: Path) -> None:
    exchange = Exchange(says(trade(1)), scripts=[says(trade(1), then=after_a_while)] * 2)

    async def look(config: Config, _stop: asyncio.Event) -> None:
        await until(lambda: exchange.connections == 2, "both")
        exchange.open.clear()
        await until(lambda: exchange.waiting == 2, "both again, at a door that does not open")
        exchange.open.set()
        await until(lambda: "renewed after 1 s" in ends(config), "one of both anew")

    record(tmp_path, exchange, look, clock=Swift(), connections=2)


async def after_a_while(connection: ServerConnection) -> None:
    await asyncio.sleep(0.3)
    await hang_up(connection)


def test_many_symbols_are_spread_over_connections_below_the_exchanges_limit() -> None:
    groups = grouped([f"S{number}" for number in range(1200)], EXCHANGE)
    assert [len(group) for group in groups] == [512, 512, 176]
    assert grouped(SYMBOLS, EXCHANGE) == [SYMBOLS]


def test_many_streams_are_asked_for_in_several_frames_and_confirmed_when_all_are(tmp_path: Path) -> None:
    exchange = Exchange(says(trade(1, symbol="S0USDT")))
    symbols = [f"S{number}USDT" for number in range(520)]
    exchange.listed = symbols

    async def look(config: Config, _stop: asyncio.Event) -> None:
        await until(lambda: bool(records(config.layout, DAY, journal.Subscribed)), "the first confirmation")
        await until(lambda: len(records(config.layout, DAY, journal.Subscribed)) == 2, "both confirmations")

    config = record(tmp_path, exchange, look, clock=Hasty(), symbols=symbols)
    asked = [one.streams for one in records(config.layout, DAY) if isinstance(one, journal.Subscribed)]
    assert sorted(map(len, asked)) == [16, 1024]
    assert sorted(map(len, exchange.subscribed)) == [16, 24, 200, 200, 200, 200, 200]


def test_an_address_that_keeps_failing_is_left_for_a_fallback(tmp_path: Path) -> None:
    tape = Tape()
    fails, works = Exchange(hang_up), Exchange(tape.plays())
    fails.answer = ""

    async def together() -> Config:
        async with fails.running(), works.running():
            config = configured(tmp_path, fails.port)
            fallbacks = [f"ws://127.0.0.1:{works.port}/ws"]
            exchanges = [msgspec.structs.replace(config.exchanges[0], fallback_wss_urls=fallbacks)]
            config = msgspec.structs.replace(config, exchanges=exchanges)
            stop = asyncio.Event()
            daemon = asyncio.create_task(run(config, clock=Hasty(), stop=stop))
            await until_landed(10)(config, stop)
            stop.set()
            await daemon
            return config

    assert is_whole(asyncio.run(together()))
    assert (fails.connections, works.connections) == (3, 1)


def test_an_error_of_our_own_while_frames_are_taken_ends_the_daemon_loudly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("our own")

    monkeypatch.setattr(Landing, "add", broken)
    with pytest.raises(ExceptionGroup) as raised:
        record(tmp_path, Exchange(says(trade(1))), until_landed(1))
    assert raised.group_contains(ZeroDivisionError, match="our own")


def test_an_exchange_that_takes_one_stream_a_request_is_asked_for_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(EXCHANGE.limits, streams_a_request=1, request_pace_sec=0.001)
    monkeypatch.setattr(registry, "exchange", lambda _name: replace(EXCHANGE, limits=limits))
    exchange = Exchange(silence)
    exchange.listed = [f"S{number}USDT" for number in range(40)]

    async def confirmed(config: Config, _stop: asyncio.Event) -> None:
        await until(lambda: records(config.layout, DAY, journal.Subscribed) != [], "the subscription")

    record(tmp_path, exchange, confirmed, symbols=exchange.listed)
    assert len(exchange.asked["SUBSCRIBE"]) == len(exchange.subscribed) == 80


def test_a_change_that_the_exchange_does_not_agree_to_is_over_when_its_connection_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the new streams would count as listened to over a connection that does not bring them."""
    monkeypatch.setattr("collector_daemon.connect.link.CONFIRM_SEC", 0.3)
    limits = replace(EXCHANGE.limits, request_pace_sec=0.001)
    monkeypatch.setattr(registry, "exchange", lambda _name: replace(EXCHANGE, limits=limits))

    async def change() -> None:
        exchange = Exchange()
        async with exchange.running():
            config = configured(tmp_path, exchange.port)
            parts = Recorder(config, config.exchanges[0], MarketClock(), Edges(), AttemptLimit(limits))
            (group,) = parts.stream_groups
            link = Link(parts.intake, group, config.exchanges[0].wss_url)
            running = asyncio.create_task(link.run(asyncio.Event(), 5))
            await until(lambda: group.live == 1, "the subscription")
            exchange.answer = ""
            await link.change(["suiusdt@trade"], [])
            assert (link.left, running.done()) == (True, True)
            told = [job.record for job in parts.landing.take() if isinstance(job, Note)]
            # Nor does the journal say that it was agreed to.
            assert sum(isinstance(record, journal.Subscribed) for record in told) == 1

    asyncio.run(change())
