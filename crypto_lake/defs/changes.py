"""The days that need a run, asked of the symbols in whose raw folders something came or went since the last look.

A folder's own time says where to look, and never that nothing changed: whether a day is in line with its files is asked
of `plan`, symbol by symbol, for as long as a tick may take. What was not got to, the next one looks at.
"""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
from duckdb import DuckDBPyConnection

from crypto_lake.defs.partitions import FIRST_DAY
from crypto_lake.listing import named_day
from crypto_lake.raw import segments
from crypto_lake.raw.catalog import Recording
from crypto_lake.series import Series
from crypto_lake.transform import plan

_RECENT_DAYS = 3
# Of older days so many a tick, and all for so long: one that takes a minute is ended. Many shards share some seconds.
_OLD_DAYS_A_TICK = 3
_LOOK_SEC, _LOOKS_SEC = 1.5, 20
# So many are looked at whatever the time, and so many a night of very many.
_ALWAYS, _LOOKS_A_NIGHT = 100, 150
# A folder's time moves in steps; what comes within the same step is seen by a look that begins after it.
_STEP_NS = 20_000_000


class Seen(msgspec.Struct, forbid_unknown_fields=True):
    """The sensor's cursor, of times of folders.

    What was touched up to `looked_ns`, and of some received `days` up to later, has been dealt with. What was received
    up to `landed_ns` has been reported. Of past days that `changed` nobody has looked yet at what they hand on.
    """

    days: dict[str, int] = {}
    changed: set[date] = set()
    looked_ns: int = 0
    landed_ns: int = 0

    def since(self, day: str) -> int:
        """Up to when a received day was dealt with."""
        return max(self.looked_ns, self.days.get(day, 0))


class Due(NamedTuple):
    """A day that needs a run, by a symbol's folder that changed."""

    day: date
    series: Series
    touched_ns: int


class Look(NamedTuple):
    """With what a tick looks: a DuckDB, the symbols, the time (µs), and which days are not to be asked for now.

    It is one of so many `looks`, a shard each.
    """

    connection: DuckDBPyConnection
    series: Sequence[Series]
    now_us: int
    is_left_alone: Callable[[date], bool]
    looks: int = 1


class Nightly(NamedTuple):
    """A look at night: at so many of the last folders of a symbol, at a time (µs) of a day; one of so many `looks`."""

    folders: int
    now_us: int
    night: date
    looks: int = 1


def _deadline(looks: int) -> float:
    return time.monotonic() + min(_LOOK_SEC, _LOOKS_SEC / looks)


def find(look: Look, seen: Seen, today: date) -> list[Due]:
    """The days that need a run; what was looked at is entered into `seen`."""
    deadline = _deadline(look.looks)
    newest = _newest_by_day(look.series, seen)
    if newest and time.time_ns() - max(newest.values()) < _STEP_NS:
        time.sleep(_STEP_NS / 1e9)
    chosen = _chosen(newest)
    due: dict[date, Due] = {}
    left_alone = cache(look.is_left_alone)
    for day in chosen:
        # The schedule asks for today's bars by itself.
        if named_day(day) == today and left_alone(today):
            continue
        seen.days[day] = _dealt_with(look._replace(is_left_alone=left_alone), seen, day, due, deadline)
    if len(chosen) == len(newest):
        undone = [seen.since(day) for day, at in newest.items() if seen.since(day) < at]
        seen.looked_ns = max(seen.looked_ns, min(undone, default=max(newest.values(), default=0)))
        seen.days = {day: at for day, at in seen.days.items() if at > seen.looked_ns}
    _follow(look._replace(is_left_alone=left_alone), seen, today, due, deadline)
    return sorted(due.values(), key=lambda one: one.day)


def is_any_stale(
    connection: DuckDBPyConnection, series: Sequence[Series], day: date, now_us: int, looks: int = 1
) -> bool:
    """Return whether the bars of any symbol's day are not in line: asked for as long as one of `looks` may take.

    Those in whose folders something came since they were made are asked first.
    """
    deadline = _deadline(looks)
    by_place = enumerate(sorted(series, key=lambda one: not _came_since(one, day)))
    return any(
        plan.is_stale(connection, one, day, now_us)
        for place, one in by_place
        if place < _ALWAYS or time.monotonic() < deadline
    )


def stale_of_last(
    connection: DuckDBPyConnection, series: Sequence[Series], look: Nightly
) -> dict[date, Series]:
    """The days, each with a symbol, whose bars are not in line with any of the last folders of their symbols.

    Asked for as long as a tick may take: first where something came since they were made; of very many folders that
    nobody touched some each night, in turn.
    """
    deadline = _deadline(look.looks)
    folders = [
        (day, one) for one in series for day in one.layout.raw_days(one.exchange, one.symbol)[-look.folders :]
    ]
    turn = look.night.toordinal() * _LOOKS_A_NIGHT % max(1, len(folders))
    in_turn = sorted(
        folders[turn:] + folders[:turn], key=lambda folder: not _came_since(folder[1], folder[0])
    )
    found: dict[date, Series] = {}
    for place, (day, one) in enumerate(in_turn):
        if place >= _ALWAYS and time.monotonic() > deadline:
            break
        if day not in found:
            found |= dict.fromkeys(plan.stale_days(connection, one, [day], look.now_us), one)
    return found


