"""Lakes that lie in a store, which is a folder, and what is put there by hand."""

import shutil
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import duckdb
import msgspec

from crypto_lake.config import Config, Store
from crypto_lake.series import Series
from crypto_lake.staging import identity, recorded, staged
from crypto_lake.transform import bars, daily, ticks
from crypto_lake_tests.recorded_market import OVER


def stored(lake: Config, folder: Path, url: str | None = None) -> Config:
    """The same lake in a store, of a host whose own folder is another."""
    identity.forget()
    general = msgspec.structs.replace(lake.general, base_path=str(folder / "host"))
    store = Store(url=url or (folder / "store").as_uri())
    return msgspec.structs.replace(lake, general=general, store=store)


def put(lake: Config, base: Path, folders: Iterable[str] = ("raw",)) -> None:
    """Put all files of some folders of a lake into the store of another."""
    store = identity.opened(lake)
    for folder in folders:
        for path in sorted((base / folder).rglob("*")):
            if path.is_file():
                store.put(path.relative_to(base).as_posix(), path)


def work(duck: duckdb.DuckDBPyConnection, lake: Config, days: Iterable[date], *, keep: bool = True) -> None:
    """Make all there is of some days, each step for itself; without `keep` each begins with an empty cache."""
    for day in days:
        for step in (bars.build_all, daily.compact_all, ticks.make_all):
            if not keep:
                shutil.rmtree(lake.layout.base, ignore_errors=True)
            with staged(lake, recorded(lake), [day]) as local:
                step(duck, local.series, day, OVER)


def finished(duck: duckdb.DuckDBPyConnection, lake: Config, days: Iterable[date]) -> None:
    """The same in a lake without a store."""
    for day in days:
        for step in (bars.build_all, daily.compact_all, ticks.make_all):
            step(duck, Series.recorded(lake), day, OVER)


def made(base: Path) -> dict[str, bytes]:
    """What was made in a lake, by path."""
    return {
        path.relative_to(base).as_posix(): path.read_bytes()
        for folder in ("parquet", "bars", "ticks")
        for path in sorted((base / folder).rglob("*"))
        if path.is_file()
    }


def names(series: Iterable[Series]) -> list[str]:
    return [one.symbol for one in series]
