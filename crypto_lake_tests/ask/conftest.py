"""What most tests of questions start from."""

from collections.abc import Iterator

import duckdb
import pytest

from crypto_lake.disk import parquet


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    """One for each test, which defines views in it."""
    with parquet.connect() as connection:
        yield connection
