"""A damaged file of bars, or of candles, is made anew from what there is, and keeps nothing else from its work."""

from pathlib import Path

import duckdb
import msgspec
import pytest

from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.checks.subject import Subject
from crypto_lake.completeness import candles, holes
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError
from crypto_lake.layout import DAY_US, day_of
from crypto_lake.pages import preview
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, plan
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection
NEXT = day_of(START + DAY_US)


def spoil_pages(path: Path) -> None:
    """Damage the values of a Parquet file; its footer stays whole."""
    content = bytearray(path.read_bytes())
    size = int.from_bytes(content[-8:-4], "little") + 8
    content[4:-size] = b"\xa5" * (len(content) - size - 4)
    path.write_bytes(content)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _random(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


damages = pytest.mark.parametrize("damage", [_empty, _random, spoil_pages], ids=["empty", "random", "pages"])


def two_days(duck: Duck, series: Series) -> None:
    """Two days, of which the first is compacted."""
    land(series.config, [trade(1, START + HOUR), quote(1, START + HOUR), trade(2, START + 2 * HOUR)])
    land(series.config, [trade(3, START + DAY_US + HOUR)], NEXT)
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)


@pytest.fixture
def finished(made: Made, series: Series) -> Series:
    """The two days, to damage."""
    return made(series, two_days)


@damages
def test_a_damaged_daily_file_is_replaced_by_what_is_made_anew(
    duck: Duck, finished: Series, damage: object
) -> None:
    path = finished.layout.daily("binance", SYMBOL, DAY)
    before = path.read_bytes()
    damage(path)  # type: ignore[operator]
    assert len(bars.build_day(duck, finished, DAY, LATER).rebuilt) == 24
    assert len(finished.layout.bar_files("binance", SYMBOL, DAY)) == 24
    daily.compact(duck, finished, DAY, LATER)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [_empty, _random], ids=["empty", "random"])
def test_a_day_whose_daily_file_cannot_be_read_is_stale_though_all_parts_are_there(
    duck: Duck, finished: Series, damage: object
) -> None:
    path = finished.layout.daily("binance", SYMBOL, DAY)
    bad = path.read_bytes()
    path.unlink()
    bars.build_day(duck, finished, DAY, LATER)
    path.write_bytes(bad)
    damage(path)  # type: ignore[operator]
    assert plan.stale_days(duck, finished, [DAY], LATER) == [DAY]


@damages
def test_the_day_after_one_that_cannot_be_read_is_made_all_the_same(
    duck: Duck, finished: Series, damage: object
) -> None:
    carried = plan.carry_before(duck, finished, NEXT)
    path = finished.layout.daily("binance", SYMBOL, DAY)
    damage(path)  # type: ignore[operator]
    assert plan.carry_before(duck, finished, NEXT) == carried
    assert len(bars.build_day(duck, finished, NEXT, LATER).rebuilt) == 24


@damages
def test_without_any_memory_of_it_the_day_before_is_looked_at(
    duck: Duck, finished: Series, damage: object
) -> None:
    path = finished.layout.daily("binance", SYMBOL, DAY)
    damage(path)  # type: ignore[operator]
    finished.layout.manifest(path).unlink()
    assert plan.carry_before(duck, finished, NEXT) == plan.Carry()


def test_a_part_whose_pages_are_damaged_is_made_anew(duck: Duck, finished: Series) -> None:
    bars.build_day(duck, finished, NEXT, LATER)
    part = finished.layout.part("binance", SYMBOL, NEXT, 1)
    before = part.read_bytes()
    spoil_pages(part)
    with pytest.raises(LakeError, match=r"part-0001\.parquet: damaged"):
        daily.compact(duck, finished, NEXT, LATER)
    assert bars.build_day(duck, finished, NEXT, LATER).rebuilt == [1]
    assert part.read_bytes() == before


def test_damaged_pages_are_told_in_one_line_with_the_name_of_the_file(duck: Duck, finished: Series) -> None:
    spoil_pages(finished.layout.daily("binance", SYMBOL, DAY))
    with pytest.raises(LakeError, match=rf"{DAY}\.parquet: damaged") as told:
        holes.find(duck, finished, DAY, LATER)
    assert "\n" not in str(told.value)
    assert preview.of_day(duck, Series.recorded(finished.config), DAY, 1) == []


def test_candles_whose_pages_are_damaged_are_not_finished(lake: Config) -> None:
    path = lake.layout.candles("binance", SYMBOL, DAY)
    path.parent.mkdir(parents=True)
    parquet.write_table(
        candles.table(SYMBOL, []), path, "zstd", footer={"complete": True, "rows": 0, "missing": 1440}
    )
    assert candles.finished(path)
    with duckdb.connect() as duck:
        footer = {"complete": True, "rows": 1, "missing": 1439}
        parquet.write(duck, "SELECT range AS x FROM range(1000)", path, "zstd", footer=footer)
    assert candles.finished(path)
    spoil_pages(path)
    assert candles.finished(path) is None


def test_what_is_still_to_come_is_not_made_whatever_the_journal_says(duck: Duck, series: Series) -> None:
    now = START + 10 * HOUR + 30 * SECOND
    lines = [trade(1, START + 10 * HOUR), trade(2, START + 10 * HOUR + 10 * SECOND)]
    record = sealed(land(series.config, lines), lines, [(START + 10 * HOUR, START + 11 * HOUR)])
    notes = JournalWriter(series.layout, "binance")
    notes.write(record, DAY)
    notes.write(
        msgspec.structs.replace(record, segment=None, listened=[(START + 20 * HOUR, START + 21 * HOUR)]), DAY
    )
    bars.build_day(duck, series, DAY, now)
    paths = series.layout.parts("binance", SYMBOL, DAY)
    (last,) = duck.execute(f"SELECT max(epoch_us(window_start)) FROM {parquet.scan(paths)}").fetchall()[0]
    assert last < now


def test_the_events_of_a_record_that_its_lines_do_not_bear_out_bring_no_days(
    duck: Duck, series: Series
) -> None:
    lines = [trade(1, START + 10 * HOUR), trade(2, START + 10 * HOUR + 10 * SECOND)]
    path = land(series.config, lines)
    record = sealed(path, lines, [(START + 10 * HOUR, START + 10 * HOUR + 20 * SECOND)])
    JournalWriter(series.layout, "binance").write(
        msgspec.structs.replace(record, event_to=START + 3000 * DAY_US), DAY
    )
    assert Recording(duck, series).event_days(DAY) == {DAY}
    path.write_bytes(path.read_bytes().replace(b"trade", b"tr\xffde"))
    assert Recording(duck, series).event_days(DAY) == {DAY}


@damages
def test_a_day_beside_one_that_cannot_be_read_is_looked_at_all_the_same(
    duck: Duck, finished: Series, damage: object
) -> None:
    bars.build_day(duck, finished, NEXT, LATER)
    damage(finished.layout.part("binance", SYMBOL, NEXT, 1))  # type: ignore[operator]
    assert holes.find(duck, finished, DAY, LATER) == []
    assert Subject(duck, finished, DAY, LATER, [], ExchangeCandles()).trade_id_after() is None
