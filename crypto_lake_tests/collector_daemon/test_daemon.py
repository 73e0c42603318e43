"""The whole daemon in this process, against a scripted exchange on loopback."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection

from collector_daemon.daemon import run
from crypto_lake.config import Config
from crypto_lake.layout import MINUTE_US, Layout, day_of
from crypto_lake.raw import journal, segments
from crypto_lake.raw.lines import QuoteLine, RawLine, TradeLine, decode
from crypto_lake_tests.collector_daemon.daemon_runs import (
    DAY,
    after_a_while,
    record,
    status_of,
    until_landed,
)
from crypto_lake_tests.collector_daemon.fakes import (
    SYMBOLS,
    T0,
    Exchange,
    MarketClock,
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


def counted(config: Config) -> tuple[int, int]:
    """Trades and quotes of all symbols, by the status file."""
    status = status_of(config)
    symbols = [symbol for exchange in status.exchanges for symbol in exchange.symbols] if status else []
    return sum(symbol.trades for symbol in symbols), sum(symbol.quotes for symbol in symbols)


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


def test_a_clean_stop_proves_listening_up_to_the_exchanges_last_answer(tmp_path: Path) -> None:
    async def wait_a_while(config: Config, stop: asyncio.Event) -> None:
        await until_landed(1)(config, stop)
        await asyncio.sleep(0.3)

    config = record(tmp_path, Exchange(says(trade(1))), wait_a_while)
    sealed = next(one for one in records(config.layout, DAY) if isinstance(one, journal.Sealed))
    assert sealed.listened[-1][1] - (sealed.recv_to or 0) > 250_000


def test_trades_of_far_days_leave_a_pointer_in_the_journal_of_their_day(tmp_path: Path) -> None:
    clock = MarketClock(T0 + 10 * 24 * 60 * MINUTE_US)
    config = record(tmp_path, Exchange(says(trade(1), trade(2))), until_landed(2), clock=clock)
    pointers = [one for one in records(config.layout, DAY) if isinstance(one, journal.Displaced)]
    assert [(one.symbol, one.landed) for one in pointers] == [("SOLUSDT", "2025-10-30")]


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


def test_it_ends_by_itself_after_its_duration(tmp_path: Path) -> None:
    async def story() -> None:
        async with Exchange(says(trade(1))).running() as exchange:
            await run(configured(tmp_path, exchange.port), clock=MarketClock(), duration=0.5)

    asyncio.run(story())
    assert isinstance(shared(Layout(tmp_path), DAY)[-1], journal.Stopped)


def _line(content: bytes) -> RawLine:
    return decode(content)
