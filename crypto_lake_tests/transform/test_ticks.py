"""Ticks say what the raw lines say, each once, and can stand for them."""

import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake import sql
from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import LakeError, RawDataError
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.kept import Kept, read_kept
from crypto_lake.raw.lines import RawLine
from crypto_lake.schema import QUOTE, TRADE
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, tick_hours, ticks
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, sealed, trade

Duck = duckdb.DuckDBPyConnection
LINES = [trade(n, START + n * 3 * HOUR + n, f"{100 + n}.25000000") for n in range(1, 7)] + [
    quote(10 * n, START + n * 3 * HOUR + n + 90_000, f"{100 + n}.24000000", f"{100 + n}.26000000")
    for n in range(1, 7)
]


def make(duck: Duck, series: Series) -> ticks.Ticks:
    done = ticks.make(duck, series, DAY, LATER)
    assert done
    return done


def with_ticks(duck: Duck, series: Series) -> None:
    """The day of these lines, in ticks."""
    land(series.config, LINES)
    make(duck, series)


def rows(duck: Duck, path: Path, columns: str) -> list[tuple[object, ...]]:
    return duck.execute(f"SELECT {columns} FROM {parquet.scan([path])}").fetchall()


def test_trades_are_those_of_the_raw_lines_in_order_and_once_each(duck: Duck, series: Series) -> None:
    land(series.config, [*LINES, *LINES[:2]])
    land(series.config, LINES[3:5])
    done = make(duck, series)
    expected = [
        (line.id, line.ts_event, line.ts_recv, line.price, line.qty, line.side)
        for line in LINES
        if line.price
    ]
    columns = "id, epoch_us(ts_event), epoch_us(ts_recv), price::VARCHAR, qty::VARCHAR, side"
    assert rows(duck, done.paths["trades"], columns) == expected
    assert done.rows == {"trades": 6, "quotes": 6}


def test_quotes_are_on_the_exchanges_clock_and_keep_their_receipt(duck: Duck, series: Series) -> None:
    land(series.config, LINES)
    done = make(duck, series)
    numbers = ", ".join(f"{name}::VARCHAR" for name in ("bid", "bid_qty", "ask", "ask_qty"))
    columns = f"id, epoch_us(ts_event), epoch_us(ts_recv), {numbers}"
    assert rows(duck, done.paths["quotes"], columns) == [
        (line.id, line.ts_recv - 80_000, line.ts_recv, line.bid, line.bid_qty, line.ask, line.ask_qty)
        for line in LINES
        if line.bid
    ]


def test_the_files_have_the_declared_columns_and_a_checksum_that_fits(duck: Duck, series: Series) -> None:
    land(series.config, LINES)
    for kind, path in make(duck, series).paths.items():
        assert parquet.schema_differences(path, {"trades": TRADE, "quotes": QUOTE}[kind]) == []
        text = series.layout.checksum(path).read_text(encoding="ascii")
        assert text == f"{checksums.of(path)}  {path.name}\n"


def test_a_trade_received_after_midnight_is_in_the_day_it_happened_on(duck: Duck, series: Series) -> None:
    land(
        series.config, [trade(1, START + 24 * HOUR - 1, recv=START + 24 * HOUR + 5)], DAY + timedelta(days=1)
    )
    assert make(duck, series).rows["trades"] == 1
    following = ticks.make(duck, series, DAY + timedelta(days=1), LATER)
    assert following is None or following.rows["trades"] == 0


def test_a_second_run_writes_nothing_and_a_late_segment_makes_them_anew(duck: Duck, series: Series) -> None:
    land(series.config, LINES)
    assert make(duck, series).rewritten
    assert not make(duck, series).rewritten
    land(series.config, [trade(7, START + 20 * HOUR)], kind="heal")
    assert (make(duck, series).rewritten, make(duck, series).rows["trades"]) == (True, 7)


@pytest.fixture
def whole(made: Made, series: Series) -> dict[str, bytes]:
    """The files of these lines in one segment."""
    layout = made(series, with_ticks).layout
    return {table: layout.ticks("binance", SYMBOL, table, DAY).read_bytes() for table in ("trades", "quotes")}


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(LINES), st.integers(1, len(LINES) - 1))
def test_their_bytes_depend_on_the_market_data_alone(
    duck: Duck, series: Series, whole: dict[str, bytes], lines: list[RawLine], cut: int
) -> None:
    shutil.rmtree(series.layout.base)
    land(series.config, lines[:cut])
    land(series.config, [*lines[cut:], lines[0]])
    assert {kind: path.read_bytes() for kind, path in make(duck, series).paths.items()} == whole


