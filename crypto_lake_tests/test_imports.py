"""The import contracts of `pyproject.toml` refuse what they are there to refuse."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages and their contracts."""
    for package in ("crypto_lake", "collector_daemon"):
        shutil.copytree(_ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(_ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def said_of(tree: Path) -> tuple[int, str]:
    """The exit code of the import linter, and what it prints, in one line."""
    script = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "--no-cache"],
        cwd=tree,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")


def test_the_tree_as_it_is_keeps_all_contracts(tree: Path) -> None:
    code, said = said_of(tree)
    assert code == 0, said


def test_a_module_on_no_floor_is_refused(tree: Path) -> None:
    (tree / "crypto_lake" / "odds_and_ends.py").write_text('"""No room."""\n', encoding="utf-8")
    code, said = said_of(tree)
    assert (code, "odds_and_ends" in said) == (1, True)


@pytest.mark.parametrize(
    "room", ["transform/bars.py", "raw/segments.py", "checks/__init__.py", "simulator/clock.py"]
)
def test_dagster_in_a_core_room_is_refused(tree: Path, room: str) -> None:
    append(tree / "crypto_lake" / room, "import dagster  # noqa")
    code, said = said_of(tree)
    assert (code, "Dagster stays in its shell BROKEN" in said) == (1, True)


def test_dagster_in_a_new_module_of_a_core_room_is_refused(tree: Path) -> None:
    (tree / "crypto_lake" / "transform" / "new.py").write_text(
        "from dagster import asset\n", encoding="utf-8"
    )
    code, said = said_of(tree)
    assert (code, "crypto_lake.transform.new -> dagster" in said) == (1, True)


def test_a_cycle_between_two_modules_of_one_room_is_refused(tree: Path) -> None:
    append(tree / "crypto_lake" / "transform" / "plan.py", "from crypto_lake.transform import daily  # noqa")
    code, said = said_of(tree)
    assert (code, "No cycles are allowed in crypto_lake.transform" in said) == (1, True)


def test_the_core_importing_the_collector_is_refused(tree: Path) -> None:
    append(tree / "crypto_lake" / "transform" / "bars.py", "from collector_daemon import clock  # noqa")
    code, said = said_of(tree)
    assert (code, "crypto_lake.transform.bars -> collector_daemon.clock" in said) == (1, True)


def test_the_bundled_exchange_importing_the_lake_is_refused(tree: Path) -> None:
    append(tree / "crypto_lake" / "simulator" / "clock.py", "from crypto_lake.raw import segments  # noqa")
    code, said = said_of(tree)
    assert (code, "The bundled exchange knows nothing of the lake BROKEN" in said) == (1, True)


@pytest.mark.parametrize("module", ["crypto_lake/transform/bars.py", "collector_daemon/recorder.py"])
def test_an_exchange_imported_by_its_name_is_refused(tree: Path, module: str) -> None:
    append(tree / module, "from crypto_lake.exchanges.binance import wire  # noqa")
    code, said = said_of(tree)
    assert (code, "An exchange is reached through the registry alone BROKEN" in said) == (1, True)


def test_an_import_upwards_is_refused(tree: Path) -> None:
    append(tree / "crypto_lake" / "raw" / "segments.py", "from crypto_lake.checks import subject  # noqa")
    code, said = said_of(tree)
    assert (code, "crypto_lake.raw is not allowed to import crypto_lake.checks" in said) == (1, True)


def test_a_heavy_library_in_the_collector_is_refused(tree: Path) -> None:
    append(tree / "collector_daemon" / "recorder.py", "import pandas  # noqa")
    code, said = said_of(tree)
    assert (code, "The collector stays light BROKEN" in said) == (1, True)
