"""The whole daemon in this process, against a scripted exchange on loopback."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection

from collector_daemon.daemon import run
from collector_daemon.recorder import Edges
from crypto_lake.config import Config
from crypto_lake.errors import DiskFullError, ExchangeError, LakeBusyError, LakeError, UnknownSymbolError
from crypto_lake.layout import MINUTE_US, Layout, day_of
from crypto_lake.raw import journal, segments
from crypto_lake.raw.collector_status import Status, read_status
from crypto_lake.raw.lines import QuoteLine, RawLine, TradeLine, decode
from crypto_lake.raw.segments import OpenSegment
from crypto_lake_tests.collector_daemon.fakes import (
    BURST,
    INTERVAL_SEC,
    SYMBOLS,
    T0,
    Exchange,
    Hasty,
    MarketClock,
    Refusing,
    Script,
    Swift,
    configured,
    hang_up,
    lines_of,
    open_files,
    own,
    quote,
    records,
    says,
    shared,
    silence,
    trade,
    until,
)

DAY = date(2025, 10, 20)
Then = Callable[[Config, asyncio.Event], Awaitable[None]]


def status_of(config: Config) -> Status | None:
    return read_status(config.layout.collector_status)


def counted(config: Config) -> tuple[int, int]:
    """Trades and quotes of all symbols, by the status file."""
    status = status_of(config)
    symbols = [symbol for exchange in status.exchanges for symbol in exchange.symbols] if status else []
    return sum(symbol.trades for symbol in symbols), sum(symbol.quotes for symbol in symbols)


def record(
    base: Path,
    exchange: Exchange,
    then: Then,
    *,
    clock: MarketClock | None = None,
    edges: Edges | None = None,
    symbols: Sequence[str] = SYMBOLS,
    **collector: float,
) -> Config:
    """Run a daemon against an exchange until `then` is through; both end in good order."""

    async def together() -> Config:
        async with exchange.running():
            config = configured(base, exchange.port, symbols, **collector)
            stop = asyncio.Event()
            daemon = asyncio.create_task(run(config, clock=clock or MarketClock(), stop=stop, edges=edges))
            story = asyncio.ensure_future(then(config, stop))
            await asyncio.wait({daemon, story}, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            if story.done():
                story.result()
            story.cancel()
            await daemon
            return config

    return asyncio.run(together())


def until_landed(lines: int, symbol: str = "SOLUSDT") -> Then:
    """Wait until so many lines are on disk, sealed or not."""

    async def wait(config: Config, _stop: asyncio.Event) -> None:
        def count() -> int:
            files = config.layout.raw_symbol("binance", symbol).rglob("part_*.jsonl*")
            try:
                return sum(path.read_bytes().count(b"\n") for path in files)
            except (FileNotFoundError, PermissionError):
                return 0  # One is being sealed at this instant; Windows then refuses to open it.

        await until(lambda: count() >= lines, f"{lines} lines")

    return wait


def test_what_the_exchange_sends_is_sealed_when_the_daemon_stops(tmp_path: Path) -> None:
    exchange = Exchange(says(trade(1), quote(5), trade(2), quote(6), trade(7, symbol="ADAUSDT")))
    config = record(tmp_path, exchange, until_landed(4))
    assert [(type(line), line.id) for line in lines_of(config.layout, "SOLUSDT", DAY)] == [
        (TradeLine, 1),
        (QuoteLine, 5),
        (TradeLine, 2),
        (QuoteLine, 6),
    ]
    assert [line.id for line in lines_of(config.layout, "ADAUSDT", DAY)] == [7]
    assert not open_files(config.layout)


def test_an_exchange_that_starts_its_ids_anew_loses_no_trade_over_two_connections(tmp_path: Path) -> None:
    numbers = [*range(1, 101)] * 2
    script = says(*(trade(number, T0 + 7000 * at) for at, number in enumerate(numbers)))
    config = record(tmp_path, Exchange(script), until_landed(200), connections=2)
    found = [(line.id, line.ts_event) for line in lines_of(config.layout, "SOLUSDT", DAY)]
    assert found == [(number, T0 + 7000 * at) for at, number in enumerate(numbers)]
    told = [one for one in records(config.layout, DAY) if isinstance(one, journal.Jumped | journal.Gap)]
    assert [(type(one), getattr(one, "id", None)) for one in told] == [(journal.Jumped, 1)]


def test_the_journal_tells_the_story_in_order(tmp_path: Path) -> None:
    config = record(tmp_path, Exchange(says(trade(1, T0 - 100))), until_landed(1))
    kinds = [type(one).__name__ for one in shared(config.layout, DAY)]
    assert kinds == ["Started", "Connected", "Subscribed", "Disconnected", "ClockOffset", "Stopped"]
    of_symbols = [own(config.layout, symbol, DAY) for symbol in ("SOLUSDT", "ADAUSDT")]
    sealed = [one for some in of_symbols for one in some if isinstance(one, journal.Sealed)]
    assert [len(some) for some in of_symbols] == [1, 1]
    assert [one.segment for one in sealed] == ["part_0001.jsonl", None]
    assert sealed[0].listened == sealed[1].listened != []
    assert sealed[0].listened[0][0] <= (sealed[0].recv_from or 0) <= sealed[0].listened[0][1]


def test_all_streams_are_asked_for_at_once(tmp_path: Path) -> None:
    exchange = Exchange(says(trade(1)))
    record(tmp_path, exchange, until_landed(1))
    assert exchange.subscribed == [
        ["solusdt@trade", "solusdt@bookTicker", "adausdt@trade", "adausdt@bookTicker"]
    ]


def test_a_trade_missed_in_a_reconnect_is_a_gap(tmp_path: Path) -> None:
    exchange = Exchange(scripts=[says(trade(1, T0), then=hang_up), says(trade(2, T0), trade(5, T0 + 9))])
    config = record(tmp_path, exchange, until_landed(3))
    gaps = [one for one in records(config.layout, DAY) if isinstance(one, journal.Gap)]
    assert [(gap.first_id, gap.last_id, gap.event_from, gap.event_to) for gap in gaps] == [(3, 4, T0, T0 + 9)]
    assert len([one for one in records(config.layout, DAY) if isinstance(one, journal.Connected)]) == 2


def test_quotes_whose_ids_begin_anew_after_a_reconnect_are_kept(tmp_path: Path) -> None:
    exchange = Exchange(scripts=[says(quote(900), then=hang_up), says(quote(1), quote(2))])
    config = record(tmp_path, exchange, until_landed(3))
    assert [line.id for line in lines_of(config.layout, "SOLUSDT", DAY)] == [900, 1, 2]


def test_an_announced_shutdown_is_noted_and_the_exchange_called_again(tmp_path: Path) -> None:
    farewell = b'{"e":"serverShutdown","E":1770123456789}'
    exchange = Exchange(scripts=[says(trade(1), farewell), says(trade(2))])
    config = record(tmp_path, exchange, until_landed(2))
    notices = [one for one in records(config.layout, DAY) if isinstance(one, journal.Notice)]
    assert [one.frame for one in notices] == [farewell.decode()]
    ends = [one for one in records(config.layout, DAY) if isinstance(one, journal.Disconnected)]
    assert ends[0].reason == "the exchange asked us to leave"


def test_a_flood_of_long_notices_takes_little_of_the_journal(tmp_path: Path) -> None:
    flood = [b'{"e":"serverShutdown","x":"' + b"x" * 300_000 + b'"}'] * 100
    config = record(tmp_path, Exchange(scripts=[says(trade(1), *flood), says(trade(2))]), until_landed(2))
    notices = records(config.layout, DAY, journal.Notice)
    assert len(notices) > 1
    assert config.layout.journal("binance", DAY).stat().st_size < 300_000


def test_a_connection_without_any_frame_is_given_up_and_made_anew(tmp_path: Path) -> None:
    exchange = Exchange(scripts=[says(trade(1)), says(trade(2))])
    config = record(tmp_path, exchange, until_landed(2), idle_timeout_sec=0.3)
    ends = [one for one in records(config.layout, DAY) if isinstance(one, journal.Disconnected)]
    assert ends[0].reason == "no frame for 0.3 s"


def test_pings_alone_keep_a_quiet_connection(tmp_path: Path) -> None:
    async def pinging(connection: ServerConnection) -> None:
        for _ in range(12):
            await connection.ping()
            await asyncio.sleep(0.1)
        await connection.send(trade(1).decode())
        await silence(connection)

    exchange = Exchange(pinging)
    record(tmp_path, exchange, until_landed(1), idle_timeout_sec=0.5)
    assert exchange.connections == 1


def test_nothing_is_claimed_to_be_heard_after_the_last_frame_of_a_dead_connection(tmp_path: Path) -> None:
    exchange = Exchange(scripts=[says(trade(1), then=after_a_while(trade(2), seconds=0.1)), says(trade(3))])
    config = record(tmp_path, exchange, until_landed(3), idle_timeout_sec=0.3)
    sealed = next(one for one in records(config.layout, DAY) if isinstance(one, journal.Sealed))
    (_, first_end), (second_start, _) = sealed.listened
    assert second_start - first_end > 250_000


def test_frames_that_make_no_sense_are_kept_verbatim_and_hurt_nothing(tmp_path: Path) -> None:
    exchange = Exchange(says(trade(1), b"{nonsense", quote(1, "XRPUSDT"), trade(2)))
    config = record(tmp_path, exchange, until_landed(2))
    kept = config.layout.rejected("binance", DAY).read_text(encoding="utf-8").splitlines()
    assert ['"frame":"{nonsense"' in kept[0], "not asked for" in kept[1], len(kept)] == [True, True, 2]
    assert [line.id for line in lines_of(config.layout, "SOLUSDT", DAY)] == [1, 2]


def test_windows_end_by_the_clock_and_at_midnight(tmp_path: Path) -> None:
    async def trading(connection: ServerConnection) -> None:
        for number in range(1, 200):
            await connection.send(trade(number).decode())
            await asyncio.sleep(0.02)

    clock = MarketClock(T0 - 3 * MINUTE_US // 2, pace=60)
    config = record(tmp_path, Exchange(trading), until_landed(120), clock=clock)
    before, after = day_of(T0 - 1), day_of(T0)
    for day in (before, after):
        numbers = []
        for path in segments.sealed(config.layout.raw_day("binance", "SOLUSDT", day)):
            stamps = [line.ts_recv for line in map(_line, path.read_bytes().splitlines())]
            assert len({stamp // MINUTE_US for stamp in stamps}) == 1
            assert {day_of(stamp) for stamp in stamps} == {day}
            numbers.append(path.name)
        assert numbers == [f"part_{n + 1:04d}.jsonl" for n in range(len(numbers))]
        assert numbers
    both = lines_of(config.layout, "SOLUSDT", before) + lines_of(config.layout, "SOLUSDT", after)
    assert [line.id for line in both] == list(range(1, len(both) + 1))


def test_stretches_of_listening_touch_across_windows(tmp_path: Path) -> None:
    async def trading(connection: ServerConnection) -> None:
        for number in range(1, 200):
            await connection.send(trade(number).decode())
            await asyncio.sleep(0.02)

    config = record(tmp_path, Exchange(trading), until_landed(120), clock=MarketClock(pace=60))
    sealed = [one for one in records(config.layout, DAY) if isinstance(one, journal.Sealed)]
    for symbol in SYMBOLS:
        stretches = [stretch for one in sealed if one.symbol == symbol for stretch in one.listened]
        assert len(stretches) >= 2
        assert all(one[1] == other[0] for one, other in pairwise(stretches))


def test_a_clock_that_is_set_back_overwrites_nothing(tmp_path: Path) -> None:
    exchange = Exchange(says(trade(1), then=after_a_while(trade(2), trade(3))))
    clock = MarketClock()

    async def set_back(config: Config, stop: asyncio.Event) -> None:
        await until_landed(1)(config, stop)
        clock.shift -= 60 * MINUTE_US
        await until_landed(3)(config, stop)

    config = record(tmp_path, exchange, set_back, clock=clock)
    before = day_of(T0 - 60 * MINUTE_US)
    assert [line.id for line in lines_of(config.layout, "SOLUSDT", DAY)] == [1]
    assert [line.id for line in lines_of(config.layout, "SOLUSDT", before)] == [2, 3]


@pytest.mark.parametrize("step_sec", [3600, 2, -2, -3600])
def test_what_a_clock_that_was_set_skipped_or_repeated_was_not_listened_to(
    tmp_path: Path, step_sec: int
) -> None:
    clock = MarketClock()
    real: list[float] = []

    async def trading(connection: ServerConnection) -> None:
        real.append(clock.monotonic())
        for number in range(1, 400):
            await connection.send(trade(number, clock.now_us()).decode())
            real[1:] = [clock.monotonic()]
            await asyncio.sleep(0.02)

    async def set_clock(config: Config, stop: asyncio.Event) -> None:
        await until_landed(40)(config, stop)
        clock.shift += step_sec * 1_000_000
        await until_landed(150)(config, stop)

    config = record(tmp_path, Exchange(trading), set_clock, clock=clock)
    days = (day_of(T0 - 3600 * 1_000_000), DAY)
    sealed = [one for day in days for one in records(config.layout, day) if isinstance(one, journal.Sealed)]
    stretches = [stretch for one in sealed if one.symbol == "SOLUSDT" for stretch in one.listened]
    claimed = sum(end - start for start, end in stretches) / 1e6
    assert claimed <= real[1] - real[0] + 0.1
    assert claimed >= real[1] - real[0] - 1.5


def after_a_while(*frames: bytes, seconds: float = 0.6) -> Script:
    async def script(connection: ServerConnection) -> None:
        await asyncio.sleep(seconds)
        await says(*frames)(connection)

    return script


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


def test_a_clean_stop_proves_listening_up_to_the_exchanges_last_answer(tmp_path: Path) -> None:
    async def wait_a_while(config: Config, stop: asyncio.Event) -> None:
        await until_landed(1)(config, stop)
        await asyncio.sleep(0.3)

    config = record(tmp_path, Exchange(says(trade(1))), wait_a_while)
    sealed = next(one for one in records(config.layout, DAY) if isinstance(one, journal.Sealed))
    assert sealed.listened[-1][1] - (sealed.recv_to or 0) > 250_000


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


def test_trades_of_far_days_leave_a_pointer_in_the_journal_of_their_day(tmp_path: Path) -> None:
    clock = MarketClock(T0 + 10 * 24 * 60 * MINUTE_US)
    config = record(tmp_path, Exchange(says(trade(1), trade(2))), until_landed(2), clock=clock)
    pointers = [one for one in records(config.layout, DAY) if isinstance(one, journal.Displaced)]
    assert [(one.symbol, one.landed) for one in pointers] == [("SOLUSDT", "2025-10-30")]


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
    record(tmp_path, exchange, forty_seconds(clock), edges=Edges(random=lambda: 0.0), clock=clock)
    assert BURST < exchange.connections <= BURST + 1 + clock.seconds / INTERVAL_SEC


def forty_seconds(clock: Swift) -> Then:
    async def wait(_config: Config, _stop: asyncio.Event) -> None:
        await until(lambda: clock.seconds > 40, "forty seconds")

    return wait


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


def test_the_status_says_what_is_going_on(tmp_path: Path) -> None:
    async def look(config: Config, _stop: asyncio.Event) -> None:
        await until(lambda: counted(config) == (2, 1), "the status")
        status = status_of(config)
        assert status is not None
        assert status.state == "listening"
        assert status.exchanges[0].symbols[0].current_segment == "part_0001.jsonl.open"

    config = record(tmp_path, Exchange(says(trade(1), quote(1), trade(2))), look)
    status = status_of(config)
    assert status is not None
    assert (status.state, status.exchanges[0].symbols[0].segments_sealed) == ("stopped", 1)


def test_a_status_file_that_cannot_be_replaced_stops_nothing(tmp_path: Path) -> None:
    Layout(tmp_path).collector_status.mkdir(parents=True)
    config = record(tmp_path, Exchange(says(trade(1))), until_landed(1))
    assert len(lines_of(config.layout, "SOLUSDT", DAY)) == 1


def test_it_ends_by_itself_after_its_duration(tmp_path: Path) -> None:
    async def story() -> None:
        async with Exchange(says(trade(1))).running() as exchange:
            await run(configured(tmp_path, exchange.port), clock=MarketClock(), duration=0.5)

    asyncio.run(story())
    assert isinstance(shared(Layout(tmp_path), DAY)[-1], journal.Stopped)


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


def _line(content: bytes) -> RawLine:
    return decode(content)
