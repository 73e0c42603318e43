"""The assets, in the order in which data flows: raw → bars → daily files; beside them the exchange's candles."""

import time
from collections.abc import Iterable
from datetime import date

import dagster as dg
from dagster_duckdb import DuckDBResource
from duckdb import DuckDBPyConnection

from crypto_lake.ask import latency, views
from crypto_lake.completeness import backfill, heal
from crypto_lake.config import Config
from crypto_lake.coverage import table as coverage
from crypto_lake.defs import columns, freshness, metadata
from crypto_lake.defs.failures import LAST, Failures, day_by_day, left_to_the_end
from crypto_lake.defs.launch import tried_again
from crypto_lake.defs.metadata import Events, Metadata
from crypto_lake.defs.partitions import BACKFILLED, RECORDED, RECORDS_DEPTH, SHARDS, Share, shares_of
from crypto_lake.defs.resources import Lake, connected
from crypto_lake.defs.stages import each_day, retain
from crypto_lake.disk import publish
from crypto_lake.errors import LakeError
from crypto_lake.layout import Layout
from crypto_lake.pages import preview
from crypto_lake.series import Series
from crypto_lake.staging import Rooms, known, outlined, recorded
from crypto_lake.transform import bars, book, daily, depth, minutes, ticks

# A range of days is one run: starting one costs more than the work of a day. Where there are shards, workers are warm,
# and a run a partition lets them work side by side. Candles are fetched for years: their runs have ranges all the same.
_RANGE_IN_ONE_RUN = dg.BackfillPolicy.single_run()
_RANGE = _RANGE_IN_ONE_RUN if SHARDS == 1 else None
_OWNERS = ["team:crypto-lake"]
# One request for candles spans days, so a store is brought so many at a time.
_CANDLE_DAYS = 30
Told = Iterable[tuple[date, Metadata]]
OfRun = dg.ResourceParam[Failures]
# What follows the proof of quotes where there is one.
_PROVED = ["quotes"] if RECORDS_DEPTH else []

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
    backfill_policy=_RANGE,
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
    config = lake.config()
    with connected(duckdb) as db, tried_again(context):
        shares = shares_of(context, recorded(config))

        def healed(_: Config, it: Share) -> Told:
            for day, done in heal.heal_days(db, it.series, it.days, lake.now_us, heal_round.found):
                heal_round.healed += done
                yield day, metadata.of_heal(done)

        rooms = Rooms.RAW | Rooms.BARS
        yield from metadata.reported(context, each_day(config, shares, healed, rooms, Layout.heal_lock))


@dg.asset(
    partitions_def=RECORDED,
    deps=[raw_segments, healed_trades],
    backfill_policy=_RANGE,
    group_name="bars",
    owners=_OWNERS,
    kinds={"duckdb", "parquet"},
    pool="bars",
    metadata=columns.BARS,
)
def bars_1s(context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource, failures: OfRun) -> Events:
    """One-second bars, a Parquet part an hour; only what changed is made anew."""
    config = lake.config()
    with connected(duckdb) as db, tried_again(context):
        shares = shares_of(context, recorded(config))

        def made(_: Config, it: Share) -> Told:
            days = bars.build_days(db, it.series, it.days, lake.now_us)
            return ((day, metadata.of_bars(built, _seen(db, it.series, day, built))) for day, built in days)

        rooms = Rooms.RAW | Rooms.BARS | Rooms.MINUTES
        said = left_to_the_end(context, failures, each_day(config, shares, made, rooms, Layout.bars_lock))
        yield from metadata.reported(context, said, columns.BARS_LINEAGE)
    _refresh_views(context, config)


@dg.asset(
    partitions_def=RECORDED,
    deps=[bars_1s],
    backfill_policy=_RANGE,
    group_name="daily",
    owners=_OWNERS,
    kinds={"duckdb", "parquet"},
    pool="bars",
    metadata=columns.DAILY,
)
def daily_bars(
    context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource, failures: OfRun
) -> Events:
    """One verified Parquet file a symbol and finished day, with checksum, manifest and minutes; the parts then go."""
    config = lake.config()
    with connected(duckdb) as db, tried_again(context):
        shares = shares_of(context, recorded(config))

        def compacted(_: Config, it: Share) -> Told:
            def of_day(day: date, errors: Failures) -> Metadata:
                done = daily.compact_all(db, it.series, day, lake.now_us(), errors)
                return metadata.of_daily(done, _state(db, it.series, day))

            minutes.complete(db, it.series)
            return day_by_day(it.days, of_day)

        said = left_to_the_end(
            context,
            failures,
            each_day(config, shares, compacted, Rooms.BARS | Rooms.MINUTES, Layout.bars_lock),
        )
        yield from metadata.reported(context, said, columns.DAILY_LINEAGE)
    _refresh_views(context, config)


@dg.asset(
    name="ticks",
    partitions_def=RECORDED,
    deps=[daily_bars],
    backfill_policy=_RANGE,
    group_name="daily",
    owners=_OWNERS,
    kinds={"duckdb", "parquet"},
    pool="bars",
    metadata=columns.TICKS_OF_DAYS,
)
def ticks_of_days(
    context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource, failures: OfRun
) -> Events:
    """A finished day's trades and quotes, typed and sorted, compared row for row with the raw lines."""
    config = lake.config()
    with connected(duckdb) as db, tried_again(context):
        shares = shares_of(context, recorded(config))
        # By this machine's clock, not by the lake's: it is what files are stamped with.
        for path in publish.sweep(config.layout.base, time.time()):
            context.log.info("%s: left by a process that died; removed", path)

        def made(_: Config, it: Share) -> Told:
            def of_day(day: date, errors: Failures) -> Metadata:
                done = ticks.make_all(db, it.series, day, lake.now_us(), errors)
                return metadata.of_ticks(done, latency.of_day(db, it.series, day))

            return day_by_day(it.days, of_day)

        rooms = Rooms.RAW | Rooms.BARS | Rooms.TICKS
        said = left_to_the_end(context, failures, each_day(config, shares, made, rooms, Layout.bars_lock))
        yield from metadata.reported(context, said, columns.TICKS_LINEAGE)
        retain(db, config, shares, lake.now_us())
    _refresh_views(context, config)


