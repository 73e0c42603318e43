"""Waiting for one thing or for the order to stop, whichever comes first."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, _T]) -> _T | None:
    """The result of `work`; None (and `work` is cancelled) if `stop` is set before it is done."""
    task = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        stopped.cancel()
        task.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)


async def done_or(task: "asyncio.Task[Any]", work: Coroutine[Any, Any, object]) -> None:
    """Wait until `task` is done, or `work`, which is cancelled if it is not; an error of `work` is raised."""
    other = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task, other}, return_when=asyncio.FIRST_COMPLETED)
        if other.done():
            other.result()
    finally:
        other.cancel()
        await asyncio.gather(other, return_exceptions=True)
