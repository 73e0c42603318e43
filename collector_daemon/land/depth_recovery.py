"""What a collector that died left of order books: segments that no journal describes, breaks it had no time to tell."""

import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from collector_daemon.decide.chained_ids import Break, ChainedIds
from collector_daemon.decide.depth_tally import DepthTally
from collector_daemon.decide.oddities import Oddities
from collector_daemon.land.mending import lines_of
from collector_daemon.land.pointers import Pointers
from crypto_lake.disk import checksums
from crypto_lake.layout import Layout
from crypto_lake.raw import journal, journals, segments
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import OF_BOOK, DepthLine, decode_book

# A symbol's last days: what the one before ended with lies in one of them, or is too old to go on from.
_LAST_DAYS = 2
_SEALED = b'"depth_sealed"'
_WHAT = "a line of the book"


def enter(diary: JournalWriter, symbol: str, day: date, now: int, *, search: bool) -> None:
    """Describe a folder's segments that no journal describes; `search` for breaks even if there are none.

    Raises:
        OSError: the disk refused.
    """
    layout, exchange = diary.layout, diary.exchange
    found = segments.sealed(layout.raw_day(exchange, symbol, day), [OF_BOOK], layout.recorder)
    if not found:
        return
    told = journals.of_recorder(layout, exchange, symbol, day)
    described = {one.segment for one in journal.of_kind(told, journal.DepthSealed)}
    lacking = [path for path in found if path.name not in described]
    pointers = Pointers(diary)
    for path in lacking:
        tally = DepthTally(day)
        for line in lines_of(path, decode_book, _WHAT):
            tally.add_all([line])
        if tally.lines:
            pointers.tell(symbol, day, tally.displaced, now)
            size, checksum = path.stat().st_size, checksums.of(path)
            diary.write(tally.sealed(now, symbol, path.name, size, [], checksum), day)
    if lacking or search:
        known = list(journal.of_kind(told, journal.BookBreak))
        untold = (
            journal.BookBreak(at=now, symbol=symbol, **one._asdict())
            for one in _breaks(segments.latest(found))
            if not any(_is_told(one, record) for record in known)
        )
        oddities = Oddities()
        for broken in [*oddities.limited(untold, now), *oddities.rest()]:
            diary.write(broken, day)


def last_id(layout: Layout, exchange: str, symbol: str) -> int | None:
    """Return the id that a symbol's book was last recorded up to; None where it was not lately."""
    last = segments.last_day(layout, exchange, symbol)
    # Behind it lie pointers from days to come. There is none where all segments were removed: journals stay.
    days = [day for day in layout.raw_days(exchange, symbol) if last is None or day <= last]
    for day in reversed(days[-_LAST_DAYS:]):
        path = layout.symbol_journal(exchange, symbol, day)
        content = journal.content(path)
        end = len(content)
        # From the end on: a journal of a day has thousands of records, and this is asked of each symbol at a start.
        while (found := content.rfind(_SEALED, 0, end)) >= 0:
            begin, end = content.rfind(b"\n", 0, found) + 1, found
            records = journal.records(path, content[begin : content.find(b"\n", found) + 1])
            ids = [one.last_id for one in journal.of_kind(records, journal.DepthSealed)]
            if ids and ids[0] is not None:
                return ids[0]
    return None


def _breaks(paths: Sequence[Path]) -> list[Break]:
    chain = ChainedIds()
    for path in paths:
        for line in lines_of(path, decode_book, _WHAT):
            if isinstance(line, DepthLine):
                chain.accept(line)
    return chain.breaks(0.0, -math.inf)


def _is_told(one: Break, record: journal.BookBreak) -> bool:
    exactly = (one.after_id, one.first_id) == (record.after_id, record.first_id)
    return exactly or record.after_id <= one.after_id < one.first_id <= record.first_id
