"""A statement runs with the tables and values that come with the question, and nothing stays behind."""

import re
from pathlib import Path

import duckdb
import pytest

from crypto_lake import sql
from crypto_lake.errors import LakeError
from crypto_lake.raw import numbering

Duck = duckdb.DuckDBPyConnection
NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in Path(str(sql.__file__)).parent.glob("*/*.sql"))
TICKS = "(VALUES (1, now()), (4, now())) AS t(id, ts_event)"


def test_a_statement_reads_the_table_that_it_is_given(duck: Duck) -> None:
    found = sql.rows(
        sql.ask(
            duck,
            "checks/ticks_contiguous",
            {"trades": f"(FROM {TICKS})"},
            last_id_before=None,
            **numbering.MOST,
        )
    )
    assert [(row["first_id"], row["last_id"]) for row in found] == [(2, 3)]


def test_a_statement_without_a_with_of_its_own_is_given_tables_too(duck: Duck) -> None:
    bars = {"bars": "(SELECT make_timestamptz(0) AS window_start FROM range(2))"}
    assert [row["bars"] for row in sql.rows(sql.ask(duck, "checks/no_duplicate_seconds", bars))] == [2]


def test_a_statement_reads_the_table_it_is_given_and_no_view_of_that_name(duck: Duck) -> None:
    duck.execute("CREATE VIEW bars AS SELECT 1 AS nothing")
    bars = {"bars": "(SELECT make_timestamptz(0) AS window_start)"}
    assert sql.ask(duck, "checks/no_duplicate_seconds", bars).fetchall() == []


@pytest.mark.parametrize("given", [{}, {"max_silence": 60, "step": 1, "more": 1}])
def test_a_statement_takes_its_own_variables_no_more_and_no_less(
    duck: Duck, given: dict[str, object]
) -> None:
    bars = {"bars": "(SELECT now() AS window_start, true AS observed, 1 AS quote_count, 1 AS trade_count)"}
    with pytest.raises(duckdb.Error, match=r"(?i)parameter"):
        sql.ask(duck, "checks/quotes_fresh", bars, **given)


def test_a_kept_table_goes_with_its_block_whatever_happens_in_it(duck: Duck) -> None:
    with sql.kept(duck, "kept", "SELECT $n AS n", n=3):
        assert duck.execute("FROM kept").fetchall() == [(3,)]
    with pytest.raises(LakeError), sql.kept(duck, "kept", "SELECT $n AS n", n=3):
        raise LakeError("no")
    assert duck.execute("FROM duckdb_tables()").fetchall() == []


def test_a_kept_table_that_is_still_being_read_hides_no_error_and_is_made_anew_afterwards(duck: Duck) -> None:
    readers = []

    def fail() -> None:
        with sql.kept(duck, "kept", "FROM range(100000)"):
            readers.append(duck.sql("FROM kept").to_arrow_reader(1))
            raise LakeError("the disk is full")

    with pytest.raises(LakeError, match="the disk is full"):
        fail()
    readers[0].close()
    with sql.kept(duck, "kept", "SELECT 3 AS n"):
        assert duck.execute("FROM kept").fetchall() == [(3,)]


@pytest.mark.parametrize("name", NAMES)
def test_a_statement_says_in_its_head_what_it_is_and_which_values_it_is_given(name: str) -> None:
    text = (Path(str(sql.__file__)).parent / f"{name}.sql").read_text(encoding="utf-8")
    body = sql.statement(name)
    head = text.removesuffix("\n").removesuffix(body)
    assert head.startswith("-- ")
    wanted = set(re.findall(r"\$([a-z_]+)", body))
    assert [value for value in sorted(wanted) if value not in head] == []
