"""Days to spoil, as most tests of checks start from."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from crypto_lake.series import Series
from crypto_lake_tests.checks.days import GOOD, QUOTES, Duck, landed, three_days, without
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, START


@pytest.fixture
def good(made: Made, series: Series) -> Series:
    """The three days, to spoil."""
    return made(series, three_days)


def day_before(duck: Duck, series: Series) -> None:
    landed(duck, series, [*GOOD, *QUOTES], DAY - timedelta(days=1))


@pytest.fixture
def incomplete(made: Made, duck: Duck, series: Series) -> Callable[..., Series]:
    """Three days, of which the middle one lacks some trades and the last has just begun."""

    def lacking(*ids: int) -> Series:
        made(series, day_before)
        landed(duck, series, [*without(*ids), *QUOTES])
        landed(duck, series, [*GOOD, *QUOTES], DAY + timedelta(days=1), START + 25 * HOUR)
        return series

    return lacking
