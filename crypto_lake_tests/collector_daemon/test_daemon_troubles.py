"""What goes wrong around a daemon: its disk, its exchange, its peers, another of its kind."""

import asyncio
import threading
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection

from collector_daemon.daemon import run
from collector_daemon.recorder import Edges
from collector_daemon.startup import recover
from crypto_lake.config import Config
from crypto_lake.errors import DiskFullError, ExchangeError, LakeBusyError, LakeError, UnknownSymbolError
from crypto_lake.layout import Layout
from crypto_lake.raw import journal
from crypto_lake.raw.collector_status import read_status
from crypto_lake.raw.lines import TradeLine
from crypto_lake.raw.segments import OpenSegment
from crypto_lake_tests.collector_daemon.daemon_runs import (
    DAY,
    after_a_while,
    forty_seconds,
    record,
    status_of,
    until_landed,
)
from crypto_lake_tests.collector_daemon.fakes import (
    BURST,
    INTERVAL_SEC,
    T0,
    Exchange,
    Hasty,
    MarketClock,
    Refusing,
    Swift,
    configured,
    hang_up,
    lines_of,
    open_files,
    own,
    records,
    says,
    shared,
    silence,
    trade,
    until,
)


def test_a_full_disk_costs_no_line_and_writes_none_twice(tmp_path: Path) -> None:
    refusals = iter([False, True, True, False])

    class Full(Refusing):
        refuse = staticmethod(lambda: next(refusals, False))

    exchange = Exchange(says(trade(1), then=after_a_while(*[trade(n) for n in range(2, 50)])))
    config = record(tmp_path, exchange, until_landed(49), edges=Edges(create_segment=Full.create))
    assert [line.id for line in lines_of(config.layout, "SOLUSDT", DAY)] == list(range(1, 50))


def test_while_the_disk_refuses_memory_stays_bounded_and_nothing_is_lost(tmp_path: Path) -> None:
    count, budget = 10_000, 50_000
    obeys = asyncio.Event()
    held: list[int] = []

    class Refuses(Refusing):
        refuse = staticmethod(lambda: not obeys.is_set())

    async def look(config: Config, stop: asyncio.Event) -> None:
        def in_trouble() -> bool:
            status = status_of(config)
            if status and status.state == "disk trouble":
                held.append(status.exchanges[0].held_bytes)
            return held.count(held[-1]) > 20 if held else False

        await until(in_trouble, "a standstill")
        obeys.set()
        await until_landed(count)(config, stop)

    exchange = Exchange(scripts=[says(*[trade(n) for n in range(1, count + 1)])])
    edges = Edges(create_segment=Refuses.create, budget=budget)
    config = record(tmp_path, exchange, look, clock=Hasty(), edges=edges, idle_timeout_sec=0.15)
    one_read = (256 << 10) // len(trade(1)) * 512
    assert budget < max(held) < budget + one_read
    assert [line.id for line in lines_of(config.layout, "SOLUSDT", DAY)] == list(range(1, count + 1))


def test_a_write_that_does_not_come_back_is_told_and_reading_stops_at_the_budget(tmp_path: Path) -> None:
    count, budget = 10_000, 50_000
    answers = threading.Event()
    held: list[int] = []

    class Silent(OpenSegment):
        def append(self, lines: bytes) -> None:
            answers.wait(30)
            super().append(lines)

    async def look(config: Config, stop: asyncio.Event) -> None:
        def in_trouble() -> bool:
            status = status_of(config)
            if status and status.state == "disk trouble":
                held.append(status.exchanges[0].held_bytes)
                assert "has not come back for" in str(status.exchanges[0].trouble)
            return held.count(held[-1]) > 20 if held else False

        try:
            await until(in_trouble, "a standstill")
        finally:
            answers.set()
        await until_landed(count)(config, stop)
        await until(lambda: _trouble(config) is None, "the trouble to be over")

    exchange = Exchange(scripts=[says(*[trade(n) for n in range(1, count + 1)])])
    edges = Edges(create_segment=Silent.create, budget=budget)
    config = record(tmp_path, exchange, look, clock=Hasty(), edges=edges)
    one_read = (256 << 10) // len(trade(1)) * 512
    assert budget < max(held) < budget + one_read
    assert [line.id for line in lines_of(config.layout, "SOLUSDT", DAY)] == list(range(1, count + 1))


