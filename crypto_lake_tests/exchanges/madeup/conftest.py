"""The made-up exchange is found as one of another distribution's is: its folder is on the package's path."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crypto_lake import exchanges
from crypto_lake.exchanges import registry


@pytest.fixture(scope="module", autouse=True)
def _findable() -> Iterator[None]:
    here = str(Path(__file__).parents[1])
    exchanges.__path__.append(here)
    yield
    exchanges.__path__.remove(here)
    registry.exchange.cache_clear()
