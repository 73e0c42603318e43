"""What the log says of a wait is how long it takes."""

import asyncio
import re
from itertools import pairwise
from pathlib import Path

from loguru import logger

from collector_daemon.connect.turns import AttemptLimit
from collector_daemon.recorder import Edges, Recorder
from crypto_lake.exchanges.binance import EXCHANGE
from crypto_lake_tests.collector_daemon.fakes import BURST, INTERVAL_SEC, FakeClock, configured

CLOSED_PORT = 1


class Noted(AttemptLimit):
    """Notes when attempts began, and has `stop` set after so many."""

    def __init__(self, stop: asyncio.Event, most: int) -> None:
        super().__init__(EXCHANGE.limits)
        self.begun: list[float] = []
        self._stop, self._most = stop, most

    def enter(self, now: float) -> None:
        super().enter(now)
        self.begun.append(now)
        if len(self.begun) == self._most:
            self._stop.set()


def attempts(base: Path, most: int, random: float) -> tuple[list[float], list[float]]:
    """How long it took from each attempt that failed to the next, and what the log said at the time."""
    told: list[str] = []

    async def listen() -> list[float]:
        stop = asyncio.Event()
        limit = Noted(stop, most)
        config = configured(base, CLOSED_PORT, reconnect_backoff=10)
        edges = Edges(random=lambda: random)
        recorder = Recorder(config, config.exchanges[0], FakeClock(), edges, limit)
        recorder.stream_groups[0].succeeded.set()
        await recorder.listen(stop)
        await recorder.writer.close()
        return limit.begun

    sink = logger.add(told.append, format="{message}")
    try:
        begun = asyncio.run(listen())
    finally:
        logger.remove(sink)
    waits = [after - before for before, after in pairwise(begun)]
    return waits, [float(seconds) for seconds in re.findall(r"next attempt in ([\d.]+) s", "".join(told))]


def test_the_log_tells_how_long_the_next_attempt_waits_for_its_backoff(tmp_path: Path) -> None:
    waits, told = attempts(tmp_path, 8, random=1.0)
    assert told == [round(wait, 1) for wait in waits] == [0.5, 1, 2, 4, 8, 10, 10]


def test_the_log_tells_how_long_the_next_attempt_waits_for_the_limit(tmp_path: Path) -> None:
    waits, told = attempts(tmp_path, BURST + 10, random=0.0)
    assert told == [round(wait, 1) for wait in waits]
    assert told[-10:] == [round(INTERVAL_SEC, 1)] * 10