def _trouble(config: Config) -> str | None:
    status = status_of(config)
    return status.exchanges[0].trouble if status else "no status"


def test_too_little_free_disk_stops_it_with_everything_sealed(tmp_path: Path) -> None:
    free = iter([10**12])
    edges = Edges(free_bytes=lambda _: next(free, 1))

    async def forever(_config: Config, _stop: asyncio.Event) -> None:
        await asyncio.sleep(30)

    with pytest.raises(DiskFullError, match="min_free_disk_gb"):
        record(tmp_path, Exchange(says(trade(1))), forever, clock=Hasty(), edges=edges, min_free_disk_gb=1)
    layout = Layout(tmp_path)
    assert [line.id for line in lines_of(layout, "SOLUSDT", DAY)] == [1]
    assert not open_files(layout)
    assert isinstance(shared(layout, DAY)[-1], journal.Stopped)
    status = read_status(layout.collector_status)
    assert status is not None
    assert (status.state, "min_free_disk_gb" in str(status.reason)) == ("stopped", True)


def test_with_a_clock_that_is_not_set_nothing_is_recorded_or_recovered(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left = OpenSegment.create(layout, "binance", "SOLUSDT", DAY)
    left.append(b"{}\n")
    left.abandon()
    for start, said in ((40_000_000, "1970-01-01"), (5 * 10**15, "2128-06-11")):
        with pytest.raises(LakeError, match=f"the clock says {said}; expected a day from 2017-01-01 on"):
            record(tmp_path, Exchange(says(trade(1))), until_landed(1), clock=MarketClock(start))
        with pytest.raises(LakeError, match=said):
            recover(configured(tmp_path, 1), start)
    assert list(open_files(layout)) == [left.path]
    assert [path.name for path in layout.raw_day("binance", "SOLUSDT", DAY).iterdir()] == [left.path.name]


def test_a_second_daemon_on_the_same_lake_is_refused(tmp_path: Path) -> None:
    async def second(config: Config, stop: asyncio.Event) -> None:
        await until_landed(1)(config, stop)
        with pytest.raises(LakeBusyError, match="another collector"):
            await run(config)

    record(tmp_path, Exchange(says(trade(1))), second)


def test_a_symbol_that_the_exchange_does_not_list_is_named(tmp_path: Path) -> None:
    exchange = Exchange()
    exchange.listed = ["SOLUSDT"]
    with pytest.raises(UnknownSymbolError, match="binance does not list ADAUSDT"):
        record(tmp_path, exchange, until_landed(1))


def test_a_refused_subscription_is_told_and_not_tried_for_ever(tmp_path: Path) -> None:
    exchange = Exchange()
    exchange.answer = '{"code":2,"msg":"Invalid request"}'
    with pytest.raises(ExchangeError, match=r"refused.*Invalid request"):
        record(tmp_path, exchange, until_landed(1))
    assert exchange.connections == 1


def test_an_exchange_that_answers_nothing_but_hangups_is_given_up_at_start(tmp_path: Path) -> None:
    exchange = Exchange(hang_up)
    exchange.answer = ""
    with pytest.raises(ExchangeError):
        record(tmp_path, exchange, until_landed(1))
    assert exchange.connections == 3


def test_an_exchange_that_hangs_up_later_is_tried_again_for_as_long_as_it_takes(tmp_path: Path) -> None:
    exchange = Exchange(scripts=[says(trade(1), then=hang_up), *[hang_up] * 6, says(trade(2))])
    record(tmp_path, exchange, until_landed(2))
    assert exchange.connections == 8


def test_an_exchange_that_drops_every_connection_is_not_called_without_end(tmp_path: Path) -> None:
    exchange, clock = Exchange(says(trade(1), then=hang_up)), Swift()
    look = forty_seconds(clock, lambda: exchange.connections > BURST)
    record(tmp_path, exchange, look, edges=Edges(random=lambda: 0.0), clock=clock)
    assert BURST < exchange.connections <= BURST + 1 + clock.seconds / INTERVAL_SEC


def test_an_exchange_that_confirms_and_brings_nothing_is_called_ever_more_rarely(tmp_path: Path) -> None:
    exchange, clock = Exchange(hang_up, scripts=[says(trade(1), then=hang_up)]), Swift()
    often = Edges(random=lambda: 1.0)
    record(tmp_path, exchange, forty_seconds(clock), edges=often, clock=clock, reconnect_backoff=10)
    assert exchange.connections <= 2 + 5 + clock.seconds / 10


def test_bytes_of_a_frame_that_never_ends_do_not_keep_a_connection(tmp_path: Path) -> None:
    async def dripping(connection: ServerConnection) -> None:
        connection.transport.write(b"\x81\x7e\x10\x00")
        while not connection.transport.is_closing():
            connection.transport.write(b"x")
            await asyncio.sleep(0.02)

    exchange = Exchange(scripts=[says(trade(1), then=dripping), says(trade(2))])
    config = record(tmp_path, exchange, until_landed(2), idle_timeout_sec=0.3)
    ends = [one for one in records(config.layout, DAY) if isinstance(one, journal.Disconnected)]
    assert ends[0].reason == "no frame for 0.3 s"


def test_a_peer_that_does_what_no_exchange_does_is_left_with_the_reason(tmp_path: Path) -> None:
    async def flooding(connection: ServerConnection) -> None:
        connection.transport.write(b"\x89\x00" * 100)
        await silence(connection)

    exchange = Exchange(scripts=[says(trade(1), then=flooding), says(trade(2))])
    config = record(tmp_path, exchange, until_landed(2))
    ends = [one for one in records(config.layout, DAY) if isinstance(one, journal.Disconnected)]
    assert ends[0].reason == "more than 50 control frames came within 10 s"


def test_a_status_file_that_cannot_be_replaced_stops_nothing(tmp_path: Path) -> None:
    Layout(tmp_path).collector_status.mkdir(parents=True)
    config = record(tmp_path, Exchange(says(trade(1))), until_landed(1))
    assert len(lines_of(config.layout, "SOLUSDT", DAY)) == 1


def test_what_a_dead_daemon_left_open_is_sealed_and_entered_at_the_next_start(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    segment = OpenSegment.create(layout, "binance", "SOLUSDT", DAY)
    segment.append(_raw(1, T0 + 5) + _raw(2, T0 + 9) + b'{"torn')
    segment.abandon()
    config = record(tmp_path, Exchange(says(trade(3))), until_landed(3))
    assert [line.id for line in lines_of(layout, "SOLUSDT", DAY)] == [1, 2, 3]
    entered = own(config.layout, "SOLUSDT", DAY)
    assert isinstance(entered[0], journal.Recovered)
    assert entered[0].torn_bytes == 6
    assert isinstance(entered[1], journal.Sealed)
    assert entered[1].listened == [(T0 + 5, T0 + 9)]
    assert (entered[1].first_trade_id, entered[1].last_trade_id) == (1, 2)


def test_the_journal_says_that_it_ended_in_order_once_everything_is_sealed_and_not_before(
    tmp_path: Path,
) -> None:
    def stopped() -> list[journal.AnyRecord]:
        return records(Layout(tmp_path), DAY, journal.Stopped)

    class Looks(OpenSegment):
        def seal(self) -> Path:
            assert not stopped()
            return super().seal()

    exchange = Exchange(says(trade(1), trade(2, symbol="ADAUSDT")))
    record(tmp_path, exchange, until_landed(1), edges=Edges(create_segment=Looks.create))
    assert len(stopped()) == 1
    assert not open_files(Layout(tmp_path))


def test_a_disk_that_never_obeys_ends_the_daemon_and_names_what_was_lost(tmp_path: Path) -> None:
    class Never(Refusing):
        refuse = staticmethod(lambda: True)

    class Impatient(MarketClock):
        def monotonic(self) -> float:
            return super().monotonic() * 100

    with pytest.raises(LakeError, match="No space left"):
        record(
            tmp_path,
            Exchange(says(trade(1))),
            lambda _config, _stop: asyncio.sleep(30),
            clock=Impatient(),
            edges=Edges(create_segment=Never.create),
        )


def _raw(number: int, recv: int) -> bytes:
    line = TradeLine("SOLUSDT", T0, recv, number, "1", "1", "buy", None, None, None, None)
    return msgspec.json.encode(line) + b"\n"
