"""What is recorded comes into the store whole, and leaves this disk only once it is there."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from crypto_lake import config as configuration
from crypto_lake.config import Clock, Config, Store
from crypto_lake.disk import checksums, locks, parquet, publish
from crypto_lake.disk import store as objects
from crypto_lake.errors import LakeBusyError, LakeError, StoreError
from crypto_lake.layout import EPOCH, MINUTE_US
from crypto_lake.operate.ship import loop, waiting
from crypto_lake.operate.ship.shipper import Shipper
from crypto_lake.operate.up import supervisor
from crypto_lake.raw.lines import OF_BOOK, DepthLine
from crypto_lake.staging import first_day, identity, recorded
from crypto_lake_tests.raw_lines import DAY, SYMBOL, trade
from crypto_lake_tests.recorded_market import MIDNIGHT, NEXT, record
from crypto_lake_tests.staging.stores import finished, made, work

Write = Callable[..., Path]


@pytest.fixture
def config_file(tmp_path: Path, write_config: Write) -> Path:
    return write_config(store={"url": (tmp_path / "store").as_uri(), "keep_local_hours": 1})


@pytest.fixture
def collector(config_file: Path) -> Config:
    """The lake of a collector's host: some minutes of two days, of which the second still runs."""
    lake = configuration.load(config_file)
    record(lake, MIDNIGHT - 3 * MINUTE_US, MIDNIGHT + 3 * MINUTE_US)
    return lake


@pytest.fixture
def ship(config_file: Path) -> Callable[[Config], int]:
    def once(lake: Config) -> int:
        identity.forget()
        return loop.run(lake, config_file, once=True)

    return once


Ship = Callable[[Config], int]


def in_the_second_day(lake: Config) -> Config:
    """The same, whose clock says that the second day is three hours old."""
    market = EPOCH + timedelta(microseconds=MIDNIGHT, hours=3)
    return msgspec.structs.replace(lake, clock=Clock(began=datetime.now(UTC), market=market))


def keeping(lake: Config, hours: float) -> Store:
    assert lake.store
    return msgspec.structs.replace(lake.store, keep_local_hours=hours)


def stored(lake: Config) -> dict[str, bytes]:
    store = identity.opened(lake)
    return {key: store.read(key) or b"" for key in store.entries("raw")}


def raw(lake: Config) -> dict[str, bytes]:
    base = lake.layout.base
    files = sorted(path for path in (base / "raw").rglob("*") if path.is_file())
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in files}


def test_what_was_recorded_is_stored_as_it_is_and_once(collector: Config, ship: Ship) -> None:
    now = in_the_second_day(collector)
    before = raw(collector)
    assert ship(now) == len(before)
    assert stored(now) == before
    assert first_day(now) == DAY
    assert [one.symbol for one in recorded(now)] == [SYMBOL]


def test_bars_made_of_what_was_shipped_are_those_of_a_plain_lake(
    collector: Config, ship: Ship, tmp_path: Path
) -> None:
    plain = msgspec.structs.replace(
        collector,
        store=None,
        general=msgspec.structs.replace(collector.general, base_path=str(tmp_path / "plain")),
    )
    record(plain, MIDNIGHT - 3 * MINUTE_US, MIDNIGHT + 3 * MINUTE_US)
    ship(collector)
    with parquet.connect() as duck:
        finished(duck, plain, [DAY, NEXT])
        work(duck, collector, [DAY, NEXT])
    assert made(tmp_path / "store") == made(plain.layout.base)


def test_a_day_that_is_over_leaves_the_disk_once_it_is_stored_and_the_day_in_progress_stays(
    collector: Config, ship: Ship
) -> None:
    ship(in_the_second_day(collector))
    assert collector.layout.raw_days("binance", SYMBOL) == [NEXT]
    ship(collector)
    assert collector.layout.raw_days("binance", SYMBOL) == []


def test_a_day_of_which_the_store_has_lost_a_file_stays_on_the_disk(collector: Config, ship: Ship) -> None:
    ship(in_the_second_day(msgspec.structs.replace(collector, store=keeping(collector, 100))))
    path = collector.layout.segment("binance", SYMBOL, DAY, 2)
    identity.opened(collector).delete(path.relative_to(collector.layout.base).as_posix())
    ship(collector)
    assert collector.layout.raw_days("binance", SYMBOL) == [DAY]
    assert path.exists()


def test_what_a_dead_collector_left_open_is_sealed_and_shipped(collector: Config, ship: Ship) -> None:
    path = collector.layout.segment("binance", SYMBOL, NEXT, 3)
    lines = path.read_bytes()
    path.rename(path.with_name(f"{path.name}.open"))
    ship(in_the_second_day(collector))
    assert stored(collector)[path.relative_to(collector.layout.base).as_posix()] == lines


