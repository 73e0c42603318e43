"""Sensors that keep the instance itself in order: old runs are forgotten, and somebody is told of those that failed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from crypto_lake import alerts
from crypto_lake.defs import commands, history
from crypto_lake.defs.commands import BY_COMMAND
from crypto_lake.defs.partitions import days_tags, said
from crypto_lake.defs.resources import Lake

_TWO_HOURS = 7_200


@dg.sensor(minimum_interval_seconds=_TWO_HOURS, default_status=dg.DefaultSensorStatus.RUNNING)
def old_runs(context: dg.SensorEvaluationContext, lake: Lake) -> dg.SkipReason:
    """Runs older than `dagster.keep_runs_days` are forgotten. Starts no run: there would be one more to forget.

    Those of commands that were killed, or went with the machine's power, are ended first: they hold what others need.
    """
    commands.end_dead(context.instance)
    days = lake.config().dagster.keep_runs_days
    if days is None:
        return dg.SkipReason("dagster.keep_runs_days is null: runs are kept for good")
    count = history.forget(context.instance, _now() - timedelta(days=days))
    return dg.SkipReason(f"{count} runs older than {days} days forgotten")


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=30)
def failed_runs(context: dg.RunFailureSensorContext, lake: Lake) -> dg.SkipReason:
    """Tell of a run that failed, by `alerts` in `config.yml`; once, until a run of the same job and days succeeds.

    A person who started a run by a command has been told already.
    """
    run = context.dagster_run
    if BY_COMMAND in run.tags:
        return dg.SkipReason(f"{run.run_id}: whoever started it by a command was told there")
    if _failed_before(context.instance, run):
        return dg.SkipReason(f"{run.run_id}: the run before it failed as well, and was told of")
    troubles = alerts.send(lake.config().alerts, _payload(context))
    for trouble in troubles:
        context.log.error(trouble)
    return dg.SkipReason("; ".join(troubles) or f"{run.run_id}: told")


def _now() -> datetime:
    return datetime.now(UTC)


def _failed_before(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Return whether the last finished run of the same job and days before this one failed too."""
    this = instance.get_run_record_by_id(run.run_id)
    before = instance.get_run_records(
        dg.RunsFilter(
            job_name=run.job_name,
            tags=days_tags(run.tags),
            statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
            created_before=this.create_timestamp if this else None,
        ),
        limit=1,
    )
    return bool(before) and before[0].dagster_run.status == dg.DagsterRunStatus.FAILURE


def _payload(context: dg.RunFailureSensorContext) -> dict[str, Any]:
    """Return what is told: one object of strings; `errors` has one line for each step that failed."""
    run = context.dagster_run
    errors = [_reason(event) for event in context.get_step_failure_events()]
    return {
        "event": "run_failed",
        "job": run.job_name,
        "run_id": run.run_id,
        "days": said(run.tags),
        "at": _now().isoformat(timespec="seconds"),
        "error": context.failure_event.message or "",
        "errors": errors,
    }


def _reason(event: dg.DagsterEvent) -> str:
    """A failed step, and the error at the root of it."""
    error = event.step_failure_data.error
    while error and error.cause:
        error = error.cause
    return f"{event.step_key}: {' '.join(error.message.split()) if error else event.message}"
