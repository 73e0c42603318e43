"""What tests of the collector share."""

from collections.abc import Iterator

import pytest
from loguru import logger


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What is logged as a warning."""
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message).strip()), format="{message}", level="WARNING")
    yield lines
    logger.remove(sink)
