"""How well the newest hour's quotes fit its trades is told by the run that makes it, of lines that are parsed once."""

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from crypto_lake import sql
from crypto_lake.raw import scan
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests.raw_lines import DAY, HOUR, LATER, SECOND, START, land, quote, trade
from crypto_lake_tests.transform.test_one_id_twice import fit_of

Duck = duckdb.DuckDBPyConnection


def hour_of(series: Series, hour: int) -> Path:
    """A segment of an hour: every third trade at a quote that prevails, if that is placed by the exchange's clock."""
    begin = START + hour * HOUR
    lines = []
    for n in range(60):
        at = begin + 10 * SECOND + n * SECOND
        bid = f"{100 + n % 7}.00000000"
        lines += [
            quote(n, at + 80_000 + n % 3, bid, "200.00000000"),
            trade(hour * 100 + n, at + 1, bid, side="sell"),
        ]
    return land(series.config, sorted(lines, key=lambda line: line.ts_recv))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The segments that the workspace had parsed, each time."""
    found: list[Path] = []
    of_slots = scan.of_slots

    def counted(paths: list[Path], slots: list[int]) -> list[str]:
        found.extend(paths)
        return of_slots(paths, slots)

    monkeypatch.setattr(scan, "of_slots", counted)
    return found


def test_the_newest_hour_is_parsed_once_for_its_bars_and_its_fit(
    duck: Duck, series: Series, parsed: list[Path]
) -> None:
    paths = [hour_of(series, hour) for hour in (22, 23)]
    built = bars.build_day(duck, series, DAY, LATER, with_fit=True)
    assert built.rebuilt[-1] == 23
    assert sorted(parsed) == paths
    parsed.clear()
    assert built.fit == fit_of(duck, series, DAY, 23)
    assert built.fit
    assert built.fit.corrected
    assert parsed == paths[1:]


def test_no_trade_is_held_against_every_quote(
    duck: Duck, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour_of(series, 23)
    plans: list[str] = []

    def explained(connection: Duck, name: str, tables: sql.Tables, **variables: object) -> Duck:
        question = f"EXPLAIN {sql.statement(name, tables)}"
        plans.append(connection.execute(question, variables).fetchall()[0][1])
        return ask(connection, name, tables, **variables)

    ask = sql.ask
    monkeypatch.setattr(sql, "ask", explained)
    assert fit_of(duck, series, DAY, 23).corrected
    assert [plan.count("Asof Join") for plan in plans] == [2]


def test_the_fit_is_that_of_the_newest_hour_that_was_rebuilt(duck: Duck, series: Series) -> None:
    for hour in (3, 23):
        hour_of(series, hour)
    bars.build_day(duck, series, DAY, LATER, with_fit=True)
    land(series.config, [trade(9_999, START + 23 * HOUR)], DAY, "heal")
    late = land(series.config, [trade(5, START + 3 * HOUR + 5 * SECOND, "1.00000000")], kind="heal")
    assert late.exists()
    built = bars.build_day(duck, series, DAY, LATER, with_fit=True)
    assert built.fit == fit_of(duck, series, DAY, built.rebuilt[-1])


def test_a_day_that_is_in_line_has_no_fit(duck: Duck, series: Series) -> None:
    hour_of(series, 23)
    bars.build_day(duck, series, DAY, LATER, with_fit=True)
    assert bars.build_day(duck, series, DAY, LATER, with_fit=True).fit is None


def test_bars_do_not_depend_on_whether_the_fit_is_asked(duck: Duck, series: Series) -> None:
    hour_of(series, 23)
    layout = series.layout
    found = []
    for with_fit in (True, False):
        bars.build_day(duck, series, DAY, LATER, with_fit=with_fit)
        parts = layout.parts("binance", series.symbol, DAY)
        found.append([part.read_bytes() for part in parts])
        for part in parts:
            part.unlink()
    assert found[0] == found[1]


def test_lines_that_were_kept_are_gone_with_the_workspace(duck: Duck, series: Series) -> None:
    hour_of(series, 23)
    bars.build_day(duck, series, DAY, LATER, with_fit=True)
    assert (
        duck.execute("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%lines'").fetchall() == []
    )
    day_after = DAY + timedelta(days=1)
    assert bars.build_day(duck, series, day_after, LATER, with_fit=True).fit is None