@dg.asset(
    name="depth",
    partitions_def=RECORDED,
    deps=[raw_segments, ticks_of_days],
    backfill_policy=_RANGE,
    group_name="book",
    owners=_OWNERS,
    kinds={"duckdb", "parquet"},
    pool="bars",
    metadata=columns.DEPTH,
)
def depth_of_days(
    context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource, failures: OfRun
) -> Events:
    """A finished day's order book: every level change, the book at each second's end, the best after each event."""
    config = lake.config()
    with connected(duckdb) as db, tried_again(context):
        shares = shares_of(context, recorded(config))

        def made(_: Config, it: Share) -> Told:
            some = [one for one in it.series if _has_depth(one)]

            def of_day(day: date, errors: Failures) -> Metadata:
                kept = depth.make_all(db, some, day, lake.now_us(), errors)
                return metadata.of_books(kept, book.make_all(db, some, day, lake.now_us(), errors))

            return day_by_day(it.days, of_day)

        rooms = Rooms.RAW | Rooms.BOOK | Rooms.DEPTH
        said = left_to_the_end(context, failures, each_day(config, shares, made, rooms, Layout.bars_lock))
        yield from metadata.reported(context, said)
    _refresh_views(context, config)


def _has_depth(series: Series) -> bool:
    return "depth" in series.source.streams or bool(series.layout.depth_days(series.exchange, series.symbol))


@dg.asset(
    name="quotes",
    partitions_def=RECORDED,
    deps=[depth_of_days, ticks_of_days, daily_bars],
    backfill_policy=_RANGE,
    group_name="book",
    owners=_OWNERS,
    kinds={"parquet"},
    pool="bars",
    metadata=columns.PROOF,
)
def quotes_of_days(
    context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource, failures: OfRun
) -> Events:
    """What the order book proves of the quotes of each second; bars say so, and take from it those that were lost."""
    config = lake.config()
    with connected(duckdb) as db, tried_again(context):
        shares = shares_of(context, recorded(config))

        def proved(_: Config, it: Share) -> Told:
            some = [one for one in it.series if _has_depth(one)]
            return day_by_day(
                it.days, lambda day, errors: metadata.of_proofs(daily.prove_all(db, some, day, errors))
            )

        rooms = Rooms.DEPTH | Rooms.TICKS | Rooms.BARS | Rooms.MINUTES
        said = left_to_the_end(context, failures, each_day(config, shares, proved, rooms, Layout.bars_lock))
        yield from metadata.reported(context, said)
    _refresh_views(context, config)


@dg.asset(
    name=LAST,
    partitions_def=RECORDED,
    deps=[daily_bars, ticks_of_days, *_PROVED],
    backfill_policy=_RANGE,
    group_name="daily",
    owners=_OWNERS,
    kinds={"parquet"},
    metadata=columns.COVERAGE,
)
def coverage_of_days(
    context: dg.AssetExecutionContext, lake: Lake, duckdb: DuckDBResource, failures: OfRun
) -> Events:
    """What there is of each symbol and finished day, as anybody may check it: counts, verdicts, checksums."""
    config = lake.config()
    with connected(duckdb) as db, tried_again(context):
        shares = shares_of(context, known(config))

        def covered(local: Config, it: Share) -> Told:
            yield from day_by_day(
                it.days,
                lambda day, errors: metadata.of_coverage(
                    coverage.make(db, it.series, day, lake.now_us(), errors)
                ),
            )
            coverage.complete(db, Series.known(local), lake.now_us())

        rooms = Rooms.ALL | Rooms.DEPTH if RECORDS_DEPTH else Rooms.ALL
        said = left_to_the_end(context, failures, each_day(config, shares, covered, rooms))
        yield from metadata.reported(context, said)
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

    def fetched(local: Config, it: Share) -> Told:
        days = backfill.backfill_days(local, it.days, lake.now_us, it.series)
        return ((done.day, metadata.of_candles(done)) for done in days)

    with tried_again(context):
        with outlined(config) as outline:
            shares = shares_of(context, backfill.with_candles(outline))
        said = each_day(config, shares, fetched, Rooms.CANDLES, at_once=_CANDLE_DAYS)
        yield from metadata.reported(context, said)
    _refresh_views(context, config)


OF_BOOK = [depth_of_days, quotes_of_days] if RECORDS_DEPTH else []


@dg.asset(
    deps=[bars_1s, daily_bars, ticks_of_days, coverage_of_days, candles_1m, *OF_BOOK],
    group_name="views",
    owners=_OWNERS,
    kinds={"duckdb"},
)
def lake_views(lake: Lake) -> dg.MaterializeResult[None]:
    """`lake.duckdb`: views for any DuckDB client. Whatever makes files makes it anew, and says so here."""
    config = lake.config()
    views.save(config)
    return dg.MaterializeResult(metadata=metadata.of_views(config))


def _refresh_views(context: dg.AssetExecutionContext, config: Config) -> None:
    """Make `lake.duckdb` anew. On Windows a client that holds it open forbids that, which is no failure of the run."""
    if config.store is not None:
        return  # Its views are made where it is asked, of what is asked for.
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
