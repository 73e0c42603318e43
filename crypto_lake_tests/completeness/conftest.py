"""What most tests of completeness start from."""

from collections.abc import Iterator

import duckdb
import pytest

from crypto_lake.disk import parquet


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    """One for all tests of a file, which leave nothing in it: to open it takes longer than most answers."""
    with parquet.connect() as connection:
        yield connection
