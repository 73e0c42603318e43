"""The collector's journals: what it lived through, a record a line. What kinds there are is told in `records`.

They answer what market data cannot: when was somebody listening, why not, how far off was the clock. What concerns a
symbol lies in the symbol's own folder of the day, so that nobody reads of a thousand symbols to learn of one; what
concerns connections and the clock in one file for all (`journals` reads both). All times are the collector's own clock,
microseconds UTC, unless a field's name says `event`. Light, for the collector.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from loguru import logger
from msgspec import Meta, Struct

from crypto_lake.disk import mending
from crypto_lake.errors import NOT_JSON
from crypto_lake.raw.lines import EARLIEST_US
from crypto_lake.raw.records import (
    KINDS,
    LATEST_US,
    AnyRecord,
    Away,
    BookBreak,
    ClockOffset,
    Conflict,
    Connected,
    Contents,
    Delisted,
    DepthSealed,
    Disconnected,
    Displaced,
    Gap,
    Jumped,
    Late,
    Listed,
    Mended,
    Notice,
    OfSymbol,
    Record,
    Recovered,
    Sealed,
    Silent,
    Started,
    Stopped,
    Subscribed,
    SymbolRecord,
    is_plausible,
)

__all__ = [
    "KINDS",
    "AnyRecord",
    "Away",
    "BookBreak",
    "ClockOffset",
    "Conflict",
    "Connected",
    "Contents",
    "Delisted",
    "DepthSealed",
    "Disconnected",
    "Displaced",
    "Gap",
    "Jumped",
    "Late",
    "Listed",
    "Mended",
    "Notice",
    "OfSymbol",
    "Record",
    "Recovered",
    "Sealed",
    "Silent",
    "Started",
    "Stopped",
    "Subscribed",
    "SymbolRecord",
    "content",
    "file_name",
    "is_record",
    "of_kind",
    "read",
    "records",
]

_decoder = msgspec.json.Decoder(AnyRecord)
_R = TypeVar("_R", bound=Record)


class _AnyKind(Struct):
    """The keys of every record, those of a later version included."""

    kind: str
    at: Annotated[int, Meta(ge=EARLIEST_US, lt=LATEST_US)]


_decode_any = msgspec.json.Decoder(_AnyKind).decode
_KNOWN = frozenset(str(kind.__struct_config__.tag) for kind in KINDS)
# How many lines of a file were no records, and how many of a later version, when that was last told.
_told: dict[Path, tuple[int, int]] = {}
_MOST_TOLD = 1000


def _day_of(path: Path) -> date | None:
    """The day of a journal: a shared one has its name, a symbol's own that of its folder."""
    for name in (path.stem, path.parent.name):
        with contextlib.suppress(ValueError):
            return date.fromisoformat(name)
    return None


def is_record(line: bytes) -> bool:
    """Return whether the bytes are a record, if only of a later version of the lake."""
    return _is_known(line) or _is_later(line)


def _is_later(line: bytes) -> bool:
    """Return whether the bytes are a record of a kind that only a later version of the lake knows."""
    try:
        return _decode_any(line).kind not in _KNOWN
    except NOT_JSON:
        return False


def _is_known(line: bytes) -> bool:
    return _decodes(_decoder.decode, line)


def _decodes(decode: Callable[[bytes], object], line: bytes) -> bool:
    try:
        decode(line)
    except NOT_JSON:
        return False
    return True


def read(path: Path) -> Iterator[AnyRecord]:
    """The records of one journal file, in order; none where there is no file. A torn last line is left out.

    So is a line that is no record, as a power loss leaves them, one whose numbers cannot be meant, and one of a kind
    that only a later version knows: how many there are is logged, once for each file. The collector's next start takes
    the first ones out.
    """
    yield from records(path, content(path))


def content(path: Path) -> bytes:
    """The bytes of a journal; none where there is no file."""
    if path.is_file():
        return path.read_bytes()
    # A folder, which somebody has made; the recording is then taken as one without a journal of that day.
    if path.exists() and path not in _told:
        _told[path] = 0, 0
        logger.error("{}: is a folder; expected a journal, or nothing there yet", path)
    return b""


def records(path: Path, content: bytes) -> list[AnyRecord]:
    """The records in the bytes of a journal, as `read` has them; its path says of which day it is."""
    whole = content[: content.rfind(b"\n") + 1]
    known: list[AnyRecord] = []
    bad = later = 0
    day = _day_of(path)
    for line in whole.splitlines():
        try:
            found = [_decoder.decode(line)]
        except NOT_JSON:
            if _is_later(line):
                later += 1
                continue
            bad += 1
            # What stands whole beside a block of NULs counts.
            found = [_decoder.decode(one) for one in mending.good(line, _is_known)]
        plausible = [record for record in found if is_plausible(record, day)]
        bad += len(found) - len(plausible)
        known += plausible
    if (bad or later) and _told.get(path) != (bad, later):
        if len(_told) >= _MOST_TOLD:
            _told.clear()
        _told[path] = bad, later
        _tell(path, bad, later)
    return known


def _tell(path: Path, bad: int, later: int) -> None:
    if bad:
        logger.error("{}: {} lines are no journal records, and are left out", path, bad)
    if later:
        logger.info("{}: {} records are of a later version, and are left out", path, later)


def of_kind(records: Iterable[AnyRecord], kind: type[_R]) -> Iterator[_R]:
    """Those records that are of one kind."""
    return (record for record in records if isinstance(record, kind))


def file_name(path: Path | None) -> str | None:
    """The name under which `Sealed` and `Recovered` know a segment; None stays None."""
    return path.name if path else None
