"""The jobs that are handed from memory to the disk, in order: what is to be written, and how much memory it holds."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from sys import getsizeof
from typing import Protocol

import msgspec

from collector_daemon.decide.depth_tally import DepthTally
from collector_daemon.decide.session import RefusedFrame
from collector_daemon.decide.tally import Tally
from crypto_lake.raw import journal
from crypto_lake.raw.intervals import Interval
from crypto_lake.raw.lines import RECEIVED

_RECORD_SIZE = 256


class Segment(Protocol):
    """An open segment, as the disk wants it; see `segments.OpenSegment`."""

    path: Path
    day: date
    size: int

    @property
    def sha256(self) -> str:
        """The checksum of what was appended, in hex."""

    def append(self, lines: bytes) -> None:
        """Write whole lines, or raise `OSError`."""

    def seal(self) -> Path:
        """Give it its final name, or raise `OSError`; it may be tried again."""

    def abandon(self) -> None:
        """Leave it to recovery."""


@dataclass(slots=True)
class Append:
    """Whole lines for a symbol's open segment of a day. `size` is how many bytes of memory they hold, roughly."""

    symbol: str
    day: date
    lines: bytes
    size: int = _RECORD_SIZE
    family: str = RECEIVED


@dataclass(slots=True)
class Seal:
    """A symbol's window is over.

    `is_aside` once no more lines are to come to its segment, which is `open`, None where no line came; `segment`,
    `file_size` and `sha256` are filled in once the file is sealed.
    """

    symbol: str
    at: int
    tally: Tally | DepthTally
    listened: list[Interval]
    family: str = RECEIVED
    is_aside: bool = False
    open: Segment | None = None
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


def size_of(record: journal.AnyRecord) -> int:
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
