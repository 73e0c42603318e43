"""The jobs that commands start: which days a run is about, the run itself (by Dagster, in this process), its result.

Loading Dagster takes longer than to look whether there is anything to do, so it is loaded where a run begins.
"""

# ruff: noqa: PLC0415 - see above

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from loguru import logger
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from crypto_lake.ask import views
from crypto_lake.clock import now_us
from crypto_lake.completeness import backfill as fetching
from crypto_lake.completeness.heal import Found, Round
from crypto_lake.config import Config
from crypto_lake.coverage import table as coverage
from crypto_lake.defs import reach
from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError, RawDataError
from crypto_lake.operate import due
from crypto_lake.showing import printable
from crypto_lake.staging import Reach, Rooms, known, outlined, recorded, staged
from crypto_lake.staging.holdings import Kind
from crypto_lake.transform import verify as verification

if TYPE_CHECKING:
    from crypto_lake.defs.launch import Verdict

# Values that a day hands on may make the next day stale, and so on; without any trade that ends at the next one.
_MOST_ROUNDS = 400
_MOST_HEALS = 5
_WIDE = 140
# What a person does about a damaged file, by whether it can be made anew.
_ANEW = "Daily bars, minutes, ticks and the book are made anew: crypto-lake compact --date, with the day in their name."
_NOT_ANEW = (
    "A raw segment cannot be made anew: take it from a copy. Without one it may be removed if the ticks of its day are "
    "whole, since they hold its lines; else leave it: a run that reads it sets aside what is no line."
)
_MOST_PAGES = 5
# Of a day with more symbols the worst are printed.
_MOST_ROWS = 30
_OF_CANDLES = ("fetched", "dagster/partition_row_count", "minutes_missing")
_NUMBERS = ("rows", "trades", "quotes", "unobserved", "bytes")


class Missing(NamedTuple):
    """The number of trades that a symbol's day misses, holes that reach into its neighbours counted whole.

    `stretches` are those nobody listened to, where an exchange's ids do not tell whether any trade is missing.
    """

    day: date
    symbol: str
    trades: int
    stretches: int = 0


def transform(config: Config, days: list[date] | None) -> list[date]:
    """Make the bars of some days; None: of every day that is not in line with its segments. Those worked on.

    Raises:
        RawDataError: what was wrong with raw files; all that could be made without them is.
    """
    if days is not None:
        done, errors = days, _make(config, days)
    else:
        done, errors = _make_stale(config)
    if errors:
        raise RawDataError("; ".join(errors))
    return sorted(done)


def _make_stale(config: Config) -> tuple[list[date], list[str]]:
    done: list[date] = []
    errors: list[str] = []
    for _ in range(_MOST_ROUNDS):
        stale = due.stale_days(config, done)
        if not stale:
            break
        errors += _make(config, stale)
        done += stale
    return done, errors


def _make(config: Config, days: list[date]) -> list[str]:
    """Bars, and where a day was compacted already, its daily files as well: readers look at those.

    What was wrong with raw files is returned.
    """
    compacted = due.days_of(config, Kind.DAILY)
    errors: list[str] = []
    # Compacted days first: they are the older ones, and what is looked at of a day reaches into the one before it.
    for job, some in {
        "compact": [day for day in days if day in compacted],
        "make_bars": [day for day in days if day not in compacted],
    }.items():
        if some:
            try:
                with _progress("bars", len(some)):
                    _execute(job, some)
            except RawDataError as error:
                errors.append(str(error))
    return errors


def compact(config: Config, days: list[date] | None) -> list[date]:
    """Make the daily files of some days; None: of every finished day that lies in parts, or lacks ticks or minutes.

    Those worked on.
    """
    if days is None:
        days = due.for_compaction(config)
    if days:
        with _progress("daily files", len(days)):
            _execute("compact", days)
    from crypto_lake.defs import launch

    # Where no daemon runs, nobody else does.
    launch.forget_runs(config.dagster.keep_runs_days)
    return days


def validate(config: Config, days: list[date]) -> "list[Verdict]":
    """Check those of the days that have bars or candles; the runs leave the verdicts in `logs/validation/`."""
    known = due.days_of(config, Kind.PARTS, Kind.DAILY, Kind.CANDLES)
    found = _execute("validate", [day for day in days if day in known])
    coverage.refresh(config, days, now_us(config))
    # Of a day that is not compacted the daily file's checks look at nothing, and so on.
    return [one for one in found if one.metadata["symbols_checked"]]


