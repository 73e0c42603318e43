"""The facts on the page of a day, asked of the files: minutes, numbers, stretches, latency, and the lake's days.

Nothing here knows of HTML. Times are seconds since the epoch, UTC, as charts count them, unless a name says otherwise.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb

from crypto_lake import sql
from crypto_lake.ask import latency, views
from crypto_lake.completeness import holes
from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError
from crypto_lake.layout import DAY_US, HOUR_US, MINUTE_US, SECOND_US, day_start_us
from crypto_lake.raw import journal, journals, numbering
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.intervals import clipped
from crypto_lake.series import Series
from crypto_lake.transform import proof
from crypto_lake.transform.judging import Counts

Row = dict[str, Any]
_CALENDAR = timedelta(days=370)
# A column of the book's heat, how many rows a side has, and how often the book is looked at for it.
HEAT_LENGTH_SEC, HEAT_ROWS, HEAT_EVERY_SEC = 900, 6, 10


@dataclass(frozen=True)
class Facts:
    """One symbol's day.

    `minutes` hold a row for each minute that has bars (see `sql/pages/minutes.sql`), with `p50`, `p99` (milliseconds,
    None without ticks) and `least` (the collector's smallest of that minute, None without a journal); `numbers` the
    whole day; `stretches` what is healed or unobserved, longest first; `days` a row for each day with bars. The trades
    that are missing are None where the exchange's ids cannot tell them. `proof` is what the order book proves of the
    quotes, `heat` how much it offered (see `sql/pages/heat.sql`), of a day that has one.
    """

    series: Series
    length: int
    minutes: list[Row]
    numbers: Row
    stretches: list[Row]
    days: list[Row]
    proof: Counts | None
    heat: list[Row]


def newest_day(series: Iterable[Series]) -> date | None:
    """The newest day with bars; None where there is none."""
    return max((day for one in series for day in _bar_days(one)), default=None)


def of_day(series: Series, day: date) -> Facts | None:
    """Return what there is to say of a symbol's day; None where it has no bars.

    Raises:
        LakeError: a file cannot be read.
    """
    paths = views.whole_files(series, day)
    if not paths:
        return None
    try:
        # Of its own, since views and macros stay with a database.
        with parquet.connect() as connection:
            return _facts(connection, series, day, parquet.scan(paths))
    except duckdb.Error as error:
        told = " ".join(str(error).split())
        raise LakeError(f"{series.symbol}: the bars of {day} cannot be read: {told}") from None


def _facts(connection: duckdb.DuckDBPyConnection, series: Series, day: date, bars: str) -> Facts:
    views.resample(connection, series.config, bars)
    heard = _who_listened(connection, series, day) | {"step": _step(series)}
    minutes = sql.rows(sql.ask(connection, "pages/minutes", length=_length(series), **heard))
    stretches = sql.rows(sql.ask(connection, "pages/stretches", {"bars_1s": bars}, **heard))
    (numbers,) = _told(series, sql.rows(sql.ask(connection, "pages/day", _linked(bars), **numbering.MOST)))
    _add_latency(connection, series, day, minutes)
    days = _days(connection, series, day)
    told = proof.read(series, day)
    heat = _heat(connection, series, day)
    length = _length(series) // SECOND_US
    return Facts(series, length, minutes, numbers, stretches, days, told.counts if told else None, heat)


def _heat(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> list[Row]:
    path = series.layout.book(series.exchange, series.symbol, day)
    if not path.is_file():
        return []
    tables = {"book": parquet.scan([path])}
    heat = {"every": HEAT_EVERY_SEC, "length": HEAT_LENGTH_SEC * SECOND_US, "rows": HEAT_ROWS}
    return sql.rows(sql.ask(connection, "pages/heat", tables, **heat))


def _bar_days(series: Series) -> list[date]:
    return series.layout.bar_days(series.exchange, series.symbol)


def _step(series: Series) -> int:
    return series.config.transformer.resample_interval_sec * SECOND_US


def _length(series: Series) -> int:
    """A minute, or the next longer time that is made of whole bars and of which an hour is made; µs."""
    step = _step(series)
    return next(n for n in range(step, HOUR_US + 1, step) if n >= MINUTE_US and HOUR_US % n == 0)


def _who_listened(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> dict[str, Any]:
    """An observed second in which nobody listened was healed, if anything of the day was."""
    catalog = Recording(connection, series).around(day)
    start = day_start_us(day)
    listened = sql.stretches(clipped(catalog.listened, start, start + DAY_US))
    healed = bool(catalog.proved) or any(source.is_healed or source.is_ticks for source in catalog.sources)
    return {"listened": listened, "healed": healed}


def _linked(bars: str) -> sql.Tables:
    return {"linked": sql.table("pages/linked", {"bars": bars})}


def _add_latency(
    connection: duckdb.DuckDBPyConnection, series: Series, day: date, minutes: list[Row]
) -> None:
    """Ticks know each trade's; of a day that has none yet, the journal knows the smallest of each minute."""
    length = _length(series)
    measured = latency.by_interval(connection, series, day, length)
    shared = journals.shared_by_all(series.layout, series.exchange, day)
    told: dict[int, float] = {}
    for one in journal.of_kind(shared, journal.ClockOffset):
        minute, least = one.minute // MINUTE_US * 60, one.offset_us / 1000
        told[minute] = min(least, told.get(minute, least))
    for row in minutes:
        found = measured.get(row["time"] * SECOND_US)
        row["p50"], row["p99"] = found or (None, None)
        row["least"] = told.get(row["time"])


def _days(connection: duckdb.DuckDBPyConnection, series: Series, day: date) -> list[Row]:
    """The lake's days of this symbol, of the year up to the newest, or to `day` where that is older."""
    known = _bar_days(series)
    last = known[-1] if known[-1] - day <= _CALENDAR else day
    shown = [one for one in known if last - _CALENDAR <= one <= last]
    bars = parquet.scan([path for one in shown for path in views.whole_files(series, one)])
    days = sql.ask(connection, "pages/days", _linked(bars), step=_step(series), **numbering.MOST)
    return _told(series, sql.rows(days))


def _told(series: Series, rows: list[Row]) -> list[Row]:
    """Rows of days without the trades that are missing, where the exchange's ids cannot tell them."""
    return rows if holes.tells_holes(series) else [row | {"trades_missing": None} for row in rows]
