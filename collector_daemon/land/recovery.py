"""Recover what a collector that died left behind: seal its open segments, and enter them in their folder's journal.

So are the gaps in them that it had no time to tell, since a hole becomes a gap only after a grace. What a power loss
left in open segments and in the last journals that is no line is moved to the refused frames of that day first.
"""

import math
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from loguru import logger

from collector_daemon.decide.connected import listened
from collector_daemon.decide.ids import ContiguousIds, Hole, Odd
from collector_daemon.decide.oddities import Oddities
from collector_daemon.decide.rules import RULES
from collector_daemon.decide.tally import Tally
from collector_daemon.land import depth_recovery
from collector_daemon.land.mending import Mending, lines_of
from collector_daemon.land.pointers import Pointers
from crypto_lake.disk import checksums
from crypto_lake.exchanges import registry
from crypto_lake.layout import HOUR_US, Layout
from crypto_lake.raw import journal, journals, segments
from crypto_lake.raw.intervals import union
from crypto_lake.raw.journal_writer import JournalWriter
from crypto_lake.raw.lines import RECEIVED, TRADE, TradeLine, decode

# Those that a collector writes at a time: of the day, and of the one before (a clock's offset, a segment's record).
_LAST_JOURNALS = 2
_WHAT = "a raw line"


def recover(layout: Layout, exchange: str, now: int) -> list[segments.Recovered]:
    """Seal what is open, and enter what the journal lacks: the death may have come between the two.

    All of it is of the recorder whose layout this is: what another one has open is none of ours. Call it with its lock
    held. `now` is µs UTC.

    Raises:
        OSError: the disk refused.
    """
    mending = Mending(layout, exchange, now)
    found = segments.recover(layout, exchange, mending.segment)
    diary = JournalWriter(layout, exchange)
    touched = {(one.symbol, one.day) for one in found}
    worked_in = _last_days(layout, exchange) | touched
    for symbol, day in _last_journals(layout, exchange) | {(None, one.day) for one in found} | worked_in:
        if moved := mending.journal(diary.path(day, symbol), day):
            diary.write(journal.Mended(at=now, moved_bytes=moved), day, symbol)
            touched |= {(symbol, day)} if symbol else set()
    for one in found:
        diary.write(_told(one, now), one.day)
    for symbol, day in worked_in:
        lacking = _not_entered(layout, exchange, symbol, day)
        for path in lacking:
            _enter(diary, symbol, path, now)
        is_doubtful = bool(lacking) or (symbol, day) in touched or not _ended_in_order(diary, symbol, day)
        depth_recovery.enter(diary, symbol, day, now, search=is_doubtful)
        if is_doubtful:
            for hole in _untold_holes(layout, exchange, symbol, day):
                diary.write(journal.Gap(at=now, symbol=symbol, **hole._asdict()), day)
    # A journal of a lake written before may be large, and the collector goes on for months.
    journals.forget()
    return found


def _told(one: segments.Recovered, now: int) -> journal.Recovered:
    """The record of a segment that was recovered, which is logged as well."""
    name, torn, moved = journal.file_name(one.path), one.torn_bytes, one.moved_bytes
    logger.warning(
        "{} {}: recovered {}, {} torn bytes cut, {} bad ones moved", one.symbol, one.day, name, torn, moved
    )
    return journal.Recovered(at=now, symbol=one.symbol, segment=name, torn_bytes=torn, moved_bytes=moved)


def _last_journals(layout: Layout, exchange: str) -> set[tuple[str | None, date]]:
    """The journals that the dead one can have been writing: those that all symbols share, and each symbol's own.

    Pointers from days to come may hide a symbol's: that of the folder it was at work in is known by its segments.
    """
    shared: set[tuple[str | None, date]] = {
        (None, day) for day in layout.journal_days(exchange)[-_LAST_JOURNALS:]
    }
    return shared | {
        (symbol, day)
        for symbol in layout.raw_symbols(exchange)
        for day in layout.raw_days(exchange, symbol)[-_LAST_JOURNALS:]
    }


def _last_days(layout: Layout, exchange: str) -> set[tuple[str, date]]:
    """The only folders in which the dead one can have been at work on segments."""
    return {
        (symbol, day)
        for symbol in layout.raw_symbols(exchange)
        if (day := segments.last_day(layout, exchange, symbol))
    }


def _not_entered(layout: Layout, exchange: str, symbol: str, day: date) -> list[Path]:
    """The received segments of a day that no journal describes."""
    told = journals.of_recorder(layout, exchange, symbol, day)
    described = {one.segment for one in journal.of_kind(told, journal.Sealed)}
    found = segments.sealed(layout.raw_day(exchange, symbol, day), [RECEIVED], layout.recorder)
    return [path for path in found if path.name not in described]


