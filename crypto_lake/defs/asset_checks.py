"""The asset checks, made from the table in `crypto_lake/checks/`; partitioned by day, like what they check."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource

from crypto_lake import checks
from crypto_lake.checks import Check, Verdict
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.defs import metadata
from crypto_lake.defs.assets import bars_1s
from crypto_lake.defs.partitions import DAILY, days_of
from crypto_lake.defs.resources import Lake, connected
from crypto_lake.pages import validation
from crypto_lake.series import Series

Results = Iterator[dg.AssetCheckResult | dg.AssetCheckEvaluation]


def _asset_check(check: Check, asset: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(  # type: ignore[arg-type]  # its type knows no generators, its code does
        name=check.name,
        asset=asset,
        # What is asked of raw and candles, the bars answer.
        additional_deps=[bars_1s] if asset in {"raw_segments", "candles_1m"} else [],
        description=check.description,
        blocking=check.blocking,
        partitions_def=DAILY,
    )
    def run(context: dg.AssetCheckExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Results:
        verdicts = list(_verdicts(context, lake, duckdb, check, asset))
        # A result is stored for the run's partition, and for none where the run has a range: an evaluation for each.
        for verdict in verdicts if len(verdicts) > 1 else []:
            yield dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(asset),
                check_name=check.name,
                **told(verdict),
                metadata=metadata.of_verdict(verdict),
                partition=verdict.day.isoformat(),
            )
        worst = min(verdicts, key=lambda verdict: checks.OUTCOMES.index(verdict.outcome))
        yield dg.AssetCheckResult(**told(worst), metadata=metadata.of_verdict(verdicts[-1]))

    return run


def told(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as Dagster has it, which knows no third outcome.

    What is unverifiable warns, and says in its description that it is: a green tick would say that it passed. A warning
    fails no run and blocks nothing, so nobody is alarmed by it.
    """
    is_unproved = verdict.outcome == "unverifiable"
    return {
        "passed": verdict.passed,
        "severity": dg.AssetCheckSeverity["WARN" if is_unproved else verdict.severity],
        "description": f"unverifiable: {metadata.unverifiable(verdict)}" if is_unproved else None,
    }


def _verdicts(
    context: dg.AssetCheckExecutionContext, lake: Lake, duckdb: DuckDBResource, check: Check, asset: str
) -> Iterator[Verdict]:
    """The verdicts on the days of a run, each entered into its day's validation."""
    config = lake.config()
    with connected(duckdb) as db, ExchangeCandles() as reference:
        means = checks.Means(db, reference, lake.now_us())
        series = Series.known(config)
        for day in days_of(context):
            found = checks.run(check, asset, series, day, means)
            validation.enter(db, config, series, asset, found, means.now_us)
            yield found


ALL = [_asset_check(check, asset) for asset, some in checks.ON.items() for check in some]
