"""The asset checks, made from the tables in `crypto_lake/checks.py`; partitioned by day, like what they check."""

from collections.abc import Iterator

import dagster as dg
from dagster_duckdb import DuckDBResource

from crypto_lake import checks
from crypto_lake.bars import Series
from crypto_lake.checks import Check
from crypto_lake.defs import metadata
from crypto_lake.defs.assets import bars_1s, daily_bars
from crypto_lake.defs.partitions import DAILY, days_of
from crypto_lake.defs.resources import Lake, connected

Results = Iterator[dg.AssetCheckResult | dg.AssetCheckEvaluation]


def _asset_check(check: Check, asset: dg.AssetsDefinition) -> dg.AssetChecksDefinition:
    severity = dg.AssetCheckSeverity[check.severity]

    @dg.asset_check(  # type: ignore[arg-type]  # its type knows no generators, its code does
        name=check.name,
        asset=asset,
        description=check.description,
        blocking=check.blocking,
        partitions_def=DAILY,
    )
    def run(context: dg.AssetCheckExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Results:
        with connected(duckdb) as db:
            series = Series.recorded(lake.config())
            verdicts = [checks.run(check, db, series, day, lake.now_us()) for day in days_of(context)]
        # A result is stored for the run's partition, and for none where the run has a range: an evaluation for each.
        for verdict in verdicts if len(verdicts) > 1 else []:
            yield dg.AssetCheckEvaluation(
                asset_key=asset.key,
                check_name=check.name,
                passed=verdict.passed,
                metadata=metadata.of_verdict(verdict),
                severity=severity,
                partition=verdict.day.isoformat(),
            )
        yield dg.AssetCheckResult(
            passed=all(verdict.passed for verdict in verdicts),
            metadata=metadata.of_verdict(verdicts[-1]),
            severity=severity,
        )

    return run


ALL = [_asset_check(check, bars_1s) for check in checks.ON_BARS] + [
    _asset_check(check, daily_bars) for check in checks.ON_DAILY
]
