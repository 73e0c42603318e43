"""A lake written before symbols had journals of their own opens, is asked and is extended, without a conversion."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from crypto_lake import config
from crypto_lake.ask import views
from crypto_lake.completeness import holes
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.raw import journal
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.schema import BAR
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, minutes, plan, ticks, verify
from crypto_lake_tests import older_lake
from crypto_lake_tests.older_lake import AFTER, DAYS, NOW, SYMBOLS

Duck = duckdb.DuckDBPyConnection


@pytest.fixture
def older(tmp_path: Path) -> Config:
    return config.load(older_lake.unpack(tmp_path))


@pytest.fixture
def expected(older: Config) -> dict[str, Any]:
    """What the code that wrote the lake said of it."""
    return dict(json.loads((older.layout.base.parent / "expected.json").read_text()))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The lake extended, with bars, daily files and ticks of all its days; to be looked at alone."""
    lake = config.load(older_lake.unpack(tmp_path_factory.mktemp("older")))
    older_lake.extend(lake)
    with parquet.connect() as duck:
        finish(duck, lake)
    return lake


def series_of(lake: Config) -> list[Series]:
    return [Series(lake, "binance", symbol) for symbol in SYMBOLS]


def finish(duck: Duck, lake: Config) -> None:
    for day in DAYS:
        for series in series_of(lake):
            bars.build_day(duck, series, day, AFTER)
            daily.compact(duck, series, day, AFTER)
            ticks.make(duck, series, day, AFTER)


