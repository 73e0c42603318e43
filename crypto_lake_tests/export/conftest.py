"""A day of ticks to export: what overtook another on its way, was fetched later, or came by a clock that was behind."""

import duckdb
import pytest

from crypto_lake.raw.lines import QuoteLine, RawLine
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, LATER, SECOND, START, SYMBOL, land, trade

# The recorder's clock is two seconds behind; on their way lines are for 50 to 250 ms, so that some overtake others.
_BEHIND = -2 * SECOND


def _recv(n: int, us: int) -> int:
    return us + 50_000 + (n * 7919 % 5) * 50_000 + _BEHIND


def _quote(n: int, recv: int) -> RawLine:
    bid, ask = 19_000 + n % 3, 19_004 + n % 2
    return QuoteLine(
        *(SYMBOL, None, recv, n, None, None, None),
        *(f"{bid / 100:.2f}", f"{1 + n % 4}.5", f"{ask / 100:.2f}", f"0.{1 + n % 9}01"),
    )


def exported(duck: duckdb.DuckDBPyConnection, series: Series) -> None:
    """The day. Trades 40 to 42 were fetched the day after."""
    received = [
        trade(n, at, f"{190 + n % 7}.1{n % 10}", f"0.{n:03}1", "buy" if n % 3 else "sell", _recv(n, at))
        for n in range(1, 200)
        if n not in {40, 41, 42}
        for at in [START + 3600 * SECOND + n * 90_000]
    ]
    # Of one read several, which have one time.
    quotes = [_quote(n, START + 3600 * SECOND + n // 3 * 40_000 + _BEHIND) for n in range(1, 300)]
    land(series.config, sorted([*received, *quotes], key=lambda line: line.ts_recv))
    fetched = START + 86_400 * SECOND + 7200 * SECOND
    missing = [
        trade(n, START + 3600 * SECOND + n * 90_000, "191.5", "0.5", "sell", fetched) for n in (40, 41, 42)
    ]
    land(series.config, missing, kind="heal")
    bars.build_day(duck, series, DAY, LATER)
    daily.compact(duck, series, DAY, LATER)
    ticks.make(duck, series, DAY, LATER)


@pytest.fixture
def day(made: Made, series: Series) -> Series:
    """The series whose day it is."""
    return made(series, exported)
