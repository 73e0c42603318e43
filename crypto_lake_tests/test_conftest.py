"""A run of the tests, as whoever starts it sees it."""

from pathlib import Path

from crypto_lake_tests import processes


def test_the_last_line_of_a_run_is_its_summary() -> None:
    """With a property among its tests, and DuckDB imported: the two left eighty lines of what had leaked."""
    test = "disk/test_mending.py::test_nothing_is_lost_and_a_second_look_finds_nothing"
    words = ("-n", "0", "-p", "no:cacheprovider", f"crypto_lake_tests/{test}")
    done = processes.run("pytest", *words, cwd=Path(__file__).resolve().parents[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("1 passed")
