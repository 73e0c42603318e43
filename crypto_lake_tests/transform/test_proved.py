"""Bars of a day with a proof: two columns more, quotes of the book where one was lost, and all of it taken back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from crypto_lake import checks, sql
from crypto_lake.ask import views
from crypto_lake.ask.lake import open_lake
from crypto_lake.ask.sources import Chosen
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.disk import checksums, parquet
from crypto_lake.schema import BAR, BAR_PROOF, PROVED_BAR, names
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, minutes, plan, ticks
from crypto_lake_tests.booked import Event, Top, write_book
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, SYMBOL, land, quote, trade

Duck = duckdb.DuckDBPyConnection
NEXT = DAY + timedelta(days=1)
DELAY = 80_000
HELD: Top = ("190.11", "5", "190.12", "7")
LOST: Top = ("190.20", "3", "190.30", "2")
RAISED = (("bid", "190.20", "3"), ("ask", "190.12", "0"), ("ask", "190.30", "2"))
# Quotes at 10:00:00 and 10:02:00; the book moves at 10:01:30.5, and is quoted so at 10:01:50.
EVENTS = [
    Event(10 * HOUR + 100_000, 10, HELD),
    Event(10 * HOUR + 90 * SECOND + 500_000, 20, LOST, levels=RAISED),
    Event(10 * HOUR + 111 * SECOND, 30, LOST),
    Event(10 * HOUR + 130 * SECOND, 50, HELD),
]


def finished(duck: Duck, series: Series) -> None:
    """Two days in daily files, with ticks: the quote that the book shows on the first was lost for 20 seconds."""
    at = START + 10 * HOUR + DELAY
    lines = [
        trade(1, START + 10 * HOUR),
        quote(5, at),
        quote(25, at + 110 * SECOND, LOST[0], LOST[2]),
        quote(45, at + 120 * SECOND),
        trade(2, START + 20 * HOUR),
    ]
    land(series.config, lines)
    land(series.config, [trade(3, START + 30 * HOUR), quote(60, START + 30 * HOUR + DELAY)], NEXT)
    for day in (DAY, NEXT):
        bars.build_day(duck, series, day, LATER)
        daily.compact(duck, series, day, LATER)
        ticks.make(duck, series, day, LATER)


@pytest.fixture
def plain(made: Made, series: Series) -> Series:
    return made(series, finished)


def with_proof(duck: Duck, series: Series) -> None:
    """The same, and the first day has a proof."""
    finished(duck, series)
    write_book(duck, series, EVENTS)
    assert daily.prove(duck, series, DAY)


@pytest.fixture
def proved(made: Made, series: Series) -> Series:
    return made(series, with_proof)


def daily_path(series: Series) -> Path:
    return series.layout.daily("binance", SYMBOL, DAY)


def seconds(duck: Duck, series: Series, *at: int) -> list[tuple[Any, ...]]:
    shown = "bid, ask_qty, spread, quote_count, quotes_proved, quote_source"
    starts = ", ".join(f"make_timestamptz({START + 10 * HOUR + one * SECOND})" for one in at)
    query = f"SELECT {shown} FROM {parquet.scan([daily_path(series)])} WHERE window_start IN ({starts})"
    return duck.execute(f"{query} ORDER BY window_start").fetchall()


def test_a_lost_quote_is_taken_from_the_book_and_marked(duck: Duck, proved: Series) -> None:
    assert seconds(duck, proved, 50, 90, 109, 110, 111) == [
        (190.11, 7.0, 0.01, 0, True, "received"),
        (190.2, 2.0, 0.1, 0, False, "book"),
        (190.2, 2.0, 0.1, 0, False, "book"),
        (190.2, 7.0, 0.1, 1, False, "received"),
        (190.2, 7.0, 0.1, 0, False, "received"),
    ]


def test_all_files_of_the_day_have_the_columns_and_fit_their_checksums(duck: Duck, proved: Series) -> None:
    layout = proved.layout
    for path in (daily_path(proved), layout.minutes("binance", SYMBOL, DAY)):
        assert parquet.schema_differences(path, PROVED_BAR) == parquet.schema_differences(path) == []
        assert checksums.damage(path, layout.checksum(path)) is None
    assert daily.recorded_checksum(proved, DAY) == checksums.of(daily_path(proved))
    assert list(minutes.outdated([proved])) == list(minutes.lacking([proved])) == []
    assert not plan.is_stale(duck, proved, DAY, LATER)


def test_a_second_run_writes_nothing(duck: Duck, proved: Series) -> None:
    def written() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in proved.layout.base.rglob("*.*")}

    before = written()
    assert daily.prove(duck, proved, DAY)
    done = daily.compact(duck, proved, DAY, LATER)
    assert done
    assert not done.rewritten
    assert written() == before


def test_a_day_without_a_book_keeps_its_bytes(duck: Duck, plain: Series) -> None:
    before = {path: path.read_bytes() for path in plain.layout.base.rglob("*.parquet")}
    assert daily.prove(duck, plain, NEXT) is None
    assert {path: path.read_bytes() for path in plain.layout.base.rglob("*.parquet")} == before


def test_what_another_proof_does_not_fill_is_as_it_was_received(duck: Duck, plain: Series) -> None:
    query = f"SELECT {', '.join(names(BAR))} FROM {parquet.scan([daily_path(plain)])} ORDER BY window_start"
    before = duck.sql(query).to_arrow_table()
    write_book(duck, plain, EVENTS)
    daily.prove(duck, plain, DAY)
    assert duck.sql(query).to_arrow_table() != before
    write_book(duck, plain, [EVENTS[0]._replace(id=30)])
    daily.prove(duck, plain, DAY)
    assert duck.sql(query).to_arrow_table() == before


def test_late_parts_are_merged_into_bars_as_received_and_proved_again(duck: Duck, proved: Series) -> None:
    # The lost quote was found elsewhere, and a trade of another hour with it.
    late = START + 10 * HOUR + 90 * SECOND + 400_000 + DELAY
    land(proved.config, [quote(15, late, LOST[0], LOST[2]), trade(4, START + 22 * HOUR)])
    bars.build_day(duck, proved, DAY, LATER)
    daily.compact(duck, proved, DAY, LATER)
    assert parquet.schema_differences(daily_path(proved), PROVED_BAR) == []
    ticks.make(duck, proved, DAY, LATER)
    # A quantity of the book's in place of the lost one's.
    same = (LOST[0], "5", LOST[2], "7")
    write_book(duck, proved, [EVENTS[0], *(one._replace(top=same) for one in EVENTS[1:3]), EVENTS[3]])
    told = daily.prove(duck, proved, DAY)
    assert told
    assert (told.counts.contradicted, told.counts.seconds_filled) == (0, 0)
    assert seconds(duck, proved, 90, 109) == [
        (190.2, 7.0, 0.1, 1, True, "received"),
        (190.2, 7.0, 0.1, 0, True, "received"),
    ]


def test_views_show_the_columns_of_all_days(duck: Duck, proved: Series) -> None:
    views.create(duck, proved.config)
    both = ", ".join(names(BAR_PROOF))
    days = "window_start >= '{}' AND window_start < '{}'"
    told = f"SELECT {both}, count(*) FROM {{}} WHERE {{}} GROUP BY ALL ORDER BY ALL"

    def ask(view: str, day: object, until: object) -> list[tuple[Any, ...]]:
        return duck.execute(told.format(view, days.format(day, until))).fetchall()

    after = NEXT + timedelta(days=1)
    assert ask("bars_1s", NEXT, after) == [(None, None, 86_400)]
    assert ask("bars_1m", NEXT, after) == [(None, None, 1_440)]
    assert {row[1] for row in ask("bars_1s", DAY, NEXT)} == {"received", "book"}
    assert sum(row[-1] for row in ask("bars_1s", DAY, after)) == 2 * 86_400
    assert [row[:2] for row in ask("bars_1d", DAY, after)] == [(False, "received"), (None, None)]
    minute = f"SELECT quotes_proved, quote_source, bid FROM bars_1m WHERE {days.format(f'{DAY} 10:01', NEXT)} LIMIT 1"
    assert duck.execute(minute).fetchall() == [(False, "received", 190.2)]
    # An interval that lies in both days.
    across = f"SELECT count(*), count(quotes_proved) FROM resampled({7 * HOUR})"
    assert duck.execute(across).fetchall() == [(8, 5)]


def test_a_minute_is_proved_if_all_its_seconds_are(duck: Duck, plain: Series) -> None:
    write_book(
        duck, plain, [Event(n * 60 * SECOND + 1, 10 + n, first_id=10 + n, top=HELD) for n in range(-1, 1440)]
    )
    told = daily.prove(duck, plain, DAY)
    assert told
    views.create(duck, plain.config)
    rows = duck.execute(
        f"SELECT quotes_proved FROM bars_1m WHERE window_start < '{NEXT}' ORDER BY window_start"
    ).fetchall()
    by_second = f"SELECT bool_and(quotes_proved) FROM bars_1s WHERE window_start < '{NEXT}' GROUP BY \
date_trunc('minute', window_start) ORDER BY date_trunc('minute', window_start)"
    assert rows == duck.execute(by_second).fetchall()


@pytest.mark.parametrize("thorough", [False, True])
def test_files_that_are_chosen_answer_the_same_as_all(duck: Duck, proved: Series, thorough: bool) -> None:
    query = "SELECT * FROM bars_5m ORDER BY window_start"
    views.create(duck, proved.config)
    wanted = duck.execute(query).fetchall()
    views.create(duck, proved.config, Chosen(SYMBOL), thorough=thorough)
    assert duck.execute(query).fetchall() == wanted


def test_a_lake_answers_in_python_and_its_database_in_sql(duck: Duck, proved: Series) -> None:
    config = proved.layout.base.parent / "config.yml"
    table = open_lake(config, frames="arrow").bars(SYMBOL, "1s", str(DAY), str(NEXT))
    assert table.column_names == names(PROVED_BAR)
    assert table["quote_source"].unique().to_pylist() == ["received", "book"]
    path = views.save(proved.config)
    duck.execute(f"ATTACH {parquet.literal(path)} AS lake (READ_ONLY)")
    question = "SELECT DISTINCT quote_source FROM lake.bars_1s ORDER BY ALL"
    assert sql.rows(duck.execute(question)) == [{"quote_source": one} for one in ("book", "received", None)]


@pytest.mark.parametrize("is_first", [True, False])
def test_checks_look_at_days_with_and_without_a_proof_together(
    duck: Duck, proved: Series, is_first: bool
) -> None:
    other = Series(proved.config, "binance", "ADAUSDT" if is_first else "XRPUSDT")
    path = proved.layout.daily("binance", other.symbol, DAY)
    path.parent.mkdir(parents=True)
    shown = f"SELECT {', '.join(names(BAR))} FROM {parquet.scan([daily_path(proved)])} ORDER BY window_start"
    parquet.write(duck, shown, path, "snappy", footer={})
    both = sorted([proved, other], key=lambda one: one.symbol)
    with ExchangeCandles() as reference:
        look = checks.Look.at("daily_bars", both, DAY, checks.Means(duck, reference, LATER))
        for check in checks.ON["daily_bars"][:5]:
            assert look.verdict(check).outcome == "passed"
    assert views.day_in_numbers(duck, both, DAY)
