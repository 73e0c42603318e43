"""Many symbols in a statement: a symbol's verdict never depends on who shares its batch."""

import re
import shutil
from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crypto_lake import checks
from crypto_lake.checks import Means, Verdict
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.completeness import holes
from crypto_lake.config import Config
from crypto_lake.errors import LakeError
from crypto_lake.series import Series
from crypto_lake_tests.checks.days import Duck, landed
from crypto_lake_tests.made import Made
from crypto_lake_tests.raw_lines import DAY, HOUR, SECOND, START, SYMBOL, quote, trade

NOW = START + 3 * HOUR
HOURS = 3
BEFORE = DAY - timedelta(days=1)
LINES = [
    *(trade(n, START + n * 700 * SECOND, price=f"{190 + n % 5}.12") for n in range(1, 15)),
    *(quote(n, START + n * 60 * SECOND) for n in range(1, 170)),
]
# What may be wrong with the bars of an hour, as no transform would make them.
FAULTS = {
    "none": "FROM bars",
    "nothing": "FROM bars LIMIT 0",
    "seconds are missing": "FROM bars WHERE epoch(window_start) % 100 < 90",
    "twice": "FROM bars UNION ALL FROM bars",
    "upside down": "FROM bars ORDER BY window_start DESC",
    "between seconds": "SELECT * REPLACE (window_start + INTERVAL 1 MILLISECOND AS window_start) FROM bars",
    "no price adds up": "SELECT * REPLACE (low + 1 AS low) FROM bars",
    "a price jumps": "SELECT * REPLACE (open * 2 AS open, high * 2 AS high) FROM bars",
    "ids are missing": "SELECT * REPLACE (last_trade_id + 3 AS last_trade_id) FROM bars",
    "ids go back": "SELECT * REPLACE (first_trade_id - 5 AS first_trade_id) FROM bars",
    "another type": "SELECT * REPLACE (close::FLOAT AS close) FROM bars",
    "one column more": "SELECT *, 1 AS more FROM bars",
    "no trade at all": "SELECT * REPLACE (0 AS trade_count, 0.0 AS volume_base) FROM bars",
}
_MOST = 5
lakes = st.lists(
    st.tuples(st.sampled_from([*FAULTS]), st.integers(0, HOURS - 1), st.booleans()),
    min_size=2,
    max_size=_MOST,
)


def three_hours(duck: Duck, series: Series) -> None:
    landed(duck, series, [trade(0, START - HOUR)], BEFORE, NOW)
    landed(duck, series, LINES, DAY, NOW)


@pytest.fixture
def another(duck: Duck, made: Made, series: Series) -> Callable[..., Series]:
    """One more symbol with the same three hours, with a fault in one of them, with or without the day before."""
    made(series, three_hours)

    def adding(number: int, fault: str, hour: int, *, has_before: bool) -> Series:
        one = Series(series.config, "binance", f"S{number}USDT")
        for day in (DAY, *([BEFORE] if has_before else [])):
            _copied(series, one, day)
        path = one.layout.part("binance", one.symbol, DAY, hour)
        if fault != "none":
            spoilt = path.with_name("spoilt")
            bars = f"WITH bars AS (FROM read_parquet('{path}', hive_partitioning = false))"
            duck.execute(f"COPY ({bars} {FAULTS[fault]}) TO '{spoilt}' (FORMAT parquet)")
            spoilt.replace(path)
        return one

    return adding


def _copied(series: Series, one: Series, day: date) -> None:
    raw, bars = series.layout.raw_day, series.layout.parts_day
    shutil.copytree(bars("binance", SYMBOL, day), bars("binance", one.symbol, day))
    raw("binance", one.symbol, day).mkdir(parents=True)
    for path in raw("binance", SYMBOL, day).iterdir():
        text = path.read_bytes().replace(SYMBOL.encode(), one.symbol.encode())
        (raw("binance", one.symbol, day) / path.name).write_bytes(text)


def told(verdict: Verdict, symbol: str) -> tuple[object, ...]:
    return verdict.counts[symbol], verdict.rows.get(symbol), verdict.unverifiable.get(symbol)


# Few, since each is a lake, and the example has every fault.
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lakes)
@example([(fault, 1, True) for fault in FAULTS])
def test_each_symbol_of_a_batch_is_told_what_it_is_told_alone(
    duck: Duck, lake: Config, another: Callable[..., Series], faults: list[tuple[str, int, bool]]
) -> None:
    for folder in (lake.layout.raw_symbol("binance", ""), lake.layout.bars_symbol("binance", "")):
        for path in folder.glob("S*USDT"):
            shutil.rmtree(path) if path.name != SYMBOL else None
    some = [another(n, fault, hour, has_before=before) for n, (fault, hour, before) in enumerate(faults)]
    with ExchangeCandles() as reference:
        means = Means(duck, reference, NOW)
        for asset, check in [
            *(("bars_1s", check) for check in checks.ON["bars_1s"]),
            ("raw_segments", checks.TRADE_IDS_CONTIGUOUS),
        ]:
            together = checks.run(check, asset, some, DAY, means)
            for one in some:
                alone = checks.run(check, asset, [one], DAY, means)
                assert told(together, one.symbol) == told(alone, one.symbol), (check.name, one.symbol)
    assert holes.find_all(duck, some, BEFORE, NOW) == [holes.find(duck, one, BEFORE, NOW) for one in some]


def test_a_damaged_file_is_named_whoever_shares_the_batch(duck: Duck, another: Callable[..., Series]) -> None:
    some = [another(n, "none", 0, has_before=True) for n in range(3)]
    path = some[1].layout.part("binance", "S1USDT", DAY, 1)
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(len(content) - 200) + content[-100:])
    with ExchangeCandles() as reference, pytest.raises(LakeError, match=re.escape(str(path))):
        checks.run(checks.PRICES_ARE_CONSISTENT, "bars_1s", some, DAY, Means(duck, reference, NOW))


def test_bars_that_lie_in_no_order_are_followed_in_order_of_time(
    duck: Duck, another: Callable[..., Series]
) -> None:
    some = [another(n, fault, 1, has_before=True) for n, fault in enumerate(["upside down", "none"])]
    with ExchangeCandles() as reference:
        for check in checks.ON["bars_1s"]:
            verdict = checks.run(check, "bars_1s", some, DAY, Means(duck, reference, NOW))
            assert verdict.counts == {"S0USDT": 0, "S1USDT": 0}, check.name
