"""The order book that a lake is asked for is the market's own, and there is none where it is not known."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from crypto_lake.ask import views
from crypto_lake.ask.lake import Lake
from crypto_lake.disk import parquet
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.layout import EPOCH
from crypto_lake.raw.lines import BookLine
from crypto_lake.series import Series
from crypto_lake.staging import Rooms, recorded, staged
from crypto_lake.transform import book, depth
from crypto_lake_tests.book_lines import STEP_US, Market, event, land, snapshot
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL
from crypto_lake_tests.staging import stores

Duck = duckdb.DuckDBPyConnection
NEXT = DAY + timedelta(days=1)
MIDNIGHT = START + 24 * HOUR
MARKET = Market(11, 300, start=MIDNIGHT - 50 * STEP_US)
EVENTS = MARKET.events([*range(2, 301, 3), 300])
LOST = 60
BEGAN = 40


def compact(duck: Duck, series: Series, lines: Iterable[BookLine]) -> None:
    land(series.config, lines)
    for day in (DAY, NEXT):
        depth.make(duck, series, day, LATER)
        book.make(series, day)


def two_days(duck: Duck, series: Series) -> None:
    """The book of the market over a midnight: it begins late, one event is lost, and a snapshot comes after that."""
    snapshots = [
        MARKET.snapshot(at, START, levels)
        for at, levels in ((BEGAN, 5), (90, 1000), (120, 4), (LOST * 3 + 40, 1000), (270, 1000))
    ]
    compact(duck, series, [*EVENTS[:LOST], *EVENTS[LOST + 1 :], *snapshots])


@pytest.fixture
def book_lake(made: Made, series: Series) -> Lake[pa.Table]:
    return Lake(made(series, two_days).config, "to_arrow_table")


def instant(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def test_a_book_at_any_instant_is_the_markets_where_a_snapshot_leads_to_it(book_lake: Lake[pa.Table]) -> None:
    with pytest.raises(LakeError, match="not known"):
        book_lake.book(SYMBOL, instant(EVENTS[0].ts_event - 1))
    for number, one in enumerate(EVENTS):
        after = MARKET.random.choice([0, MARKET.random.randrange(1, STEP_US)])
        at = one.ts_event + after
        is_lost = LOST * 3 <= one.id <= LOST * 3 + 40 or (number == LOST - 1 and after)
        if one.id <= BEGAN or is_lost:
            with pytest.raises(LakeError, match="not known"):
                book_lake.book(SYMBOL, instant(at))
            continue
        found = book_lake.book(SYMBOL, instant(at), levels=30).to_pylist()
        bids, asks = MARKET.state(one.id)
        expected = [("bid", price, bids[price]) for price in sorted(bids, reverse=True)]
        expected += [("ask", price, asks[price]) for price in sorted(asks)]
        told = [(row["side"], row["price"], row["qty"]) for row in found]
        if one.id >= 90:
            assert told == expected
        assert set(told) <= set(expected)
        assert {row["id"] for row in found} == {one.id}


def test_before_a_days_first_event_the_book_is_that_of_the_day_before(duck: Duck, series: Series) -> None:
    one = [("100.00000000", "1.00000000")]
    compact(duck, series, [snapshot(2, START, one), event(3, 4, START), event(5, 6, MIDNIGHT + SECOND, one)])
    lake = Lake[pa.Table](series.config, "to_arrow_table")
    (found,) = lake.book(SYMBOL, instant(MIDNIGHT), levels=1).to_pylist()
    assert (found["id"], found["ts_event"], found["price"]) == (4, None, Decimal(100))


def test_a_snapshot_before_a_break_says_nothing_of_the_book_after_it(duck: Duck, series: Series) -> None:
    old, new = ("100.00000000", "1.00000000"), ("99.00000000", "2.00000000")
    lines = [snapshot(2, START, [old]), event(3, 4, START), snapshot(4, START, [old]), event(5, 6, START)]
    # The event that took the old level away was lost.
    lines += [snapshot(9, START, [new]), event(9, 10, START + SECOND)]
    compact(duck, series, lines)
    (found,) = (
        Lake[pa.Table](series.config, "to_arrow_table").book(SYMBOL, instant(START + SECOND)).to_pylist()
    )
    assert (found["id"], found["price"]) == (10, Decimal(99))


def test_books_are_those_at_the_ends_of_intervals(book_lake: Lake[pa.Table]) -> None:
    found = book_lake.books(SYMBOL, "2s", "2025-10-21", "2025-10-21T00:00:08", levels=3)
    assert found.schema.names == ["symbol", "window_start", "id", "bids", "asks", "unbroken"]
    ends = [EVENTS[50 + 20 * n - 1] for n in (1, 2)]
    bids = [MARKET.state(one.id)[0] for one in ends]
    best = [
        [{"price": price, "qty": side[price]} for price in sorted(side, reverse=True)[:3]] for side in bids
    ]
    starts = [datetime(2025, 10, 21, tzinfo=UTC) + timedelta(seconds=n) for n in (0, 2, 4, 6)]
    rows = found.to_pylist()
    assert [(one["window_start"], one["id"], one["bids"]) for one in rows] == [
        (starts[0], None, None),
        (starts[1], ends[1].id, best[1]),
        (starts[2], None, None),
        (starts[3], None, None),
    ]
    seconds = book_lake.books(SYMBOL, start="2025-10-20T23:59:55", end="2025-10-20T23:59:56").to_pylist()
    assert [(one["id"], one["bids"], one["unbroken"]) for one in seconds] == [(None, None, False)]


def test_depth_and_seconds_of_the_book_are_views(book_lake: Lake[pa.Table]) -> None:
    count = book_lake.sql(
        f"""SELECT count(DISTINCT id) FROM depth
        WHERE symbol = '{SYMBOL}' AND NOT is_snapshot AND ts_event >= '2025-10-21'"""
    )
    assert count.to_pylist() == [{"count(DISTINCT id)": len(EVENTS) - 51}]
    assert book_lake.sql("SELECT count(*) AS n FROM depth WHERE is_snapshot").to_pylist()[0]["n"] > 0
    rows = book_lake.sql("SELECT count(*) AS n FROM book_1s WHERE window_start < '2025-10-21'").to_pylist()
    assert rows == [{"n": 86_400}]


def test_saved_views_have_the_book(book_lake: Lake[pa.Table]) -> None:
    with duckdb.connect(str(views.save(book_lake.config)), read_only=True) as client:
        client.execute("SET TimeZone = 'UTC'")
        newest = client.execute("SELECT max(id) FROM book_1s WHERE window_start >= '2025-10-21'").fetchall()
        assert newest == [(EVENTS[99].id,)]
        assert client.execute("SELECT max(id) FROM depth").fetchall() == [(300,)]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"at": "2025-10-20", "levels": 0}, "levels 0: expected a whole number"),
        ({"at": "noon"}, "at 'noon': expected a date or a time"),
        ({"at": None}, "at None: expected"),
        ({"at": "2025-10-20", "symbol": "XUSDT"}, "not in this lake"),
    ],
)
def test_a_question_that_is_none_is_refused(
    book_lake: Lake[pa.Table], asked: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        book_lake.book(**({"symbol": SYMBOL} | asked))  # type: ignore[arg-type]


def test_a_day_without_a_book_and_one_older_than_its_depth_are_told(
    duck: Duck, book_lake: Lake[pa.Table], series: Series
) -> None:
    with pytest.raises(LakeError, match="2025-10-25 has none; expected a finished day"):
        book_lake.book(SYMBOL, "2025-10-25T12:00")
    land(series.config, [event(1000, 1001, MIDNIGHT + HOUR)])
    depth.make(duck, series, NEXT, LATER)
    with pytest.raises(LakeError, match="older than its depth"):
        book_lake.book(SYMBOL, "2025-10-21T12:00")


def test_a_damaged_file_is_named(book_lake: Lake[pa.Table], series: Series) -> None:
    path = series.layout.depth("binance", SYMBOL, NEXT)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(LakeError, match="damaged"):
        book_lake.book(SYMBOL, "2025-10-21T00:00:03.5")
    assert parquet.row_count(path) is None


def test_a_book_in_a_store_is_brought_and_answers_the_same(
    duck: Duck, series: Series, tmp_path: Path
) -> None:
    land(series.config, [*EVENTS, MARKET.snapshot(BEGAN, START)])
    config = stores.stored(series.config, tmp_path)
    stores.put(config, series.layout.base)
    for day in (DAY, NEXT):
        with staged(config, recorded(config), [day], Rooms.RAW | Rooms.BOOK | Rooms.DEPTH) as local:
            depth.make_all(duck, local.series, day, LATER)
            book.make_all(duck, local.series, day, LATER)
    lake = Lake[pa.Table](config, "to_arrow_table")
    at = EVENTS[70].ts_event
    bids, _ = MARKET.state(EVENTS[70].id)
    assert lake.book(SYMBOL, instant(at)).to_pylist()[0]["price"] == max(bids)
    assert lake.books(SYMBOL, "2s", "2025-10-21", "2025-10-21T00:00:04")["id"].to_pylist() == [
        EVENTS[69].id,
        EVENTS[89].id,
    ]
    assert lake.sql("SELECT max(id) AS id FROM depth").to_pylist() == [{"id": 300}]
