"""The code location that `workspace.yaml` names: all that Dagster is to know."""

import gc
import warnings

import dagster as dg

# Who loads this is a process that makes a run, or many, and nearly all objects that a run makes go by themselves: to
# look for garbage after each 700 new ones, as Python does by itself, takes a tenth of a run's time.
gc.set_threshold(max(100_000, gc.get_threshold()[0]))

with warnings.catch_warnings():
    # Partitioned checks are in preview, backfill policies in beta; this project is built on both and tested with them.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    warnings.simplefilter("ignore", dg.BetaWarning)
    from crypto_lake.defs import asset_checks, assets, automation, healing, resources, upkeep

defs = dg.Definitions(
    assets=[
        assets.raw_segments,
        assets.healed_trades,
        assets.bars_1s,
        assets.daily_bars,
        assets.ticks_of_days,
        *assets.OF_BOOK,
        assets.coverage_of_days,
        assets.candles_1m,
        assets.lake_views,
    ],
    asset_checks=asset_checks.ALL,
    jobs=[
        automation.make_bars,
        automation.compact,
        automation.validate,
        automation.cover,
        automation.backfill_candles,
        healing.heal_trades,
    ],
    schedules=[automation.bars_every_5_minutes, healing.heal_nightly, automation.compaction_nightly],
    sensors=[
        automation.new_segments,
        automation.validation_after_compaction,
        automation.validation_after_partial_compaction,
        automation.coverage_after_validation,
        healing.missing_trades,
        upkeep.failed_runs,
        upkeep.old_runs,
    ],
    resources=resources.RESOURCES,
    executor=dg.in_process_executor,
)
