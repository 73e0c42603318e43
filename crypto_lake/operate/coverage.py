"""The command `coverage`: shows what there is of each day, writes its page, holds it against the files again."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.progress import track
from rich.table import Table

from crypto_lake.ask import query
from crypto_lake.ask.query import Format
from crypto_lake.clock import now_us
from crypto_lake.config import Config
from crypto_lake.coverage import page, proof, table
from crypto_lake.coverage.rows import Row
from crypto_lake.disk import parquet, publish
from crypto_lake.errors import LakeError
from crypto_lake.operate.jobs import console
from crypto_lake.series import Series

# Of more rows the newest that are not complete are printed.
_MOST_ROWS = 60
_ADVICE = "compaction makes it (crypto-lake compact)"


def show(config: Config, days: Sequence[date] | None) -> None:
    """Print the rows of days, None: of all; those of compacted days that have none yet are made first.

    Raises:
        LakeError: there is none, or the disk refused.
    """
    found = _rows(config, days)
    shown = found
    if len(found) > _MOST_ROWS:
        shown = [row for row in found if not row.complete][-_MOST_ROWS:]
    told = Table(
        "day",
        "symbol",
        "trades",
        "missing",
        "healed",
        "observed",
        "listened",
        "quotes",
        "proved",
        "candles",
        "checks",
        "",
    )
    for row in shown:
        told.add_row(*_cells(row))
    screen = console()
    if shown:
        screen.print(told)
    complete = sum(row.complete for row in found)
    of_many = "" if len(shown) == len(found) else "; the newest that are not complete are shown"
    screen.print(f"{complete:,} of {len(found):,} complete{of_many}", highlight=False)


def _cells(row: Row) -> list[str]:
    def count(number: int | None) -> str:
        return "" if number is None else f"{number:,}"

    checks = f"{row.checks_passed} passed"
    for number, word in (
        (row.checks_warned, "warned"),
        (row.checks_failed, "failed"),
        (row.checks_unverifiable, "?"),
    ):
        checks += f", {number} {word}" if number else ""
    proved = "" if row.book_boundaries is None else f"{row.boundaries_proved:,}/{row.book_boundaries:,}"
    candles = "" if row.candle_minutes is None else f"{row.candle_minutes_equal:,}/{row.candle_minutes:,}"
    return [
        str(row.day),
        row.symbol,
        count(row.trades),
        count(row.trade_ids_missing),
        count(row.trades_healed),
        f"{row.seconds_observed:,} s",
        f"{row.seconds_listened:,} s",
        count(row.quotes),
        proved,
        candles,
        checks,
        "complete" if row.complete else "",
    ]


def write(config: Config, days: Sequence[date] | None, kind: Format, path: Path | None) -> None:
    """Write the rows of days, in a form that programs read. Raises as `show`, and as `ask.query.write`."""
    _rows(config, days)
    wanted = (
        f"WHERE day IN ({', '.join(f'DATE {parquet.literal(str(day))}' for day in days)})" if days else ""
    )
    query.write(config, f"FROM coverage {wanted} ORDER BY day, exchange, symbol", kind, path)


def write_page(config: Config, days: Sequence[date] | None, path: Path | None) -> Path:
    """Write the page of days, in the lake's folder of reports unless a path is given. Raises as `show`."""
    found, path = _rows(config, days), path or config.layout.coverage_page
    try:
        publish.write(path, page.page(found).encode())
    except OSError as error:
        raise LakeError(f"{path}: cannot be written: {error}") from None
    return path


def verify(config: Config, days: Sequence[date] | None) -> int:
    """Tell the rows of days anew from the files, print each difference, and return how many there are.

    Raises:
        LakeError: there is no coverage of these days.
    """
    wanted = _asked(config.layout.coverage_days(), days)
    if not wanted:
        raise LakeError(
            f"{config.layout.coverage(date(2025, 10, 20)).parent}: no coverage of these days; {_ADVICE}"
        )
    screen, series, found = console(), Series.known(config), 0
    with parquet.connect() as connection:
        for day in track(wanted, "coverage", console=screen, transient=True, disable=not screen.is_terminal):
            for said in proof.differences(connection, config, series, day, now_us(config)):
                screen.print(said, highlight=False, soft_wrap=True, markup=False)
                found += 1
    screen.print(
        f"{len(wanted):,} days told again from their files: {found or 'no'} differences", highlight=False
    )
    return found


def _rows(config: Config, days: Sequence[date] | None) -> list[Row]:
    """Return the rows of days in order, made first where a compacted day has none."""
    series = Series.known(config)
    table.refresh(config, _asked(table.lacking(series), days), now_us(config))
    there = _asked(config.layout.coverage_days(), days)
    found = [row for day in there for row in table.understood(config.layout.coverage(day))]
    if not found:
        raise LakeError(
            f"{config.layout.coverage_page.parent.parent}: no finished day of these is compacted; {_ADVICE}"
        )
    return found


def _asked(there: Sequence[date], days: Sequence[date] | None) -> list[date]:
    """Return those days that are asked for; all, where none are named."""
    wanted = {*(there if days is None else days)}
    return [day for day in there if day in wanted]
