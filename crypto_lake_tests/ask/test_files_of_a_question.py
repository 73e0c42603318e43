"""Which files a question opens: those of its symbols and days, in any client; and that its answer is the same."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import duckdb
import msgspec
import pytest

from crypto_lake import config, open_lake
from crypto_lake.ask import narrowing, query, views
from crypto_lake.ask.sources import EVERYTHING, Chosen
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.layout import Layout
from crypto_lake.series import Series
from crypto_lake_tests.ask import year
from crypto_lake_tests.ask.year import DAYS, IN_PROGRESS, SYMBOLS
from crypto_lake_tests.made import Made

Duck = duckdb.DuckDBPyConnection
SYMBOL, DAY = SYMBOLS[1], DAYS[1]
NEXT = DAY + timedelta(days=1)
OF_DAY = f"symbol = '{SYMBOL}' AND window_start >= '{DAY}' AND window_start < '{NEXT}'"


def some_days(_: Duck, series: Series) -> None:
    year.write(series.config)
    views.save(series.config)


@pytest.fixture
def lake(made: Made, series: Series) -> Config:
    """Some days, and the database file that was saved where they were before they were copied."""
    return made(series, some_days).config


@pytest.fixture(scope="module")
def unspoilt(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """The same for all tests that only look at it."""
    path = tmp_path_factory.mktemp("unspoilt") / "config.yml"
    urls = {"rest_url": "http://127.0.0.1:1/api/v3", "wss_url": "ws://127.0.0.1:1/ws"}
    exchange = {"name": "binance", "symbols": [SYMBOL], **urls}
    path.write_bytes(msgspec.yaml.encode({"general": {"base_path": "./lake"}, "exchanges": [exchange]}))
    return made(Series(config.load(path), "binance", SYMBOL), some_days).config


@pytest.fixture(scope="module")
def asking() -> Iterator[Duck]:
    with parquet.connect() as connection:
        yield connection


def spoil_all_but(lake: Config, *kept: Path) -> None:
    """Leave of all other Parquet files of data their names only."""
    for path in lake.layout.base.rglob("*.parquet"):
        if path not in kept and "state" not in path.parts:
            path.write_bytes(b"spoilt")


def asked_by_a_client(lake: Config, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(lake.layout.database), read_only=True) as client:
        return client.execute(sql).fetchall()


@pytest.mark.parametrize(
    "where",
    [
        OF_DAY,
        f"symbol = '{SYMBOL}' AND window_start BETWEEN '{DAY}' AND '{DAY} 23:59:59'",
        f"'{SYMBOL}' = symbol AND window_start >= DATE '{DAY}' AND window_start < TIMESTAMP '{NEXT}'",
        f"symbol IN ('{SYMBOL}') AND date_trunc('day', window_start) = '{DAY}'",
    ],
)
@pytest.mark.parametrize(
    ("view", "rows"), [("bars_1m", 1440), ("bars_5m", 288), ("bars_1h", 24), ("bars_1d", 1)]
)
def test_a_client_of_the_database_file_opens_the_files_of_the_symbol_and_days_asked_for(
    lake: Config, view: str, rows: int, where: str
) -> None:
    spoil_all_but(lake, lake.layout.minutes("binance", SYMBOL, DAY))
    assert asked_by_a_client(lake, f"SELECT count(*) FROM {view} WHERE {where}") == [(rows,)]


def test_seconds_of_a_day_are_asked_for_by_hour_of_parts_and_by_daily_files(lake: Config) -> None:
    part = lake.layout.part("binance", SYMBOL, IN_PROGRESS, 0)
    spoil_all_but(lake, part, lake.layout.daily("binance", SYMBOL, DAY))
    part.with_name("part-0001.parquet").write_bytes(b"spoilt")
    asked = f"SELECT count(*) FROM bars_1s WHERE symbol = '{SYMBOL}' AND window_start"
    assert asked_by_a_client(lake, f"{asked} BETWEEN '{IN_PROGRESS}' AND '{IN_PROGRESS} 00:30'") == [(1801,)]
    assert asked_by_a_client(lake, f"{asked} < '{NEXT}' AND window_start >= '{DAY}'") == [(24,)]


def test_the_command_opens_the_files_of_the_symbol_and_days_asked_for(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil_all_but(lake, lake.layout.minutes("binance", SYMBOL, DAY))
    query.ask(lake, f"SELECT count(*) AS n FROM bars_1m WHERE {OF_DAY}")
    query.ask(lake, "SELECT 42 AS n")
    said = capsys.readouterr()
    assert "1440" in said.out
    assert "42" in said.out
    assert said.err == ""


def test_newest_rows_are_asked_of_the_newest_files(lake: Config, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [lake.layout.part("binance", symbol, IN_PROGRESS, 0) for symbol in SYMBOLS]
    spoil_all_but(lake, *parts)
    query.ask(lake, "FROM bars_1m ORDER BY window_start DESC LIMIT 5")
    said = capsys.readouterr()
    assert f"{IN_PROGRESS} 00:59:00" in said.out
    assert said.err == ""


def test_python_opens_the_files_of_the_symbol_and_days_asked_for(lake: Config, tmp_path: Path) -> None:
    spoil_all_but(lake, lake.layout.minutes("binance", SYMBOL, DAY))
    found = open_lake(tmp_path / "config.yml")
    assert len(found.bars(SYMBOL, "1m", DAY, NEXT)) == 1440
    assert found.bars(SYMBOL, "1d", DAY, NEXT)["trade_count"].tolist() == [2880]
    assert len(found.sql(f"FROM bars_1h WHERE {OF_DAY}")) == 24


def test_columns_of_a_table_that_are_not_its_own_keep_no_question_from_its_answer(
    lake: Config, tmp_path: Path
) -> None:
    with parquet.connect() as connection:
        views.create(connection, lake)
        other = tmp_path / "other.parquet"
        parquet.copy(connection, "SELECT symbol, close FROM bars_1m LIMIT 0", other)
    columns = lake.layout.columns("bars")
    for content in (b"spoilt", other.read_bytes()):
        columns.write_bytes(content)
        found = open_lake(tmp_path / "config.yml").sql("SELECT sum(trade_count)::INT AS n FROM bars_1d")
        assert found["n"].tolist() == [3 * (3 * 2_880 + 7_200)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (f"FROM bars_1m WHERE {OF_DAY}", Chosen(SYMBOL, DAY, DAY)),
        (f"SELECT max(high) FROM BARS_1D AS b WHERE b.symbol = '{SYMBOL}';", Chosen(SYMBOL)),
        (f"FROM bars_1m WHERE window_start = '{DAY} 10:00'", Chosen(None, DAY, DAY)),
        (f"FROM bars_1m WHERE '{DAY}' < window_start", Chosen(None, DAY)),
        (f"FROM bars_1m WHERE window_start > '{NEXT}'::TIMESTAMPTZ - INTERVAL 1 DAY", Chosen(None, DAY)),
        (f"FROM trades WHERE ts_event <= '{DAY}' AND id > 3", Chosen(None, last=DAY)),
        (f"FROM bars_1m WHERE symbol = '{SYMBOL}' OR close > 3", EVERYTHING),
        (f"FROM bars_1m WHERE NOT symbol = '{SYMBOL}'", EVERYTHING),
        (f"FROM bars_1m WHERE symbol = lower('{SYMBOL}')", EVERYTHING),
        (f"FROM bars_1m AS b(x, symbol) WHERE symbol = '{DAY}'", EVERYTHING),
        (f"FROM bars_1m b JOIN bars_1h h USING (symbol) WHERE symbol = '{SYMBOL}'", EVERYTHING),
        (f"FROM bars_1m WHERE symbol = '{SYMBOL}' AND close > (SELECT avg(close) FROM bars_1m)", EVERYTHING),
        (f"WITH bars_1m AS (SELECT 'x' AS symbol) FROM bars_1m WHERE symbol = '{SYMBOL}'", EVERYTHING),
        (f"FROM bars_1m WHERE symbol = '{SYMBOL}' UNION ALL FROM bars_1m", EVERYTHING),
        (f"FROM bars_1m WHERE symbol = '{SYMBOL}'; FROM bars_1m", EVERYTHING),
        ("FROM bars_1m WHERE window_start > 'some day'", EVERYTHING),
        (f"FROM bars_1m WHERE symbol = '{SYMBOL}' USING SAMPLE 10 ROWS", EVERYTHING),
        (f"FROM bars_1m WHERE symbol = '{SYMBOL}' AND close > 0{' + 1' * 900}", EVERYTHING),
        (f"FROM instruments WHERE symbol = '{SYMBOL}'", EVERYTHING),
        ("SELECT 1", EVERYTHING),
        ("SELEC", EVERYTHING),
        ("CREATE TABLE t AS FROM bars_1m", EVERYTHING),
    ],
)
def test_a_question_is_narrowed_where_its_words_leave_no_doubt(
    asking: Duck, unspoilt: Config, sql: str, expected: Chosen
) -> None:
    assert narrowing.chosen(asking, unspoilt, sql) == expected


@pytest.mark.parametrize(
    ("sql", "is_narrowed"),
    [
        ("FROM bars_1m ORDER BY window_start DESC LIMIT 5", True),
        ("SELECT symbol, close FROM bars_1s ORDER BY window_start DESC, symbol LIMIT 3", True),
        ("SELECT close, window_start FROM bars_1m ORDER BY 2 DESC LIMIT 3", True),
        ("SELECT close, window_start FROM bars_1m ORDER BY 1 DESC LIMIT 3", False),
        ("FROM bars_1m ORDER BY 2 DESC LIMIT 3", False),
        ("SELECT *, symbol, window_start FROM bars_1m ORDER BY 3 DESC LIMIT 3", False),
        ("FROM bars_1m ORDER BY window_start LIMIT 5", False),
        ("FROM bars_1m ORDER BY window_start DESC LIMIT 10001", False),
        ("SELECT count(*) FROM bars_1m ORDER BY window_start DESC LIMIT 5", False),
        ("SELECT row_number() OVER () FROM bars_1m ORDER BY window_start DESC LIMIT 5", False),
        ("SELECT DISTINCT symbol FROM bars_1m ORDER BY window_start DESC LIMIT 5", False),
        ("SELECT close AS window_start FROM bars_1m ORDER BY window_start DESC LIMIT 5", False),
        ("FROM bars_1m ORDER BY window_start DESC LIMIT 5 OFFSET 2", False),
        ("FROM bars_1m ORDER BY close DESC, window_start DESC LIMIT 5", False),
    ],
)
def test_only_rows_that_are_the_newest_are_looked_for_in_the_newest_files(
    asking: Duck, unspoilt: Config, sql: str, is_narrowed: bool
) -> None:
    assert (narrowing.chosen(asking, unspoilt, sql).first == IN_PROGRESS) == is_narrowed


def test_newest_rows_are_looked_for_in_days_before_where_the_last_one_has_too_few(
    asking: Duck, unspoilt: Config
) -> None:
    newest = "FROM bars_1m ORDER BY window_start DESC LIMIT {count} -- newest;"
    found = [
        narrowing.chosen(asking, unspoilt, newest.format(count=count)).first
        for count in (180, 181, 4_501, 10_000)
    ]
    assert found == [IN_PROGRESS, DAYS[-2], DAYS[-2] - timedelta(days=29), DAYS[-2] - timedelta(days=29)]


def test_a_symbol_in_another_spelling_is_no_symbol(
    unspoilt: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    query.ask(unspoilt, f"SELECT count(*) + 41 AS n FROM bars_1m WHERE symbol = '{SYMBOL.lower()}'")
    query.ask(unspoilt, "SELECT count(*) + 41 AS n FROM bars_1m WHERE symbol = '../binance/SOLUSDT'")
    assert capsys.readouterr().out.count(" 41 ") == 2


@pytest.fixture(scope="module")
def of_all_files(unspoilt: Config) -> Iterator[list[Duck]]:
    """All files, found by their places, and read as one list."""
    with parquet.connect() as by_place, parquet.connect() as listed:
        views.create(by_place, unspoilt)
        views.create(listed, unspoilt, Chosen(first=DAYS[0]))
        yield [by_place, listed]


@pytest.mark.parametrize(
    "sql",
    [
        f"FROM bars_1m WHERE {OF_DAY}",
        "FROM bars_1m ORDER BY window_start DESC, symbol LIMIT 5",
        f"FROM bars_1h WHERE window_start > '{DAY} 05:30' AND window_start <= '{IN_PROGRESS} 00:00'",
        f"FROM bars_1d WHERE symbol = '{SYMBOL}'",
        f"FROM history_1m WHERE {OF_DAY}",
    ],
)
def test_an_answer_is_the_same_from_all_files_from_those_chosen_and_from_a_client(
    unspoilt: Config, of_all_files: list[Duck], asking: Duck, sql: str
) -> None:
    views.create(asking, unspoilt, narrowing.chosen(asking, unspoilt, sql))
    answers = [sorted(one.execute(sql).fetchall()) for one in (*of_all_files, asking)]
    answers.append(sorted(asked_by_a_client(unspoilt, f"SET TimeZone = 'UTC'; {sql}")))
    assert answers[0]
    assert all(one == answers[0] for one in answers)


@pytest.mark.parametrize("where", [f"symbol = '{SYMBOL}'", f"symbol LIKE '{SYMBOL}'"])
def test_a_day_that_is_compacted_while_folders_are_listed_is_in_the_answer(
    lake: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    listed = Layout.daily_days

    def listed_before_a_compaction(layout: Layout, exchange: str, symbol: str) -> list[date]:
        found = listed(layout, exchange, symbol)
        part = layout.part(exchange, symbol, IN_PROGRESS, 0)
        if part.exists():
            part.rename(layout.daily(exchange, symbol, IN_PROGRESS))
        return found

    monkeypatch.setattr(Layout, "daily_days", listed_before_a_compaction)
    asked = f"SELECT count(*) AS n FROM bars_1s WHERE {where} AND window_start >= '{IN_PROGRESS}'"
    assert open_lake(tmp_path / "config.yml").sql(asked)["n"].tolist() == [3_600]


def test_minutes_of_a_day_whose_daily_file_is_gone_are_those_of_its_parts(lake: Config) -> None:
    """Such a day was made anew, of more trades than those minutes know."""
    lake.layout.daily("binance", SYMBOL, DAY).unlink()
    part = lake.layout.part("binance", SYMBOL, DAY, 0)
    part.parent.mkdir(parents=True)
    with parquet.connect() as connection:
        of_hour = f"FROM '{lake.layout.part('binance', SYMBOL, IN_PROGRESS, 0).as_posix()}'"
        rows = f"SELECT * REPLACE (window_start - INTERVAL {(IN_PROGRESS - DAY).days} DAY AS window_start) {of_hour}"
        parquet.copy(connection, rows, part)
        asked = f"SELECT count(*) FROM bars_1m WHERE {OF_DAY}"
        for chosen in (EVERYTHING, Chosen(SYMBOL)):
            views.create(connection, lake, chosen)
            assert connection.execute(asked).fetchall() == [(60,)]


def test_a_day_without_minutes_is_answered_by_its_seconds_until_they_are_made_and_then_once(
    lake: Config,
) -> None:
    minutes = lake.layout.minutes("binance", SYMBOL, DAY)
    content = minutes.read_bytes()
    minutes.unlink()
    views.save(lake)
    asked = f"SELECT count(*), sum(trade_count) FROM bars_1d WHERE {OF_DAY}"
    assert asked_by_a_client(lake, asked) == [(1, 48)]
    minutes.write_bytes(content)
    assert asked_by_a_client(lake, asked) == [(1, 48)]
    views.save(lake)
    assert asked_by_a_client(lake, asked) == [(1, 2880)]


def test_a_step_that_does_not_divide_a_minute_leaves_minutes_alone(
    lake: Config, write_config: Callable[..., Path], duck: Duck
) -> None:

    other = config.load(write_config(transformer={"resample_interval_sec": 3600}))
    views.create(duck, other)
    assert duck.execute(f"SELECT count(*) FROM bars_1m WHERE {OF_DAY}").fetchall() == [(24,)]


def test_the_numbers_of_a_day_are_asked_for_all_symbols_at_once_and_a_damaged_file_costs_its_own(
    lake: Config, duck: Duck, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = Series.recorded(lake)
    found = views.day_in_numbers(duck, series, DAY)
    size = lake.layout.daily("binance", SYMBOL, DAY).stat().st_size
    numbers = {"rows": 24, "trades": 48, "quotes": 72, "unobserved": 0, "bytes": size}
    assert [row["symbol"] for row in found] == sorted(SYMBOLS)
    assert found[1] == {"exchange": "binance", "symbol": SYMBOL, **numbers}
    monkeypatch.setattr(views, "_AT_ONCE", 2)
    lake.layout.daily("binance", SYMBOLS[0], DAY).write_bytes(b"spoilt")
    lake.layout.daily("binance", SYMBOLS[2], DAY).unlink()
    assert views.day_in_numbers(duck, series, DAY) == [found[1]]
