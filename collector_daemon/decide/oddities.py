"""Odd ids and breaks of chains as journal records: of each symbol and kind the first of an hour, the rest as a number.

No I/O. An exchange that counts wildly makes one with every frame, and the journal must not grow with it. The first of
each hour are always written, since readers look for lines that are there twice only where the journal of a day says so.
"""

from collections.abc import Iterable, Iterator

import msgspec

from collector_daemon.decide.ids import Jump, Late, Odd
from crypto_lake.layout import HOUR_US
from crypto_lake.raw import journal
from crypto_lake.raw.lines import TradeLine
from crypto_lake.raw.records import HIGHEST_ID

WRITTEN_AN_HOUR, BREAKS_AN_HOUR = 10, 100

_Record = journal.Jumped | journal.Conflict | journal.Late | journal.BookBreak
_Key = tuple[str, str]


class Oddities:
    """See the module. One for all symbols of an exchange."""

    def __init__(self) -> None:
        self._hour = -1
        self._written: dict[_Key, int] = {}
        self._unwritten: dict[_Key, tuple[_Record, int]] = {}

    def records(self, told: Iterable[Odd], now: int) -> Iterator[_Record]:
        """Yield what to write of what was told at `now` (µs UTC), and of what was not written in the hour before."""
        return self.limited((_record(one, now) for one in told), now)

    def limited(self, records: Iterable[_Record], now: int) -> Iterator[_Record]:
        """The same of records that are there already."""
        if now // HOUR_US != self._hour:
            yield from self.rest()
            self._hour = now // HOUR_US
        for record in records:
            key = record.symbol, _stream(record)
            written = self._written.get(key, 0)
            if written < (BREAKS_AN_HOUR if isinstance(record, journal.BookBreak) else WRITTEN_AN_HOUR):
                self._written[key] = written + 1
                yield record
            else:
                _, count = self._unwritten.get(key, (record, -1))
                self._unwritten[key] = record, count + 1

    def rest(self) -> list[_Record]:
        """The last of each kind not written, with how many there were before it; a new hour begins."""
        found = [
            msgspec.structs.replace(record, unwritten=count) for record, count in self._unwritten.values()
        ]
        self._written.clear()
        self._unwritten.clear()
        return found


def _stream(record: _Record) -> str:
    return record.stream if isinstance(record, journal.Jumped) else type(record).__name__


def _record(one: Odd, now: int) -> _Record:
    if isinstance(one, Jump):
        # There is no id after the highest one, and a record that names it would be none for its readers.
        expected = min(one.expected, HIGHEST_ID)
        return journal.Jumped(at=now, symbol=one.symbol, stream=one.stream, id=one.id, expected=expected)
    if isinstance(one, Late):
        return journal.Late(at=now, **one._asdict())
    first, second = _contents(one.first), _contents(one.second)
    return journal.Conflict(at=now, symbol=one.first.symbol, id=one.first.id, first=first, second=second)


def _contents(line: TradeLine) -> journal.Contents:
    return journal.Contents(line.ts_event, line.price, line.qty, line.side)
