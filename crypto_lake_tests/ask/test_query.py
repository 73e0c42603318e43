"""Questions in SQL: one or a shell of them, as a table, CSV, JSON or Parquet."""

import gzip
import json
from pathlib import Path

import duckdb
import pytest
from pyarrow import parquet as pq

from crypto_lake.ask import query
from crypto_lake.ask.lake import Lake
from crypto_lake.config import Config
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.raw import instruments
from crypto_lake.raw.instruments import Instrument
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, START, SYMBOL, land, trade

Duck = duckdb.DuckDBPyConnection
TWO = "SELECT 1 AS n, TIMESTAMPTZ '2025-10-20 00:00:00+00' AS at UNION ALL SELECT 2, NULL ORDER BY n"


def test_a_question_is_answered_though_a_compaction_came_in_between(
    duck: Duck, series: Series, capsys: pytest.CaptureFixture[str]
) -> None:
    land(series.config, [trade(1, START + HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    connection = query.connect(series.config)
    daily.compact(duck, series, DAY, LATER)
    query.show(connection, series.config, "SELECT count(*) AS n FROM bars_1s")
    assert "86400" in capsys.readouterr().out


def test_a_mistake_in_a_question_is_said(lake: Config) -> None:
    with pytest.raises(LakeError, match="bars_2s"):
        query.show(query.connect(lake), lake, "FROM bars_2s")


def test_the_shell_answers_goes_on_after_a_mistake_and_ends_with_the_input(
    lake: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    typed = iter(["selec 1;", "SELECT 40", "+ 2 AS n;", ".views", "SELECT 'not ended' AS last"])

    def ask(_: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", ask)
    query.shell(lake)
    said = capsys.readouterr()
    assert "42" in said.out
    assert "bars_1m" in said.out
    assert "selec" in said.err
    assert "not ended" in said.out


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("csv", "n,at\n1,2025-10-20 00:00:00+00\n2,\n"),
        ("json", '[\n\t{"n":1,"at":"2025-10-20 00:00:00+00"},\n\t{"n":2,"at":null}\n]\n'),
    ],
)
def test_an_answer_is_printed_for_programs(
    lake: Config, capfdbinary: pytest.CaptureFixture[bytes], kind: query.Format, said: str
) -> None:
    query.write(lake, TWO, kind, None)
    assert capfdbinary.readouterr().out.decode() == said


def test_an_answer_without_rows_is_json_all_the_same(
    lake: Config, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    query.write(lake, "SELECT 1 AS n WHERE false", "json", None)
    assert json.loads(capfdbinary.readouterr().out) == []


def test_an_answer_becomes_a_parquet_file_with_its_types(lake: Config, tmp_path: Path) -> None:
    query.write(lake, "FROM bars_1m;", "parquet", tmp_path / "out.parquet")
    assert pq.read_schema(tmp_path / "out.parquet").field("trade_count").type == "int32"


def test_a_mistake_leaves_the_file_that_was_there(lake: Config, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(LakeError, match="bars_2s"):
        query.write(lake, "FROM bars_2s", "csv", path)
    assert [(each.name, each.read_text("utf-8")) for each in tmp_path.glob("*.csv*")] == [
        ("out.csv", "before")
    ]


def test_a_folder_that_is_not_there_is_not_made(lake: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        query.write(lake, TWO, "csv", tmp_path / "nowhere" / "out.csv")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("asked", "output", "expected"),
    [
        (None, None, None),
        ("table", None, None),
        ("csv", None, "csv"),
        (None, "bars.JSON", "json"),
        (None, "bars.parquet", "parquet"),
        ("csv", "bars.txt", "csv"),
    ],
)
def test_the_format_is_as_asked_or_as_the_file_is_named(
    asked: str | None, output: str | None, expected: str | None
) -> None:
    assert query.format_of(asked, Path(output) if output else None) == expected


@pytest.mark.parametrize(("asked", "output"), [(None, "bars.txt"), ("table", "bars.csv")])
def test_a_file_that_says_no_format_is_wrong_usage(asked: str | None, output: str) -> None:
    with pytest.raises(ConfigError, match=r"expected a name in \.csv"):
        query.format_of(asked, Path(output))


def test_each_of_several_statements_is_answered_and_the_last_is_written(
    lake: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query.show(query.connect(lake), lake, "SELECT 'first' AS a; SELECT 'second' AS b -- the end")
    said = capsys.readouterr().out
    assert "first" in said
    assert "second" in said
    query.write(lake, "CREATE TABLE last AS SELECT 7 AS n; FROM last", "csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text("utf-8") == "n\n7\n"


def test_no_question_is_wrong_usage(lake: Config) -> None:
    with pytest.raises(ConfigError, match="expected SQL"):
        query.show(query.connect(lake), lake, " -- nothing")


def test_a_name_in_a_question_is_never_a_variable_of_the_program(lake: Config, tmp_path: Path) -> None:
    for name in ("path", "the_last_answer", "last"):
        with pytest.raises(LakeError, match="does not exist"):
            query.write(lake, f"FROM {name}", "csv", tmp_path / "out.csv")


def test_an_answer_is_compressed_where_the_name_says_so(lake: Config, tmp_path: Path) -> None:
    path = tmp_path / "out.csv.gz"
    assert query.format_of(None, path) == "csv"
    query.write(lake, "SELECT 1 AS n", "csv", path)
    assert gzip.decompress(path.read_bytes()) == b"n\n1\n"


def test_what_is_no_file_is_not_replaced(lake: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a file"):
        query.write(lake, TWO, "csv", tmp_path)


def test_a_damaged_file_is_left_out_and_said(
    duck: Duck, series: Series, capsys: pytest.CaptureFixture[str]
) -> None:
    land(series.config, [trade(1, START + HOUR)])
    bars.build_day(duck, series, DAY, LATER)
    part = series.layout.part("binance", "SOLUSDT", DAY, 5)
    for content in (part.read_bytes()[:-9], b"PAR1" + bytes(99) + b"PAR1"):
        part.write_bytes(content)
        query.show(query.connect(series.config), series.config, "SELECT count(*) AS n FROM bars_1s")
        said = capsys.readouterr()
        assert "82800" in said.out
        assert said.err == f"warning: {part}: not a readable Parquet file; left out\n"


def test_what_lies_in_the_lake_cannot_steer_the_terminal_that_shows_it(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = "SELECT chr(155) || '31m' || chr(27) || '[2J' || chr(8238) || 'é' AS text"
    query.show(query.connect(lake), lake, sql)
    lines = capsys.readouterr().out.split("\n")
    assert all(line.isprintable() for line in lines)
    assert any("31m" in line and "é" in line for line in lines)


def test_a_question_that_is_not_utf8_is_wrong_usage(lake: Config) -> None:
    with pytest.raises(ConfigError, match="the question is not UTF-8"):
        query.show(query.connect(lake), lake, "select '\udcff'")


def test_the_shell_goes_on_after_a_question_that_is_not_utf8(
    lake: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = iter(["select '\udcff';", "select 42 AS answer;"])

    def typed(_prompt: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr("builtins.input", typed)
    query.shell(lake)
    said = capsys.readouterr()
    assert "the question is not UTF-8" in said.err
    assert "42" in said.out


NO_TEXT = b"\xff\xfe\x00{]"


def test_a_table_that_becomes_bytes_that_are_no_utf8_under_its_views_is_left_out_and_said(
    lake: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    instruments.write(lake.layout, "binance", DAY, {SYMBOL: Instrument(SYMBOL, "TRADING", trading=True)})
    connection = query.connect(lake)
    path = lake.layout.reference("binance", DAY)
    path.write_bytes(NO_TEXT)
    query.show(connection, lake, "SELECT count(*) + 41 AS n FROM instruments")
    said = capsys.readouterr()
    assert "41" in said.out
    assert said.err == f"warning: {path}: not a table of instruments; left out\n"


def test_bytes_that_are_no_utf8_in_a_file_that_is_asked_by_its_name_are_one_clear_line(
    lake: Config, tmp_path: Path
) -> None:
    (tmp_path / "own.json").write_bytes(NO_TEXT)
    question = (
        f"FROM read_json('{(tmp_path / 'own.json').as_posix()}', format = 'array', columns = {{a: 'INT'}})"
    )
    with pytest.raises(LakeError, match=r"Expected top-level JSON array.*own\.json"):
        query.ask(lake, question)
    with pytest.raises(LakeError, match=r"Expected top-level JSON array.*own\.json"):
        query.write(lake, question, "csv", tmp_path / "out.csv")
    with pytest.raises(LakeError, match=r"Expected top-level JSON array.*own\.json"):
        Lake[object](lake, "df").sql(question)


def test_a_file_whose_name_is_not_utf8_is_not_written(lake: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="its name is not UTF-8"):
        query.write(lake, "SELECT 1", "csv", tmp_path / "a\udcff.csv")
    assert not list(tmp_path.glob("*.csv"))
