"""Work on shares of symbols where the lake lies in a store: a day is brought, worked on, shipped, and then reported.

Without a store the lake itself is worked on, and each day is reported as soon as it is done.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
from duckdb import DuckDBPyConnection

from crypto_lake.config import Config
from crypto_lake.defs import turns
from crypto_lake.defs.metadata import Metadata
from crypto_lake.defs.partitions import Share, of_each
from crypto_lake.errors import LakeError, LeftAloneError, RawDataError, StoreError, UnreachableError
from crypto_lake.layout import Layout, day_of
from crypto_lake.staging import Rooms, identity, staged
from crypto_lake.transform import retention

# What is made of a share's days by work on plain files: of each what is told of it.
Work = Callable[[Config, Share], Iterable[tuple[date, Metadata]]]
Lock = Callable[[Layout, str, str], Path]
# So long after its day a raw folder is looked at: nights may have been missed.
_NIGHTS = 7


def each_day(
    config: Config,
    shares: Iterable[Share],
    work: Work,
    rooms: Rooms,
    lock: Lock | None = None,
    at_once: int = 1,
) -> Iterator[tuple[str, Metadata]]:
    """Do some work on the days of shares, in a store so many `at_once`; what is told of each, by its partition's key.

    Raises:
        LakeError: the first of the work, when all was tried; of raw files all.
        StoreError: the store refuses, or does not answer.
    """

    def done(share: Share) -> Iterable[tuple[date, Metadata]]:
        if config.store is None:
            return work(config, share)
        return _by_stages(config, share, work, rooms, lock, at_once)

    return ((share.key(day), told) for share, (day, told) in of_each(shares, done))


def _by_stages(
    config: Config, share: Share, work: Work, rooms: Rooms, lock: Lock | None, at_once: int
) -> Iterator[tuple[date, Metadata]]:
    errors: list[LakeError] = []
    for begin in range(0, len(share.days), at_once):
        days = share.days[begin : begin + at_once]
        done: list[tuple[date, Metadata]] = []
        try:
            with _turn(share, days, lock), staged(config, share.series, days, rooms, lock) as local:
                base = local.config.layout.base
                for day, told in work(local.config, share._replace(series=local.series, days=days)):
                    done.append((day, _in_store(told, base, str(identity.opened(config)))))
        except (LeftAloneError, UnreachableError, StoreError):
            raise
        except LakeError as error:
            errors.append(error)
        # What is told of is in the store.
        yield from done
    if errors and all(isinstance(error, RawDataError) for error in errors):
        raise RawDataError("; ".join(map(str, errors)))
    if errors:
        raise errors[0]


def _turn(share: Share, days: Sequence[date], lock: Lock | None) -> AbstractContextManager[None]:
    """Keep other hosts from the same work on the same days: what they would bring, this one is about to replace."""
    if lock is None:
        return nullcontext()
    instance = dg.AssetExecutionContext.get().instance
    return turns.held(instance, f"{lock.__name__} {share.key(days[0])}")


def _in_store(told: Metadata, base: Path, store: str) -> Metadata:
    """Return what is told of a working copy, as it is true of the store: the copy is gone when it is read."""

    def text(said: str) -> str:
        return said.replace(base.as_uri(), store).replace(str(base), store)

    found: Metadata = {}
    for name, value in told.items():
        if isinstance(value, dg.PathMetadataValue):
            found[name] = dg.MetadataValue.text(text(str(value.value)))
        elif isinstance(value, dg.MarkdownMetadataValue):
            found[name] = dg.MetadataValue.md(text(str(value.value)))
        else:
            found[name] = text(value) if isinstance(value, str) else value
    return found


def retain(connection: DuckDBPyConnection, config: Config, shares: Iterable[Share], now_us: int) -> None:
    """Compress and remove raw segments that are due; in a store those of some nights, in case one was missed.

    Raises:
        RawDataError, StoreError: as the work on the days of a run.
    """
    if config.store is None:
        retention.apply(connection, [one for share in shares for one in share.series], now_us)
        return
    settings = config.retention
    ages = {after for after in (settings.compress_raw_after_days, settings.prune_raw_after_days) if after}
    due = {day_of(now_us) - timedelta(days=after + n) for after in ages for n in range(_NIGHTS)}
    for share in shares:
        for day in sorted(due):
            rooms = Rooms.RAW | Rooms.BARS | Rooms.TICKS
            with staged(config, share.series, [day], rooms, Layout.bars_lock) as it:
                retention.apply(connection, it.series, now_us)