def _crowded() -> list[RawLine]:
    """Three hours whose lines meet at the borders: copies, ids with two contents, and quotes that came late."""
    found: list[RawLine] = []
    for n in range(120):
        at = START + (2 + n % 3) * HOUR + (n - 60) * SECOND // 20
        found.append(trade(n, at, recv=at + 80_000 + n % 7))
        found.append(quote(3 * n, at + 80_000 + (n % 5) * 400_000))
    twice = [msgspec.structs.replace(line, ts_recv=line.ts_recv + 5) for line in found[::9]]
    again = [msgspec.structs.replace(line, price="7.00000000") for line in found[::14]]
    return sorted([*found, *twice, *again], key=lambda line: line.ts_recv)


@pytest.mark.parametrize("told", [False, True], ids=["in order", "late"])
def test_their_bytes_do_not_tell_how_many_hours_were_made_at_once(
    duck: Duck, series: Series, monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    lines = _crowded()
    for begin in range(0, len(lines), 50):
        land(series.config, lines[begin : begin + 50])
    if told:
        for hour in (2, 4):
            late = journal.Late(at=START + hour * HOUR + 1, symbol=SYMBOL, id=1, after=2)
            JournalWriter(series.layout, "binance").write(late, DAY)
    found = []
    for at_once in (0, 20_000, 32_000_000):
        monkeypatch.setattr(tick_hours, "_AT_ONCE", at_once)
        shutil.rmtree(series.layout.base / "ticks", ignore_errors=True)
        made = make(duck, series)
        manifest = series.layout.ticks_manifest("binance", SYMBOL, DAY).read_bytes()
        found.append([manifest, *(path.read_bytes() for path in made.paths.values())])
        assert not series.layout.ticks_staging("binance", SYMBOL).exists()
    assert found[0] == found[1] == found[2]


def test_a_journal_that_says_wrongly_that_no_line_is_there_twice_is_no_reason_to_fail(
    duck: Duck, series: Series
) -> None:
    for number, lines in enumerate((LINES[:3], LINES[3:])):
        some = [*lines, LINES[-1]]
        path = land(series.config, some)
        told = sealed(path, some, [])
        ids = msgspec.structs.replace(told, first_trade_id=10 * number + 1, last_trade_id=10 * number + 9)
        JournalWriter(series.layout, "binance").write(ids, DAY)
    assert make(duck, series).rows == {"trades": 6, "quotes": 6}


def test_a_day_in_progress_is_refused(duck: Duck, series: Series) -> None:
    land(series.config, LINES)
    with pytest.raises(LakeError, match="is not over"):
        ticks.make(duck, series, DAY, START + 23 * HOUR)


def test_what_is_no_raw_line_leaves_no_ticks(duck: Duck, series: Series) -> None:
    land(series.config, LINES).write_bytes(b'{"stream":"depth"}\n')
    with pytest.raises(RawDataError):
        ticks.make(duck, series, DAY, LATER)
    assert list(ticks.all_paths(series)) == []


def test_ticks_that_differ_from_the_raw_lines_are_not_published(
    duck: Duck, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(series.config, LINES)
    text = sql._text
    monkeypatch.setattr(sql, "_text", lambda name: text(name).replace("    qty,\n", "    qty + 1 AS qty,\n"))
    with pytest.raises(LakeError, match="ticks differ from the raw lines"):
        ticks.make(duck, series, DAY, LATER)
    assert list(ticks.all_paths(series)) == []


def test_a_crash_before_the_manifest_is_mended_by_the_next_run(
    duck: Duck, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(series.config, LINES)
    write = publish.write

    def die_at_the_manifest(path: Path, content: bytes) -> None:
        if path.suffix == ".json":
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(publish, "write", die_at_the_manifest)
    with pytest.raises(OSError, match="No space"):
        ticks.make(duck, series, DAY, LATER)
    monkeypatch.setattr(publish, "write", write)
    assert read_kept(series.layout, "binance", SYMBOL, DAY) is None
    assert make(duck, series).rewritten
    assert not series.layout.ticks_staging("binance", SYMBOL).exists()


def whole_day(duck: Duck, series: Series) -> bytes:
    bars.build_day(duck, series, DAY, LATER)
    done = daily.compact(duck, series, DAY, LATER)
    assert done
    return done.path.read_bytes()


def test_without_their_segments_ticks_make_the_same_daily_file(duck: Duck, series: Series) -> None:
    land(series.config, LINES)
    before = whole_day(duck, series)
    make(duck, series)
    shutil.rmtree(series.layout.raw_symbol("binance", SYMBOL))
    shutil.rmtree(series.layout.bars_symbol("binance", SYMBOL))
    assert whole_day(duck, series) == before


def test_a_segment_that_comes_after_the_others_are_gone_flows_into_bars_and_ticks(
    duck: Duck, made: Made, series: Series
) -> None:
    made(series, with_ticks)
    shutil.rmtree(series.layout.raw_symbol("binance", SYMBOL))
    land(series.config, [trade(7, START + 20 * HOUR)], kind="heal")
    assert make(duck, series).rows == {"trades": 7, "quotes": 6}
    shutil.rmtree(series.layout.raw_symbol("binance", SYMBOL))
    bars.build_day(duck, series, DAY, LATER)
    scan = parquet.scan(series.layout.parts("binance", SYMBOL, DAY))
    assert duck.execute(f"SELECT sum(trade_count), sum(quote_count) FROM {scan}").fetchall() == [(7, 6)]
    assert not make(duck, series).rewritten


def test_segments_that_are_all_there_are_read_themselves(duck: Duck, series: Series) -> None:
    land(series.config, LINES)
    bars.build_day(duck, series, DAY, LATER)
    make(duck, series)
    assert bars.build_day(duck, series, DAY, LATER).rebuilt == []


def test_the_manifest_names_the_segments_and_the_listening(duck: Duck, series: Series) -> None:
    path = land(series.config, [trade(1, START + SECOND), trade(2, START + 9 * SECOND)])
    make(duck, series)
    text = series.layout.ticks_manifest("binance", SYMBOL, DAY).read_bytes()
    kept = msgspec.json.decode(text, type=Kept)
    assert kept.segments == [(f"2025-10-20/{path.name}", path.stat().st_size)]
    assert (kept.listened, kept.trade_ids) == ([(START + SECOND, START + 9 * SECOND)], (1, 2))


def test_a_manifest_from_before_it_told_who_listened_gains_that_and_its_ticks_stay(
    duck: Duck, series: Series
) -> None:
    land(series.config, LINES)
    make(duck, series)
    path = series.layout.ticks_manifest("binance", SYMBOL, DAY)
    whole = path.read_bytes()
    told = msgspec.json.decode(whole)
    del told["heard"]
    path.write_bytes(msgspec.json.encode(told))
    assert not make(duck, series).rewritten
    assert path.read_bytes() == whole


@pytest.mark.parametrize("kind", ["trades", "quotes"])
def test_a_damaged_file_is_made_anew_from_the_raw_lines(
    duck: Duck, made: Made, series: Series, kind: str
) -> None:
    path = made(series, with_ticks).layout.ticks("binance", SYMBOL, kind, DAY)
    before = path.read_bytes()
    for damage in (
        before[:-1] + b"x",
        before[: len(before) // 2],
        b"",
        before.replace(before[40:60], b"?" * 20),
    ):
        path.write_bytes(damage)
        assert make(duck, series).rewritten
        assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [b"", None])
def test_a_damaged_file_that_stands_for_its_segments_is_told(
    duck: Duck, series: Series, damage: bytes | None
) -> None:
    segment = land(series.config, LINES)
    path = make(duck, series).paths["trades"]
    segment.unlink()
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    with pytest.raises(LakeError, match=r"2025-10-20\.\w+: .*; expected either whole: take one from a copy"):
        make(duck, series)


@pytest.mark.parametrize("content", [None, b"", b"\xff nothing", b"0" * 64 + b"  2025-10-20.parquet\n"])
def test_a_checksum_that_is_gone_or_damaged_is_noted_again(
    duck: Duck, series: Series, content: bytes | None
) -> None:
    land(series.config, LINES)
    made = make(duck, series)
    for path in made.paths.values():
        beside = series.layout.checksum(path)
        beside.unlink() if content is None else beside.write_bytes(content)
    assert not make(duck, series).rewritten
    for path in made.paths.values():
        assert checksums.damage(path, series.layout.checksum(path)) is None
