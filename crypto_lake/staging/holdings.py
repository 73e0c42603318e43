"""What a lake holds of its symbols, by day, from names alone: those in its folders, or those that its store lists."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date
from enum import Enum, auto
from pathlib import Path

from crypto_lake.config import Config
from crypto_lake.disk.store import Store
from crypto_lake.listing import named_day
from crypto_lake.raw import segments
from crypto_lake.series import Series
from crypto_lake.staging import identity
from crypto_lake.staging.needs import day_of_bars, day_of_file, day_of_segment


class Kind(Enum):
    """The kinds of files of a symbol that a day may have."""

    RAW = auto()
    PARTS = auto()
    DAILY = auto()
    MINUTES = auto()
    TICKS = auto()
    CANDLES = auto()
    DEPTH = auto()


Held = dict[Kind, set[date]]


def of_each(
    config: Config, series: Iterable[Series], kinds: Iterable[Kind] = Kind
) -> Iterator[tuple[Series, Held]]:
    """Yield what there is of each symbol, of the kinds that are asked for.

    Raises:
        StoreError: the store refuses, or does not answer.
    """
    wanted, some = list(kinds), list(series)
    if config.store is None:
        for one in some:
            yield one, {kind: set(_ON_DISK[kind](one)) for kind in wanted}
        return
    store = identity.opened(config)
    looks = ((one, kind) for one in some for kind in wanted)
    days = store.each(lambda look: _days(store, *look), looks)
    for one in some:
        yield one, {kind: next(days) for kind in wanted}


def days(config: Config, series: Iterable[Series], *kinds: Kind) -> set[date]:
    """Return the days of which there is a file of one of these kinds, of any symbol. Raises as `of_each`."""
    return {day for _, held in of_each(config, series, kinds) for some in held.values() for day in some}


_ON_DISK: dict[Kind, Callable[[Series], list[date]]] = {
    Kind.RAW: lambda one: segments.days(one.layout, one.exchange, one.symbol),
    Kind.PARTS: lambda one: one.layout.part_days(one.exchange, one.symbol),
    Kind.DAILY: lambda one: one.layout.daily_days(one.exchange, one.symbol),
    Kind.MINUTES: lambda one: one.layout.minute_days(one.exchange, one.symbol),
    Kind.TICKS: lambda one: one.layout.ticks_days(one.exchange, one.symbol),
    Kind.CANDLES: lambda one: one.layout.candle_days(one.exchange, one.symbol),
    Kind.DEPTH: lambda one: one.layout.depth_days(one.exchange, one.symbol),
}
_FOLDERS: dict[Kind, Callable[[Series], Path]] = {
    Kind.RAW: lambda one: one.layout.raw_symbol(one.exchange, one.symbol),
    Kind.PARTS: lambda one: one.layout.bars_symbol(one.exchange, one.symbol),
    Kind.DAILY: lambda one: one.layout.bars_symbol(one.exchange, one.symbol),
    Kind.MINUTES: lambda one: one.layout.minutes_symbol(one.exchange, one.symbol),
    Kind.TICKS: lambda one: one.layout.ticks(one.exchange, one.symbol, "trades", date.min).parent,
    Kind.CANDLES: lambda one: one.layout.candles(one.exchange, one.symbol, date.min).parent,
    Kind.DEPTH: lambda one: one.layout.depth(one.exchange, one.symbol, date.min).parent,
}


def _days(store: Store, one: Series, kind: Kind) -> set[date]:
    keys = store.entries(one.layout.key(_FOLDERS[kind](one)))
    return {day for key in keys if (day := _day_of(key, kind))}


def _day_of(key: str, kind: Kind) -> date | None:
    """Return the day that a file is of, if it is of a kind."""
    if kind is Kind.RAW:
        return day_of_segment(key)
    if not key.endswith(".parquet"):
        return None
    if kind is Kind.PARTS:
        return None if day_of_file(key) else day_of_bars(key)
    return day_of_file(key)


def unmade(config: Config, series: Iterable[Series]) -> Iterator[tuple[Series, list[date]]]:
    """Yield symbols with the days in whose folders something came since the bars of the same day were made.

    In a store, by the times at which files were put. What happened on these days is for the files themselves to tell.

    Raises:
        StoreError: as `of_each`.
    """
    store, some = identity.opened(config), list(series)
    for one, found in zip(some, store.each(lambda one: _unmade(store, one), some), strict=True):
        if found:
            yield one, found


def _unmade(store: Store, one: Series) -> list[date]:
    received, made = (
        _newest(store, one, kind, day_of)
        for kind, day_of in ((Kind.RAW, _day_of_receipt), (Kind.DAILY, day_of_bars))
    )
    return sorted(day for day, at in received.items() if at >= made.get(day, 0))


def _day_of_receipt(key: str) -> date | None:
    return named_day(key.split("/")[-2])


def _newest(store: Store, one: Series, kind: Kind, day_of: Callable[[str], date | None]) -> dict[date, int]:
    found: dict[date, int] = {}
    for key, entry in store.entries(one.layout.key(_FOLDERS[kind](one))).items():
        if day := day_of(key):
            found[day] = max(entry.modified_ns, found.get(day, 0))
    return found
