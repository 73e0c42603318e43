"""Lines in memory on their way to disk: gathered by symbol, cut into windows, handed over as jobs in order. No I/O.

How long a window lasts is told in `rotation`. A symbol is cut by the receipt time of a line beyond its window, by a
tick of the clock, or by its size, but not while a whole round of segments waits for the disk. All symbols are cut at
the hour, and where the clock was set: a segment has one clock offset. A clock that is set back opens an earlier window
again, and its lines go to segments with numbers of their own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date

import msgspec
from loguru import logger

from collector_daemon.clock import Clock, Watch
from collector_daemon.decide.heard import Heard
from collector_daemon.decide.listening import Listening
from collector_daemon.decide.session import RefusedFrame
from collector_daemon.decide.tally import Tally
from collector_daemon.land.books import Books, memory_of
from collector_daemon.land.jobs import Append, Job, Note, Refusal, Seal, lines_of, size_of
from collector_daemon.land.rotation import Rotation, turn_of
from crypto_lake.layout import HOUR_US, SECOND_US, day_of
from crypto_lake.raw import journal
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import BookLine, RawLine
from crypto_lake.raw.offsets import Follow, smallest

# What a line takes in memory, roughly: an object with its strings, or the bytes that are made of it.
_LINE_SIZE = 512
# So many segments may wait to be sealed however few symbols there are.
_WAITING_LEAST = 64

_encode_lines = msgspec.json.Encoder().encode_lines


class _Pending:
    """One symbol's lines of the running window: those not handed over yet, the tally of all, and who listens.

    `begun` is when the window began, µs UTC; `size` how many bytes were handed over; `given` what was known to be
    heard when the window before was cut.
    """

    __slots__ = ("begun", "given", "lines", "listening", "size", "tally")

    def __init__(self, begun: int, listening: Listening, given: Sequence[Interval]) -> None:
        self.lines: list[RawLine] = []
        self.listening = listening
        self.begun = begun
        self.given = given
        self.size = 0
        self.tally = Tally(day_of(begun))


class _Turn:
    """The symbols that are cut together; `start` and `end` are those of the interval that runs."""

    __slots__ = ("end", "phase", "start", "symbols")

    def __init__(self, phase: int, window: tuple[int, int]) -> None:
        self.phase = phase
        self.start, self.end = window
        self.symbols: list[str] = []


class Landing:
    """One exchange's lines in memory. `held` is how many bytes wait here or with the writer.

    `unsealed` is how many windows were cut whose segments are not sealed yet. `watch` looks at the clock for all of its
    connections; `clock_was_set` is called, with the step and the time (µs), once what was before is cut off.
    """

    def __init__(
        self,
        rotation: Rotation,
        clock: Clock,
        clock_was_set: Callable[[int, int], None] = lambda _step, _now: None,
    ) -> None:
        self._rotation = rotation
        self._clock_was_set = clock_was_set
        self.watch = Watch(clock, self._stepped, lambda: self._note_away(0))
        self._offset = Follow()
        self._jobs: list[Job] = []
        self._pending: dict[str, _Pending] = {}
        self._books = Books(rotation, self._of_book, lambda: self._is_disk_behind)
        self._heard = Heard()
        self._turns: list[_Turn] = []
        self._arrange()
        self._newest = 0
        self.held = 0
        self.unsealed = 0

    def expect(self, symbols: Iterable[str], listening: Listening) -> None:
        """Lines of these symbols may come; `listening` knows when somebody was there to hear them."""
        now = self._now()
        for symbol in symbols:
            self._pending[symbol] = self._begun(now, listening)
        self._arrange()

    def expect_with(self, symbols: Iterable[str], listening: Listening) -> None:
        """Somebody listens to these symbols as well from now on: their stretches are cut here."""
        symbols, now = list(symbols), self._now()
        self._heard.take([listening], now)
        self._books.cut(now, symbols)
        self._cut(symbols, now, now)
        for symbol in symbols:
            self._pending[symbol] = self._begun(now, listening)

    def forget(self, symbols: Iterable[str]) -> None:
        """No more lines of these symbols will come; what there is of them is sealed."""
        symbols, now = list(symbols), self._now()
        self._heard.take({self._pending[symbol].listening for symbol in symbols}, now)
        self._books.cut(now, symbols)
        self._cut(symbols, now, now)
        for symbol in symbols:
            del self._pending[symbol]
        self._heard.keep(self._listenings())
        self._arrange()

    def add(self, lines: Sequence[RawLine], now: int) -> None:
        """Keep lines that came just now; the first ones beyond the window end it."""
        if not self._start <= now < self._end:
            self._go_on(now)
        if now < self._newest:
            # The clock went back a little: lines that are handed over together lie in order of receipt.
            self._hand_over_all()
        self._newest = now
        pending = self._pending
        for line in lines:
            pending[line.symbol].lines.append(line)
        self.held += _LINE_SIZE * len(lines)

    def add_depth(self, lines: Sequence[BookLine], now: int) -> None:
        """The same of lines of the order book."""
        self.add((), now)
        self._books.add(lines, now)
        self.held += sum(map(memory_of, lines))

    def note(self, record: journal.AnyRecord, day: date | None = None) -> None:
        """Keep a record for a journal of `day`, or of the day of its `at`."""
        # Ahead of lines that still wait: after a death the journal may tell of a line that is not there, never the
        # other way round.
        self._queue(Note(record, day or day_of(record.at), size_of(record)))

    def refuse(self, refused: RefusedFrame) -> None:
        """Keep a refused frame."""
        self._queue(Refusal(refused))

    def tick(self) -> None:
        """Time passes: a window ends although its symbols are silent; a clock that was set is noticed."""
        self._now()

    def take(self) -> list[Job]:
        """All that waits, in order; `held` goes on counting it until `landed` says otherwise."""
        self._hand_over_all()
        jobs, self._jobs = self._jobs, []
        return jobs

    def landed(self, size: int, sealed: int = 0) -> None:
        """So many bytes of the jobs that were taken are on disk, so many seals among them."""
        self.held -= size
        self.unsealed -= sealed

    def pending(self, symbol: str) -> int:
        """Return how many bytes of a symbol's lines are in memory and not yet with the writer, roughly."""
        return _LINE_SIZE * len(self._pending[symbol].lines) + self._books.memory(symbol)

    def unwritten(self) -> Counter[str]:
        """Return how many lines of each symbol wait here."""
        found = Counter({symbol: len(pending.lines) for symbol, pending in self._pending.items()})
        return found + self._books.unwritten() + lines_of(self._jobs)

    def close(self) -> None:
        """The end: cut everything, the listening included, wherever the window stands."""
        now, listenings = self._now(), self._listenings()
        for listening in listenings:
            listening.end_all()
        self._cut_all(now, max([now, *(listening.last for listening in listenings)]))

    def _now(self) -> int:
        """Look what time it is, and end what is over by then: a stretch across midnight would be one day's alone."""
        now = self.watch.look()
        if not self._start <= now < self._end:
            self._go_on(now)
        return now

    def _queue(self, job: Job) -> None:
        self._jobs.append(job)
        self.held += job.size

    def _of_book(self, job: Append | Seal) -> None:
        if isinstance(job, Seal):
            self._queue(job)
            self.unsealed += 1
        else:
            # Counted as its lines came.
            self._jobs.append(job)

    def _listenings(self) -> set[Listening]:
        return {pending.listening for pending in self._pending.values()}

    def _begun(self, at: int, listening: Listening) -> _Pending:
        return _Pending(at, listening, self._heard.of(listening))

    def _arrange(self) -> None:
        """Give each symbol its turn; where there are more turns than before, or fewer, all symbols begin anew."""
        now, turns = self.watch.now, self._rotation.turns(len(self._pending))
        if turns != len(self._turns):
            self._cut_all(now, now)
            phases = [turn * self._rotation.interval_us // turns for turn in range(turns)]
            self._turns = [_Turn(phase, self._rotation.window_of(now, phase)) for phase in phases]
        for turn in self._turns:
            turn.symbols = []
        for symbol in self._pending:
            self._turns[turn_of(symbol, turns)].symbols.append(symbol)
        self._find_next()

    def _find_next(self) -> None:
        """Keep within which times nothing is to be done, which each read of a connection asks."""
        self._start = max(turn.start for turn in self._turns)
        self._end = min(turn.end for turn in self._turns)

    def _go_on(self, now: int) -> None:
        """Leave the intervals that are over for those that `now` lies in."""
        hour = self._start - self._start % HOUR_US
        if hour <= now < hour + HOUR_US:
            due = [turn for turn in self._turns if not turn.start <= now < turn.end]
            for turn in sorted(due, key=_end):
                self._end_of(turn, now)
        else:
            self._cut_all(now, hour + HOUR_US)
        self._begin_intervals(now)

    def _end_of(self, turn: _Turn, now: int) -> None:
        """Cut those symbols of a turn that are worth a segment."""
        for symbol in turn.symbols:
            self._hand_over(symbol)
        books = turn.symbols if now < turn.start else self._books.due(turn.symbols, turn.end)
        self._books.cut(now, () if self._is_disk_behind else books)
        due = [symbol for symbol in turn.symbols if now < turn.start or not self._goes_on(symbol, turn.end)]
        self._heard.take({self._pending[symbol].listening for symbol in due}, turn.end)
        if turn.phase == 0:
            self._follow_offset()
        self._cut(due, now, max(turn.end, turn.start) if now >= turn.end else now)

    @property
    def round(self) -> int:
        """Return how many segments are cut in one round at most."""
        return max(_WAITING_LEAST, len(self._pending) + len(self._books))

    @property
    def _is_disk_behind(self) -> bool:
        """Return whether a whole round of segments waits: each is an open file more, and a process has so many only."""
        return self.unsealed >= self.round

    def _goes_on(self, symbol: str, border: int) -> bool:
        pending = self._pending[symbol]
        return self._is_disk_behind or self._rotation.is_quiet(border - pending.begun, pending.size)

    def _begin_intervals(self, now: int) -> None:
        for turn in self._turns:
            turn.start, turn.end = self._rotation.window_of(now, turn.phase)
        self._find_next()

    def _stepped(self, step_us: int) -> None:
        """Cut everything: a stretch, or a segment, across it would lie on two clocks."""
        now = self.watch.now
        self._note_away(step_us or None)
        if step_us:
            logger.warning("the local clock stepped by {:.3f} s", step_us / SECOND_US)
        self._heard.step(self._listenings(), now)
        self._seal_all(now)
        self._begin_intervals(now)
        self._offset.was_set(step_us)
        self._clock_was_set(step_us, now)

    def _note_away(self, step_us: int | None) -> None:
        """Tell the journal before the next lines are handed over: a death may follow before they are sealed."""
        left = self.watch.before
        last = min((one.last for one in self._listenings() if one.active), default=None)
        self.note(journal.Away(at=self.watch.now, left=left, last_frame=last, step_us=step_us))

    def _cut_all(self, now: int, border: int) -> None:
        """Cut all symbols, and give them all that was heard up to a border."""
        self._heard.take(self._listenings(), border)
        self._seal_all(now)

    def _seal_all(self, now: int) -> None:
        self._hand_over_all()
        self._books.cut(now)
        self._follow_offset()
        for symbol, pending in self._pending.items():
            self._seal(symbol, pending, now)
        self._heard.forget()
        for symbol, pending in self._pending.items():
            self._pending[symbol] = self._begun(now, pending.listening)

    def _cut(self, symbols: Iterable[str], now: int, begin: int) -> None:
        """End the windows of symbols; the next ones begin at `begin`."""
        for symbol in symbols:
            self._hand_over(symbol)
            pending = self._pending[symbol]
            self._seal(symbol, pending, now)
            self._pending[symbol] = self._begun(begin, pending.listening)

    def _seal(self, symbol: str, pending: _Pending, now: int) -> None:
        listened = self._heard.since(pending.listening, pending.given)
        if pending.tally.lines or listened:
            pending.tally.known_offset = self._offset.known
            self._queue(Seal(symbol, now, pending.tally, listened))
            self.unsealed += 1

    def _follow_offset(self) -> None:
        """Ask all symbols' trades of the window how far the clock is off: one alone may have a single, wrong one."""
        kept: list[int] = []
        for pending in self._pending.values():
            kept = smallest(kept, pending.tally.late)
        if kept:
            self._offset.next(kept, sum(pending.tally.trades for pending in self._pending.values()))

    def _hand_over_all(self) -> None:
        self._books.hand_over()
        for symbol in self._pending:
            self._hand_over(symbol)

    def _hand_over(self, symbol: str) -> None:
        """All at once, which costs a line a third of what it does alone; they lie in order of receipt."""
        pending = self._pending[symbol]
        if pending.lines:
            lines, pending.lines = pending.lines, []
            content, most = _encode_lines(lines), self._rotation.most_bytes
            if most is None or pending.size + len(content) < most or self._is_disk_behind:
                self._append(symbol, lines, content)
            else:
                self._append_in_pieces(symbol, lines, content, most)

    def _append(self, symbol: str, lines: Sequence[RawLine], content: bytes) -> None:
        pending = self._pending[symbol]
        pending.tally.add_all(lines)
        pending.size += len(content)
        self._jobs.append(Append(symbol, pending.tally.day, content, _LINE_SIZE * len(lines)))

    def _append_in_pieces(self, symbol: str, lines: Sequence[RawLine], content: bytes, most: int) -> None:
        """Begin a segment wherever one would be larger than it may be; a line by itself always fits."""
        start = first = 0
        while start < len(content):
            pending = self._pending[symbol]
            end = content.rfind(b"\n", start, start + max(0, most - pending.size)) + 1
            if not end and not pending.size:
                end = content.index(b"\n", start) + 1
            if end:
                count = content.count(b"\n", start, end)
                self._append(symbol, lines[first : first + count], content[start:end])
                start, first = end, first + count
            if start < len(content) or pending.size >= most:
                # Not now: an hour, or a day, may have begun since these lines came.
                at = lines[min(first, len(lines) - 1)].ts_recv
                self._heard.take([pending.listening], at)
                self._seal(symbol, pending, self.watch.now)
                self._pending[symbol] = self._begun(at, pending.listening)


def _end(turn: _Turn) -> int:
    return turn.end
