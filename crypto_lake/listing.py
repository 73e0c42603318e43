"""The names in the lake's folders: which are days, symbols, files of a day. `layout` builds all paths."""

import os
import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from pathlib import Path

_is_like_a_day = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\.parquet)?").fullmatch
# One of the first so many is a symbol's first day; others are no days of the calendar.
_LOOKED_AT = 5
# Any exchange's spelling; what else lies there (`_journal`, a copy, a name that steers a terminal) is none of ours.
is_symbol = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,40}").fullmatch


@lru_cache(maxsize=10_000)
def named_day(name: str) -> date | None:
    """The day that a name is, as this module spells it; None where it is none.

    A lake has few days, each of which many files are of.
    """
    try:
        day = date.fromisoformat(name)
    except ValueError:
        return None
    # To Python, 20251020 and 2025-W43-1 are days as well; a path made from them would lead elsewhere.
    return day if day.isoformat() == name else None


def days(names: Iterable[str]) -> list[date]:
    """Those names that are days, oldest first."""
    return sorted(day for name in names if (day := named_day(name)))


def names(folder: Path, *, folders: bool, begin: str = "", end: str = "") -> Iterator[str]:
    """The names of the folders, or of all else, in a folder; none where there is no folder."""
    # A listing that knows what is a folder asks the system nothing of each of thousands of files.
    if folder.is_dir():
        with os.scandir(folder) as entries:
            yield from [
                name
                for entry in entries
                if (name := entry.name).endswith(end) and name.startswith(begin) and entry.is_dir() == folders
            ]


def symbols(folder: Path) -> list[str]:
    """The symbols that have folders in a folder, sorted."""
    return sorted(name for name in names(folder, folders=True) if is_symbol(name))


def file_days(folder: Path, suffix: str = ".parquet") -> list[date]:
    """The days that have a file of their own in a folder, oldest first."""
    return days(name[: -len(suffix)] for name in names(folder, folders=False, end=suffix))


def part_folders(folder: Path) -> list[str]:
    """The days that have a folder for parts in that of a symbol's bars, as names."""
    folders = [folder]
    for key in ("year=", "month=", "day="):
        folders = [one / name for one in folders for name in names(one, folders=True, begin=key)]
    return ["-".join(part.partition("=")[2] for part in one.parts[-3:]) for one in folders]


def first_names(folder: Path) -> list[str]:
    """The first names in a folder that look like a day's; nothing is asked of what lies there."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if _is_like_a_day(entry.name))[:_LOOKED_AT]
