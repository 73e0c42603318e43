"""`crypto-lake pull`: a verified copy of some days, from the store into this machine's own folder."""

import contextlib
import os
import shutil
from collections.abc import Container, Iterator
from datetime import date
from pathlib import Path

import msgspec
from loguru import logger

from crypto_lake import patterns
from crypto_lake.ask import views
from crypto_lake.config import Config
from crypto_lake.disk import checksums, publish
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.series import Series
from crypto_lake.staging import Local, Reach, Rooms, known, staged
from crypto_lake.transform import verify

_ROOMS = Rooms.ALL | Rooms.INSTRUMENTS


def pull(config: Config, days: list[date], symbol: str) -> tuple[int, int]:
    """Copy all files of some days, of the symbols that a name or a pattern means; how many files, and bytes, came.

    What is there already and has the same bytes is left alone; so are raw files of this machine's own.

    Raises:
        ConfigError: there is no store.
        LakeError: files of the store are damaged (all others came), the disk refused, or the store did not answer.
    """
    if config.store is None:
        raise ConfigError("store: there is none in the configuration; expected store.url")
    every = known(config)
    meant = patterns.matching(symbol, {one.symbol for one in every})
    series = [one for one in every if one.symbol in meant]
    files = size = 0
    damaged: list[str] = []
    for day in days:
        with staged(config, series, [day], _ROOMS, reach=Reach.EXACTLY) as local:
            wrong = dict(_damages(local))
            damaged += [
                f"{path.relative_to(local.config.layout.base)} {what}" for path, what in wrong.items()
            ]
            for came in _copied(local.config.layout.base, config.layout.base, wrong.keys()):
                files, size = files + 1, size + came
            _forget_parts(config, local.series, day)
        logger.bind(day_done=True).info("{}: {} files so far, {} bytes", day, files, size)
    # For any client of DuckDB; of what is here now.
    views.save(msgspec.structs.replace(config, store=None))
    if damaged:
        raise LakeError(f"{config.store.url}: damaged, and not copied: {'; '.join(damaged)}")
    return files, size


def _damages(local: Local) -> Iterator[tuple[Path, str]]:
    found = [*verify.damages(local.config, verify.finished_files(local.series))]
    looks = verify.raw_looks(local.config, verify.raw_folders(local.series))
    found += [one for look in looks for one in look.damages]
    yield from ((one.path, one.what) for one in found if one)


def _copied(source: Path, target: Path, but: Container[Path]) -> Iterator[int]:
    """Copy the lake's files from a working copy; yield the size of each that came."""
    for folder, names, files in os.walk(source):
        if Path(folder) == source:
            names[:] = [name for name in names if name != "state"]
        for name in files:
            path = Path(folder) / name
            place = target / path.relative_to(source)
            if path in but or _is_there(path, place):
                continue
            with publish.publishing(place) as temporary:
                shutil.copyfile(path, temporary)
            yield path.stat().st_size


def _is_there(path: Path, place: Path) -> bool:
    """Return whether a file need not come: it is here, or is this machine's own, which the store has from here."""
    if not place.exists():
        return False
    here, there = place.stat().st_size, path.stat().st_size
    if "raw" in place.parts and here >= there and path.suffix == ".jsonl":
        return True
    return here == there and checksums.of(place) == checksums.of(path)


def _forget_parts(config: Config, series: list[Series], day: date) -> None:
    """Remove parts that came before the day was compacted: they would count as younger than its daily file."""
    layout = config.layout
    for one in series:
        if one.layout.daily(one.exchange, one.symbol, day).exists():
            for path in layout.parts(one.exchange, one.symbol, day):
                path.unlink()
            folder = layout.parts_day(one.exchange, one.symbol, day)
            with contextlib.suppress(OSError):
                folder.rmdir()