def _enter(diary: JournalWriter, symbol: str, path: Path, now: int) -> None:
    """Describe a segment from its lines: somebody was listening from the end of the one before to the last line.

    But not while the journal knows of no connection that carried the symbol's streams.
    """
    day = date.fromisoformat(path.parent.name)
    tally = tally_of(path, Tally(day))
    if not tally.lines:
        return
    Pointers(diary).tell(symbol, day, tally.displaced, now)
    for record in _odd(diary.exchange, path, symbol, now):
        diary.write(record, day)
    shared = journals.shared(diary.layout, diary.exchange, day)
    written = [*shared, *journal.read(diary.path(day, symbol))]
    began = _began(written, symbol, tally.recv_from)
    # A connection may have been subscribed on the day before; none lives for longer than a day.
    lately = [*journals.shared(diary.layout, diary.exchange, day - timedelta(days=1)), *shared]
    streams = frozenset(registry.exchange(diary.exchange).wire.streams(symbol))
    stretches = listened(lately, streams, began, (tally.recv_from, tally.recv_to))
    size, checksum = path.stat().st_size, checksums.of(path)
    diary.write(tally.sealed(now, symbol, path.name, size, stretches, checksum), day)


def _odd(exchange: str, path: Path, symbol: str, now: int) -> list[journal.AnyRecord]:
    """Return what is odd about the ids of a segment: the death may have come between a line and its record."""
    told: list[Odd] = []
    trades = registry.exchange(exchange).stream(TRADE)
    ids = RULES[trades.ids](symbol, trades.word, told)
    highest, late = 0, dict[int, journal.Late]()
    for line in lines_of(path, decode, _WHAT):
        if isinstance(line, TradeLine):
            ids.accept(line)
        elif line.id > highest:
            highest = line.id
        else:
            # Readers look for such quotes in the hour of this time.
            found = journal.Late(at=line.ts_recv, symbol=line.symbol, id=line.id, after=highest)
            late.setdefault(line.ts_recv // HOUR_US, found)
    oddities = Oddities()
    return [*oddities.records(told, now), *oddities.rest(), *late.values()]


def _began(written: list[journal.AnyRecord], symbol: str, first: int) -> int:
    """Return where a stretch with its first line at `first` began: at the end of the one before, unless it broke.

    Where nobody looked since, it began with the first look.
    """
    before = [one for one in journal.of_kind(written, journal.Sealed) if one.symbol == symbol]
    ends = [end for one in before for _, end in one.listened if end <= first]
    if not ends:
        return first
    began = max([*ends, *(one.at for one in journal.of_kind(written, journal.Away) if one.at <= first)])
    breaks = (journal.Started, journal.Stopped, journal.Disconnected)
    broken = any(began < one.at <= first for one in written if isinstance(one, breaks))
    # What a journal has lost may have been the end of a connection.
    broken |= any(journal.of_kind(written, journal.Mended))
    return first if broken else began


def _ended_in_order(diary: JournalWriter, symbol: str, day: date) -> bool:
    """Return whether the last collector of a day told everything; so did whoever landed files without a journal."""
    shared = journals.shared(diary.layout, diary.exchange, day)
    if not shared:
        return not diary.path(day, symbol).exists()
    return isinstance(shared[-1], journal.Stopped)


def _untold_holes(layout: Layout, exchange: str, symbol: str, day: date) -> Iterator[Hole]:
    """Yield what is missing in the last segments of a day, and not a gap in its journals."""
    if registry.exchange(exchange).capabilities.trade_ids != "contiguous":
        return
    gaps = journal.of_kind(journals.of_recorder(layout, exchange, symbol, day), journal.Gap)
    told = union([(gap.first_id, gap.last_id + 1) for gap in gaps])
    ids = ContiguousIds(symbol, TRADE.word, [])
    received = segments.sealed(layout.raw_day(exchange, symbol, day), [RECEIVED], layout.recorder)
    for path in segments.latest(received):
        for line in lines_of(path, decode, _WHAT):
            if isinstance(line, TradeLine):
                ids.accept(line)
    for hole in ids.overdue(0.0, -math.inf):
        if not any(first <= hole.first_id and hole.last_id < end for first, end in told):
            yield hole


def tally_of(path: Path, tally: Tally) -> Tally:
    """Add up a segment from its file."""
    for line in lines_of(path, decode, _WHAT):
        tally.add(line)
    return tally
