"""The journals of a day: of all symbols, and of one; of one recorder, and of all. Old lakes have all in one file."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path

from crypto_lake.layout import Layout
from crypto_lake.raw import journal
from crypto_lake.raw.journal import AnyRecord, OfSymbol, SymbolRecord

# Three days are read for each symbol of a run. A day's connections and offsets take a few hundred KB; lakes written
# before have journals of any size, of which those of some twenty symbols are kept.
_KEPT_DAYS = 4
_LARGEST_KEPT = 16 << 20


def shared(layout: Layout, exchange: str, day: date) -> Sequence[AnyRecord]:
    """The records of a day, by the recorder whose layout this is, that concern all symbols, in order.

    In lakes written before those of each symbol are among them. Each symbol of a run asks for them, so the last days'
    are kept, and parsed again only if the file has other bytes.
    """
    path = layout.journal(exchange, day)
    content = journal.content(path)
    return _kept(path, content) if len(content) <= _LARGEST_KEPT else journal.records(path, content)


def shared_by_all(layout: Layout, exchange: str, day: date) -> list[AnyRecord]:
    """The same by all recorders, one after the other."""
    recorders = layout.journal_recorders(exchange)
    return [record for one in recorders for record in shared(layout.of(one), exchange, day)]


def of_recorder(layout: Layout, exchange: str, symbol: str, day: date) -> list[SymbolRecord]:
    """The records of a day that concern a symbol, by the recorder whose layout this is, in order.

    Those of lakes written before come first, then those of the symbol's own journal.
    """
    both = [*shared(layout, exchange, day), *journal.read(layout.symbol_journal(exchange, symbol, day))]
    return [one for one in both if isinstance(one, OfSymbol) and one.symbol == symbol]


def of_symbol(layout: Layout, exchange: str, symbol: str, day: date) -> list[SymbolRecord]:
    """`of_recorder` of all recorders, one after the other."""
    return next(of_each(layout, exchange, [symbol], day))


def of_each(layout: Layout, exchange: str, symbols: Sequence[str], day: date) -> Iterator[list[SymbolRecord]]:
    """`of_symbol` of each in turn, without reading what all share once for each.

    A day of hundreds of symbols takes hundreds of megabytes, so whoever asks lets go of one's before the next one's.
    """
    of_before: dict[str, list[SymbolRecord]] = {symbol: [] for symbol in symbols}
    # Only one without a name can have written a lake of before.
    for one in shared(layout.of(""), exchange, day):
        if isinstance(one, OfSymbol) and one.symbol in of_before:
            of_before[one.symbol].append(one)
    for symbol in symbols:
        own = (
            record
            for recorder in layout.recorders(exchange, symbol, day)
            for record in journal.read(layout.of(recorder).symbol_journal(exchange, symbol, day))
        )
        yield [
            *of_before[symbol],
            *(one for one in own if isinstance(one, OfSymbol) and one.symbol == symbol),
        ]


def displaced(records: Iterable[AnyRecord]) -> set[date]:
    """The days in whose folders trades lie that happened on the day of these records, and were received on another."""
    found = set()
    for record in journal.of_kind(records, journal.Displaced):
        # A record that names no day is as good as none.
        with contextlib.suppress(ValueError):
            found.add(date.fromisoformat(record.landed))
    return found


def forget() -> None:
    """Let go of what is kept: for a process that lives on and will not ask again."""
    _kept.cache_clear()


@lru_cache(maxsize=_KEPT_DAYS)
def _kept(path: Path, content: bytes) -> Sequence[AnyRecord]:
    return tuple(journal.records(path, content))
