"""From memory to disk, in order, without ever blocking the receive loop: file work happens in one worker thread.

A disk that refuses is asked again each second while lines wait in memory; when they fill the budget the feed stops
reading from its socket. A disk that goes on refusing for a minute ends the daemon, and what did not land is named.
One that does not answer at all (a network's, a cable that was pulled) is told, and waited for: a write that was begun
cannot be taken back.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from loguru import logger

from collector_daemon.clock import Clock
from collector_daemon.land.disk import Disk, TornError
from collector_daemon.land.landing import Job, Landing, lines_of
from crypto_lake.errors import LakeError

# Lines in memory, not on disk: about ten seconds of a hundred busy symbols.
BUDGET_BYTES = 64 << 20
GIVE_UP_AFTER_SEC = 60.0
_RETRY_SEC = 1.0
_SILENT_SEC = 5.0
_LOG_EVERY = 10


class DiskTroubleError(LakeError):
    """The disk would not take what was received."""


class Writer:
    """One exchange's way to disk. `trouble` is what the disk last said, None while it obeys; `budget` in bytes."""

    def __init__(
        self, landing: Landing, disk: Disk, clock: Clock, flush_sec: float, budget: int = BUDGET_BYTES
    ) -> None:
        self._landing = landing
        self._disk = disk
        self._clock = clock
        self._flush_sec = flush_sec
        self.budget = budget
        self._jobs: deque[Job] = deque()
        self._done = 0
        self._gave_up = False
        self._hurry = asyncio.Event()
        self._progress = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="landing")
        self.trouble: str | None = None

    @property
    def full(self) -> bool:
        """Return whether more waits in memory than may."""
        return self._landing.held > self.budget

    async def room(self) -> None:
        """Wait until memory has room again."""
        logger.warning("{} MB wait for the disk: reading from the exchange pauses", self._landing.held >> 20)
        while self.full:
            self._hurry.set()
            self._progress.clear()
            await self._progress.wait()

    async def run(self) -> None:
        """Land what comes, until cancelled. Half the interval, so that a line with its write stays within it."""
        while True:
            await self._pause()
            await self.flush()

    async def flush(self) -> None:
        """Land all that waits.

        Raises:
            DiskTroubleError: the disk has refused for a minute.
            TornError: it refused in a way that trying again would make worse.
        """
        if self._gave_up:
            return
        self._jobs.extend(self._landing.take())
        failures, since = 0, self._clock.monotonic()
        while self._jobs:
            waiting = len(self._jobs)
            try:
                await self._work()
            except OSError as error:
                failures += 1
                if len(self._jobs) < waiting:
                    since = self._clock.monotonic()
                self._complain(error, failures, self._clock.monotonic() - since)
                await self._clock.sleep(_RETRY_SEC)
            except TornError:
                self._gave_up = True
                raise
            else:
                failures, since = 0, self._clock.monotonic()
        if self.trouble:
            logger.info("the disk takes data again")
        self.trouble = None

    def unwritten(self) -> Counter[str]:
        """Return how many lines of each symbol were received and are not on disk yet."""
        # A copy, since the thread takes away what is done.
        return lines_of(list(self._jobs)) + self._landing.unwritten()

    async def close(self) -> None:
        """Let go of files and thread; whatever did not land is named in the log."""
        self._jobs.extend(self._landing.take())
        for symbol, lines in self.unwritten().items():
            logger.error("{}: {} lines received did not land on disk", symbol, lines)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disk.abandon)
        self._thread.shutdown()

    async def _pause(self) -> None:
        sleep = asyncio.ensure_future(self._clock.sleep(self._flush_sec / 2))
        hurry = asyncio.ensure_future(self._hurry.wait())
        try:
            await asyncio.wait({sleep, hurry}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            hurry.cancel()
        self._hurry.clear()

    async def _work(self) -> None:
        """Give the jobs to the thread, and the memory of those done back."""
        work = asyncio.get_running_loop().run_in_executor(self._thread, self._work_in_thread)
        watch = asyncio.ensure_future(self._watch())
        try:
            await work
        finally:
            watch.cancel()
            done, self._done = self._done, 0
            self._landing.landed(done)
            self._progress.set()

    async def _watch(self) -> None:
        """Say so while the disk does not answer: no job gets done."""
        looks, waiting = 0, len(self._jobs)
        while True:
            await self._clock.sleep(_SILENT_SEC)
            looks, waiting = (looks + 1 if len(self._jobs) == waiting else 0), len(self._jobs)
            if looks:
                self.trouble = f"a write has not come back for {looks * _SILENT_SEC:.0f} s"
            if looks % _LOG_EVERY == 1:
                held = self._landing.held
                logger.error("the disk does not answer, {} bytes wait in memory: {}", held, self.trouble)

    def _work_in_thread(self) -> None:
        for job in self._undone():
            self._disk.do(job)

    def _undone(self) -> Iterator[Job]:
        """The jobs in order; each leaves the queue only when it is done."""
        while self._jobs:
            job = self._jobs[0]
            yield job
            self._done += job.size
            self._jobs.popleft()

    def _complain(self, error: OSError, failures: int, lasted: float) -> None:
        self.trouble = f"{type(error).__name__}: {error}"
        if failures % _LOG_EVERY == 1:
            logger.error("the disk refuses, {} bytes wait in memory: {}", self._landing.held, self.trouble)
        if lasted > GIVE_UP_AFTER_SEC:
            self._gave_up = True
            raise DiskTroubleError(f"the disk has refused for {lasted:.0f} s: {self.trouble}") from None