def test_its_bars_are_found_as_they_were(duck: Duck, older: Config, expected: dict[str, Any]) -> None:
    views.create(duck, older)
    rows = duck.execute(
        """SELECT symbol, window_start::DATE::VARCHAR, count(*), sum(trade_count)::BIGINT,
                  sum(quote_count)::BIGINT, count(*) FILTER (observed)
           FROM bars_1m GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    assert rows == [tuple(row) for row in expected["rows"]]


def test_nothing_of_it_becomes_stale_that_was_not(
    duck: Duck, older: Config, expected: dict[str, Any]
) -> None:
    for series in series_of(older):
        found = [str(day) for day in plan.stale_days(duck, series, None, NOW)]
        assert found == expected["stale"][series.symbol]
        for day in DAYS:
            is_stale = plan.is_stale(duck, series, day, NOW)
            assert is_stale == expected["is_stale"][f"{series.symbol} {day}"]


def test_its_holes_are_those_that_it_had(duck: Duck, older: Config, expected: dict[str, Any]) -> None:
    found = {
        f"{series.symbol} {day}": [msgspec.to_builtins(hole) for hole in holes.find(duck, series, day, NOW)]
        for series in series_of(older)
        for day in DAYS
    }
    assert found == expected["holes"]


def test_its_segments_are_read_against_the_checksums_in_its_journals(
    older: Config, expected: dict[str, Any]
) -> None:
    looks = list(verify.raw_looks(older, verify.raw_folders(Series.known(older))))
    sums = [sum(one.read for one in looks), sum(one.without for one in looks)]
    assert [*sums, sum(len(one.damages) for one in looks)] == expected["verify"]


def _every_other_moved(lake: Config) -> None:
    """Let every other record of a symbol lie in its own journal."""
    diary = JournalWriter(lake.layout, "binance")
    for day in DAYS:
        path = diary.path(day)
        kept = []
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True)):
            record = msgspec.json.decode(line, type=journal.AnyRecord)
            if isinstance(record, journal.SymbolRecord) and number % 2:
                diary.write(record, day)
            else:
                kept.append(line)
        path.write_bytes(b"".join(kept))


def test_wherever_its_records_lie_the_same_bars_and_holes_come_out(
    duck: Duck, older: Config, finished: Config
) -> None:
    _every_other_moved(older)
    older_lake.extend(older)
    finish(duck, older)
    for series, same in zip(series_of(finished), series_of(older), strict=True):
        for day in DAYS:
            for path in (finished.layout.daily("binance", series.symbol, day), *series_ticks(series, day)):
                twin = older.layout.base / path.relative_to(finished.layout.base)
                assert twin.read_bytes() == path.read_bytes()
            manifest = finished.layout.manifest(finished.layout.daily("binance", series.symbol, day))
            twin = older.layout.base / manifest.relative_to(finished.layout.base)
            assert twin.read_bytes() == manifest.read_bytes()
            assert holes.find(duck, same, day, AFTER) == holes.find(duck, series, day, AFTER)


def series_ticks(series: Series, day: date) -> list[Path]:
    """A day's ticks and their manifest."""
    kinds = [series.layout.ticks("binance", series.symbol, kind, day) for kind in ("trades", "quotes")]
    return [*kinds, series.layout.ticks_manifest("binance", series.symbol, day)]


def test_new_records_of_a_symbol_lie_in_its_own_journal_and_the_old_ones_where_they_were(
    older: Config,
) -> None:
    before = {day: older.layout.journal("binance", day).read_bytes() for day in DAYS}
    older_lake.extend(older)
    for day in DAYS:
        added = older.layout.journal("binance", day).read_bytes().removeprefix(before[day])
        assert b'"symbol"' not in added
    own = {
        (symbol, day): list(journal.read(older.layout.symbol_journal("binance", symbol, day)))
        for symbol in SYMBOLS
        for day in DAYS
    }
    assert {type(one) for one in own["BTCUSDT", DAYS[0]]} == {journal.Displaced}
    assert {type(one) for one in own["SOLUSDT", DAYS[2]]} == {journal.Sealed}


def test_the_journal_that_symbols_share_is_parsed_once_and_no_other_symbols_own_is_opened(
    duck: Duck, older: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    older_lake.extend(older)
    parsed: list[Path] = []

    def counted(path: Path, content: bytes) -> list[journal.AnyRecord]:
        parsed.append(path)
        return records(path, content)

    records = journal.records
    monkeypatch.setattr(journal, "records", counted)
    first, second = series_of(older)
    for series in (first, second):
        Recording(duck, series).around(DAYS[2])
        own = [path for path in parsed if path.parent.name != "_journal"]
        assert {path.parent.parent.name for path in own} == {series.symbol}
        parsed[:] = [path for path in parsed if path.parent.name == "_journal"]
    assert len(parsed) == len(set(parsed))


def test_its_finished_days_get_minutes_that_say_what_their_bars_say(duck: Duck, older: Config) -> None:
    days = [(one, day) for one in series_of(older) for day in one.layout.daily_days("binance", one.symbol)]
    assert set(minutes.lacking(series_of(older))) == {day for _, day in days} == set(DAYS[:2])
    assert minutes.complete(duck, series_of(older)) == len(days)
    views.create(duck, older)
    for series, day in days:
        scan = parquet.scan([older.layout.minutes("binance", series.symbol, day)])
        # Without the columns of days that have a proof.
        columns = ", ".join(column.name for column in BAR)
        before = (
            f"SELECT {columns} FROM bars_1m WHERE symbol = '{series.symbol}' AND window_start::DATE = '{day}'"
        )
        differing = f"(FROM {scan} EXCEPT ALL {before}) UNION ALL ({before} EXCEPT ALL FROM {scan})"
        assert duck.execute(f"SELECT count(*) FROM ({differing})").fetchall() == [(0,)]
        assert parquet.row_count(older.layout.minutes("binance", series.symbol, day)) == 1440


def test_extended_it_has_the_bars_that_the_code_before_made(
    duck: Duck, finished: Config, expected: dict[str, Any]
) -> None:
    for series in series_of(finished):
        for day in DAYS:
            path = finished.layout.daily("binance", series.symbol, day)
            made_from = json.loads(finished.layout.manifest(path).read_text())["made_from"]
            assert made_from == expected["extended"][f"{series.symbol} {day}"]["made_from"]
            before = parquet.scan(
                [finished.layout.base.parent / "extended" / f"{series.symbol}_{day}.parquet"]
            )
            now = parquet.scan([path])
            differing = (
                f"(FROM {now} EXCEPT ALL FROM {before}) UNION ALL (FROM {before} EXCEPT ALL FROM {now})"
            )
            assert duck.execute(differing).fetchall() == []
            kept = json.loads(finished.layout.ticks_manifest("binance", series.symbol, day).read_text())
            assert kept["made_from"] == expected["ticks"][f"{series.symbol} {day}"]["made_from"]
