"""From memory to disk, in order, without ever blocking the receive loop: file work happens in one worker thread.

Lines come first. Segments whose window is over wait aside and are sealed one by one in the pauses between two flushes,
since a thousand may be due at once, at the hour, and each waits for the disk. Each is an open file meanwhile, so that
two rounds of them may wait at most: where the clock is set again and again, lines wait for the seals.

A segment that somebody holds (a program that looks at it on Windows) waits behind the others, for as long as it takes.

A disk that refuses is asked again each second while lines wait in memory; when they fill the budget the feed stops
reading from its socket. A disk that goes on refusing for a minute ends the daemon, and what did not land is named.
One that does not answer at all (a network's, a cable that was pulled) is told, and waited for: a write that was begun
cannot be taken back.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from loguru import logger

from collector_daemon.clock import Clock
from collector_daemon.land.disk import Disk, TornError
from collector_daemon.land.handles import WAITING_ROUNDS
from collector_daemon.land.jobs import Job, Seal, lines_of
from collector_daemon.land.landing import Landing
from crypto_lake.errors import LakeError

# Lines in memory, not on disk: about five seconds of two thousand symbols on an ordinary day.
BUDGET_BYTES = 32 << 20
# A quarter of it is reason enough to land at once.
_HURRY_AT = 4
GIVE_UP_AFTER_SEC = 60.0
_RETRY_SEC = 1.0
_SILENT_SEC = 5.0
_LOG_EVERY = 10


class DiskTroubleError(LakeError):
    """The disk would not take what was received."""


class _Patience:
    """How long the disk has refused one kind of work, and what it said last: `trouble`, None while it obeys."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures, self._since = 0, 0.0
        self.trouble: str | None = None

    def obeyed(self) -> None:
        """The work was done."""
        if self.trouble:
            logger.info("the disk takes data again")
        self._failures, self.trouble = 0, None

    def refused(self, error: OSError, held: int, *, after_some: bool) -> float:
        """Tell of a refusal, `after_some` of the work was done; for how many seconds the disk has refused."""
        now = self._clock.monotonic()
        if not self._failures or after_some:
            self._since = now
        self._failures += 1
        self.trouble = f"{type(error).__name__}: {error}"
        # After twice as many each time: a file may be held all night.
        if self._failures.bit_count() == 1:
            logger.error("the disk refuses, {} bytes wait in memory: {}", held, self.trouble)
        return now - self._since


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
        self._seals: deque[Seal] = deque()
        self._done = self._sealed = 0
        # By `id`: those that somebody held when they were tried last.
        self._held: set[int] = set()
        self._gave_up = False
        self._silent: str | None = None
        self._appending, self._sealing = _Patience(clock), _Patience(clock)
        self._is_pause_over = False
        self._hurry = asyncio.Event()
        self._progress = asyncio.Event()
        # One: jobs are done in order, the disk's state needs no lock, and what is asked for after a cancellation waits
        # behind the write that was begun.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="landing")

    @property
    def trouble(self) -> str | None:
        """Return what is wrong with the disk, None while it obeys."""
        return self._appending.trouble or self._sealing.trouble or self._silent

    @property
    def crowded(self) -> bool:
        """Return whether so much waits that the next pause is to end at once."""
        return self._landing.held > self.budget // _HURRY_AT

    def hurry(self) -> None:
        """End the pause: in a burst memory would fill before the interval is over."""
        self._hurry.set()

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
            await self._append()

    async def flush(self) -> None:
        """Land all that waits, and seal what is to be sealed.

        Raises:
            DiskTroubleError: the disk has refused for a minute.
            TornError: it refused in a way that trying again would make worse.
        """
        await self._append()
        self._is_pause_over = False
        while self._seals and not self._gave_up:
            if not await self._seal(is_last=True):
                await self._clock.sleep(_RETRY_SEC)

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
        """Wait for half the interval, or until lines are in a hurry; segments are sealed meanwhile."""
        sleep = asyncio.ensure_future(self._clock.sleep(self._flush_sec / 2))
        hurry = asyncio.ensure_future(self._hurry.wait())
        try:
            await self._seal_during(asyncio.wait({sleep, hurry}, return_when=asyncio.FIRST_COMPLETED))
        finally:
            for task in (sleep, hurry):
                task.cancel()
        self._hurry.clear()

    async def _seal_during(self, pause: Awaitable[object]) -> None:
        """Seal until a pause is over; at most one wait for the disk more."""
        self._is_pause_over = False
        seal = asyncio.ensure_future(self._seal()) if self._seals else None
        try:
            await pause
            self._is_pause_over = True
            if seal:
                await seal
        finally:
            self._is_pause_over = True
            if seal:
                seal.cancel()

    async def _append(self) -> None:
        """Land the lines and records that wait, and set aside what is to be sealed."""
        if self._gave_up:
            return
        self._jobs.extend(self._landing.take())
        while self._jobs:
            waiting = len(self._jobs)
            try:
                await self._work(self._append_in_thread)
            except OSError as error:
                self._complain(self._appending, error, after_some=len(self._jobs) < waiting)
                # What the process lacks may be files that it may open, and those that wait are open.
                await self._seal_during(self._clock.sleep(_RETRY_SEC))
        self._appending.obeyed()

    async def _seal(self, *, is_last: bool = False) -> bool:
        """Seal until the pause is over; False if the disk refused. If it `is_last`, who holds a file has a minute."""
        waiting = len(self._seals)
        try:
            await self._work(self._seal_in_thread)
        except OSError as error:
            is_held = isinstance(error, PermissionError) and not is_last
            self._complain(self._sealing, error, after_some=is_held or len(self._seals) < waiting)
            return False
        if not self._held:
            self._sealing.obeyed()
        return True

    async def _work(self, work_in_thread: Callable[[], None]) -> None:
        """Let the thread work, and give the memory of what is done back."""
        work = asyncio.get_running_loop().run_in_executor(self._thread, work_in_thread)
        watch = asyncio.ensure_future(self._watch())
        try:
            await work
        except TornError:
            self._gave_up = True
            raise
        finally:
            watch.cancel()
            self._silent = None
            done, self._done = self._done, 0
            sealed, self._sealed = self._sealed, 0
            self._landing.landed(done, sealed)
            self._progress.set()

    async def _watch(self) -> None:
        """Say so while the disk does not answer: no job gets done."""
        looks, waiting = 0, self._waiting
        while True:
            await self._clock.sleep(_SILENT_SEC)
            looks, waiting = (looks + 1 if self._waiting == waiting else 0), self._waiting
            if looks:
                self._silent = f"a write has not come back for {looks * _SILENT_SEC:.0f} s"
            if looks % _LOG_EVERY == 1:
                held = self._landing.held
                logger.error("the disk does not answer, {} bytes wait in memory: {}", held, self._silent)

    @property
    def _waiting(self) -> int:
        return len(self._jobs) + len(self._seals)

    def _append_in_thread(self) -> None:
        """Each job leaves the queue only when it is done."""
        while self._jobs:
            job = self._jobs[0]
            if isinstance(job, Seal):
                if len(self._seals) >= WAITING_ROUNDS * self._landing.round:
                    with contextlib.suppress(PermissionError):
                        # Who holds it costs no open file: it was closed before it was to be renamed.
                        self._seal_next()
                self._disk.set_aside(job)
                self._seals.append(job)
            else:
                self._disk.do(job)
                self._done += job.size
            self._jobs.popleft()

    def _seal_in_thread(self) -> None:
        """At least one, so that they come to an end however short the pauses are."""
        while self._seals:
            self._seal_next()
            if self._is_pause_over:
                return

    def _seal_next(self) -> None:
        job = self._seals[0]
        try:
            self._disk.do(job)
        except PermissionError:
            self._held.add(id(job))
            self._seals.rotate(-1)
            raise
        self._held.discard(id(job))
        self._done += job.size
        self._sealed += 1
        self._seals.popleft()

    def _complain(self, patience: _Patience, error: OSError, *, after_some: bool) -> None:
        lasted = patience.refused(error, self._landing.held, after_some=after_some)
        if lasted > GIVE_UP_AFTER_SEC:
            self._gave_up = True
            raise DiskTroubleError(f"the disk has refused for {lasted:.0f} s: {patience.trouble}") from None
