"""A process that waits for the exchange, and is asked to end."""

import asyncio
import signal
from typing import Any

import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._utils.interrupts import raise_interrupts_as

from crypto_lake.completeness.interrupts import interruptible

WISHES = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]


@pytest.mark.parametrize("wish", WISHES)
def test_a_wish_that_comes_while_the_event_loop_is_busy_ends_its_work(wish: str) -> None:
    cancelled = []

    async def work() -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, getattr(signal, wish))
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            cancelled.append(wish)
            raise

    with raise_interrupts_as(DagsterExecutionInterruptedError), asyncio.Runner() as runner:
        with pytest.raises(KeyboardInterrupt), interruptible():
            runner.run(work())
        assert cancelled == [wish]
        with pytest.raises(DagsterExecutionInterruptedError):
            signal.raise_signal(getattr(signal, wish))


def test_ctrl_c_while_the_wishes_are_being_taken_is_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    put = signal.signal

    def interrupted(wish: int, handler: Any) -> Any:  # noqa: ANN401 - as `signal.signal`
        before = put(wish, handler)
        if wish == signal.SIGTERM:
            signal.raise_signal(signal.SIGINT)
        return before

    with monkeypatch.context() as patched:
        patched.setattr(signal, "signal", interrupted)
        with pytest.raises(KeyboardInterrupt), interruptible():
            pass
