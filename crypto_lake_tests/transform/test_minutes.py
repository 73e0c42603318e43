"""A finished day has a file of its minutes: what the views say of its seconds, made with the daily file or later."""

import hashlib
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import msgspec
import pytest

from crypto_lake.ask import views
from crypto_lake.config import Transformer
from crypto_lake.disk import parquet, publish
from crypto_lake.errors import LakeError
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import TradeLine
from crypto_lake.schema import BAR, names
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, minutes
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection
MINUTE = 60 * SECOND
NEXT = DAY + timedelta(days=1)
# Two hours of which the second is not listened to for a while; many trades in one minute, none in most.
LINES = [
    *(trade(n, START + n * 7 * SECOND // 2, f"{190 + n % 7}.1{n % 10}", f"0.{n}1") for n in range(1, 60)),
    *(quote(n, START + n * 11 * SECOND, f"{190 + n % 5}.10") for n in range(1, 300)),
    trade(60, START + 2 * HOUR - SECOND, "191.5", "1000000.00000001", "sell"),
]


def compacted(duck: Duck, series: Series, days: int = 1) -> None:
    """A day of these lines, and days after it on which nothing came, in daily files."""
    path = land(series.config, LINES)
    heard = [(START, START + HOUR + 90 * SECOND), (START + HOUR + 100 * SECOND, START + 2 * HOUR + SECOND)]
    JournalWriter(series.layout, "binance").write(sealed(path, LINES, heard), DAY)
    for day in (DAY + timedelta(days=n) for n in range(days)):
        land(series.config, [trade(100 + day.day, START + (24 * (day - DAY).days + 12) * HOUR)], day)
        bars.build_day(duck, series, day, LATER)
        daily.compact(duck, series, day, LATER)


@pytest.fixture
def finished(made: Made, series: Series) -> Series:
    """The one day."""
    return made(series, compacted)


def path_of(series: Series, day: date = DAY) -> Path:
    return series.layout.minutes("binance", SYMBOL, day)


def files(series: Series) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in path_of(series).parent.iterdir()}


def test_a_days_minutes_are_those_that_are_added_up_of_its_seconds(duck: Duck, finished: Series) -> None:
    views.resample(duck, finished.config, parquet.scan([finished.layout.daily("binance", SYMBOL, DAY)]))
    shown = f"SELECT {', '.join(names(BAR))} FROM resampled(60000000) ORDER BY window_start"
    wanted = duck.execute(shown).fetchall()
    found = duck.execute(f"FROM {parquet.scan([path_of(finished)])}").fetchall()
    assert found == wanted
    assert len(found) == 1440
    assert [sum(bar[names] for bar in found) for names in (11, 12)] == [61, 299]
    assert [n for n, bar in enumerate(found[:120]) if not bar[18]] == [61]
    assert parquet.schema_differences(path_of(finished)) == []


def test_volumes_of_a_minute_are_those_of_its_trades_added_in_decimal(duck: Duck, finished: Series) -> None:
    columns = "volume_base, volume_quote, taker_buy_base, first_trade_id, last_trade_id"
    (found,) = duck.execute(f"SELECT {columns} FROM {parquet.scan([path_of(finished)])} LIMIT 1").fetchall()
    trades = [line for line in LINES if isinstance(line, TradeLine) and line.ts_event < START + MINUTE]
    base = [Decimal(line.qty) for line in trades]
    value = sum(qty * Decimal(line.price) for qty, line in zip(base, trades, strict=True))
    assert found == (float(sum(base)), float(value), float(sum(base)), 1, trades[-1].id)


def test_the_manifest_names_the_daily_file_that_they_were_made_from(finished: Series) -> None:
    path = path_of(finished)
    said = msgspec.json.decode(finished.layout.manifest(path).read_bytes())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    made_from = hashlib.sha256(finished.layout.daily("binance", SYMBOL, DAY).read_bytes()).hexdigest()
    assert (said["rows"], said["made_from"], said["sha256"]) == (1440, made_from, digest)
    assert finished.layout.checksum(path).read_bytes() == f"{digest}  2025-10-20.parquet\n".encode()


def _remove(path: Path) -> None:
    path.unlink()


def _flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_remove, _flip, _empty])
@pytest.mark.parametrize("which", ["2025-10-20.parquet", "2025-10-20.parquet.sha256", "2025-10-20.json"])
def test_minutes_that_are_damaged_or_gone_are_made_anew_by_the_next_compaction(
    duck: Duck, finished: Series, damage: object, which: str
) -> None:
    before = files(finished)
    damage(path_of(finished).with_name(which))  # type: ignore[operator]
    daily.compact(duck, finished, DAY, LATER)
    assert files(finished) == before


def test_minutes_that_are_in_line_are_left_alone(duck: Duck, finished: Series) -> None:
    stamps = {path: path.stat().st_mtime_ns for path in path_of(finished).parent.iterdir()}
    assert not minutes.make(duck, finished, DAY)
    daily.compact(duck, finished, DAY, LATER)
    assert {path: path.stat().st_mtime_ns for path in path_of(finished).parent.iterdir()} == stamps


def test_late_data_flows_into_a_days_minutes(duck: Duck, finished: Series) -> None:
    land(finished.config, [trade(900, START + 5 * HOUR, "200")])
    bars.build_day(duck, finished, DAY, LATER)
    daily.compact(duck, finished, DAY, LATER)
    scan = parquet.scan([path_of(finished)])
    assert duck.execute(f"SELECT trade_count FROM {scan} OFFSET 300 LIMIT 1").fetchall() == [(1,)]