def made_ns(series: Series, day: date) -> int:
    """When the bars of a day last changed; 0 where there are none."""
    layout, exchange, symbol = series.layout, series.exchange, series.symbol
    return max(
        changed_ns(layout.parts_day(exchange, symbol, day)), changed_ns(layout.daily(exchange, symbol, day))
    )


def changed_ns(path: Path) -> int:
    """When a file, or what is in a folder, last changed; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _came_since(series: Series, day: date) -> bool:
    """Return whether something came or went in a raw folder since the bars of its day were made."""
    return changed_ns(series.layout.raw_day(series.exchange, series.symbol, day)) > made_ns(series, day)


def _newest_by_day(series: Sequence[Series], seen: Seen) -> dict[str, int]:
    """By received day: when files last came or went in a folder of any symbol, where that is not dealt with yet."""
    found: dict[str, int] = {}
    for one in series:
        # Removed while it is listed: the next tick sees what is left.
        with (
            contextlib.suppress(OSError),
            os.scandir(one.layout.raw_symbol(one.exchange, one.symbol)) as entries,
        ):
            for entry in entries:
                # A year of two thousand symbols comes by here each minute: few are asked for more than their time.
                at = entry.stat().st_mtime_ns
                if at > seen.looked_ns and at > found.get(entry.name, 0) and entry.is_dir():
                    found[entry.name] = at
    return {day: at for day, at in found.items() if named_day(day) and at > seen.since(day)}


def _chosen(newest: dict[str, int]) -> list[str]:
    """The last days, and of older ones those that were touched the longest ago."""
    days = sorted(newest)
    old = sorted(days[:-_RECENT_DAYS], key=newest.__getitem__)
    return [*days[-_RECENT_DAYS:], *old[:_OLD_DAYS_A_TICK]]


def _dealt_with(look: Look, seen: Seen, received: str, due: dict[date, Due], deadline: float) -> int:
    """Look at the folders of a received day that were touched, the longest ago first; up to when all is dealt with."""
    since = seen.since(received)
    for at, one in _touched(look.series, received, since):
        if time.monotonic() > deadline or not _is_dealt_with(look, one, received, at, due, seen):
            return at - 1
        since = at
    return since


def _touched(series: Sequence[Series], day: str, since: int) -> list[tuple[int, Series]]:
    """The symbols in whose folders of a day something came or went after an instant, and when; by that."""
    found: list[tuple[int, Series]] = []
    for one in series:
        with contextlib.suppress(OSError):
            at = (one.layout.raw_symbol(one.exchange, one.symbol) / day).stat().st_mtime_ns
            if at > since:
                found.append((at, one))
    return sorted(found, key=lambda folder: folder[0])


def _is_dealt_with(
    look: Look, series: Series, received: str, touched_ns: int, due: dict[date, Due], seen: Seen
) -> bool:
    """Add the days that a folder shows to need a run; False where one of its days is left alone for now."""
    day = date.fromisoformat(received)
    # One that holds its journal alone was pruned: what was made of it is left as it is.
    if not segments.sealed(series.layout.raw_day(series.exchange, series.symbol, day)):
        return True
    is_done = True
    for event_day in sorted(Recording(look.connection, series).event_days(day)):
        # A trade may say that it happened before there were any: its day is no partition.
        if event_day < FIRST_DAY:
            continue
        seen.changed.add(event_day)
        if event_day in due:
            continue
        if look.is_left_alone(event_day):
            is_done = False
        elif plan.is_stale(look.connection, series, event_day, look.now_us):
            due[event_day] = Due(event_day, series, touched_ns)
    return is_done


def _follow(look: Look, seen: Seen, today: date, due: dict[date, Due], deadline: float) -> None:
    """Add the days that begin with what a changed day handed on before it was made anew; at least one is looked at.

    Nothing comes into their own folders. Today's bars are asked for by the schedule.
    """
    seen.changed = {day for day in seen.changed if day + timedelta(days=1) < today}
    waiting = [day for day in sorted(seen.changed) if day not in due and not look.is_left_alone(day)]
    for place, day in enumerate(waiting):
        if place and time.monotonic() > deadline:
            break
        seen.changed.discard(day)
        for one in look.series:
            after = _outlived(one, day)
            if after is None or after >= today or after in due:
                continue
            if look.is_left_alone(after):
                seen.changed.add(day)
            elif plan.is_stale(look.connection, one, after, look.now_us):
                due[after] = Due(after, one, made_ns(one, day))
                seen.changed.add(after)


def _outlived(series: Series, day: date) -> date | None:
    """Return the next day that has bars, where those of a day are younger; None where they are not.

    Most days have bars, and a look at two files is far less than a listing of years.
    """
    made = made_ns(series, day)
    after = day + timedelta(days=1)
    if made and not made_ns(series, after):
        days = series.layout.bar_days(series.exchange, series.symbol)
        after = next((one for one in days if one > day), day)
    return after if made > made_ns(series, after) else None
