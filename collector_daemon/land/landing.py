"""Lines in memory on their way to disk: gathered by symbol, cut into windows, handed over as jobs in order. No I/O.

A window lasts `write_interval_sec` from a whole multiple of it since midnight UTC, and ends at midnight at the
latest. All symbols are cut at once, by the receipt time of a line beyond the window or by a tick of the clock, and
where the clock was set: a segment has one clock offset. A clock that is set back opens an earlier window again, and
its lines go to segments with numbers of their own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from sys import getsizeof

import msgspec
from loguru import logger

from collector_daemon.clock import Clock, Watch
from collector_daemon.decide.listening import Listening
from collector_daemon.decide.session import RefusedFrame
from collector_daemon.decide.tally import Tally
from crypto_lake.layout import DAY_US, SECOND_US, day_of
from crypto_lake.raw import journal
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import RawLine
from crypto_lake.raw.offsets import Follow, smallest

_RECORD_SIZE = 256
# What a line takes in memory, roughly: an object with its strings, or the bytes that are made of it.
_LINE_SIZE = 512

_encode_lines = msgspec.json.Encoder().encode_lines


@dataclass(slots=True)
class Append:
    """Whole lines for a symbol's open segment of a day. `size` is how many bytes of memory they hold, roughly."""

    symbol: str
    day: date
    lines: bytes
    size: int = _RECORD_SIZE


@dataclass(slots=True)
class Seal:
    """A symbol's window is over. `segment`, `file_size` and `sha256` are filled in once the file is sealed."""

    symbol: str
    at: int
    tally: Tally
    listened: list[Interval]
    segment: str | None = None
    file_size: int = 0
    sha256: str | None = None
    size: int = _RECORD_SIZE


@dataclass(slots=True)
class Note:
    """A record for a journal of a day: its symbol's own, if it concerns one."""

    record: journal.AnyRecord
    day: date
    size: int = _RECORD_SIZE


@dataclass(slots=True)
class Refusal:
    """A frame for the file of refused ones."""

    refused: RefusedFrame

    @property
    def size(self) -> int:
        """Bytes of memory that this job holds, roughly."""
        return _RECORD_SIZE + len(self.refused.frame)


Job = Append | Seal | Note | Refusal


def _size_of(record: journal.AnyRecord) -> int:
    """Bytes of memory that a record holds, roughly: the exchange decides how long its texts are."""
    values = msgspec.structs.astuple(record)
    texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
    return _RECORD_SIZE + sum(getsizeof(text) for text in texts if isinstance(text, str))


def lines_of(jobs: Iterable[Job]) -> Counter[str]:
    """Return how many lines of each symbol jobs hold."""
    found = Counter[str]()
    for job in jobs:
        if isinstance(job, Append):
            found[job.symbol] += job.lines.count(b"\n")
    return found


class _Pending:
    """One symbol's lines of the running window: those not handed over yet, the tally of all, and who listens."""

    __slots__ = ("lines", "listening", "tally")

    def __init__(self, day: date, listening: Listening) -> None:
        self.lines: list[RawLine] = []
        self.listening = listening
        self.tally = Tally(day)


def window_of(us: int, interval_us: int) -> tuple[int, int]:
    """The window [start, end) of an instant: multiples of the interval since midnight UTC, cut at the next one."""
    midnight = us - us % DAY_US
    start = midnight + (us - midnight) // interval_us * interval_us
    return start, min(start + interval_us, midnight + DAY_US)


