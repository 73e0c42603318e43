"""What most tests of files that are made start from."""

from collections.abc import Iterator

import duckdb
import pytest

from crypto_lake.disk import parquet


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    """One for all tests of a file, with as many threads as it takes to be told apart in a file's bytes."""
    with parquet.connect() as connection:
        connection.execute("SET threads = 2")
        yield connection
