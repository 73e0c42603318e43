"""What the doctor changes for its process is put back for the tests after it."""

from collections.abc import Iterator

import pytest
from loguru import logger


@pytest.fixture(autouse=True)
def _the_collector_speaks_again() -> Iterator[None]:
    yield
    logger.enable("collector_daemon")
