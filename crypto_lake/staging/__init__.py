"""Work on a lake that lies in a store: bring what is needed, let the core work on plain local files, ship what changed.

Without a store all of this hands out the lake itself, and nothing is copied. The core below knows nothing of it.
"""

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

import msgspec
from loguru import logger

from crypto_lake.config import Config
from crypto_lake.disk import locks, publish
from crypto_lake.disk.cache import Cache
from crypto_lake.errors import LakeBusyError, LakeError, StoreError
from crypto_lake.layout import Layout
from crypto_lake.listing import is_symbol, named_day
from crypto_lake.series import Series
from crypto_lake.staging import identity, pointed, registers
from crypto_lake.staging.needs import Needs, Rooms, day_of_file, newest
from crypto_lake.staging.working import Working, mark_days

__all__ = [
    "Local",
    "Reach",
    "Rooms",
    "first_day",
    "known",
    "note_day",
    "noted_days",
    "outlined",
    "recorded",
    "staged",
]

# What is being written to may change between two looks; who changes it each time is at the same work.
_LOOKS = 8


class Reach(Enum):
    """What is brought: days and their neighbours, these days exactly, or these without believing any cached copy.

    In an OUTLINE segments that journals describe, and ticks, are names and sizes alone: enough to say whether bars are
    in line with them. Nothing is shipped from it.
    """

    AROUND = auto()
    EXACTLY = auto()
    ANEW = auto()
    OUTLINE = auto()


class Local(NamedTuple):
    """A lake in plain files: its configuration, and the symbols that were asked for, in it."""

    config: Config
    series: list[Series]


@contextlib.contextmanager
def staged(
    config: Config,
    series: Iterable[Series],
    days: Iterable[date],
    rooms: Rooms = Rooms.ALL,
    lock: Callable[[Layout, str, str], Path] | None = None,
    reach: Reach = Reach.AROUND,
) -> Iterator[Local]:
    """Give what work on some days of some symbols needs as a lake of plain files; what it changes there is shipped.

    Also where the work fails: what it made is whole. `lock` says which files keep others of this machine from the same
    work. Without a store it is the lake itself.

    Raises:
        StoreError: the store refuses, does not answer, or holds another lake.
        LakeBusyError: others are at the same symbols.
        LakeError: the disk refused.
    """
    some = list(series)
    if config.store is None:
        yield Local(config, some)
        return
    with contextlib.ExitStack() as stack:
        # In one order, or two runs that hold some of each other's would wait for ever.
        for path in sorted({lock(config.layout, one.exchange, one.symbol) for one in some} if lock else ()):
            stack.enter_context(locks.hold(path))
        working = stack.enter_context(_working(config, anew=reach is Reach.ANEW))
        local = Local(_local(config, working.layout.base), [])
        local.series.extend(Series(local.config, one.exchange, one.symbol) for one in some)
        needs = Needs(
            working.store,
            working.layout,
            local.series,
            sorted(set(days)),
            rooms,
            around=int(reach in {Reach.AROUND, Reach.OUTLINE}),
        )
        _bring(working, needs, reach)
        stack.enter_context(_shipping(working, needs, reach))
        yield local


@contextlib.contextmanager
def _shipping(working: Working, needs: Needs, reach: Reach) -> Iterator[None]:
    """Ship what was changed when the block ends, also where it fails."""
    halts = registers.bring_halts(working.store, needs)
    try:
        yield
    except BaseException:
        # What failed says why; a store that fails as well comes second.
        try:
            _ship(working, needs, halts, reach)
        except LakeError as error:
            logger.error("{}", error)
        raise
    _ship(working, needs, halts, reach)


def _ship(working: Working, needs: Needs, halts: registers.Halts, reach: Reach) -> None:
    if reach is not Reach.OUTLINE:
        working.ship()
        registers.ship_halts(working.store, needs, halts)
    if working.fetched or working.put:
        logger.info("{}: {:,} bytes fetched, {:,} put", working.store, working.fetched, working.put)


def _bring(working: Working, needs: Needs, reach: Reach) -> None:
    """Bring what is needed as it is at one moment: of what changes meanwhile, look again.

    Raises:
        LakeBusyError: it changed each time.
    """
    for _ in range(_LOOKS):
        listed = needs.listed()
        working.drop_others(listed)
        at_first = pointed.at_first(needs, listed)
        if reach is Reach.OUTLINE:
            outlines = {key: entry for key, entry in listed.items() if pointed.is_outlined(key)}
            working.outline(outlines)
            at_first = {key: entry for key, entry in at_first.items() if key not in outlines}
        if not working.bring(at_first):
            continue
        further = pointed.further(needs, listed) if reach is not Reach.OUTLINE else {}
        if reach is Reach.OUTLINE:
            further = pointed.undescribed(needs, listed)
        if working.bring(further):
            return
    raise LakeBusyError(
        f"{working.store}: what is needed changed {_LOOKS} times while it was fetched; try again"
    )


