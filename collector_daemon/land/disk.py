"""Jobs meet the disk: one exchange's open segments, journals and refused frames. Blocking; runs in a worker thread.

Each job either is done for good or raises `OSError` and may be tried again from where it stopped: nothing is
written twice.
"""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import msgspec
from loguru import logger

from collector_daemon.land.jobs import Append, Job, Note, Refusal, Seal, Segment
from collector_daemon.land.pointers import Pointers
from crypto_lake.errors import LakeError
from crypto_lake.layout import Layout, day_of
from crypto_lake.raw import journal
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RECEIVED
from crypto_lake.raw.segments import OpenSegment, truncate_torn_tail, write_whole

# Refused frames are for a person to look at; beyond this many bytes a day they are only counted.
REFUSED_BYTES_A_DAY = 16 << 20
# So is what an exchange says of its connections; a year of ordinary ones takes less.
TALK_BYTES_A_DAY = 16 << 20
_TALK = (journal.Notice, journal.Subscribed)
_FULL = "(so many that the rest of this day's notices and confirmations are left out)"


# Of an exchange, a symbol, a day and a family.
CreateSegment = Callable[[Layout, str, str, date, str], Segment]


class TornError(LakeError):
    """A write failed half way and could not be undone; the open segment is for recovery at the next start."""


class Disk:
    """One exchange's files that are being written. `sealed` counts segments of ticks by symbol since the start."""

    def __init__(
        self,
        layout: Layout,
        exchange: str,
        create: CreateSegment = OpenSegment.create,
        refused_bytes_a_day: int = REFUSED_BYTES_A_DAY,
        talk_bytes_a_day: int = TALK_BYTES_A_DAY,
    ) -> None:
        self._refused_bytes = refused_bytes_a_day
        self._talk_bytes = talk_bytes_a_day
        self._talk: dict[date, int] = {}
        self.layout = layout
        self._exchange = exchange
        self._create = create
        self._journal = JournalWriter(layout, exchange)
        self._open: dict[tuple[str, str], Segment] = {}
        self._aside: dict[Path, Segment] = {}
        # Segments to which a write failed, and that could not be looked at since; and what the disk said.
        self._doubted: dict[Path, str] = {}
        self._mended: set[Path] = set()
        self._pointers = Pointers(self._journal)
        self.sealed: dict[str, int] = {}

    def do(self, job: Job) -> None:
        """Do one job.

        Raises:
            OSError: the disk refused; try the same job again.
            TornError: it refused in a way that trying again would make worse.
        """
        match job:
            case Append():
                self._append(job)
            case Seal():
                self._seal(job)
            case Note():
                self._note(job)
            case Refusal():
                self._keep_refused(job)

    def set_aside(self, job: Seal) -> None:
        """Let go of a segment that is to be sealed, so that the symbol's next lines go to another one."""
        if job.is_aside:
            return
        # Once only: the segment that is open when a silent window is sealed may be a later one's.
        job.is_aside, job.open = True, self._open.pop((job.symbol, job.family), None)
        if job.open:
            self._aside[job.open.path] = job.open

    def open_name(self, symbol: str) -> str | None:
        """The name of a symbol's open segment of ticks, if it has one."""
        segment = self._open.get((symbol, RECEIVED))
        return segment.path.name if segment else None

    def abandon(self) -> None:
        """Let go of what is still open; recovery seals it at the next start."""
        for segment in (*self._open.values(), *self._aside.values()):
            segment.abandon()
        self._open.clear()
        self._aside.clear()

    def _append(self, job: Append) -> None:
        key = job.symbol, job.family
        if key not in self._open:
            self._open[key] = self._create(self.layout, self._exchange, job.symbol, job.day, job.family)
        segment = self._open[key]
        if segment.path in self._doubted:
            self._look_at(segment)
        try:
            segment.append(job.lines)
        except OSError as error:
            self._doubted[segment.path] = str(error)
            self._look_at(segment)
            raise

    def _look_at(self, segment: Segment) -> None:
        """Make sure that a write which failed left nothing behind.

        Raises:
            OSError: a disk that is away says nothing of it; nothing may be appended before it does.
            TornError: it left a part of its lines.
        """
        if segment.path.stat().st_size != segment.size:
            said = self._doubted[segment.path]
            raise TornError(f"{segment.path}: a write failed half way: {said}") from None
        del self._doubted[segment.path]

    def _seal(self, job: Seal) -> None:
        self.set_aside(job)
        if job.open and not job.segment:
            segment = job.open
            try:
                job.segment, job.file_size = segment.seal().name, segment.size
            except FileNotFoundError:
                if not self._is_gone(segment):
                    raise
                # Nothing vouches for it: without a record nobody is said to have listened.
                logger.error("{}: is gone, and {} lines with it", segment.path, job.tally.lines)
                del self._aside[segment.path]
                return
            job.sha256 = segment.sha256
            del self._aside[segment.path]
            if job.family == RECEIVED:
                self.sealed[job.symbol] = self.sealed.get(job.symbol, 0) + 1
        # The record comes after the file: a death in between leaves a segment without one, which recovery describes;
        # the other way round the journal would speak of a segment that is not there.
        self._pointers.tell(job.symbol, job.tally.day, job.tally.displaced, job.at)
        record = job.tally.sealed(job.at, job.symbol, job.segment, job.file_size, job.listened, job.sha256)
        self._note(Note(record, job.tally.day))

    def _is_gone(self, segment: Segment) -> bool:
        """Return whether somebody took a segment away; not while the lake itself is away, with its drive."""
        # Above the day's folder and the symbol's, which may have been taken away whole.
        return not segment.path.exists() and segment.path.parents[2].exists()

    def _note(self, job: Note) -> None:
        if isinstance(job.record, _TALK):
            self._note_talk(job.record, job.day)
        else:
            self._journal.write(job.record, job.day)

    def _note_talk(self, record: journal.Notice | journal.Subscribed, day: date) -> None:
        """Enter what the exchange said, while the day has room for it; the first that has none is told as such."""
        said = self._said_on(day)
        if said > self._talk_bytes:
            return
        if said + _length(record) > self._talk_bytes:
            record = journal.Notice(at=record.at, connection=record.connection, frame=_FULL)
            logger.warning("{}: {} {}", self._exchange, day, _FULL)
            said = self._talk_bytes
        self._journal.write(record, day)
        self._talk[day] = said + _length(record)

    def _said_on(self, day: date) -> int:
        """Return how many bytes of a day's journal are the exchange's talk, that before this start included."""
        if day not in self._talk:
            written = journal.read(self._journal.path(day))
            self._talk = {day: sum(_length(one) for one in written if isinstance(one, _TALK))}
        return self._talk[day]

    def _keep_refused(self, job: Refusal) -> None:
        refused = job.refused
        path = self.layout.rejected(self._exchange, day_of(refused.ts_recv))
        self._mend(path)
        if path.exists() and path.stat().st_size > self._refused_bytes:
            return
        line = {
            "ts_recv": refused.ts_recv,
            "reason": refused.reason,
            "frame": refused.frame.decode(errors="backslashreplace"),
        }
        try:
            with path.open("ab", buffering=0) as file:
                write_whole(file, msgspec.json.encode(line) + b"\n")
        except OSError:
            self._mended.discard(path)
            raise

    def _mend(self, path: Path) -> None:
        """Before the first append: a predecessor's death, or a full disk, may have torn the last line."""
        if path in self._mended:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size:
            truncate_torn_tail(path)
        self._mended.add(path)


def _length(record: journal.Record) -> int:
    return len(msgspec.json.encode(record)) + 1