def test_what_a_dead_collector_of_a_name_left_open_is_sealed_and_shipped(
    write_config: Write, tmp_path: Path, ship: Ship, config_file: Path
) -> None:
    store = {"url": (tmp_path / "store").as_uri(), "keep_local_hours": 1}
    lake = configuration.load(write_config(store=store, collector={"name": "a"}))
    line = msgspec.json.encode(trade(1, MIDNIGHT)) + b"\n"
    path = lake.collector_layout.segment("binance", SYMBOL, NEXT, 1)
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.name}.open").write_bytes(line + b'{"torn')
    now = in_the_second_day(lake)
    ship(now)
    key = path.relative_to(lake.layout.base).as_posix()
    assert (stored(now)[key], "_segments_a.jsonl" in " ".join(stored(now))) == (line, True)


def test_the_order_book_that_a_dead_collector_left_open_is_sealed_and_shipped_with_its_checksum(
    collector: Config, ship: Ship
) -> None:
    line = msgspec.json.encode(DepthLine(SYMBOL, MIDNIGHT, MIDNIGHT, 1, 5, (), ())) + b"\n"
    path = collector.layout.segment("binance", SYMBOL, NEXT, 1, OF_BOOK)
    path.with_name(f"{path.name}.open").write_bytes(line + b'{"torn')
    now = in_the_second_day(collector)
    ship(now)
    assert stored(now)[path.relative_to(collector.layout.base).as_posix()] == line
    told, _ = waiting.records(collector.layout.symbol_journal("binance", SYMBOL, NEXT))
    assert (path.name, checksums.of_bytes(line)) in told


def test_what_a_living_collector_writes_to_is_left_alone(collector: Config, ship: Ship) -> None:
    path = collector.layout.segment("binance", SYMBOL, NEXT, 3)
    path = path.rename(path.with_name(f"{path.name}.open"))
    with locks.hold(collector.layout.collector_lock):
        ship(in_the_second_day(collector))
    assert path.exists()
    assert not any(path.name.partition(".")[0] in key for key in stored(collector) if str(NEXT) in key)


def test_a_record_that_is_being_written_is_not_shipped(collector: Config, ship: Ship) -> None:
    path = collector.layout.symbol_journal("binance", SYMBOL, NEXT)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind":"gap","at":')
    now = in_the_second_day(collector)
    ship(now)
    key = path.relative_to(collector.layout.base).as_posix()
    assert stored(now)[key] == whole
    path.write_bytes(whole + b'{"kind":"later","at":1760918400000000}\n')
    ship(now)
    assert stored(now)[key] == path.read_bytes()


def test_a_segment_that_came_short_is_put_again_and_one_that_was_mended_is_not(
    collector: Config, ship: Ship
) -> None:
    now = in_the_second_day(collector)
    ship(now)
    store = identity.opened(now)
    short, mended = (
        collector.layout.segment("binance", SYMBOL, NEXT, number)
        .relative_to(collector.layout.base)
        .as_posix()
        for number in (1, 2)
    )
    whole = store.read(short) or b""
    store.put_bytes(short, whole[:100])
    store.put_bytes(mended, b"mended\n")
    store.put_bytes(f"{mended}.sha256", checksums.of_bytes(b"mended\n").encode())
    ship(now)
    assert stored(now)[short] == whole
    assert stored(now)[mended] == b"mended\n"


def test_segments_that_the_store_has_compressed_or_done_with_are_not_put_again(
    collector: Config, ship: Ship
) -> None:
    now = in_the_second_day(collector)
    ship(now)
    store = identity.opened(now)
    for key in [key for key in store.entries("raw") if key.endswith("part_0001.jsonl")]:
        store.delete(key)
    before = list(store.entries("raw"))
    ship(now)
    assert list(store.entries("raw")) == before


def test_a_journal_that_begins_anew_on_this_disk_takes_nothing_from_the_stored_one(
    collector: Config, ship: Ship
) -> None:
    now = in_the_second_day(collector)
    ship(now)
    path = collector.layout.symbol_journal("binance", SYMBOL, DAY)
    key = path.relative_to(collector.layout.base).as_posix()
    expected = stored(now)[key]
    for late in (b'{"kind":"first"}\n', b'{"kind":"second"}\n'):
        assert not path.parent.exists()
        path.parent.mkdir()
        path.write_bytes(late)
        expected += late
        ship(now)
        assert stored(now)[key] == expected


def test_nor_does_one_that_begins_anew_at_once(collector: Config, ship: Ship) -> None:
    now = in_the_second_day(collector)
    ship(msgspec.structs.replace(now, store=keeping(now, 100)))
    path = collector.layout.symbol_journal("binance", SYMBOL, DAY)
    key = path.relative_to(collector.layout.base).as_posix()
    before, shipper = stored(now)[key], Shipper(now)
    shipper.round()
    assert shipper.free() == 1
    path.parent.mkdir()
    path.write_bytes(b'{"kind":"late"}\n')
    shipper.round()
    assert stored(now)[key] == before + b'{"kind":"late"}\n'