class Landing:
    """One exchange's lines in memory. `held` is how many bytes wait here or with the writer.

    `watch` looks at the clock for all of its connections; `clock_was_set` is called once what was before is cut off.
    """

    def __init__(
        self, interval_sec: int, clock: Clock, clock_was_set: Callable[[], None] = lambda: None
    ) -> None:
        self._interval_us = interval_sec * SECOND_US
        self._clock_was_set = clock_was_set
        self.watch = Watch(clock, self._stepped)
        self._offset = Follow()
        self._jobs: list[Job] = []
        self._start, self._end = window_of(self.watch.now, self._interval_us)
        self._pending: dict[str, _Pending] = {}
        self._newest = 0
        self.held = 0

    def expect(self, symbols: Iterable[str], listening: Listening) -> None:
        """Lines of these symbols may come; `listening` knows when somebody was there to hear them."""
        for symbol in symbols:
            self._pending[symbol] = _Pending(day_of(self._start), listening)

    def expect_with(self, symbols: Iterable[str], listening: Listening) -> None:
        """Somebody listens to these symbols as well from now on: everybody's stretch is cut here."""
        self._cut_here()
        for symbol in symbols:
            self._pending[symbol].listening = listening

    def forget(self, symbols: Iterable[str]) -> None:
        """No more lines of these symbols will come; what there is of them is sealed."""
        self._cut_here()
        for symbol in symbols:
            del self._pending[symbol]

    def add(self, lines: Sequence[RawLine], now: int) -> None:
        """Keep lines that came just now; the first ones beyond the window end it."""
        if not self._start <= now < self._end:
            self._turn(now)
        if now < self._newest:
            self._hand_over_all()
        self._newest = now
        pending = self._pending
        for line in lines:
            pending[line.symbol].lines.append(line)
        self.held += _LINE_SIZE * len(lines)

    def note(self, record: journal.AnyRecord, day: date | None = None) -> None:
        """Keep a record for a journal of `day`, or of the day of its `at`."""
        self._queue(Note(record, day or day_of(record.at), _size_of(record)))

    def refuse(self, refused: RefusedFrame) -> None:
        """Keep a refused frame."""
        self._queue(Refusal(refused))

    def tick(self) -> None:
        """Time passes: a window ends although its symbols are silent; a clock that was set is noticed."""
        now = self.watch.look()
        if not self._start <= now < self._end:
            self._turn(now)

    def take(self) -> list[Job]:
        """All that waits, in order; `held` goes on counting it until `landed` says otherwise."""
        self._hand_over_all()
        jobs, self._jobs = self._jobs, []
        return jobs

    def landed(self, size: int) -> None:
        """So many bytes of the jobs that were taken are on disk."""
        self.held -= size

    def pending(self, symbol: str) -> int:
        """Return how many bytes of a symbol's lines are in memory and not yet with the writer, roughly."""
        return _LINE_SIZE * len(self._pending[symbol].lines)

    def unwritten(self) -> Counter[str]:
        """Return how many lines of each symbol wait here."""
        found = Counter({symbol: len(pending.lines) for symbol, pending in self._pending.items()})
        return found + lines_of(self._jobs)

    def close(self) -> None:
        """The end: cut everything, the listening included, wherever the window stands."""
        now = self.watch.look()
        for listening in self._listenings():
            listening.end_all()
        self._cut(now, self._heard(max([now, *(listening.last for listening in self._listenings())])))

    def _queue(self, job: Job) -> None:
        self._jobs.append(job)
        self.held += job.size

    def _listenings(self) -> set[Listening]:
        return {pending.listening for pending in self._pending.values()}

    def _turn(self, now: int) -> None:
        """Leave the window for the one that `now` lies in."""
        self._cut(now, self._heard(self._end))
        self._begin_window(now)

    def _cut_here(self) -> None:
        """End the window for all symbols in its middle; the next one is the rest of it."""
        now = self.watch.look()
        self._cut(now, self._heard(now))
        self._begin_window(now)

    def _begin_window(self, now: int) -> None:
        self._start, self._end = window_of(now, self._interval_us)
        day = day_of(self._start)
        for symbol, pending in self._pending.items():
            self._pending[symbol] = _Pending(day, pending.listening)

    def _stepped(self, step_us: int) -> None:
        """Cut everything: a stretch, or a segment, across it would lie on two clocks."""
        now = self.watch.now
        if step_us:
            logger.warning("the local clock stepped by {:.3f} s", step_us / SECOND_US)
        self._cut(now, {listening: listening.step(now) for listening in self._listenings()})
        self._begin_window(now)
        self._offset.forget()
        self._clock_was_set()

    def _heard(self, border: int) -> dict[Listening, list[Interval]]:
        return {listening: listening.take(border) for listening in self._listenings()}

    def _cut(self, now: int, heard: dict[Listening, list[Interval]]) -> None:
        self._hand_over_all()
        self._follow_offset()
        for symbol, pending in self._pending.items():
            listened = heard[pending.listening]
            if pending.tally.lines or listened:
                pending.tally.known_offset = self._offset.known
                self._queue(Seal(symbol, now, pending.tally, listened))

    def _follow_offset(self) -> None:
        """Ask all symbols' trades of the window how far the clock is off: one alone may have a single, wrong one."""
        kept: list[int] = []
        for pending in self._pending.values():
            kept = smallest(kept, pending.tally.late)
        if kept:
            self._offset.next(kept, sum(pending.tally.trades for pending in self._pending.values()))

    def _hand_over_all(self) -> None:
        for symbol, pending in self._pending.items():
            self._hand_over(symbol, pending)

    def _hand_over(self, symbol: str, pending: _Pending) -> None:
        """All at once, which costs a line a third of what it does alone; they lie in order of receipt."""
        if pending.lines:
            pending.tally.add_all(pending.lines)
            size = _LINE_SIZE * len(pending.lines)
            self._jobs.append(Append(symbol, pending.tally.day, _encode_lines(pending.lines), size))
            pending.lines = []
