"""The assets, in the order in which data flows: raw → bars → daily files; beside them the exchange's candles."""

import time
from collections.abc import Iterable, Iterator
from datetime import date

import dagster as dg
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from crypto_lake.ask import latency, views
from crypto_lake.completeness import backfill, heal
from crypto_lake.completeness.healed import Healed
from crypto_lake.config import Config
from crypto_lake.coverage import table as coverage
from crypto_lake.defs import columns, freshness, metadata
from crypto_lake.defs.launch import tried_again
from crypto_lake.defs.metadata import Events, Metadata
from crypto_lake.defs.partitions import BACKFILLED, RECORDED, Share, of_each, shares_of
from crypto_lake.defs.resources import Lake, connected
from crypto_lake.disk import publish
from crypto_lake.errors import LakeError
from crypto_lake.pages import preview
from crypto_lake.series import Series
from crypto_lake.transform import bars, daily, minutes, retention, ticks

# A range of days is one run: starting one costs more than the work of a day.
_RANGE_IN_ONE_RUN = dg.BackfillPolicy.single_run()
_OWNERS = ["team:crypto-lake"]

raw_segments = dg.AssetSpec(
    "raw_segments",
    partitions_def=RECORDED,
    group_name="raw",
    owners=_OWNERS,
    kinds={"json"},
    metadata=columns.RAW,
    freshness_policy=freshness.of_landings(),
    description=(
        "Every trade and quote as received: the collector's sealed JSONL segments. No run makes them; the sensor "
        "`new_segments` reports what landed today, at most once a minute, and without landings it goes stale. "
        "Latencies are those of the newest segments, the local clock's error included."
    ),
)


@dg.asset(
    partitions_def=RECORDED,
    deps=[raw_segments],
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="raw",
    owners=_OWNERS,
    kinds={"json"},
    pool="exchange",
    metadata=columns.RAW,
)
def healed_trades(
    context: dg.AssetExecutionContext,
    lake: Lake,
    duckdb: DuckDBResource,
    heal_round: dg.ResourceParam[heal.Round],
) -> Events:
    """The trades that no connection brought, fetched by their ids and landed beside those that were received."""
    shares = shares_of(context, Series.recorded(lake.config()))
    with connected(duckdb) as db, tried_again(context):
        days = of_each(
            shares, lambda it: heal.heal_days(db, it.series, it.days, lake.now_us, heal_round.found)
        )
        yield from metadata.reported(context, _healed(days, heal_round))


