"""Runs on a lake in a store: what they make is what a plain lake has, whatever a cache holds, and wherever they die."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from crypto_lake.ask import views
from crypto_lake.ask.bring import brought
from crypto_lake.completeness import halts
from crypto_lake.config import Config
from crypto_lake.disk import checksums, publish
from crypto_lake.disk.store import Store
from crypto_lake.errors import LakeBusyError, StoreAwayError, StoreError
from crypto_lake.layout import MINUTE_US, Layout
from crypto_lake.series import Series
from crypto_lake.staging import Reach, Rooms, first_day, holdings, identity, known, recorded, staged
from crypto_lake.transform import daily, plan
from crypto_lake_tests import proved_market
from crypto_lake_tests.raw_lines import DAY, START, SYMBOL, land, trade
from crypto_lake_tests.recorded_market import MIDNIGHT, NEXT, OVER, record
from crypto_lake_tests.staging.stores import finished, made, names, put, stored, work

Duck = duckdb.DuckDBPyConnection
WHERE = "binance", SYMBOL


@pytest.fixture
def around_midnight(lake: Config, duck: Duck) -> Config:
    """A plain lake of some minutes of two days, of which all is made."""
    record(lake, MIDNIGHT - 3 * MINUTE_US, MIDNIGHT + 3 * MINUTE_US)
    finished(duck, lake, [DAY, NEXT])
    return lake


@pytest.fixture
def in_store(lake: Config, tmp_path: Path) -> Config:
    """An empty lake in a store."""
    return stored(lake, tmp_path)


def series_of(lake: Config) -> list[Series]:
    return [Series(lake, *WHERE)]


def test_runs_on_a_store_make_the_same_bytes_with_an_empty_cache_each_time(
    around_midnight: Config, duck: Duck, tmp_path: Path
) -> None:
    lake = stored(around_midnight, tmp_path)
    put(lake, around_midnight.layout.base)
    work(duck, lake, [DAY, NEXT], keep=False)
    assert made(tmp_path / "store") == made(around_midnight.layout.base)


def test_a_lake_without_a_store_is_worked_on_as_it_is(lake: Config) -> None:
    with staged(lake, series_of(lake), [DAY]) as local:
        assert local.config is lake
    assert not lake.layout.base.exists()


def test_what_there_is_is_asked_of_the_store_and_not_of_what_is_cached(in_store: Config, duck: Duck) -> None:
    store = identity.opened(in_store)
    assert (first_day(in_store), known(in_store), recorded(in_store)) == (None, [], [])
    with staged(in_store, series_of(in_store), [DAY]) as local:
        land(local.config, [trade(1, START)])
    store.put_bytes("backfill/binance/ADAUSDT/2025-10-19.parquet", b"")
    shutil.rmtree(in_store.layout.base)
    identity.forget()
    assert (names(recorded(in_store)), names(known(in_store))) == ([SYMBOL], ["ADAUSDT", SYMBOL])
    assert first_day(in_store) == DAY


def test_the_first_day_is_remembered_while_the_store_is_away(
    in_store: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with staged(in_store, series_of(in_store), [DAY]) as local:
        land(local.config, [trade(1, START)])
    assert first_day(in_store) == DAY

    def away(*_: object) -> None:
        raise StoreAwayError("away")

    monkeypatch.setattr(Store, "entries", away)
    assert first_day(in_store) == DAY


def test_nothing_but_what_was_changed_is_put_and_nothing_that_was_not_fetched_is_removed(
    in_store: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with staged(in_store, series_of(in_store), [DAY, NEXT]) as local:
        land(local.config, [trade(1, START)])
        land(local.config, [trade(2, MIDNIGHT)], NEXT)
    store = identity.opened(in_store)
    store.put_bytes("parquet/binance/SOLUSDT/2025-01-01.parquet", b"far away")
    before = store.entries("")
    asked: list[str] = []
    monkeypatch.setattr(Store, "put", lambda _self, key, _path: asked.append(key))
    monkeypatch.setattr(Store, "delete", lambda _self, key: asked.append(key))
    with staged(in_store, series_of(in_store), [DAY]) as local:
        assert local.config.layout.raw_days(*WHERE) == [DAY, NEXT]
    assert (asked, store.entries("")) == ([], before)


def test_a_run_that_fails_half_way_leaves_what_it_made_in_the_store(in_store: Config) -> None:
    with pytest.raises(ValueError, match="half-way"), staged(in_store, series_of(in_store), [DAY]) as local:  # noqa: PT012 - on leaving
        land(local.config, [trade(1, START)])
        raise ValueError("half-way")
    assert [key.rpartition("/")[2] for key in identity.opened(in_store).entries("raw")] == ["part_0001.jsonl"]


def test_what_lies_in_folders_of_other_days_is_brought_where_a_journal_points_to_them(
    in_store: Config, duck: Duck
) -> None:
    far = DAY + timedelta(days=40)
    with staged(in_store, series_of(in_store), [DAY, far]) as local:
        land(local.config, [trade(1, START)], far)
        path = local.config.layout.symbol_journal(*WHERE, DAY)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'{{"kind":"displaced","at":{START},"symbol":"{SYMBOL}","landed":"{far}"}}\n', encoding="utf-8"
        )
    with staged(in_store, series_of(in_store), [DAY], Rooms.RAW | Rooms.BARS) as local:
        assert plan.is_stale(duck, local.series[0], DAY, OVER)
        assert far in local.config.layout.raw_days(*WHERE)


def test_an_outline_says_whether_bars_are_in_line_and_fetches_no_segment_that_a_journal_describes(
    around_midnight: Config, duck: Duck, tmp_path: Path
) -> None:
    lake = stored(around_midnight, tmp_path)
    put(lake, around_midnight.layout.base, ["raw", "parquet"])
    rooms = Rooms.RAW | Rooms.BARS
    with staged(lake, series_of(lake), [DAY], rooms, reach=Reach.OUTLINE) as local:
        assert not plan.is_stale(duck, local.series[0], DAY, OVER)
    assert not list(lake.layout.cache.rglob("part_*.jsonl@*"))
    late = land(around_midnight, [trade(10**9, START)], number=99)
    identity.opened(lake).put(late.relative_to(around_midnight.layout.base).as_posix(), late)
    with staged(lake, series_of(lake), [DAY], rooms, reach=Reach.OUTLINE) as local:
        assert plan.is_stale(duck, local.series[0], DAY, OVER)


def test_segments_of_the_order_book_are_brought_where_they_are_named_and_are_no_day_of_ticks(
    in_store: Config,
) -> None:
    store, some = identity.opened(in_store), series_of(in_store)
    store.put_bytes("raw/binance/SOLUSDT/2025-10-20/depth_0001.jsonl", b"{}\n")
    for rooms, there in ((Rooms.RAW, []), (Rooms.RAW | Rooms.BOOK, ["depth_0001.jsonl"])):
        with staged(in_store, some, [DAY], rooms) as local:
            folder = local.config.layout.raw_day(*WHERE, DAY)
            assert sorted(path.name for path in folder.glob("*")) == there
    assert holdings.days(in_store, some, holdings.Kind.RAW) == set()


def test_two_runs_that_land_a_file_of_one_name_do_not_write_over_each_other(in_store: Config) -> None:
    with staged(in_store, series_of(in_store), [DAY]) as one:
        land(one.config, [trade(1, START)], kind="heal")
        with (  # noqa: PT012 - it is raised when what was landed is shipped
            pytest.raises(LakeBusyError, match="heal_0001"),
            staged(in_store, series_of(in_store), [DAY]) as other,
        ):
            identity.opened(in_store).put_bytes("raw/binance/SOLUSDT/2025-10-20/heal_0001.jsonl", b"first\n")
            land(other.config, [trade(2, START)], kind="heal")
        identity.opened(in_store).delete("raw/binance/SOLUSDT/2025-10-20/heal_0001.jsonl")


def test_halts_are_an_object_a_symbol_and_one_register_while_a_run_works(in_store: Config) -> None:
    some = [Series(in_store, "binance", name) for name in ("ADAUSDT", SYMBOL)]
    for one in some:
        with staged(in_store, [one], [DAY], Rooms.CANDLES) as local:
            halts.enter(local.config.layout, "binance", one.symbol, DAY, [(START, START + MINUTE_US)])
    with staged(in_store, some, [DAY], Rooms.CANDLES) as local:
        for one in some:
            assert halts.of_day(local.config.layout, "binance", one.symbol, DAY) == [
                (START, START + MINUTE_US)
            ]
    assert sorted(identity.opened(in_store).entries("state/halts")) == [
        "state/halts/binance/ADAUSDT.json",
        "state/halts/binance/SOLUSDT.json",
    ]


def test_working_copies_of_processes_that_died_are_removed(in_store: Config) -> None:
    left = in_store.layout.workings / "1-dead"
    left.mkdir(parents=True)
    (left / "file").touch()
    left.with_name("1-dead.lock").touch()
    with staged(in_store, series_of(in_store), [DAY]) as local:
        assert not left.exists()
        assert local.config.layout.base.is_dir()
    assert list(in_store.layout.workings.iterdir()) == []


def test_a_working_copy_of_which_windows_holds_a_file_is_removed_by_a_later_run(
    in_store: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as on_windows:
        # Another run reads it under another of its names, which is no error to `rmtree`.
        on_windows.setattr(shutil, "rmtree", lambda *_, **__: None)
        with staged(in_store, series_of(in_store), [DAY]):
            pass
    (left,) = (path for path in in_store.layout.workings.iterdir() if path.is_dir())
    # There a lock goes with who lets go of it.
    left.with_name(f"{left.name}.lock").unlink(missing_ok=True)
    with staged(in_store, series_of(in_store), [DAY]):
        assert not left.exists()
    assert list(in_store.layout.workings.iterdir()) == []


def test_a_lock_that_another_run_looks_at_on_windows_is_removed_by_a_later_one(
    in_store: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = Path.unlink

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self.suffix == ".lock":
            raise PermissionError(13, "held by another run")
        removed(self, missing_ok)

    with monkeypatch.context() as on_windows:
        on_windows.setattr(Path, "unlink", unlink)
        with staged(in_store, series_of(in_store), [DAY]):
            pass
    with staged(in_store, series_of(in_store), [DAY]):
        pass
    assert list(in_store.layout.workings.iterdir()) == []


def test_a_place_that_holds_other_things_is_no_lake(in_store: Config, tmp_path: Path) -> None:
    (tmp_path / "store" / "photographs").mkdir(parents=True)
    with pytest.raises(
        StoreError, match=r"holds other things \(photographs\); expected a lake, or nothing there yet"
    ):
        recorded(in_store)


def test_a_store_of_another_lake_is_refused_before_anything_is_moved(
    in_store: Config, lake: Config, tmp_path: Path
) -> None:
    recorded(in_store)
    other = stored(lake, tmp_path / "other")
    recorded(other)
    wrong = stored(lake, tmp_path / "other", (tmp_path / "store").as_uri())
    before = sorted((tmp_path / "store").rglob("*"))
    with pytest.raises(StoreError, match=r"holds the lake \w+, and .* belongs to the lake \w+; expected"):
        recorded(wrong)
    assert sorted((tmp_path / "store").rglob("*")) == before


class Dead(Exception):  # noqa: N818 - it stands for a death
    """The process dies here."""


def dying_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Let the store take so many changes, and then nothing more."""
    left = [steps]

    def taken(work: Callable[..., object]) -> Callable[..., object]:
        def change(self: Store, key: str, *rest: object) -> object:
            if key.startswith("state/"):
                return work(self, key, *rest)
            if left[0] <= 0:
                raise Dead(key)
            left[0] -= 1
            return work(self, key, *rest)

        return change

    for name in ("put", "put_new", "delete"):
        monkeypatch.setattr(Store, name, taken(getattr(Store, name)))


