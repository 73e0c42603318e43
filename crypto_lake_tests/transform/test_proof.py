"""The proof of a day's quotes: a file of verdicts and fills, made of the book's boundaries and the quotes' ticks."""

from datetime import timedelta
from typing import Any

import duckdb
import pytest

from crypto_lake import sql
from crypto_lake.disk import checksums, parquet
from crypto_lake.errors import LakeError
from crypto_lake.schema import PROOF
from crypto_lake.series import Series
from crypto_lake.transform import daily, proof
from crypto_lake_tests.booked import TOP, Event, Quote, write_book, write_quotes
from crypto_lake_tests.raw_lines import DAY, HOUR, SECOND, SYMBOL

Duck = duckdb.DuckDBPyConnection
TENTH = SECOND // 10
UP = ("100.50", "3.0", "101.00", "2.0")
# More than 64 bits hold.
MANY = ("0.00000001", "999999999999.12345678", "0.00000002", "100000000000.00000001")
YESTERDAY = DAY - timedelta(days=1)


def make(duck: Duck, series: Series) -> proof.Manifest:
    done = daily.prove(duck, series, DAY)
    assert done
    return done


def seconds(duck: Duck, series: Series, count: int) -> list[dict[str, Any]]:
    path = series.layout.proof("binance", SYMBOL, DAY)
    columns = "verdict, boundaries, equal, contradicted, bid::VARCHAR AS bid, ask_qty::VARCHAR AS ask_qty"
    query = f"SELECT {columns} FROM {parquet.scan([path])} ORDER BY window_start LIMIT {count}"
    return sql.rows(duck.execute(query))


def test_a_quote_that_never_came_is_filled_from_the_book_until_the_next_one(
    duck: Duck, series: Series
) -> None:
    raised = ("bid", "100.50", "3.0")
    events = [
        Event(TENTH, 10),
        Event(SECOND + TENTH, 20),
        Event(2 * SECOND + TENTH, 30, UP, levels=(raised,)),
        Event(5 * SECOND + TENTH, 40, UP),
    ]
    write_book(duck, series, events)
    write_quotes(duck, series, [Quote(0, 5), Quote(4 * SECOND, 35, UP)])
    done = make(duck, series)
    rows = seconds(duck, series, 6)
    assert [row["verdict"] for row in rows] == [
        "unverifiable",
        "proved",
        "contradicted",
        "contradicted",
        "contradicted",
        "unverifiable",
    ]
    assert [row["bid"] for row in rows] == [None, None, "100.50000000", "100.50000000", None, None]
    assert [(row["boundaries"], row["equal"], row["contradicted"]) for row in rows[1:3]] == [
        (1, 1, 0),
        (1, 0, 1),
    ]
    assert (done.counts.equal, done.counts.contradicted) == (3, 1)
    (offender,) = done.offenders
    assert (offender.id, offender.quote_id, offender.lost) == (30, 5, True)
    assert offender.book == ["100.50000000", "3.00000000", "101.00000000", "2.00000000"]


def test_a_level_that_the_book_lacks_is_no_lost_quote(duck: Duck, series: Series) -> None:
    events = [
        Event(TENTH, 10, levels=(("bid", "100.50", "0"),)),
        Event(SECOND + TENTH, 20, levels=(("bid", "99.00", "4.0"),)),
        Event(2 * SECOND + TENTH, 30, levels=(("bid", "100.50", "0"),)),
    ]
    write_book(duck, series, events)
    write_quotes(duck, series, [Quote(0, 5), Quote(SECOND, 15, UP), Quote(2 * SECOND, 25)])
    done = make(duck, series)
    assert [row["verdict"] for row in seconds(duck, series, 3)] == [
        "unverifiable",
        "contradicted",
        "unverifiable",
    ]
    assert [row["bid"] for row in seconds(duck, series, 3)] == [None] * 3
    assert [one.lost for one in done.offenders] == [False]


