"""A finished day's book is the market's own at each second's end and after each event, where it says it is known."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from crypto_lake.disk import checksums, parquet, publish
from crypto_lake.errors import LakeError
from crypto_lake.schema import BOOK, BOUNDARY
from crypto_lake.series import Series
from crypto_lake.transform import book, depth
from crypto_lake.transform.book_kept import Table, paths, read_kept
from crypto_lake_tests.book_lines import STEP_US, Market, Side, event, is_known, land, snapshot
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START

if TYPE_CHECKING:
    from crypto_lake.raw.lines import BookLine

Duck = duckdb.DuckDBPyConnection
Choose = Callable[[Iterable[Decimal]], Decimal]
AFTER = DAY + timedelta(days=1)
BID, ASK = ("100.10000000", "1.50000000"), ("100.20000000", "2.00000000")


def make(duck: Duck, series: Series, *days: date) -> book.Book:
    for day in days or (DAY,):
        depth.make(duck, series, day, LATER)
        (done,) = book.make_all(duck, [series], day, LATER)
    return done


def rows(duck: Duck, series: Series, table: Table, columns: str, day: date = DAY) -> list[tuple[Any, ...]]:
    return duck.execute(f"SELECT {columns} FROM {parquet.scan([paths(series, day)[table]])}").fetchall()


def pairs(side: Side, best: Choose, count: int) -> list[dict[str, Decimal]]:
    return [{"price": price, "qty": side[price]} for price in sorted(side, reverse=best is max)[:count]]


def best(side: Side, choose: Choose) -> list[Decimal | None]:
    return [choose(side), side[choose(side)]] if side else [None, None]


@pytest.mark.parametrize("seed", range(3))
def test_boundaries_and_seconds_are_the_markets(duck: Duck, series: Series, seed: int) -> None:
    market = Market(seed, 400)
    events = [one for one in market.events(market.cuts()) if market.random.random() < 0.97]
    snapshots = sorted(market.random.sample(range(400), 4))
    lines: list[BookLine] = [*events, *(market.snapshot(at, START) for at in snapshots)]
    for recorder in ("", "b"):
        land(series.config, market.random.sample(lines, len(lines)), recorder=recorder)
    make(duck, series)
    known = {one.id: is_known(events, snapshots, number) for number, one in enumerate(events)}
    found = rows(duck, series, "boundaries", "id, unbroken, bid, bid_qty, ask, ask_qty")
    assert [one[:2] for one in found] == list(known.items())
    for last, is_there, *numbers in found:
        bids, asks = market.state(last)
        assert numbers == ([*best(bids, max), *best(asks, min)] if is_there else [None] * 4)
    followed = {one.id for one, after in pairwise(events) if after.first_id <= one.id + 1}
    seconds = rows(duck, series, "book", "id, bids, asks, unbroken")
    assert len(seconds) == 86_400
    for second, told in enumerate(seconds[:20]):
        latest = [one.id for one in events if one.ts_event < START + (second + 1) * SECOND][-1]
        bids, asks = market.state(latest)
        there = (latest, pairs(bids, max, 20), pairs(asks, min, 20), True)
        assert told == (there if known[latest] and latest in followed else (None, None, None, False))


def test_the_files_have_the_declared_columns_and_checksums_and_a_row_a_second_and_an_event(
    duck: Duck, series: Series
) -> None:
    land(series.config, [snapshot(2, START, [BID], [ASK]), event(3, 4, START + 1), event(5, 6, START + HOUR)])
    done = make(duck, series)
    found = paths(series, DAY)
    assert parquet.schema_differences(found["book"], BOOK) == []
    assert parquet.schema_differences(found["boundaries"], BOUNDARY) == []
    assert done.kept.rows == {"book": 86_400, "boundaries": 2, "end": 2}
    for name, path in found.items():
        assert series.layout.checksum(path).read_text(encoding="ascii").split()[0] == done.kept.sha256[name]
    assert done.kept.anchors.counts == {"began": 1, "equal": 0, "differs": 0, "unused": 0}


def test_a_day_begins_with_the_book_of_the_day_before_and_follows_when_that_changes(
    duck: Duck, series: Series
) -> None:
    market = Market(5, 90, start=START + 24 * HOUR - 15 * STEP_US)
    events = market.events(list(range(3, 91, 3)))
    land(series.config, [market.snapshot(0, START), *events])
    land(series.config, [], day=AFTER)
    done = make(duck, series, DAY, AFTER)
    assert done.kept.anchors.counts["began"] == 0
    ids = [one.id for one in events[15:]]
    assert rows(duck, series, "boundaries", "id, unbroken", AFTER) == [(last, True) for last in ids]
    first = rows(duck, series, "book", "id", AFTER)[:2]
    assert first == [(events[24].id,), (None,)]
    assert rows(duck, series, "book", "id")[-1] == (events[14].id,)
    assert not make(duck, series, DAY, AFTER).rewritten
    land(series.config, [event(1000, 1001, START + 24 * HOUR - 1, [BID])])
    done = make(duck, series, DAY, AFTER)
    assert done.rewritten
    assert rows(duck, series, "boundaries", "count(*) FILTER (unbroken)", AFTER) == [(0,)]


def test_a_day_whose_depth_or_day_before_has_changed_is_waiting(duck: Duck, series: Series) -> None:
    land(series.config, [snapshot(2, START, [BID]), event(3, 4, START), event(5, 6, START + 24 * HOUR)])
    depth.make(duck, series, AFTER, LATER)
    assert book.waiting(series) == {AFTER}
    make(duck, series, AFTER)
    assert book.waiting(series) == set()
    make(duck, series, DAY)
    assert book.waiting(series) == {AFTER}
    make(duck, series, AFTER)
    assert book.waiting(series) == set()


def test_of_events_whose_times_do_not_rise_the_last_before_a_seconds_end_counts(
    duck: Duck, series: Series
) -> None:
    times = [100, 2_500, 900, 1_100, 1_050, 2_600]
    events = [event(n, n, START + at * 1_000, [BID]) for n, at in enumerate(times, 1)]
    land(series.config, [snapshot(0, START), *events])
    done = make(duck, series)
    assert done.kept.breaks.count == 0
    assert rows(duck, series, "book", "id")[:3] == [(3,), (5,), (None,)]


def test_breaks_and_snapshots_are_told(duck: Duck, series: Series) -> None:
    lines = [
        snapshot(2, START + 5, [BID], [ASK]),
        event(3, 4, START),
        event(7, 8, START + 1),
        snapshot(8, START + 6, [BID], [ASK]),
        event(9, 9, START + 2),
        snapshot(9, START + 7, [BID], []),
    ]
    land(series.config, lines)
    kept = make(duck, series).kept
    assert [(one.after_id, one.first_id, one.ts_event) for one in kept.breaks.first] == [(4, 7, START + 1)]
    assert [(one.id, one.use, one.levels_compared, one.levels_different) for one in kept.anchors.first] == [
        (2, "began", 0, 0),
        (8, "began", 0, 0),
        (9, "differs", 2, 1),
    ]


def test_quantities_beyond_64_bits_are_whole(duck: Duck, series: Series) -> None:
    much = ("0.00000001", "999999999999.99999999")
    asks = [("0.00000002", "1")]
    land(
        series.config,
        [snapshot(2, START, [much]), event(3, 4, START + 1, [], asks), event(5, 5, START + SECOND)],
    )
    make(duck, series)
    assert rows(duck, series, "boundaries", "bid, bid_qty") == [tuple(map(Decimal, much))] * 2
    assert rows(duck, series, "book", "bids")[0][0] == [{"price": Decimal(much[0]), "qty": Decimal(much[1])}]


def test_a_damaged_file_is_made_anew(duck: Duck, series: Series) -> None:
    land(series.config, [snapshot(2, START, [BID], [ASK]), event(3, 4, START + 1)])
    make(duck, series)
    path = paths(series, DAY)["boundaries"]
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    assert make(duck, series).rewritten
    assert path.read_bytes() == good


def test_a_day_without_depth_has_no_book(duck: Duck, series: Series) -> None:
    assert book.make_all(duck, [series], DAY, LATER) == []


@pytest.mark.parametrize("which", range(10))
def test_a_crash_at_any_rename_is_mended_by_the_next_run(
    duck: Duck, series: Series, monkeypatch: pytest.MonkeyPatch, which: int
) -> None:
    lines = [snapshot(2, START, [BID], [ASK]), event(3, 4, START + 1), event(5, 5, START + SECOND)]
    land(series.config, lines[:2])
    make(duck, series)
    land(series.config, lines[2:])
    rename, count = publish.replace, iter(range(100))

    def die(source: Path, target: Path) -> None:
        if next(count) == which:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(publish, "replace", die)
    with pytest.raises((OSError, LakeError), match="No space"):
        make(duck, series)
    monkeypatch.setattr(publish, "replace", rename)
    make(duck, series)
    kept = read_kept(series, DAY)
    assert kept
    assert kept.sha256 == {name: checksums.of(path) for name, path in paths(series, DAY).items()}
    assert rows(duck, series, "boundaries", "id, unbroken") == [(4, True), (5, True)]
    assert not make(duck, series).rewritten


@pytest.mark.parametrize(
    "odd",
    [
        [event(2**62, 2**62, START + 2 * SECOND)],
        [event(2**63 - 1, 2**63 - 1, START + 2 * SECOND)],
        [event(2**62, 2**62, START + 2 * SECOND), snapshot(2**62, START + 3 * SECOND, [BID], [ASK])],
        [event(20, 21, START + 2 * SECOND), snapshot(21, START + 3 * SECOND, [BID], [ASK])],
    ],
    ids=["far", "highest", "far, and a snapshot", "anew a little lower"],
)
def test_a_day_whose_exchange_counts_anew_or_named_an_absurd_id_leaves_the_next_days_book_known(
    duck: Duck, series: Series, odd: "list[BookLine]"
) -> None:
    land(series.config, [snapshot(2, START, [BID], [ASK]), event(3, 4, START + SECOND, [BID]), *odd])
    later = START + 24 * HOUR
    after = [snapshot(6, later, [BID], [ASK]), event(7, 8, later + SECOND, [BID])]
    land(series.config, [event(5, 6, later), *after], day=AFTER)
    made = make(duck, series, DAY, AFTER)
    assert rows(duck, series, "boundaries", "id, unbroken", AFTER) == [(6, False), (8, True)]
    assert made.kept.made_from["carried"] is None
    assert book.waiting(series) == set()