def write_day(layout: Layout, version: bytes) -> None:
    """What a compaction leaves, in small: a daily file and its minutes, each with what vouches for it."""
    daily, minutes = layout.daily(*WHERE, DAY), layout.minutes(*WHERE, DAY)
    for path in (layout.manifest(minutes), layout.checksum(minutes), minutes):
        path.unlink(missing_ok=True)
    for path in (daily, minutes):
        publish.write(path, version)
        publish.write(layout.checksum(path), version)
        publish.write(layout.manifest(path), version)
    for hour in (0, 1):
        layout.part(*WHERE, DAY, hour).unlink(missing_ok=True)


@pytest.mark.parametrize("steps", range(11))
def test_wherever_a_run_dies_nothing_stands_beside_what_it_does_not_vouch_for(
    in_store: Config, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    rooms = Rooms.BARS | Rooms.MINUTES
    with staged(in_store, series_of(in_store), [DAY], rooms) as local:
        write_day(local.config.layout, b"1")
        for hour in (0, 1):
            publish.write(local.config.layout.part(*WHERE, DAY, hour), b"part")
    with monkeypatch.context() as patch:
        dying_after(patch, steps)
        with pytest.raises(Dead), staged(in_store, series_of(in_store), [DAY], rooms) as local:
            write_day(local.config.layout, b"2")
    there = content(in_store)
    daily, beside = there["2025-10-20.parquet"], ["2025-10-20.parquet.sha256", "2025-10-20.json"]
    assert daily == b"2" or [there[name] for name in beside] == [b"1", b"1"]
    assert there["2025-10-20.json"] == b"1" or [there[name] for name in beside] == [b"2", b"2"]
    assert "part-0000.parquet" in there or there["2025-10-20.json"] == b"2"
    minutes = [there.get(f"1m/{name}") for name in ("2025-10-20.parquet", *beside)]
    assert minutes[0] is None or minutes[0] == daily
    assert minutes[2] is None or minutes == [daily] * 3
    with staged(in_store, series_of(in_store), [DAY], rooms) as local:
        write_day(local.config.layout, b"2")
    assert set(content(in_store).values()) == {b"2"}
    assert len(content(in_store)) == 6


def content(lake: Config) -> dict[str, bytes]:
    """All bars in the store, by name, minutes after `1m/`."""
    store = identity.opened(lake)
    return {
        ("1m/" if top == "bars" else "") + key.rpartition("/")[2]: store.read(key) or b""
        for top in ("parquet", "bars")
        for key in store.entries(top)
    }


def test_checksums_of_what_lies_in_the_store_are_those_of_what_was_made(
    around_midnight: Config, duck: Duck, tmp_path: Path
) -> None:
    lake = stored(around_midnight, tmp_path)
    put(lake, around_midnight.layout.base)
    work(duck, lake, [DAY])
    daily = tmp_path / "store" / lake.layout.daily(*WHERE, DAY).relative_to(lake.layout.base)
    assert checksums.damage(daily, lake.layout.checksum(daily)) is None


def test_a_day_is_proved_in_a_store_as_in_a_plain_lake_and_questions_see_it(
    lake: Config, duck: Duck, tmp_path: Path
) -> None:
    plain = Series(lake, *WHERE)
    proved_market.record(duck, plain, is_lost=lambda number: 300 < number < 310)
    in_store = stored(lake, tmp_path)
    put(in_store, lake.layout.base, ("raw", "parquet", "bars", "ticks", "depth", "book"))
    rooms = Rooms.DEPTH | Rooms.TICKS | Rooms.BARS | Rooms.MINUTES
    with staged(in_store, series_of(in_store), [DAY], rooms) as local:
        daily.prove_all(duck, local.series, DAY)
    daily.prove(duck, plain, DAY)
    for folder in ("parquet", "bars", "proof"):
        here = {path.name: path.read_bytes() for path in (lake.layout.base / folder).rglob("*.*")}
        there = {path.name: path.read_bytes() for path in (tmp_path / "store" / folder).rglob("*.*")}
        assert here == there
    question = "SELECT DISTINCT quote_source FROM bars_1s ORDER BY 1"
    with brought(in_store, question) as config:
        views.create(duck, config)
        assert duck.execute(question).fetchall() == [("book",), ("received",)]


def write_proved_day(layout: Layout) -> None:
    """What a proof leaves, in small: another daily file, its minutes, and then itself."""
    write_day(layout, b"2")
    publish.write(layout.proof(*WHERE, DAY), b"2")


@pytest.mark.parametrize("steps", range(1, 10))
def test_wherever_a_run_dies_no_proof_stands_beside_a_daily_file_without_it(
    in_store: Config, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    rooms = Rooms.BARS | Rooms.MINUTES
    with staged(in_store, series_of(in_store), [DAY], rooms) as local:
        write_day(local.config.layout, b"1")
    with monkeypatch.context() as patch:
        dying_after(patch, steps)
        with pytest.raises(Dead), staged(in_store, series_of(in_store), [DAY], rooms) as local:
            write_proved_day(local.config.layout)
    if identity.opened(in_store).entries("proof"):
        assert content(in_store)["2025-10-20.parquet"] == b"2"
