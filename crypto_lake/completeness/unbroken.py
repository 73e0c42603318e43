"""The days of many symbols whose trade ids, by their bars, follow each other: told by one statement over all of them.

That is how a day should be, so few are left to be looked at one by one (`holes`). So are bars that do not lie in order
of time, or in a daily file and parts at once: what is not told here is not known, rather than broken.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

import duckdb

from crypto_lake import sql
from crypto_lake.disk import parquet
from crypto_lake.series import Series


class Known(NamedTuple):
    """A trade that is, or was, there, and when it happened; as exactly as is known."""

    id: int
    us: int


class Ends(NamedTuple):
    """The first and the last trade of a day, each at the start of its bar."""

    first: Known
    last: Known


def of_day(
    connection: duckdb.DuckDBPyConnection, some: Mapping[int, Series], day: date
) -> dict[int, Ends | None]:
    """By number: the ends of those whose ids follow each other all day; None where nothing was traded."""
    files = {number: found for number, one in some.items() if (found := _files(one, day)) is not None}
    ends: dict[int, Ends | None] = dict.fromkeys(files)
    with_bars = [number for number in files if files[number]]
    if not with_bars:
        return ends
    bars = {"bars": parquet.scan_each([files[number] for number in with_bars])}
    try:
        rows = sql.ask(connection, "completeness/unbroken", bars).fetchall()
    except duckdb.Error:
        return {}  # A file is damaged: whoever asks for each learns which.
    for place, is_unbroken, first_id, first_us, last_id, last_us in rows:
        if is_unbroken:
            ends[with_bars[place]] = Ends(Known(first_id, first_us), Known(last_id, last_us))
        else:
            del ends[with_bars[place]]
    return ends


def _files(series: Series, day: date) -> list[Path] | None:
    """The files of a day's bars; None where it has both forms, or one has other columns than the declared ones."""
    layout, exchange, symbol = series.layout, series.exchange, series.symbol
    parts, daily = layout.parts(exchange, symbol, day), layout.daily(exchange, symbol, day)
    if parts and daily.is_file():
        return None
    files = parts or layout.bar_files(exchange, symbol, day)
    return None if any(parquet.schema_differences(path) for path in files) else files


def beside(
    connection: duckdb.DuckDBPyConnection, some: Mapping[int, Series], day: date, *, later: bool
) -> dict[int, Known | None]:
    """By number: the last trade of the latest earlier day that has any (`later`: the first of the earliest later one).

    None where there is no such day. Those of which it is not known, since that day is broken, are left out.
    """
    found: dict[int, Known | None] = {}
    waiting = {number: _days(one, day, later=later) for number, one in some.items()}
    while waiting:
        by_day: dict[date, dict[int, Series]] = {}
        for number, days in list(waiting.items()):
            if (other := next(days, None)) is None:
                found[number] = None
                del waiting[number]
            else:
                by_day.setdefault(other, {})[number] = some[number]
        for other, these in by_day.items():
            ends = of_day(connection, these, other)
            for number in these:
                if (of_it := ends.get(number)) is not None:
                    found[number] = of_it.first if later else of_it.last
                elif number in ends:
                    continue  # Nothing was traded: on to the next day.
                del waiting[number]
    return found


def _days(series: Series, day: date, *, later: bool) -> Iterator[date]:
    days = series.layout.bar_days(series.exchange, series.symbol)
    return iter([d for d in days if d > day] if later else [d for d in reversed(days) if d < day])
