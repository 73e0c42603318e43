"""The assets, in the order in which data flows: raw → bars → daily files; beside them the exchange's candles."""

import dagster as dg
from dagster_duckdb import DuckDBResource

from crypto_lake import backfill, bars, daily, heal, retention, ticks, views
from crypto_lake.config import Config
from crypto_lake.defs import metadata
from crypto_lake.defs.launch import tried_again
from crypto_lake.defs.metadata import Events
from crypto_lake.defs.partitions import DAILY, days_of
from crypto_lake.defs.resources import Lake, connected
from crypto_lake.errors import LakeError

# A range of days is one run: starting one costs more than the work of a day.
_RANGE_IN_ONE_RUN = dg.BackfillPolicy.single_run()
_COLUMNS = {"dagster/column_schema": metadata.COLUMNS}


def _refresh_views(context: dg.AssetExecutionContext, config: Config) -> None:
    """Make `lake.duckdb` anew. On Windows a client that holds it open forbids that, which is no failure of the run."""
    try:
        views.save(config)
    except LakeError as error:
        context.log.warning(str(error))


raw_segments = dg.AssetSpec(
    "raw_segments",
    partitions_def=DAILY,
    group_name="raw",
    kinds={"json"},
    description="Every trade and quote as received: the collector's sealed JSONL segments. No run makes them.",
)


@dg.asset(
    partitions_def=DAILY,
    deps=[raw_segments],
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="raw",
    kinds={"json"},
    pool="exchange",
)
def healed_trades(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Events:
    """The trades that no connection brought, fetched by their ids and landed beside those that were received."""
    with connected(duckdb) as db, tried_again(context):
        days = heal.heal_days(db, lake.config(), days_of(context), lake.now_us)
        yield from metadata.reported(context, ((day, metadata.of_heal(done)) for day, done in days))


@dg.asset(
    partitions_def=DAILY,
    deps=[raw_segments, healed_trades],
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="bars",
    kinds={"duckdb", "parquet"},
    pool="bars",
    metadata=_COLUMNS,
)
def bars_1s(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Events:
    """One-second bars, a Parquet part an hour; only what changed is made anew."""
    config = lake.config()
    with connected(duckdb) as db:
        days = ((day, bars.build_all(db, config, day, lake.now_us())) for day in days_of(context))
        yield from metadata.reported(
            context,
            (
                (
                    day,
                    metadata.of_bars(
                        built, views.day_in_numbers(db, config, day), bars.newest_hits(db, config, built)
                    ),
                )
                for day, built in days
            ),
        )
    _refresh_views(context, config)


@dg.asset(
    partitions_def=DAILY,
    deps=[bars_1s],
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="daily",
    kinds={"duckdb", "parquet"},
    pool="bars",
    metadata=_COLUMNS,
)
def daily_bars(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Events:
    """One verified Parquet file a symbol and finished day, with checksum and manifest; the parts then go."""
    config = lake.config()
    with connected(duckdb) as db:
        days = ((day, daily.compact_all(db, config, day, lake.now_us())) for day in days_of(context))
        yield from metadata.reported(
            context,
            ((day, metadata.of_daily(done, views.day_in_numbers(db, config, day))) for day, done in days),
        )
    _refresh_views(context, config)


@dg.asset(
    name="ticks",
    partitions_def=DAILY,
    deps=[daily_bars],
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="daily",
    kinds={"duckdb", "parquet"},
    pool="bars",
)
def ticks_of_days(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Events:
    """A finished day's trades and quotes, typed and sorted, compared row for row with the raw lines."""
    config = lake.config()
    with connected(duckdb) as db:
        days = ((day, ticks.make_all(db, config, day, lake.now_us())) for day in days_of(context))
        yield from metadata.reported(context, ((day, metadata.of_ticks(done)) for day, done in days))
        retention.apply(db, config, lake.now_us())
    _refresh_views(context, config)


@dg.asset(
    partitions_def=DAILY,
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="backfill",
    kinds={"parquet"},
    pool="exchange",
    metadata=_COLUMNS,
)
def candles_1m(context: dg.AssetExecutionContext, lake: Lake) -> Events:
    """The exchange's own 1-minute candles, in the columns of a bar; finished days are fetched once."""
    config = lake.config()
    days = backfill.backfill_days(config, days_of(context), lake.now_us)
    with tried_again(context):
        yield from metadata.reported(context, ((done.day, metadata.of_candles(done)) for done in days))
    _refresh_views(context, config)
