"""Hours that several recorders heard: the second is read where it is needed, and the bytes say nothing of who died."""

import random
import shutil
from collections import Counter
from pathlib import Path

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake import checks
from crypto_lake.config import Config, Transformer
from crypto_lake.disk import parquet
from crypto_lake.layout import HOUR_US, MINUTE_US
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.kept import read_kept
from crypto_lake.raw.lines import QuoteLine, RawLine, TradeLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, retention, ticks
from crypto_lake.transform.plan import Plan
from crypto_lake_tests.checks.days import run
from crypto_lake_tests.raw_lines import DAY, SECOND, START, SYMBOL, land, quote, trade
from crypto_lake_tests.two_recorders import OVER, Heard, finish, finished, lake_of, market, moved, write

Duck = duckdb.DuckDBPyConnection
# Two whole hours, and ten minutes before and after them.
FROM, TO = START + 50 * MINUTE_US, START + 3 * HOUR_US + 10 * MINUTE_US
EVENTS = market(FROM, TO, 20 * SECOND)
ALL = [(FROM, TO)]


@pytest.fixture
def lake(lake: Config) -> Config:
    """Bars of minutes: those of seconds cost the most, and are not what most of this is about."""
    return msgspec.structs.replace(lake, transformer=Transformer(resample_interval_sec=60))


def recorders_read(duck: Duck, series: Series) -> dict[int, set[str]]:
    """Whose files each hour of the day is read from, of the hours that have any; but for a few at its borders."""
    plan = Plan(Recording(duck, series).around(DAY), series, DAY, OVER)
    of_hours = {
        hour: Counter(name for one in plan.chosen(hour).sources for name in one.recorders)
        for hour in range(24)
    }
    return {hour: {name for name in found if found[name] > 3} for hour, found in of_hours.items() if found}


def rows(duck: Duck, series: Series, table: str, columns: str = "id") -> list[tuple[object, ...]]:
    path = series.layout.ticks("binance", SYMBOL, table, DAY)
    return duck.execute(f"SELECT {columns} FROM {parquet.scan([path])} ORDER BY id").fetchall()


def until(at: int) -> list[tuple[int, int]]:
    return [(FROM, at)]


def test_while_the_first_lacks_nothing_the_second_is_not_read(
    duck: Duck, lake: Config, tmp_path: Path
) -> None:
    both = lake_of(lake, tmp_path / "both", [Heard("a", ALL), Heard("b", ALL)], EVENTS)
    alone = lake_of(lake, tmp_path / "alone", [Heard("a", ALL)], EVENTS)
    # Of the first and the last hour nobody heard all.
    assert recorders_read(duck, both) == {0: {"a", "b"}, 1: {"a"}, 2: {"a"}, 3: {"a", "b"}}
    assert recorders_read(duck, alone) == {hour: {"a"} for hour in range(4)}
    assert finish(duck, both) == finish(duck, alone)


def test_from_the_hour_in_which_the_first_died_the_second_is_read_instead(
    duck: Duck, lake: Config, tmp_path: Path
) -> None:
    dead = Heard("a", until(START + HOUR_US + 10 * MINUTE_US))
    series = lake_of(lake, tmp_path / "lake", [dead, Heard("b", ALL)], EVENTS)
    assert recorders_read(duck, series) == {0: {"a", "b"}, 1: {"b"}, 2: {"b"}, 3: {"b"}}
    dead.listened = until(START + HOUR_US + 50 * MINUTE_US)
    late = Heard("b", [(START + HOUR_US + 10 * MINUTE_US, TO)])
    series = lake_of(lake, tmp_path / "lake", [dead, late], EVENTS)
    assert recorders_read(duck, series) == {0: {"a"}, 1: {"a", "b"}, 2: {"b"}, 3: {"b"}}