def test_a_quote_of_a_level_of_which_nothing_told_the_book_is_not_contradicted(
    duck: Duck, series: Series
) -> None:
    events = [
        Event(TENTH, 20, certain=False),
        Event(SECOND + TENTH, 30, certain=False, levels=(("ask", "102.00", "1.0"),)),
        Event(2 * SECOND + TENTH, 40),
    ]
    write_book(duck, series, events)
    write_quotes(duck, series, [Quote(0, 5, UP), Quote(2 * SECOND, 35)])
    done = make(duck, series)
    assert [row["verdict"] for row in seconds(duck, series, 2)] == ["unverifiable"] * 2
    assert (done.counts.equal, done.counts.contradicted, done.counts.seconds_filled) == (1, 0, 0)
    assert (done.counts.untold, done.counts.boundaries) == (2, 3)
    assert [(one.id, one.told) for one in done.offenders] == [(20, False), (30, False)]


@pytest.mark.parametrize(
    ("quote", "level"),
    [(UP, ("bid", "100.50", "0")), (("99.00", *TOP[1:]), ("bid", "100.00", "1.0"))],
    ids=["its level is gone", "the book has a better one"],
)
def test_a_quote_is_contradicted_where_the_book_knows_better_than_it_though_not_all_levels(
    duck: Duck, series: Series, quote: tuple[str, str, str, str], level: tuple[str, str, str]
) -> None:
    events = [Event(TENTH, 10), Event(SECOND, 20, certain=False, levels=(level,))]
    write_book(duck, series, events)
    write_quotes(duck, series, [Quote(0, 15, quote)])
    assert [one.lost for one in make(duck, series).offenders] == [True]


@pytest.mark.parametrize(("told", "filled"), [("101.00", [None, None]), ("99.50", [None, "100.00000000"])])
def test_a_lost_quote_is_filled_where_a_quote_told_how_far_the_book_is_known(
    duck: Duck, series: Series, told: str, filled: list[str | None]
) -> None:
    seen = (told, *TOP[1:2], "102.00", "1.0")
    now = (*TOP[:2], "102.00", "1.0")
    events = [
        Event(TENTH, 10, seen, certain=False),
        Event(SECOND, 20, now, certain=False, levels=(("bid", "100.00", "1.0"), ("bid", told, "0"))),
    ]
    write_book(duck, series, events)
    write_quotes(duck, series, [Quote(0, 5, seen)])
    make(duck, series)
    rows = seconds(duck, series, 2)
    assert (rows[1]["verdict"], [row["bid"] for row in rows]) == ("contradicted", filled)


@pytest.mark.parametrize("snapshots", [(), (18,)])
def test_a_snapshot_after_a_quote_says_that_it_is_no_longer_so(
    duck: Duck, series: Series, snapshots: tuple[int, ...]
) -> None:
    write_book(duck, series, [Event(TENTH, 10), Event(SECOND, 20)], snapshots=snapshots)
    write_quotes(duck, series, [Quote(0, 15, UP)])
    assert [one.lost for one in make(duck, series).offenders] == [bool(snapshots)]


def test_quantities_of_any_size_are_compared_exactly(duck: Duck, series: Series) -> None:
    other = (*MANY[:3], "100000000000.00000002")
    events = [Event(TENTH, 10, MANY), Event(SECOND, 20, other, levels=(("ask", MANY[2], other[3]),))]
    write_book(duck, series, events)
    write_quotes(duck, series, [Quote(0, 5, MANY)])
    assert make(duck, series).counts.equal == 1
    assert seconds(duck, series, 2)[1]["ask_qty"] == other[3]


def test_the_day_before_hands_on_its_last_quote_and_boundary(duck: Duck, series: Series) -> None:
    write_book(duck, series, [Event(-TENTH, 10)], YESTERDAY)
    write_quotes(duck, series, [Quote(-HOUR, 5)], YESTERDAY)
    write_book(duck, series, [Event(2 * SECOND, 20, first_id=11), Event(3 * SECOND, 30)])
    write_quotes(duck, series, [])
    make(duck, series)
    assert [row["verdict"] for row in seconds(duck, series, 4)] == ["proved"] * 3 + ["unverifiable"]


