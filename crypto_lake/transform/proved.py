"""What a proof of a day's quotes changes in its bars: two columns more, and quotes of the book where one was lost.

It can be taken back: `received` returns the bars as they were without.
"""

from datetime import date

import duckdb
import pyarrow as pa

from crypto_lake import sql
from crypto_lake.disk import parquet
from crypto_lake.layout import SECOND_US
from crypto_lake.raw.lines import QUOTE
from crypto_lake.schema import BAR, PROVED_BAR
from crypto_lake.series import Series
from crypto_lake.transform import plan
from crypto_lake.transform.plan import Carry, PartRecord

_CARRIED = ("bid", "bid_qty", "ask", "ask_qty", "spread")


def proved(
    connection: duckdb.DuckDBPyConnection, series: Series, bars: pa.Table, proof: pa.Table
) -> pa.Table:
    """Return the bars of a whole day with what its proof says of their quotes, in the columns `PROVED_BAR`."""
    step = series.config.transformer.resample_interval_sec * SECOND_US
    with parquet.registered(connection, day_bars=bars, day_proof=proof):
        tables = {"bars": "day_bars", "proof": "day_proof"}
        found = sql.arrow(sql.ask(connection, "transform/with_proof", tables, step=step))
    return found.cast(parquet.arrow_schema(PROVED_BAR))


def received(connection: duckdb.DuckDBPyConnection, series: Series, day: date, bars: pa.Table) -> pa.Table:
    """Return bars of a day as they were received, in the columns of a bar; those of a day without proof are so."""
    if parquet.columns_of(bars) == BAR:
        return bars
    if "book" not in bars["quote_source"].unique().to_pylist():
        return bars.select([column.name for column in BAR])
    step = series.config.transformer.resample_interval_sec * SECOND_US
    quotes = series.layout.ticks(series.exchange, series.symbol, QUOTE.table, day)
    with parquet.registered(connection, day_bars=bars):
        tables = {"bars": "day_bars", "quotes": parquet.scan([quotes])}
        found = sql.arrow(
            sql.ask(connection, "transform/as_received", tables, step=step, **_begun_with(series, day))
        )
    return found.cast(parquet.arrow_schema())


def _begun_with(series: Series, day: date) -> dict[str, float | None]:
    """Return the quote that a day began with, as the hours that it was made of remember it."""
    records = plan.remembered(series, day)
    first: PartRecord | None = records.get(min(records, default=0))
    carry = first.fingerprint.get("carry", {}) if first else {}
    return {name: carry.get(name) for name in _CARRIED if name in Carry.__struct_fields__}