def test_the_second_is_read_where_the_first_lacks_a_trade(duck: Duck, lake: Config, tmp_path: Path) -> None:
    after = START + 2 * HOUR_US + 9 * MINUTE_US
    lost = next(line.id for at, line in EVENTS if at > after and isinstance(line, TradeLine))
    series = lake_of(
        lake, tmp_path / "lake", [Heard("a", ALL, misses=frozenset({lost})), Heard("b", ALL)], EVENTS
    )
    assert recorders_read(duck, series)[2] == {"b"}
    finish(duck, series)
    assert [number for (number,) in rows(duck, series, "trades")] == list(range(1, len(EVENTS) // 2 + 1))


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    death=st.tuples(st.sampled_from("ab"), st.integers(FROM, TO), st.none() | st.integers(0, 3 * HOUR_US)),
    clock=st.tuples(st.sampled_from([0, 2, -2, 120]), st.booleans()),
)
def test_the_daily_file_has_the_same_bytes_whichever_died_and_whenever(
    duck: Duck, lake: Config, tmp_path: Path, death: tuple[str, int, int | None], clock: tuple[int, bool]
) -> None:
    lake = msgspec.structs.replace(lake, transformer=Transformer())
    whole = Series(moved(lake, tmp_path / "whole"), "binance", SYMBOL)
    if not whole.layout.base.exists():
        finish(duck, lake_of(lake, tmp_path / "whole", [Heard("a", ALL)], EVENTS))
    expected = finished(whole)
    who, dies, back = death
    heard = until(dies) + ([(dies + back, TO)] if back is not None and dies + back < TO else [])
    mended = [Heard(name, heard if name == who else ALL) for name in "ab"]
    off, steps = clock
    step = START + 2 * HOUR_US + 17 * MINUTE_US
    mended[1].clock = lambda true: off * SECOND + (3 * SECOND if steps and true > step else 0)
    series = lake_of(lake, tmp_path / "lake", mended, EVENTS)
    found = finish(duck, series)
    same = [name for name in expected if not name.startswith("ticks")]
    assert {name: found[name] for name in same} == {name: expected[name] for name in same}
    for table in ("trades", "quotes"):
        columns = "* EXCLUDE (ts_recv)"
        assert rows(duck, series, table, columns) == rows(duck, whole, table, columns)


@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_no_line_that_either_heard_is_missing_or_there_twice_however_late_each_came(
    duck: Duck, lake: Config, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    events = _crowded(chance)
    recorders = [_unsteady(name, chance, events) for name in "abc"[: chance.choice([2, 3])]]
    series = lake_of(lake, tmp_path / "lake", recorders, events)
    files = finish(duck, series)
    heard = [line for one in recorders for line in one.lines(events)]
    trades = {line.id for line in heard if isinstance(line, TradeLine)}
    assert [number for (number,) in rows(duck, series, "trades")] == sorted(trades)
    quotes = {line.id for line in heard if isinstance(line, QuoteLine)}
    assert [number for (number,) in rows(duck, series, "quotes")] == sorted(quotes)
    assert _in_another_order(duck, series, tmp_path / "other", chance) == files


def _crowded(chance: random.Random) -> list[tuple[int, RawLine]]:
    """A market whose lines lie at the borders of hours, most of them."""
    borders = [START + hour * HOUR_US for hour in (1, 2, 3)]
    times = sorted(chance.choice(borders) + chance.randrange(-3 * SECOND, 3 * SECOND) for _ in range(60))
    return [
        (at, msgspec.structs.replace(line, ts_event=at if isinstance(line, TradeLine) else None))
        for at, (_, line) in zip(times, market(FROM, TO, 20 * SECOND), strict=False)
    ]


def _unsteady(name: str, chance: random.Random, events: list[tuple[int, RawLine]]) -> Heard:
    """A recorder with a clock and delays of its own, that dies and comes back."""
    cuts = sorted(chance.randrange(FROM, TO) for _ in range(2 * chance.choice([0, 1, 2])))
    listened = [(FROM, TO)]
    for first, last in zip(cuts[::2], cuts[1::2], strict=True):
        begin, end = listened.pop()
        listened += [(begin, first), (last, end)]
    late = {line.id: chance.randrange(10_000, chance.choice([30_000, 1_500_000])) for _, line in events}
    off = chance.choice([0, 2, -2, 120, -61]) * SECOND
    misses = (
        frozenset(chance.sample([line.id for _, line in events], 2)) if chance.random() < 0.5 else frozenset()
    )
    return Heard(name, listened, lambda _: off, lambda line: late[line.id], misses)


def _in_another_order(duck: Duck, series: Series, folder: Path, chance: random.Random) -> dict[str, bytes]:
    """Bring the same files into another lake one after the other, with runs between: its finished files."""
    shutil.rmtree(folder, ignore_errors=True)
    other = Series(moved(series.config, folder), "binance", SYMBOL)
    paths = sorted((series.layout.base / "raw").rglob("*.jsonl"))
    chance.shuffle(paths)
    for number, path in enumerate(paths):
        target = folder / path.relative_to(series.layout.base)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        if number % (len(paths) // 2 + 1) == 0:
            bars.build_day(duck, other, DAY, OVER)
            daily.compact(duck, other, DAY, OVER)
    finish(duck, other)
    return finished(other)


def test_what_is_landed_by_hand_is_read_although_another_recording_is_whole(
    duck: Duck, lake: Config, tmp_path: Path
) -> None:
    series = lake_of(lake, tmp_path / "lake", [Heard("a", ALL), Heard("b", ALL)], EVENTS)
    at = START + 2 * HOUR_US + 20 * MINUTE_US
    land(series.config, [trade(7777, at, recv=at + 120 * SECOND), quote(17, at + 120 * SECOND)])
    finish(duck, series)
    assert rows(duck, series, "trades", "id, epoch_us(ts_event)")[-1] == (7777, at)
    assert (17, at) in rows(duck, series, "quotes", "id, epoch_us(ts_event)")


def test_a_day_on_which_a_collector_was_given_a_name_has_the_bytes_of_any_other(
    duck: Duck, lake: Config, tmp_path: Path
) -> None:
    named = START + 2 * HOUR_US
    both = [Heard("", [(FROM, named)]), Heard("a", [(named, TO)])]
    series = lake_of(lake, tmp_path / "lake", both, EVENTS)
    assert finish(duck, series) == finish(duck, lake_of(lake, tmp_path / "one", [Heard("", ALL)], EVENTS))


def pruned(series: Series) -> Series:
    """The same lake, whose raw files go as soon as they are safe elsewhere."""
    retention = msgspec.structs.replace(series.config.retention, prune_raw_after_days=1)
    return Series(msgspec.structs.replace(series.config, retention=retention), "binance", SYMBOL)


def segments_left(series: Series) -> list[str]:
    folder = series.layout.raw_day("binance", SYMBOL, DAY)
    return sorted(path.name for path in folder.glob("part_*"))


def test_a_recording_that_was_not_read_goes_with_the_one_that_was_and_the_bytes_stay(
    duck: Duck, lake: Config, tmp_path: Path
) -> None:
    series = pruned(lake_of(lake, tmp_path / "lake", [Heard("a", ALL), Heard("b", ALL)], EVENTS))
    files = finish(duck, series)
    kept = read_kept(series.layout, "binance", SYMBOL, DAY)
    assert kept
    assert {name[11:17] for name, _ in kept.spare} == {"part_b"}
    retention.apply(duck, [series], OVER)
    assert segments_left(series) == []
    series.layout.daily("binance", SYMBOL, DAY).unlink()
    assert finish(duck, series) == files


def test_what_only_the_recording_that_was_not_read_has_stays_in_the_lake(
    duck: Duck, lake: Config, tmp_path: Path
) -> None:
    alone = (START + 2 * HOUR_US + MINUTE_US // 2, quote(7, 0, "99.00000000"))
    both = [Heard("a", ALL), Heard("b", ALL)]
    series = pruned(lake_of(lake, tmp_path / "lake", both[:1], EVENTS))
    write(series.layout, both[1], [*EVENTS, alone])
    files = finish(duck, series)
    for _ in range(2):
        retention.apply(duck, [series], OVER)
        assert segments_left(series) == ["part_b_0071.jsonl"]
    series.layout.daily("binance", SYMBOL, DAY).unlink()
    assert finish(duck, series) == files


def test_a_second_recording_that_comes_after_the_ticks_are_made_is_entered_in_them(
    duck: Duck, lake: Config, tmp_path: Path
) -> None:
    series = lake_of(lake, tmp_path / "lake", [Heard("a", [(START, START + 5 * HOUR_US)])], EVENTS)
    files = finish(duck, series)
    write(series.layout, Heard("b", ALL), EVENTS)
    done = ticks.make(duck, series, DAY, OVER)
    assert done
    assert not done.rewritten
    kept = read_kept(series.layout, "binance", SYMBOL, DAY)
    assert kept
    assert {name[11:17] for name, _ in kept.spare} == {"part_b"}
    assert finish(duck, series) == files


@pytest.mark.parametrize(("sooner", "taken"), [(0, "101.25000000"), (1, "99.00000000")])
def test_of_a_quote_of_two_contents_the_earliest_is_taken_and_both_are_told(
    duck: Duck, lake: Config, tmp_path: Path, sooner: int, taken: str
) -> None:
    """Of two that are equally early the first recorder's."""
    other = [
        (at, msgspec.structs.replace(line, bid="99.00000000") if line.id == 50 and line.bid else line)
        for at, line in EVENTS
    ]
    series = lake_of(lake, tmp_path / "lake", [Heard("a", ALL)], EVENTS)
    late = Heard("b", ALL, lambda _: -2 * SECOND, lambda line: 90_000 - (sooner if line.bid else 0))
    write(series.layout, late, other)
    finish(duck, series)
    assert rows(duck, series, "quotes", "id, bid::VARCHAR")[4] == (50, taken)
    verdict = run(checks.TRADE_IDS_UNAMBIGUOUS, duck, series, asset="raw_segments")
    assert [(row["id"], row["contents"]) for row in verdict.rows[SYMBOL]] == [(50, 2)]