@dg.asset(
    partitions_def=RECORDED,
    deps=[raw_segments, healed_trades],
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="bars",
    owners=_OWNERS,
    kinds={"duckdb", "parquet"},
    pool="bars",
    metadata=columns.BARS,
)
def bars_1s(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Events:
    """One-second bars, a Parquet part an hour; only what changed is made anew."""
    config = lake.config()
    shares = shares_of(context, Series.recorded(config))
    with connected(duckdb) as db, tried_again(context):
        days = of_each(shares, lambda it: bars.build_days(db, it.series, it.days, lake.now_us))
        said = (
            (it.key(day), metadata.of_bars(built, _seen(db, it.series, day, built)))
            for it, (day, built) in days
        )
        yield from metadata.reported(context, said, columns.BARS_LINEAGE)
    _refresh_views(context, config)


@dg.asset(
    partitions_def=RECORDED,
    deps=[bars_1s],
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="daily",
    owners=_OWNERS,
    kinds={"duckdb", "parquet"},
    pool="bars",
    metadata=columns.DAILY,
)
def daily_bars(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Events:
    """One verified Parquet file a symbol and finished day, with checksum, manifest and minutes; the parts then go."""
    config = lake.config()
    shares = shares_of(context, Series.recorded(config))
    with connected(duckdb) as db, tried_again(context):
        days = of_each(
            shares,
            lambda it: ((day, daily.compact_all(db, it.series, day, lake.now_us())) for day in it.days),
        )
        said = (
            (it.key(day), metadata.of_daily(done, _state(db, it.series, day))) for it, (day, done) in days
        )
        yield from metadata.reported(context, said, columns.DAILY_LINEAGE)
        minutes.complete(db, _all(shares))
    _refresh_views(context, config)


@dg.asset(
    name="ticks",
    partitions_def=RECORDED,
    deps=[daily_bars],
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="daily",
    owners=_OWNERS,
    kinds={"duckdb", "parquet"},
    pool="bars",
    metadata=columns.TICKS_OF_DAYS,
)
def ticks_of_days(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Events:
    """A finished day's trades and quotes, typed and sorted, compared row for row with the raw lines."""
    config = lake.config()
    shares = shares_of(context, Series.recorded(config))
    with connected(duckdb) as db, tried_again(context):
        # By this machine's clock, not by the lake's: it is what files are stamped with.
        for path in publish.sweep(config.layout.base, time.time()):
            context.log.info("%s: left by a process that died; removed", path)
        days = of_each(
            shares, lambda it: ((day, ticks.make_all(db, it.series, day, lake.now_us())) for day in it.days)
        )
        said = (
            (it.key(day), metadata.of_ticks(done, latency.of_day(db, it.series, day)))
            for it, (day, done) in days
        )
        yield from metadata.reported(context, said, columns.TICKS_LINEAGE)
        retention.apply(db, _all(shares), lake.now_us())
    _refresh_views(context, config)


@dg.asset(
    name="coverage",
    partitions_def=RECORDED,
    deps=[daily_bars, ticks_of_days],
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="daily",
    owners=_OWNERS,
    kinds={"parquet"},
    metadata=columns.COVERAGE,
)
def coverage_of_days(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Events:
    """What there is of each symbol and finished day, as anybody may check it: counts, verdicts, checksums."""
    config = lake.config()
    shares = shares_of(context, Series.known(config))
    with connected(duckdb) as db, tried_again(context):
        days = of_each(
            shares,
            lambda it: ((day, coverage.make(db, it.series, day, lake.now_us())) for day in it.days),
        )
        said = ((it.key(day), metadata.of_coverage(rows)) for it, (day, rows) in days)
        yield from metadata.reported(context, said)
        coverage.complete(db, Series.known(config), lake.now_us())
    _refresh_views(context, config)


@dg.asset(
    partitions_def=BACKFILLED,
    backfill_policy=_RANGE_IN_ONE_RUN,
    group_name="backfill",
    owners=_OWNERS,
    kinds={"parquet"},
    pool="exchange",
    metadata=columns.CANDLES,
)
def candles_1m(context: dg.AssetExecutionContext, lake: Lake) -> Events:
    """The exchange's own 1-minute candles, in the columns of a bar; finished days are fetched once."""
    config = lake.config()
    shares = shares_of(context, backfill.with_candles(config))
    with tried_again(context):
        days = of_each(shares, lambda it: backfill.backfill_days(config, it.days, lake.now_us, it.series))
        yield from metadata.reported(
            context, ((it.key(done.day), metadata.of_candles(done)) for it, done in days)
        )
    _refresh_views(context, config)


@dg.asset(
    deps=[bars_1s, daily_bars, ticks_of_days, coverage_of_days, candles_1m],
    group_name="views",
    owners=_OWNERS,
    kinds={"duckdb"},
)
def lake_views(lake: Lake) -> dg.MaterializeResult[None]:
    """`lake.duckdb`: views for any DuckDB client. Whatever makes files makes it anew, and says so here."""
    config = lake.config()
    views.save(config)
    return dg.MaterializeResult(metadata=metadata.of_views(config))


def _healed(
    days: Iterable[tuple[Share, tuple[date, list[Healed]]]], heal_round: heal.Round
) -> Iterator[tuple[str, Metadata]]:
    for share, (day, done) in days:
        heal_round.healed += done
        yield share.key(day), metadata.of_heal(done)


def _all(shares: Iterable[Share]) -> list[Series]:
    return [one for share in shares for one in share.series]


def _refresh_views(context: dg.AssetExecutionContext, config: Config) -> None:
    """Make `lake.duckdb` anew. On Windows a client that holds it open forbids that, which is no failure of the run."""
    try:
        views.save(config)
    except LakeError as error:
        context.log.warning(str(error))
    else:
        context.log_event(dg.AssetMaterialization(lake_views.key, metadata=metadata.of_views(config)))


def _state(connection: DuckDBPyConnection, series: list[Series], day: date) -> Metadata:
    """A day's bars as they are now: numbers, and where they lie."""
    return metadata.of_day(views.day_in_numbers(connection, series, day)) | metadata.places(series, day)


def _seen(
    connection: DuckDBPyConnection, series: list[Series], day: date, built: list[bars.Built]
) -> Metadata:
    """The same with a preview, and how well the newest quotes fit the newest trades."""
    return (
        metadata.of_previews(
            preview.of_day(connection, series, day, metadata.THUMBNAILS),
            preview.lacking(connection, series, day),
        )
        | _state(connection, series, day)
        | metadata.of_hits({one.symbol: one.fit for one in built if one.fit})
    )
