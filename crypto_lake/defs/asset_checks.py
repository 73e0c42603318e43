"""The asset checks, made from the table in `crypto_lake/checks/`; partitioned by day, like what they check."""

import contextlib
from collections.abc import Iterator
from typing import Any

import dagster as dg
from dagster_duckdb import DuckDBResource
from loguru import logger

from crypto_lake import checks
from crypto_lake.checks import Check, Verdict
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.defs import metadata
from crypto_lake.defs.assets import bars_1s
from crypto_lake.defs.launch import tried_again
from crypto_lake.defs.partitions import BACKFILLED, RECORDED, RECORDS_DEPTH, shares_of
from crypto_lake.defs.resources import Lake, connected
from crypto_lake.errors import LakeError, together
from crypto_lake.pages import validation
from crypto_lake.staging import Rooms, known, staged

Results = Iterator[dg.AssetCheckResult | dg.AssetCheckEvaluation]


def _asset_checks(asset: str, some: tuple[Check, ...]) -> dg.AssetChecksDefinition:
    """Return the checks of an asset, in one step: they look at the same files, and enter one validation."""

    @dg.multi_asset_check(
        name=f"checks_of_{asset}",
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=asset,
                # What is asked of raw and candles, the bars answer.
                additional_deps=[bars_1s] if asset in {"raw_segments", "candles_1m"} else [],
                description=check.description,
                blocking=check.blocking,
                partitions_def=BACKFILLED if asset == "candles_1m" else RECORDED,
            )
            for check in some
        ],
        can_subset=True,
    )
    def run(context: dg.AssetCheckExecutionContext, lake: Lake, duckdb: DuckDBResource) -> Results:
        wanted = {key.name for key in context.selected_asset_check_keys}
        errors: list[LakeError] = []
        found = _verdicts(context, lake, duckdb, asset, [one for one in some if one.name in wanted], errors)
        by_check: dict[str, dict[str, Verdict]] = {}
        # A lake of one machine is there.
        with tried_again(context) if lake.config().store else contextlib.nullcontext():
            for key, verdict in found:
                by_check.setdefault(verdict.check.name, {})[key] = verdict
        for verdicts in by_check.values():
            yield from _results(asset, verdicts)
        # Of what cannot be told for a damaged file, once the others have been.
        if errors:
            logger.error("{}", together(errors))
            raise together(errors)

    return run


def _results(asset: str, verdicts: dict[str, Verdict]) -> Results:
    """The verdicts of a check on the partitions of a run, by their keys."""
    *_, last = verdicts.values()
    name = last.check.name
    # A result is stored for the run's partition, and for none where the run has a range: an evaluation for each.
    for key, verdict in verdicts.items() if len(verdicts) > 1 else []:
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(asset),
            check_name=name,
            **told(verdict),
            metadata=metadata.of_verdict(verdict),
            partition=key,
        )
    worst = min(verdicts.values(), key=lambda verdict: checks.OUTCOMES.index(verdict.outcome))
    yield dg.AssetCheckResult(
        asset_key=asset, check_name=name, **told(worst), metadata=metadata.of_verdict(last)
    )


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
    context: dg.AssetCheckExecutionContext,
    lake: Lake,
    duckdb: DuckDBResource,
    asset: str,
    wanted: list[Check],
    errors: list[LakeError],
) -> Iterator[tuple[str, Verdict]]:
    """The verdicts on the partitions of a run, by their keys, those of one entered together.

    What kept others from being told is added.
    """
    config = lake.config()
    with connected(duckdb) as db, ExchangeCandles() as reference:
        means = checks.Means(db, reference, lake.now_us())
        each = ((share, day) for share in shares_of(context, known(config)) for day in share.days)
        for share, day in each:
            found: list[Verdict] = []
            rooms = Rooms.ALL | Rooms.DEPTH if asset in checks.OF_BOOK else Rooms.ALL
            with staged(config, share.series, [day], rooms) as local:
                look = checks.Look.at(asset, local.series, day, means)
                for check in wanted:
                    try:
                        found.append(look.verdict(check, errors))
                    except LakeError as error:
                        errors.append(error)
                validation.enter(db, local.config, local.series, asset, found, means.now_us)
            yield from ((share.key(day), verdict) for verdict in found)


_HERE = checks.ON | checks.OF_BOOK if RECORDS_DEPTH else checks.ON
ALL = [_asset_checks(asset, some) for asset, some in _HERE.items()]