def test_what_the_book_filled_at_midnight_is_carried_on(duck: Duck, series: Series) -> None:
    lost = Event(-HOUR, 10, UP, levels=(("bid", "100.50", "3.0"),))
    write_book(duck, series, [lost], YESTERDAY)
    write_quotes(duck, series, [Quote(-2 * HOUR, 5)], YESTERDAY)
    assert daily.prove(duck, series, YESTERDAY)
    write_book(duck, series, [Event(5 * SECOND, 50, first_id=40)])
    write_quotes(duck, series, [Quote(2 * SECOND, 45)])
    make(duck, series)
    rows = seconds(duck, series, 4)
    assert [row["bid"] for row in rows] == ["100.50000000", "100.50000000", None, None]
    assert {row["verdict"] for row in rows} == {"unverifiable"}


def test_a_quote_on_its_way_at_midnight_is_not_taken_for_lost(duck: Duck, series: Series) -> None:
    raised = Event(24 * HOUR - TENTH, 20, UP, levels=(("bid", "100.50", "3.0"),))
    write_book(duck, series, [Event(24 * HOUR - 2 * SECOND, 10), raised])
    write_quotes(duck, series, [Quote(HOUR, 5)])
    assert make(duck, series).counts.contradicted == 0
    path = series.layout.proof("binance", SYMBOL, DAY)
    last = f"SELECT verdict, bid FROM {parquet.scan([path])} ORDER BY window_start DESC LIMIT 1"
    assert duck.execute(last).fetchall() == [("unverifiable", None)]


def test_the_file_is_as_declared_and_made_anew_only_where_what_it_is_of_changed(
    duck: Duck, series: Series
) -> None:
    write_book(duck, series, [Event(TENTH, 10), Event(SECOND, 20)])
    write_quotes(duck, series, [Quote(0, 5)])
    done = make(duck, series)
    path = series.layout.proof("binance", SYMBOL, DAY)
    assert parquet.schema_differences(path, PROOF) == []
    assert parquet.row_count(path) == done.rows == 86_400
    assert checksums.damage(path, series.layout.checksum(path)) is None
    assert done.sha256 == checksums.of(path)
    before, made = path.read_bytes(), path.stat().st_mtime_ns
    assert (make(duck, series), path.stat().st_mtime_ns) == (done, made)
    path.write_bytes(before[:-1])
    assert (make(duck, series), path.read_bytes()) == (done, before)
    write_quotes(duck, series, [Quote(0, 5), Quote(SECOND, 20, UP)])
    assert make(duck, series).counts.contradicted == 1


def test_without_a_book_or_quotes_there_is_no_proof(duck: Duck, series: Series) -> None:
    assert daily.prove(duck, series, DAY) is None
    write_book(duck, series, [Event(TENTH, 10)])
    assert daily.prove(duck, series, DAY) is None


def test_a_damaged_file_is_named_and_nothing_is_written(duck: Duck, series: Series) -> None:
    write_book(duck, series, [Event(TENTH, 10)])
    write_quotes(duck, series, [Quote(0, 5)])
    series.layout.boundaries("binance", SYMBOL, DAY).write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(LakeError, match=f"boundaries.*{DAY}"):
        daily.prove(duck, series, DAY)
    assert proof.read(series, DAY) is None


def test_only_breaks_of_the_chain_are_counted(duck: Duck, series: Series) -> None:
    events = [
        Event(TENTH, 10),
        Event(2 * TENTH, 20, first_id=8),
        Event(SECOND, 30, first_id=22, unbroken=False),
        Event(2 * SECOND, 40),
    ]
    write_book(duck, series, events)
    write_quotes(duck, series, [Quote(0, 5, TOP)])
    counts = make(duck, series).counts
    assert (counts.breaks, counts.equal, counts.seconds_proved) == (1, 3, 0)
