"""Collectors of several names in one lake: each has its own files, lock and past, and leaves the others' alone."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from collector_daemon.daemon import run
from collector_daemon.land.recovery import recover
from crypto_lake.config import Config
from crypto_lake.errors import LakeBusyError
from crypto_lake.layout import Layout
from crypto_lake.raw import journal, journals
from crypto_lake.raw.collector_status import read_status
from crypto_lake.raw.instruments import newest
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake_tests.collector_daemon.daemon_runs import DAY, until_landed
from crypto_lake_tests.collector_daemon.fakes import (
    T0,
    Exchange,
    MarketClock,
    configured,
    lines_of,
    open_files,
    own,
    quote,
    says,
    shared,
    trade,
    until,
)
from crypto_lake_tests.collector_daemon.test_recovery import LINES, left_open

FRAMES = says(trade(1, T0 - 100), quote(5), trade(2))


def named(config: Config, **collector: str) -> Config:
    return msgspec.structs.replace(config, collector=msgspec.structs.replace(config.collector, **collector))


def record_as(base: Path, *names: str, exchange: Exchange | None = None, **collector: str) -> Layout:
    """Collectors of these names, side by side in this process, until all have what the exchange says."""

    async def together() -> Layout:
        async with (exchange or Exchange(FRAMES)).running() as there:
            config = configured(base, there.port)
            stop = asyncio.Event()
            daemons = [
                asyncio.create_task(
                    run(named(config, name=name, **collector), clock=MarketClock(), stop=stop)
                )
                for name in names
            ]
            landed = asyncio.ensure_future(until_landed(3 * len(names))(config, stop))
            await asyncio.wait({*daemons, landed}, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            await asyncio.gather(*daemons)
            landed.cancel()
            return config.layout

    return asyncio.run(together())


def test_two_collectors_record_into_one_lake_side_by_side(tmp_path: Path) -> None:
    layout = record_as(tmp_path, "a", "b")
    folder = layout.raw_day("binance", "SOLUSDT", DAY)
    assert sorted(path.name for path in folder.iterdir()) == [
        "_segments_a.jsonl",
        "_segments_b.jsonl",
        "part_a_0001.jsonl",
        "part_b_0001.jsonl",
    ]
    assert not open_files(layout)
    assert len(lines_of(layout, "SOLUSDT", DAY)) == 6
    for name in ("a", "b"):
        mine = layout.of(name)
        kinds = [type(one).__name__ for one in shared(mine, DAY)]
        assert (kinds[0], kinds[-1]) == ("Started", "Stopped")
        (sealed,) = journal.of_kind(own(mine, "SOLUSDT", DAY), journal.Sealed)
        assert sealed.segment == f"part_{name}_0001.jsonl"
        assert read_status(mine.collector_status)
    assert not layout.collector_status.exists()
    told = journals.of_symbol(layout, "binance", "SOLUSDT", DAY)
    assert len(list(journal.of_kind(told, journal.Sealed))) == 2


def test_two_collectors_of_one_name_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(LakeBusyError) as caught:
        record_as(tmp_path, "a", "a")
    assert str(caught.value) == f"{tmp_path}: another collector named a is recording into this lake"


@pytest.mark.parametrize("starts", ["", "b"])
def test_a_start_leaves_what_another_one_has_open_alone(tmp_path: Path, starts: str) -> None:
    layout = Layout(tmp_path)
    left_open(layout.of("a"), LINES[:-5])
    left_open(layout.of(starts), LINES[:-5])
    JournalWriter(layout.of("a"), "binance").write(
        journal.Started(at=T0, version="1", pid=1, symbols=["SOLUSDT"]), DAY
    )
    recover(layout.of(starts), "binance", T0)
    (theirs,) = open_files(layout)
    assert (theirs.name, theirs.read_bytes()) == ("part_a_0001.jsonl.open", LINES[:-5])
    assert [type(one).__name__ for one in own(layout.of(starts), "SOLUSDT", DAY)] == ["Recovered", "Sealed"]
    recover(layout.of("a"), "binance", T0)
    assert not open_files(layout)
    assert [type(one).__name__ for one in own(layout.of("a"), "SOLUSDT", DAY)] == ["Recovered", "Sealed"]


def test_one_that_comes_back_days_after_the_others_went_on_finds_its_own_past(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    left_open(layout.of("a"), LINES)
    recover(layout.of("a"), "binance", T0)
    layout.of("a").symbol_journal("binance", "SOLUSDT", DAY).unlink()
    left_open(layout.of("b"), LINES)
    folder = layout.raw_day("binance", "SOLUSDT", DAY).parent / "2025-10-25"
    folder.mkdir()
    (folder / "part_b_0001.jsonl").write_bytes(LINES)
    recover(layout.of("a"), "binance", T0)
    assert [type(one).__name__ for one in own(layout.of("a"), "SOLUSDT", DAY)] == ["Sealed"]
    assert not (folder / "_segments_a.jsonl").exists()


def test_a_collector_records_its_share_and_goes_on_where_that_is_nothing(tmp_path: Path) -> None:
    found = {}
    for number in range(1, 5):
        base = tmp_path / str(number)
        exchange = Exchange(says(*(trade(1, symbol=symbol) for symbol in ("SOLUSDT", "ADAUSDT"))))

        async def record(base: Path = base, number: int = number, exchange: Exchange = exchange) -> Layout:
            async with exchange.running() as there:
                config = named(configured(base, there.port), name=f"c{number}", share=f"{number}/4")
                stop = asyncio.Event()
                daemon = asyncio.create_task(run(config, clock=MarketClock(), stop=stop))
                status = config.collector_layout.collector_status
                await until(status.exists, "a status")
                stop.set()
                await daemon
                return config.collector_layout

        status = read_status(asyncio.run(record()).collector_status)
        assert status
        found[number] = [one.symbol for one in status.exchanges[0].symbols]
    every = sorted(symbol for some in found.values() for symbol in some)
    assert every == ["ADAUSDT", "ADAUSDT", "SOLUSDT", "SOLUSDT"]


def test_tables_of_instruments_of_two_collectors_are_read_as_one(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    folder = layout.reference("binance", DAY).parent
    folder.mkdir(parents=True)
    row = '{{"symbol":"{}","status":"{}","trading":true}}'
    layout.of("b").reference("binance", DAY).write_text(
        f"[{row.format('SOL', 'B')},{row.format('ADA', 'B')}]"
    )
    layout.of("a").reference("binance", DAY).write_text(f"[{row.format('SOL', 'A')}]")
    layout.reference("binance", DAY.replace(day=1)).write_text("[]")
    found = newest(layout, "binance")
    assert found
    assert found[0] == DAY
    assert {symbol: one.status for symbol, one in found[1].items()} == {"SOL": "A", "ADA": "B"}
