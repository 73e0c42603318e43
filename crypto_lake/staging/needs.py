"""Which objects of a store the work on some symbols' days needs: those days, their neighbours, and what they point to.

Names are asked of the store each time; what a cache happens to hold says nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from enum import Flag, auto
from pathlib import Path
from typing import NamedTuple

from crypto_lake.disk.store import Entry, Store
from crypto_lake.layout import Layout
from crypto_lake.listing import named_day
from crypto_lake.raw import segments
from crypto_lake.raw.lines import OF_BOOK
from crypto_lake.series import Series

# Bars carry values in from the newest bars before; of these one day may be damaged.
_BARS_BEFORE = 2


class Rooms(Flag):
    """The kinds of files that some work needs."""

    RAW = auto()
    BARS = auto()
    MINUTES = auto()
    TICKS = auto()
    CANDLES = auto()
    VERDICTS = auto()
    INSTRUMENTS = auto()
    # The raw order book, as large as all the rest: only where it is named.
    BOOK = auto()
    # The order book of finished days: depth, the book, its boundaries and ends. As BOOK.
    DEPTH = auto()
    ALL = RAW | BARS | MINUTES | TICKS | CANDLES | VERDICTS


class Needs(NamedTuple):
    """What some work on `days` of `series` needs of a store, `around` so many days of each."""

    store: Store
    layout: Layout
    series: Sequence[Series]
    days: Sequence[date]
    rooms: Rooms = Rooms.ALL
    around: int = 1

    @property
    def window(self) -> set[date]:
        """The days, and their neighbours."""
        return {day + timedelta(days=n) for day in self.days for n in range(-self.around, self.around + 1)}

    def listed(self) -> dict[str, Entry]:
        """Return what there is of it now, by key.

        Raises:
            StoreError: the store refuses, or does not answer.
        """
        found: dict[str, Entry] = {}
        for some in self.store.each(lambda look: look(), self._looks()):
            found |= some
        return found

    def listed_journals(self) -> dict[str, Entry]:
        """Return the journals that all symbols share. Raises as `listed`."""
        found: dict[str, Entry] = {}
        for exchange in {one.exchange for one in self.series}:
            found |= self._of_days(self.layout.raw_symbol(exchange, "_journal"))
        return found

    def received(self, series: Series, day: date) -> dict[str, Entry]:
        """Return what was received of a symbol on a day, of its order book if that is needed. Raises as `listed`."""
        found = self.store.entries(self.layout.key(self.layout.raw_day(series.exchange, series.symbol, day)))
        if Rooms.BOOK in self.rooms:
            return found
        return {key: entry for key, entry in found.items() if not is_of_book(key)}

    def _looks(self) -> Iterator[Callable[[], dict[str, Entry]]]:
        layout, window = self.layout, sorted(self.window)
        for one in self.series:
            where = one.exchange, one.symbol
            if Rooms.RAW in self.rooms:
                yield from (_of(self.received, one, day) for day in window)
            folders = {
                Rooms.MINUTES: layout.minutes_symbol(*where),
                # A manifest of ticks says whether they stand for raw files that are gone.
                Rooms.TICKS | Rooms.RAW: layout.ticks_symbol(*where),
                Rooms.CANDLES: layout.candles(*where, date.min).parent,
                Rooms.DEPTH: layout.depth(*where, date.min).parent,
                # Of bars it says which have its columns.
                Rooms.DEPTH | Rooms.BARS: layout.proof(*where, date.min).parent,
            }
            for rooms, folder in folders.items():
                if rooms & self.rooms:
                    yield _of(self._of_days, folder)
            if Rooms.DEPTH in self.rooms:
                yield _of(self._of_days, layout.book(*where, date.min).parent)
            if Rooms.BARS in self.rooms:
                yield _of(self._bars, layout.bars_symbol(*where))
        if Rooms.RAW in self.rooms:
            yield self.listed_journals
        for exchange in {one.exchange for one in self.series} if Rooms.INSTRUMENTS in self.rooms else ():
            yield _of(self.store.entries, self.layout.key(layout.reference(exchange, date.min).parent))
        if Rooms.VERDICTS in self.rooms and window:
            yield _of(self._of_days, layout.validation(window[0]).parent)
            yield _of(self._of_days, layout.coverage(window[0]).parent)

    def _of_days(self, folder: Path) -> dict[str, Entry]:
        """Return the files of the days that are needed, whatever stands behind the day in their names."""
        found, window = self.store.entries(self.layout.key(folder)), self.window
        return {key: entry for key, entry in found.items() if day_of_file(key) in window}

    def _bars(self, folder: Path) -> dict[str, Entry]:
        """Return bars of the days that are needed, and of the newest before."""
        if not self.days:
            return {}
        found = self.store.entries(self.layout.key(folder))
        days = sorted({day for key in found if (day := day_of_bars(key)) and day < min(self.days)})
        wanted = {*self.window, *(days[-_BARS_BEFORE:] if self.around else ())}
        return {key: entry for key, entry in found.items() if day_of_bars(key) in wanted}


def _of(look: Callable[..., dict[str, Entry]], *about: object) -> Callable[[], dict[str, Entry]]:
    return lambda: look(*about)


def day_of_file(key: str) -> date | None:
    """Return the day with which a file's name begins, if it does."""
    return named_day(key.rpartition("/")[2][:10])


def day_of_bars(key: str) -> date | None:
    """Return the day that a file of bars is of: a part's by its folders, else by its name."""
    parts = key.split("/")[-4:-1]
    if all("=" in part for part in parts):
        return named_day("-".join(part.partition("=")[2] for part in parts))
    return day_of_file(key)


def day_of_segment(key: str) -> date | None:
    """Return the day on which a segment of ticks was received; None for what is none."""
    *_, day, name = key.split("/")
    is_other = name.startswith("_") or not name.endswith((".jsonl", ".zst")) or is_of_book(key)
    return None if is_other else named_day(day)


def is_of_book(key: str) -> bool:
    """Return whether a file is a segment of an order book."""
    return segments.family_of(key.rpartition("/")[2]) == OF_BOOK


def newest(found: Mapping[str, Entry]) -> Iterable[str]:
    """Return the keys of the newest day among files that are named by days."""
    days = [day for key in found if (day := day_of_file(key))]
    return [key for key in found if days and day_of_file(key) == max(days)]
