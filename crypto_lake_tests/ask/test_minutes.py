"""Longer bars made of minutes equal, to the last bit, those made of seconds."""

from decimal import Decimal
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto_lake.ask import tables, views
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.layout import DAY_US, HOUR_US, MINUTE_US, SECOND_US, day_start_us
from crypto_lake.schema import BAR, names
from crypto_lake.transform import longer
from crypto_lake_tests.raw_lines import DAY

START = day_start_us(DAY)
LENGTHS = (MINUTE_US, 5 * MINUTE_US, HOUR_US, DAY_US)


class Second(NamedTuple):
    """What happened in a second: trades as price and quantity, bought or not, and whether somebody listened."""

    at: int
    trades: list[tuple[Decimal, Decimal, bool]]
    quoted: int
    observed: bool


def decimals(places: int, most: int) -> st.SearchStrategy[Decimal]:
    return st.integers(min_value=1, max_value=most).map(lambda number: Decimal(number).scaleb(-places))


@st.composite
def seconds(draw: st.DrawFn) -> list[Second]:
    """Some seconds of a day; no volume of a minute has more than 15 digits."""
    price, qty = decimals(draw(st.integers(0, 6)), 10**5), decimals(draw(st.integers(0, 6)), 10**5)
    trades = st.lists(st.tuples(price, qty, st.booleans()), max_size=3)
    # Within a few minutes of some hours, so that intervals have several.
    places = st.integers(0, 200).map(lambda n: n % 67 * 61 + n // 67 * 3_580)
    second = st.builds(Second, at=places, trades=trades, quoted=st.integers(0, 3), observed=st.booleans())
    return sorted(draw(st.lists(second, min_size=1, max_size=80, unique_by=lambda one: one.at)))


def bars(some: list[Second]) -> list[list[object]]:
    """Return their rows, in the columns of a bar; the close is carried."""
    rows: list[list[object]] = []
    close: float | None = None
    last_id = 0
    for one in some:
        prices = [float(price) for price, _, _ in one.trades]
        base = sum((qty for _, qty, _ in one.trades), Decimal(0))
        quote = sum((price * qty for price, qty, _ in one.trades), Decimal(0))
        bought = sum((qty for _, qty, is_bought in one.trades if is_bought), Decimal(0))
        paid = sum((price * qty for price, qty, is_bought in one.trades if is_bought), Decimal(0))
        opened = prices[0] if prices else close
        close = prices[-1] if prices else close
        ids = [last_id + 1, last_id + len(prices)] if prices else [None, None]
        last_id += len(prices)
        bid = float(one.at % 17) if one.quoted else None
        span = opened, max(prices, default=close), min(prices, default=close), close
        volumes = [float(volume) for volume in (base, quote, bought, paid)]
        counts = [volumes[1] / volumes[0] if prices else None, len(prices), one.quoted]
        quoted = [bid, bid, bid, bid, None if bid is None else 0.0]
        at = START + one.at * SECOND_US
        rows.append(["SOLUSDT", at, *span, *volumes, *counts, *quoted, one.observed, *ids])
    return rows


@pytest.fixture
def both_ways(duck: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Longer bars of the table `of_seconds`: `by_seconds`, and `by_minutes`, made of minutes of them, `of_minutes`."""
    for table in ("of_seconds", "of_minutes"):
        duck.execute(f"CREATE TABLE {table} AS {tables.nothing(BAR)}")
    longer.add_exactly(duck)
    start = longer.start_of("s.window_start")
    for macro, table, step in (
        ("by_seconds", "of_seconds", SECOND_US),
        ("by_minutes", "of_minutes", MINUTE_US),
    ):
        longer.define(duck, macro, table, step, start, proved=False)
    return duck


@given(some=seconds())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_longer_bars_are_the_same_of_minutes_and_of_seconds(
    both_ways: duckdb.DuckDBPyConnection, some: list[Second]
) -> None:
    columns = [[*values] for values in zip(*bars(some), strict=True)]
    rows = pa.table([pa.array(values) for values in columns], names(BAR))
    both_ways.register("given", rows)
    both_ways.execute("DELETE FROM of_seconds")
    both_ways.execute(
        "INSERT INTO of_seconds SELECT * REPLACE (make_timestamptz(window_start) AS window_start) FROM given"
    )
    both_ways.execute(
        f"CREATE OR REPLACE TABLE of_minutes AS SELECT {', '.join(names(BAR))} FROM by_seconds({MINUTE_US})"
    )
    for length in LENGTHS:
        of_minutes, of_seconds = (
            both_ways.execute(f"FROM {macro}({length}) ORDER BY window_start").fetchall()
            for macro in ("by_minutes", "by_seconds")
        )
        assert of_minutes == of_seconds


def test_a_minute_all_of_whose_seconds_were_observed_makes_an_observed_hour(lake: Config) -> None:
    with parquet.connect() as connection:
        connection.execute("CREATE TABLE of_seconds AS " + tables.nothing(BAR))
        connection.execute(
            f"""INSERT INTO of_seconds (symbol, window_start, trade_count, quote_count, observed, volume_base,
                    volume_quote, taker_buy_base, taker_buy_quote)
                SELECT 'SOLUSDT', make_timestamptz({START} + range * {SECOND_US}), 0, 0, range <> 4000, 0, 0, 0, 0
                FROM range(7200)"""
        )
        views.resample(connection, lake, "of_seconds")
        connection.execute("CREATE TABLE minutes AS FROM bars_1m")
        start = longer.start_of("s.window_start")
        longer.define(connection, "by_minutes", "minutes", MINUTE_US, start, proved=False)
        asked = f"SELECT observed FROM by_minutes({HOUR_US}) ORDER BY window_start"
        assert connection.execute(asked).fetchall() == [(True,), (False,)]