@contextlib.contextmanager
def _working(config: Config, *, anew: bool = False) -> Iterator[Working]:
    """Give an empty working copy; what processes that died have left is removed."""
    store = identity.opened(config)
    above = config.layout.workings
    above.mkdir(parents=True, exist_ok=True)
    folder = above / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
    cache = Cache(folder / ".cache" if anew else config.layout.cache)
    _remove_dead(above)
    if not anew and config.store:
        cache.sweep(config.store.keep_local_hours)
    with locks.hold(_lock_of(folder), wait_sec=0):
        try:
            folder.mkdir()
            yield Working(store, cache, Layout(folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    _remove_lock(folder)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _remove_dead(above: Path) -> None:
    # Without its lock as well: Windows removes no file that is open, be it by another of its names, so that a folder
    # stays as long as another run reads a file of it from the cache.
    for folder in {path.with_suffix("") for path in above.iterdir()}:
        # One whose lock is held is alive.
        with contextlib.suppress(LakeError):
            with locks.hold(_lock_of(folder), wait_sec=0):
                shutil.rmtree(folder, ignore_errors=True)
            _remove_lock(folder)


def _remove_lock(folder: Path) -> None:
    # On Windows a run that looks whether it is held keeps it.
    with contextlib.suppress(PermissionError):
        _lock_of(folder).unlink(missing_ok=True)


def _local(config: Config, base: Path) -> Config:
    general = msgspec.structs.replace(config.general, base_path=str(base))
    return msgspec.structs.replace(config, general=general, store=None)


def recorded(config: Config) -> list[Series]:
    """Return every symbol that has raw files or bars, as `Series.recorded`, in the store where there is one.

    Raises:
        StoreError: as `staged`.
    """
    if config.store is None:
        return Series.recorded(config)
    layout = config.layout
    return _named(
        config, lambda exchange: [layout.raw_symbol(exchange, ""), layout.bars_symbol(exchange, "")]
    )


def known(config: Config) -> list[Series]:
    """Return every symbol of which there are files of any kind, as `Series.known`. Raises as `recorded`."""
    if config.store is None:
        return Series.known(config)
    layout = config.layout
    return _named(
        config,
        lambda exchange: [
            layout.raw_symbol(exchange, ""),
            layout.bars_symbol(exchange, ""),
            layout.ticks_symbol(exchange, ""),
            layout.depth(exchange, "", date.min).parent,
            layout.candles(exchange, "", date.min).parent,
        ],
    )


def _named(config: Config, folders: Callable[[str], Iterable[Path]]) -> list[Series]:
    store = identity.opened(config)
    found: list[Series] = []
    for exchange in config.exchanges:
        looks = [config.layout.key(path) for path in folders(exchange.name)]
        names = {name for some in store.each(store.folders, looks) for name in some if is_symbol(name)}
        found += [Series(config, exchange.name, symbol) for symbol in sorted(names)]
    return found


def noted_days(config: Config) -> list[date]:
    """Return the days of which something lies in the store, oldest first.

    Raises:
        StoreError: as `staged`.
    """
    layout = config.layout
    keys = identity.opened(config).entries(layout.key(layout.known_days))
    return sorted(day for key in keys if (day := day_of_file(key)))


def note_day(config: Config, day: date) -> None:
    """Note that there is, or will be, something of a day. Raises as `noted_days`."""
    mark_days(identity.opened(config), [day.isoformat()])


def first_day(config: Config) -> date | None:
    """Return the first day of which anything was recorded; None of a new lake. Raises as `recorded`."""
    layout = config.layout
    if config.store is None:
        return min(filter(None, (layout.first_day(one.name) for one in config.exchanges)), default=None)
    try:
        first = min(noted_days(config), default=None)
    except StoreError as error:
        # Definitions are loaded with it, by processes that then do without the store for a while.
        if (remembered := _remembered(layout.first_of_all)) is None:
            raise
        logger.warning("{}; the first day is taken for {}, as it was", error, remembered)
        return remembered
    if first and first != _remembered(layout.first_of_all):
        publish.write(layout.first_of_all, first.isoformat().encode())
    return first


def _remembered(path: Path) -> date | None:
    try:
        return named_day(publish.read(path).decode())
    except (OSError, UnicodeDecodeError):
        return None


@contextlib.contextmanager
def outlined(config: Config) -> Iterator[Config]:
    """Give a lake in which the newest tables of instruments are, and the folders of symbols, and nothing else.

    It is enough to say what the configuration's patterns mean. Without a store it is the lake itself.

    Raises:
        StoreError: as `staged`.
    """
    if config.store is None:
        yield config
        return
    with _working(config) as working:
        layout = working.layout
        for exchange in config.exchanges:
            folder = layout.reference(exchange.name, date.min).parent
            tables = working.store.entries(layout.key(folder))
            working.bring({key: tables[key] for key in newest(tables)})
        for one in recorded(config):
            layout.raw_symbol(one.exchange, one.symbol).mkdir(parents=True)
        yield _local(config, layout.base)
