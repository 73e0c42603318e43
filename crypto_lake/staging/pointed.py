"""What only files themselves tell: other days in whose folders trades of a day lie, ticks that stand for raw files.

It is fetched once the files that say so are there.
"""

from collections.abc import Mapping
from datetime import date

from crypto_lake.disk.store import Entry
from crypto_lake.layout import COMPRESSED_SUFFIX
from crypto_lake.raw import journal, journals
from crypto_lake.raw.kept import read_manifest
from crypto_lake.series import Series
from crypto_lake.staging.needs import Needs, Rooms, day_of_file, day_of_segment

# A journal without the word need not be parsed for it.
_DISPLACED = b'"displaced"'


def at_first(needs: Needs, listed: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return what is needed in any case: all but ticks, where these are not what the work is about."""
    if Rooms.TICKS in needs.rooms:
        return dict(listed)
    return {key: entry for key, entry in listed.items() if not _is_ticks(key)}


def further(needs: Needs, listed: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return what the files that are there point to.

    Raises:
        StoreError: the store refuses, or does not answer.
    """
    if Rooms.RAW not in needs.rooms:
        return {}
    found: dict[str, Entry] = {}
    folders = [(one, day) for one in needs.series for day in _displaced(needs, one)]
    for some in needs.store.each(lambda folder: needs.received(*folder), folders):
        found |= some
    if folders:
        shared = needs._replace(days=sorted({day for _, day in folders}), series=[one for one, _ in folders])
        found |= shared.listed_journals()
    if Rooms.TICKS not in needs.rooms:
        ticks = {key: entry for key, entry in listed.items() if _is_ticks(key)}
        found |= {key: entry for key, entry in ticks.items() if _stands(needs, listed, key)}
    return found


def is_outlined(key: str) -> bool:
    """Return whether an outline has no more than the name and size of a file: plain segments, and ticks."""
    return _is_ticks(key) or (day_of_segment(key) is not None and not key.endswith(COMPRESSED_SUFFIX))


def undescribed(needs: Needs, listed: Mapping[str, Entry]) -> dict[str, Entry]:
    """Return the segments of which no journal tells what they hold: they are read for it."""
    by_folder: dict[tuple[str, str, date], list[str]] = {}
    for key in listed:
        if key.startswith("raw/") and (day := day_of_segment(key)):
            exchange, symbol = key.split("/")[1:3]
            by_folder.setdefault((exchange, symbol, day), []).append(key)
    found: dict[str, Entry] = {}
    for (exchange, symbol, day), keys in by_folder.items():
        told = journals.of_symbol(needs.series[0].layout, exchange, symbol, day)
        described = {(record.segment, record.size) for record in journal.of_kind(told, journal.Sealed)}
        names = {key: (key.rpartition("/")[2], listed[key].size) for key in keys}
        found |= {key: listed[key] for key in keys if names[key] not in described}
    return found


def _is_ticks(key: str) -> bool:
    return key.startswith("ticks/") and not key.endswith(".json")


def _displaced(needs: Needs, series: Series) -> set[date]:
    layout, exchange, symbol = series.layout, series.exchange, series.symbol
    found: set[date] = set()
    for day in needs.days:
        shared = layout.raw_symbol(exchange, "_journal").rglob(f"{day}.jsonl")
        own = layout.raw_day(exchange, symbol, day).glob("_segments*.jsonl")
        if any(_DISPLACED in path.read_bytes() for path in (*own, *shared)):
            found |= journals.displaced(journals.of_symbol(layout, exchange, symbol, day))
    return found - needs.window


def _stands(needs: Needs, listed: Mapping[str, Entry], key: str) -> bool:
    """Return whether ticks stand for a segment that is gone, or is not what it was."""
    exchange, symbol = key.split("/")[1:3]
    day = day_of_file(key)
    kept = read_manifest(needs.layout, exchange, symbol, day) if day else None
    if kept is None:
        return False
    folder = needs.layout.key(needs.layout.raw_symbol(exchange, symbol))
    for name, size in kept.segments:
        plain = listed.get(f"{folder}/{name}")
        if not (plain and plain.size == size) and f"{folder}/{name}{COMPRESSED_SUFFIX}" not in listed:
            return True
    return False
