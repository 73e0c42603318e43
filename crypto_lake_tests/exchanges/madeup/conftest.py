"""The made-up exchange is found as one of another distribution's is: its folder is on the package's path."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from crypto_lake import exchanges
from crypto_lake.disk import parquet
from crypto_lake.exchanges import registry


@pytest.fixture(scope="module", autouse=True)
def _findable() -> Iterator[None]:
    here = str(Path(__file__).parents[1])
    exchanges.__path__.append(here)
    yield
    exchanges.__path__.remove(here)
    registry.exchange.cache_clear()


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    """One for all tests of a file, which leave nothing in it."""
    with parquet.connect() as connection:
        yield connection
