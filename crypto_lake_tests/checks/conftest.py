"""Days to spoil, as most tests of checks start from."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from crypto_lake.series import Series
from crypto_lake_tests.checks.days import GOOD, QUOTES, Duck, compacted, landed, three_days, without
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, START


@pytest.fixture
def good(made: Made, series: Series) -> Series:
    """The three days, to spoil."""
    return made(series, three_days)


@pytest.fixture
def finished(made: Made, series: Series) -> Series:
    """The same, the middle one in a daily file and ticks."""
    return made(series, compacted)


def lacking(duck: Duck, series: Series, *, ids: Sequence[int]) -> None:
    landed(duck, series, [*GOOD, *QUOTES], DAY - timedelta(days=1))
    landed(duck, series, [*without(*ids), *QUOTES])
    landed(duck, series, [*GOOD, *QUOTES], DAY + timedelta(days=1), START + 25 * HOUR)


@pytest.fixture
def incomplete(made: Made, series: Series) -> Callable[..., Series]:
    """Three days, of which the middle one lacks some trades and the last has just begun."""
    return lambda *ids: made(series, lacking, ids=ids)