def verify(config: Config) -> int:
    """Read every finished file against its checksum and print those that differ; how many did is returned."""
    page = console()
    found: list[str] = []
    read = without = finished = 0
    # Of a store all of a day is brought at a time: whatever its size, no more has to fit on this disk.
    for days in [[]] if config.store is None else [[day] for day in sorted(due.days_of(config, *Kind))]:
        with staged(config, known(config), days, reach=Reach.ANEW) as local:
            paths, folders = (
                verification.finished_files(local.series),
                verification.raw_folders(local.series),
            )
            read += len(paths)
            with _progress("files and raw folders", len(paths) + len(folders)):
                for damage in verification.damages(local.config, paths):
                    logger.bind(day_done=True).debug("one more file read")
                    found += [_placed(config, local.config, damage)] if damage else []
                    finished += damage is not None
                for look in verification.raw_looks(local.config, folders):
                    logger.bind(day_done=True).debug("one more folder read")
                    found += [_placed(config, local.config, one) for one in look.damages]
                    read, without = read + look.read, without + look.without
    if not (read or without or found):
        raise LakeError(
            f"{config.layout.base}: holds no file to verify; expected a lake with something recorded"
        )
    for told in found:
        page.print(printable(told), highlight=False, soft_wrap=True, markup=False)
    page.print(f"{read} files read, {len(found)} of them not as they were made.")
    for advice, is_due in ((_ANEW, finished > 0), (_NOT_ANEW, len(found) > finished)):
        if is_due:
            page.print(advice, highlight=False, soft_wrap=True)
    if without:
        page.print(
            f"{without} raw segments have no checksum (landed by hand, or of an older lake): not looked at.",
            highlight=False,
            soft_wrap=True,
        )
    return len(found)


def _placed(config: Config, local: Config, damage: verification.Damage) -> str:
    """Say what is damaged, and how; of a store under its address."""
    return f"{_place(config, config.layout.base / damage.path.relative_to(local.layout.base))} {damage.what}"


def _place(config: Config, path: Path) -> str:
    """Say where a file of the lake lies: in the store, where there is one."""
    if config.store is None:
        return str(path)
    return f"{config.store.url}/{config.layout.key(path)}"


def backfill(config: Config, days: list[date]) -> dict[date, dict[str, int]]:
    """Fetch the candles of some days; what the asset `candles_1m` told of each, in numbers.

    Days whose candles are all there, and that Dagster's history knows, need no run: each would be a few events more.
    """
    reach.back_to_the_first_day_of_all()
    with _loading():
        from crypto_lake.definitions import defs
        from crypto_lake.defs import launch

    with outlined(config) as outline:
        some = fetching.with_candles(outline)
    with staged(config, some, days, Rooms.CANDLES) as local:
        there = fetching.finished_days(local.config, days, now_us(config), local.series)
    known = launch.recorded_days("candles_1m") if there else set()
    told = {
        day: {
            "fetched": 0,
            "dagster/partition_row_count": sum(one.rows for one in files),
            "minutes_missing": sum(one.missing for one in files),
        }
        for day, files in there.items()
        if day in known
    }
    due = [day for day in days if day not in told]
    if due:
        with _progress("candles", len(due)):
            for day, part in launch.made(defs, "backfill_candles", due):
                before = told.setdefault(day, dict.fromkeys(_OF_CANDLES, 0))
                told[day] = {name: before[name] + part[name] for name in _OF_CANDLES}
        coverage.refresh(config, due, now_us(config))
    return told


def _execute(job: str, days: list[date], resources: dict[str, Any] | None = None) -> "list[Verdict]":
    """Run a job of ours; see `launch.execute`."""
    reach.back_to_the_first_day_of_all()
    with _loading():
        from crypto_lake.definitions import defs
        from crypto_lake.defs import launch

    return launch.execute(defs, job, days, resources)