def test_a_journal_that_the_store_has_not_is_not_asked_for(
    collector: Config, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, asked = objects.Store.read, []

    def noting(store: objects.Store, key: str) -> bytes | None:
        asked.append(key)
        return read(store, key)

    monkeypatch.setattr(objects.Store, "read", noting)
    ship(collector)
    assert [key for key in asked if key.endswith(".jsonl")] == []


@pytest.mark.parametrize(
    ("stored", "lines", "before"),
    [
        (b"", b"a\n", b""),
        (b"a\nb\n", b"a\nb\nc\n", b""),
        (b"a\nb\nc\n", b"a\nb\n", b""),
        (b"a\nb\n", b"c\n", b"a\nb\n"),
        (b"a\nb\nc\n", b"c\nd\n", b"a\nb\n"),
        (b"a\nc\nb\n", b"c\nd\n", b"a\nc\nb\n"),
        (b"a\nc\nb\nc\n", b"c\nd\n", b"a\nc\nb\n"),
        (b"a\nb\n", b"", b"a\nb\n"),
    ],
)
def test_what_is_stored_of_a_journal_before_this_disks_is_told_by_its_lines(
    stored: bytes, lines: bytes, before: bytes
) -> None:
    assert waiting.earlier(stored, lines) == before


def test_what_is_being_made_in_a_folder_keeps_it_and_no_other_from_leaving_the_disk(
    collector: Config, ship: Ship
) -> None:
    left = collector.layout.raw_day("binance", SYMBOL, DAY) / ".made.tmp"
    left.touch()
    ship(collector)
    assert list(left.parent.iterdir()) == [left]
    assert collector.layout.raw_days("binance", SYMBOL) == [DAY]


def test_a_recovery_that_takes_too_long_is_logged_and_shipping_goes_on(
    collector: Config, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collector.layout.segment("binance", SYMBOL, NEXT, 3)
    path.rename(path.with_name(f"{path.name}.open"))

    def late(words: list[str], *, timeout: float, **_given: object) -> None:
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(subprocess, "run", late)
    assert ship(in_the_second_day(collector))


def test_a_disk_that_refuses_to_tell_whose_a_lake_is_makes_it_nobody_elses(
    collector: Config, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(collector)
    own, read = collector.layout.shipping_id.read_bytes(), publish.read

    def refuse(path: Path) -> bytes:
        if path == collector.layout.shipping_id:
            raise PermissionError(path)
        return read(path)

    monkeypatch.setattr(publish, "read", refuse)
    with pytest.raises(LakeError, match="owner"):
        ship(collector)
    assert collector.layout.shipping_id.read_bytes() == own


def test_a_folder_that_cannot_be_read_is_told_and_waited_for(
    collector: Config, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Shipper) -> int:
        raise PermissionError("raw: not yours")

    for name in ("round", "waiting"):
        monkeypatch.setattr(Shipper, name, refuse)
    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(loop.run, collector, config_file, once=False, stop=stop)
        found = None
        for _ in range(600):
            found = loop.status(collector)
            if found or running.done():
                break
            time.sleep(0.05)
        stop.set()
        running.result()
    assert found
    assert "raw: not yours" in found.trouble


def test_two_hosts_with_collectors_of_one_name_are_noticed(
    collector: Config, ship: Ship, tmp_path: Path
) -> None:
    ship(collector)
    general = msgspec.structs.replace(collector.general, base_path=str(tmp_path / "second"))
    second = msgspec.structs.replace(collector, general=general)
    with pytest.raises(
        StoreError, match=r"a collector without a name ships from [^ ]*lake on .* already; expected"
    ):
        ship(second)


def test_one_process_ships_a_lake(collector: Config, ship: Ship) -> None:
    with (
        locks.hold(collector.layout.ship_lock),
        pytest.raises(LakeBusyError, match="another crypto-lake ship"),
    ):
        ship(collector)


def test_up_ships_where_there_is_a_store(config_file: Path) -> None:
    lake = configuration.load(config_file)

    def names(config: Config) -> list[str]:
        return [one.name for one in supervisor.programs(config, config_file, "127.0.0.1", 3000)]

    assert names(lake) == ["collector", "ship", "dagster"]
    assert names(msgspec.structs.replace(lake, store=None)) == ["collector", "dagster"]


def test_a_lake_without_a_store_loads_no_client(tmp_path: Path) -> None:
    look = (
        "import sys, crypto_lake.staging, crypto_lake.operate.pull; from crypto_lake.operate.ship import loop"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{look}; sys.exit('obstore' in sys.modules)"], cwd=tmp_path, check=False
    )
    assert done.returncode == 0