def test_minutes_of_another_daily_file_or_by_other_code_are_outdated(duck: Duck, finished: Series) -> None:
    before, manifest = files(finished), finished.layout.manifest(path_of(finished))
    for said in ({"made_from": "0" * 64}, {"version": 0}):
        assert list(minutes.outdated([finished])) == []
        manifest.write_bytes(msgspec.json.encode(msgspec.json.decode(manifest.read_bytes()) | said))
        assert list(minutes.outdated([finished])) == [DAY]
        daily.compact(duck, finished, DAY, LATER)
        assert files(finished) == before


def test_no_minutes_are_there_while_another_daily_file_takes_its_place(
    duck: Duck, finished: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a crash leaves, minutes never stand beside a daily file that they were not made from."""
    land(finished.config, [trade(900, START + 5 * HOUR, "200")])
    bars.build_day(duck, finished, DAY, LATER)
    replace, there = publish.replace, []

    def looked(source: Path, target: Path) -> None:
        there.append((target.relative_to(finished.layout.base).parts[0], path_of(finished).exists()))
        replace(source, target)

    monkeypatch.setattr(publish, "replace", looked)
    daily.compact(duck, finished, DAY, LATER)
    assert there == [
        *[("parquet", False)] * 3,
        ("bars", False),
        *[("bars", True)] * 2,
    ]


@pytest.mark.parametrize("name", ["2025-10-20.parquet", "2025-10-20.parquet.sha256", "2025-10-20.json"])
def test_a_crash_before_a_days_minutes_are_complete_is_mended_by_the_next_run(
    duck: Duck, finished: Series, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole = files(finished)
    minutes.forget(finished, DAY)
    replace = publish.replace

    def crash(source: Path, target: Path) -> None:
        if target == path_of(finished).with_name(name):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(publish, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        daily.compact(duck, finished, DAY, LATER)
    monkeypatch.undo()
    assert list(minutes.lacking([finished])) == [DAY]
    daily.compact(duck, finished, DAY, LATER)
    assert files(finished) == whole


def test_days_compacted_before_get_their_minutes_by_any_compaction_that_comes(
    duck: Duck, made: Made, series: Series
) -> None:
    made(series, compacted, days=3)
    before = files(series)
    for path in path_of(series).parent.iterdir():
        path.unlink()
    assert list(minutes.lacking([series])) == [DAY + timedelta(days=n) for n in (2, 1, 0)]
    assert minutes.complete(duck, [series]) == 3
    assert files(series) == before
    assert list(minutes.lacking([series])) == []


def _put_back(duck: Duck, series: Series) -> dict[str, bytes]:
    """Late data came to the first of these days, whose daily file was then put back from a copy; its minutes then."""
    daily_file = series.layout.daily("binance", SYMBOL, DAY)
    beside = [daily_file, series.layout.checksum(daily_file), series.layout.manifest(daily_file)]
    copy, before = {path: path.read_bytes() for path in beside}, files(series)
    land(series.config, [trade(900, START + 5 * HOUR, "200")])
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    for path, content in copy.items():
        path.write_bytes(content)
    assert files(series) != before
    return before


def test_minutes_of_a_daily_file_that_was_put_back_are_made_anew_by_any_compaction_that_comes(
    duck: Duck, made: Made, series: Series
) -> None:
    made(series, compacted, days=3)
    before = _put_back(duck, series)
    assert minutes.complete(duck, [series]) == 1
    assert files(series) == before
    assert minutes.complete(duck, [series]) == 0


def test_of_days_that_are_older_than_the_last_ones_only_those_without_minutes_are_looked_for(
    duck: Duck, made: Made, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(minutes, "_NEWEST", 2)
    made(series, compacted, days=3)
    _put_back(duck, series)
    assert minutes.complete(duck, [series]) == 0
    assert list(minutes.outdated([series])) == [DAY]


def test_a_damaged_daily_file_is_told_and_keeps_no_other_day_from_its_minutes(
    duck: Duck, made: Made, series: Series
) -> None:
    made(series, compacted, days=2)
    for path in path_of(series).parent.iterdir():
        path.unlink()
    _flip(series.layout.daily("binance", SYMBOL, NEXT))
    with pytest.raises(LakeError, match=r"2025-10-21.parquet: has the checksum .*; make its day anew"):
        daily.compact(duck, series, NEXT, LATER)
    assert minutes.complete(duck, [series]) == 1
    assert path_of(series).exists()
    assert not path_of(series, NEXT).exists()


@pytest.mark.parametrize(("step", "count"), [(5, 1440), (60, 1440), (40, None), (300, None)])
def test_bars_that_do_not_make_up_minutes_have_no_file_of_them(
    duck: Duck, series: Series, step: int, count: int | None
) -> None:
    settings = msgspec.structs.replace(series.config, transformer=Transformer(resample_interval_sec=step))
    of_steps = Series(settings, "binance", SYMBOL)
    compacted(duck, of_steps)
    path = path_of(of_steps)
    assert (parquet.row_count(path) if path.exists() else None) == count
    assert list(minutes.lacking([of_steps])) == []
    if count:
        scan = parquet.scan([path])
        assert duck.execute(f"SELECT count(*) FILTER (observed) > 0 FROM {scan}").fetchall() == [(True,)]