@contextmanager
def _loading() -> Iterator[None]:
    """Look for no garbage while modules are loaded, which all stay: it takes a fifth of that time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def report_candles(config: Config, days: dict[date, dict[str, int]]) -> None:
    """Print what a backfill of days came to, where some were there already."""
    there = [day for day, told in days.items() if not told["fetched"]]
    rows = sum(told["dagster/partition_row_count"] for told in days.values())
    missing = sum(told["minutes_missing"] for told in days.values())
    page = console()
    if there:
        page.print(f"already there: {len(there)} days", highlight=False)
    page.print(f"fetched: {len(days) - len(there)} days", highlight=False)
    page.print(f"candles of all {len(days)} days: {rows:,}", highlight=False)
    if missing:
        register = _place(config, config.layout.halts)
        page.print(
            f"minutes that the exchange has no candle for: {missing:,} (those of finished days: {register})",
            highlight=False,
            soft_wrap=True,
        )


def heal(config: Config, days: list[date] | None) -> list[Missing]:
    """Fetch what is missing of some days (None: of every day), and make bars and daily files of it.

    What is still missing then is returned. A day that is healed may show a hole of the next one, hence the rounds: each
    looks for holes once, asks for those that the one before has not asked for, and is the last if nothing landed.
    """
    transform(config, days)
    asked: Found = {}
    for _ in range(_MOST_HEALS):
        found = due.find_holes(config, days)
        new = {key: one for key, one in found.items() if key not in asked or asked[key].holes != one.holes}
        asked = found
        if not new or not _heal(config, new):
            return _missing(found)
    return _missing(due.find_holes(config, days))


def _heal(config: Config, found: Found) -> bool:
    """Fetch the trades of holes, and bring bars and daily files in line; whether any trade landed."""
    heal_round = Round(found)
    is_done = False
    due = sorted({day for _, _, day in found})
    try:
        with _progress("healing", len(due)):
            _execute("heal", due, {"heal_round": heal_round})
        is_done = True
    finally:
        landed = any(one.files for one in heal_round.healed)
        # What was landed before an error is there for good.
        if landed or not is_done:
            transform(config, None)
    return landed


def _missing(found: Found) -> list[Missing]:
    return sorted(
        Missing(day, symbol, sum(hole.size for hole in lack.holes), len(lack.stretches))
        for (_, symbol, day), lack in found.items()
    )


@contextmanager
def _progress(what: str, days: int) -> Iterator[None]:
    """A bar on a terminal, advanced by what runs log of each day; elsewhere the log lines speak for themselves."""
    terminal = Console(stderr=True)
    if not terminal.is_terminal or days == 1:
        yield
        return
    with Progress(console=terminal, transient=True) as progress:
        task = progress.add_task(what, total=days)
        sink = logger.add(
            lambda _: progress.advance(task), filter=lambda record: "day_done" in record["extra"]
        )
        try:
            yield
        finally:
            logger.remove(sink)


def console() -> Console:
    """Standard output; where that is no terminal, wide enough for whole rows."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)


def report_days(config: Config, days: list[date]) -> None:
    """Print what the days hold now."""
    page = console()
    if not days:
        page.print("Nothing to do: everything is in line with the segments there are.")
        return
    table = Table("day", "symbol", *(["bars", "trades", "quotes", "unobserved s", "bytes"]), title="Bars")
    series = recorded(config)
    with parquet.connect() as connection:
        for day in days:
            with staged(config, series, [day], Rooms.BARS) as local:
                rows = views.day_in_numbers(connection, local.series, day)
            for row in _worst_of(rows):
                table.add_row(str(day), row["symbol"], *(f"{row[name]:,}" for name in _NUMBERS))
    if table.row_count:
        page.print(table)
    else:
        page.print(f"Nothing was recorded on {days[0]}" + (f" to {days[-1]}." if len(days) > 1 else "."))


def _worst_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The symbols of a day; of many, all together and those that fewest heard."""
    if len(rows) <= _MOST_ROWS:
        return rows
    total = {name: sum(row[name] for row in rows) for name in _NUMBERS}
    worst = sorted(rows, key=lambda row: -row["unobserved"])[:_MOST_ROWS]
    return [{"symbol": f"all {len(rows):,}"} | total, *worst]


def report_missing(config: Config, missing: list[Missing]) -> int:
    """Print what is still missing after a heal, and why; how many trades (at least) that are is returned."""
    page = console()
    if not missing:
        page.print("No trade is missing.")
        return 0
    limit = config.heal.max_trades
    table = Table("day", "symbol", "trades", "why", title="Still missing")
    for one in missing:
        many = f"more than heal.max_trades ({limit:,}): nothing was fetched"
        why = many if one.trades > limit else "the exchange did not return them"
        if one.stretches:
            why = f"{one.stretches:,} stretches nobody listened to, and the exchange did not tell of them all"
        table.add_row(str(one.day), one.symbol, f"{one.trades:,}" if one.trades else "unknown", why)
    page.print(table)
    return sum(one.trades or one.stretches for one in missing)


def report_verdicts(config: Config, verdicts: "list[Verdict]") -> int:
    """Print the verdicts; how many of severity ERROR did not pass is returned."""
    page = console()
    if not verdicts:
        page.print("No bars on these days: nothing to check.")
        return 0
    table = Table("day", "asset", "check", "verdict", "offending rows", title="Checks")
    for one in sorted(verdicts, key=lambda v: (v.day, v.asset, v.check)):
        table.add_row(str(one.day), one.asset, one.check, one.outcome, f"{one.metadata['offending_rows']:,}")
    page.print(table)
    for check, why in sorted({(one.check, one.metadata.get("unverifiable")) for one in verdicts}, key=str):
        if why:
            page.print(f"{check} is unverifiable: {why}", highlight=False, soft_wrap=True, markup=False)
    for day in sorted({one.day for one in verdicts if one.outcome != "passed"})[-_MOST_PAGES:]:
        where = _place(config, config.layout.validation_page(day))
        page.print(
            f"{day}, with the first offending rows: {where}", highlight=False, soft_wrap=True, markup=False
        )
    where = _place(config, config.layout.validation_page(verdicts[0].day).parent)
    page.print(f"All verdicts: {where}", highlight=False, soft_wrap=True, markup=False)
    return sum(one.outcome == "failed" for one in verdicts)
