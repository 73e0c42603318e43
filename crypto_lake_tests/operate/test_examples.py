"""The example notebook as its reader runs it: exported by a process of its own, over a lake that was recorded."""

import shutil
from pathlib import Path
from subprocess import CompletedProcess

import duckdb
import pytest

from crypto_lake.config import Config
from crypto_lake.layout import MINUTE_US
from crypto_lake.series import Series
from crypto_lake.transform import bars
from crypto_lake_tests import processes
from crypto_lake_tests.raw_lines import DAY, LATER, START
from crypto_lake_tests.recorded_market import record, trade_ids

_NOTEBOOK = Path(__file__).parents[2] / "examples" / "a_day.py"


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """A copy of it: marimo leaves a folder beside what it runs."""
    return Path(shutil.copy(_NOTEBOOK, tmp_path))


def exported(notebook: Path) -> tuple[CompletedProcess[str], str]:
    """How the export over the lake beside it went, and the page: what the cells answered, without their code."""
    folder = notebook.parent
    words = ("export", "html", notebook.name, "--no-include-code", "-o", "a_day.html")
    done = processes.run("marimo", *words, cwd=folder, CRYPTO_LAKE_CONFIG=str(folder / "config.yml"))
    return done, (folder / "a_day.html").read_text(encoding="utf-8")


def test_it_draws_a_recorded_day_and_says_how_many_trades_it_had(
    notebook: Path, series: Series, duck: duckdb.DuckDBPyConnection
) -> None:
    record(series.config, START, START + 20 * MINUTE_US)
    bars.build_day(duck, series, DAY, LATER)
    done, page = exported(notebook)
    assert done.returncode == 0, done.stderr  # it is 1 where a cell raised
    assert page.count("data:image/png") == 3
    assert f"{len(trade_ids(series.config)):,}" in page


def test_it_says_of_an_empty_lake_that_there_are_no_bars(notebook: Path, lake: Config) -> None:
    assert not lake.layout.base.exists()
    done, page = exported(notebook)
    assert done.returncode == 0, done.stderr
    assert "This lake has no bars yet" in page
    assert "Traceback" not in page + done.stderr


def test_marimo_finds_nothing_wrong_with_its_cells(notebook: Path) -> None:
    done = processes.run("marimo", "check", "--strict", notebook.name, cwd=notebook.parent)
    assert done.returncode == 0, done.stdout + done.stderr
