"""What fails of some symbols in a run: it is raised by the run's last asset, so that no other symbol waits for them.

Dagster starts nothing that lies downstream of a step that failed. What concerns all symbols, or may pass by itself,
ends a step at once all the same.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import TypeVar

import dagster as dg

from crypto_lake.errors import ConfigError, ExchangeError, LakeBusyError, LakeError, StoreError, together

# The asset that comes after all others of a compaction.
LAST = "coverage"
AT_ONCE = (ConfigError, ExchangeError, LakeBusyError, StoreError)
Failures = list[LakeError]
_Done = TypeVar("_Done")


@dg.resource
def of_run(_: dg.InitResourceContext) -> Failures:
    """What failed so far: one list for each run, all steps of which are one process's."""
    return []


def left_to_the_end(
    context: dg.AssetExecutionContext, failures: Failures, done: Iterable[_Done]
) -> Iterator[_Done]:
    """Yield what is done, and leave what failed to the run's last asset, if this is not it.

    Raises:
        LakeError: nothing was done, or no asset of the run comes after this one; then all that was left to it as well.
    """
    is_any = False
    try:
        for one in done:
            is_any = True
            yield one
    except AT_ONCE:
        raise
    except LakeError as error:
        context.log.warning("%s", error)
        failures.append(error)
        if not is_any:
            raise together(failures) from None
    if failures and not _is_followed(context):
        raise together(failures)


def _is_followed(context: dg.AssetExecutionContext) -> bool:
    return context.op_def.name != LAST and context.job_def.has_node_named(LAST)


def day_by_day(days: Iterable[date], work: Callable[[date, Failures], _Done]) -> Iterator[tuple[date, _Done]]:
    """Yield what comes of work on each day, which adds the errors of some symbols to a list.

    Raises:
        LakeError: what failed, when all was tried.
    """
    failures: Failures = []
    for day in days:
        try:
            told = work(day, failures)
        except AT_ONCE:
            raise
        except LakeError as error:
            failures.append(error)
        else:
            yield day, told
    if failures:
        raise together(failures)
