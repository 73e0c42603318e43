"""The missing trades of a day, of exchanges that number them without holes: a number that is not there is one.

The bars say between which trades and in which seconds any are missing, and the raw lines of those seconds which; a
trade that was received there, and says that it happened at another time, is not. Where
a recording has no trade before, or after, the journal still knows the first and the last id that was ever received.
Nothing is fetched here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import duckdb

from crypto_lake import sql
from crypto_lake.completeness import unbroken
from crypto_lake.completeness.unbroken import Known
from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError
from crypto_lake.exchanges import registry
from crypto_lake.layout import DAY_US, HOUR_US, SECOND_US, day_of, day_start_us
from crypto_lake.raw import journal, journals, segments
from crypto_lake.raw.catalog import Recording
from crypto_lake.raw.numbering import (
    MOST_A_SECOND,
    MOST_AT_ONCE,
    Followed,
    Jump,
    Missing,
    Run,
    follow,
    may_be_missing,
    without,
)
from crypto_lake.raw.sources import Source, lines_of
from crypto_lake.series import Series
from crypto_lake.transform import daily, plan

# Of a longer time between days only the days on either side are asked: they tell the hole whole, and one trade that
# says it happened in 2099 would bring 26,000 days.
_LONGEST_BETWEEN = 400
# So many symbols share a statement.
_TOGETHER = 256


@dataclass(frozen=True)
class Hole:
    """Missing trades, both ends included; they happened in [after_us, before_us), exchange clock."""

    first_id: int
    last_id: int
    after_us: int
    before_us: int

    @property
    def size(self) -> int:
        """Return how many trades are missing."""
        return self.last_id - self.first_id + 1


def find(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> list[Hole]:
    """The holes of a symbol's day in order, those that reach into its neighbours whole.

    By the bars as they are: bring them in line first. A day whose raw files are gone has none. Ids between which more
    would be missing than an exchange makes are no hole: `jumps` has them.

    Raises:
        RawDataError: a raw file or a journal holds something else.
    """
    return _alone(connection, series, day, now_us)


def _alone(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> list[Hole]:
    if is_pruned(series, day) or not tells_holes(series):
        return []
    return _never_came(connection, series, day, _follow(connection, series, day, now_us).missing)


def find_all(
    connection: duckdb.DuckDBPyConnection, all_series: Sequence[Series], day: date, now_us: int
) -> list[list[Hole]]:
    """`find` of each, by a few statements over all of those whose ids follow each other all day.

    Raises:
        RawDataError: as `find`.
    """
    found: list[list[Hole]] = []
    for at in range(0, len(all_series), _TOGETHER):
        found += _find_together(connection, all_series[at : at + _TOGETHER], day, now_us)
    return found


def _find_together(
    connection: duckdb.DuckDBPyConnection, all_series: Sequence[Series], day: date, now_us: int
) -> Iterator[list[Hole]]:
    numbered = {number: one for number, one in enumerate(all_series) if tells_holes(one)}
    known = unbroken.of_day(connection, numbered, day)
    whole = {number: numbered[number] for number in known}
    over = _is_over(day, now_us)
    earlier = unbroken.beside(connection, whole, day, later=False)
    later = unbroken.beside(connection, whole, day, later=True) if over else {}
    for number, one in enumerate(all_series):
        if number not in earlier or (over and number not in later):
            yield _alone(connection, one, day, now_us)
        elif is_pruned(one, day):
            yield []
        else:
            ends, step = known[number], _step(one)
            runs = [Run(ends.first.id, ends.last.id, ends.first.us + step, ends.last.us)] if ends else []
            followed = _between(one, day, runs, earlier[number], later.get(number), over=over)
            yield _never_came(connection, one, day, followed.missing)


def _never_came(
    connection: duckdb.DuckDBPyConnection, series: Series, day: date, missing: list[Missing]
) -> list[Hole]:
    """The holes without trades that were received there, and say that they happened at quite another time."""
    sources = Recording(connection, series).around(day).sources if missing else []
    near = [source for source in sources if any(_may_have(source, hole) for hole in missing)]
    came: list[Run] = []
    if near:
        ends = {"firsts": [hole.first_id for hole in missing], "lasts": [hole.last_id for hole in missing]}
        rows = sql.ask(connection, "completeness/came", {"raw": lines_of(near)}, **ends).fetchall()
        came = [Run(number, number, 0, 0) for (number,) in rows]
    return [Hole(*one) for one in without(missing, came)]


def _may_have(source: Source, hole: Missing) -> bool:
    """Return whether trades of a hole may lie in what was received while they should have happened."""
    # Ticks hold the day's trades alone, and of what was fetched the time was looked at.
    if source.is_ticks or source.is_healed:
        return False
    if not any(start < hole.before_us and end >= hole.after_us for start, end in source.spans):
        return False
    first, last = source.trade_ids or (hole.first_id, hole.last_id)
    return first <= hole.last_id and last >= hole.first_id


def jumps(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> list[Jump]:
    """Return where a symbol's ids went on elsewhere in a day: the exchange counted anew, or once named an absurd id.

    Raises:
        RawDataError: a raw file or a journal holds something else.
    """
    if is_pruned(series, day) or not tells_holes(series):
        return []
    return _follow(connection, series, day, now_us).jumps


def tells_holes(series: Series) -> bool:
    """Return whether an id that is not there is a trade that is missing, by what is known of the exchange."""
    return registry.exchange(series.exchange).capabilities.trade_ids == "contiguous"


def _follow(connection: duckdb.DuckDBPyConnection, series: Series, day: date, now_us: int) -> Followed:
    runs = _in_bars(connection, series, day, _step(series))
    over = _is_over(day, now_us)
    before = _neighbour(connection, series, day, later=False)
    after = _neighbour(connection, series, day, later=True) if over else None
    return _between(series, day, runs, before, after, over=over)


def _between(
    series: Series, day: date, runs: list[Run], before: Known | None, after: Known | None, *, over: bool
) -> Followed:
    """Follow the ids of a day from the last trade of the days `before` to the first of those `after`.

    Of a day in progress the highest that may be missing is not known: what was sealed last is not all in its bars yet.
    """
    low = _lowest(series, day, runs, before)
    high = _highest(series, day, runs, after) if over else None
    first = [Run(low.id - 1, low.id - 1, low.us, low.us)] if low and (runs or high) else []
    last = [Run(high.id + 1, high.id + 1, high.us, high.us)] if high and (runs or low) else []
    return follow([*first, *runs, *last])


def _is_over(day: date, now_us: int) -> bool:
    return now_us >= day_start_us(day) + DAY_US


def _step(series: Series) -> int:
    """The length of a bar, in µs."""
    return series.config.transformer.resample_interval_sec * SECOND_US


def _in_bars(connection: duckdb.DuckDBPyConnection, series: Series, day: date, step: int) -> list[Run]:
    """A day's trades in order of time, as runs of ids that follow each other."""
    if not series.layout.bar_files(series.exchange, series.symbol, day):
        return []
    with parquet.named(series.layout.bar_files(series.exchange, series.symbol, day)):
        bars = f"({daily.current_rows(series, day)})"
        found = sql.ask(connection, "completeness/holes", {"bars": bars}).fetchall()
    inside = _inner(connection, series, day, step, [start for short, _, _, start, _ in found if short])
    return [
        run
        for short, first, last, start, stop in found
        for run in (short and inside.get(start)) or [Run(first, last, start + step, stop)]
    ]


def _lowest(series: Series, day: date, runs: list[Run], before: Known | None) -> Known | None:
    """The lowest id that may be missing, and an instant that its trade is not before; None: it is not known."""
    if before:
        return Known(before.id + 1, before.us)
    known = sorted(_evidence(series, day))
    first = runs[0] if runs else None
    return next(
        (
            one
            for one in known
            if not first or may_be_missing(first.first_id - one.id, first.before_us - one.us)
        ),
        None,
    )


def _highest(series: Series, day: date, runs: list[Run], after: Known | None) -> Known | None:
    """The highest id that may be missing, and an instant that its trade is before; None: it is not known."""
    if after:
        return Known(after.id - 1, after.us + _step(series))
    known = sorted(_evidence(series, day), reverse=True)
    last = runs[-1] if runs else None
    return next(
        (
            Known(one.id, one.us + 1)
            for one in known
            if not last or may_be_missing(one.id - last.last_id, one.us - last.after_us)
        ),
        None,
    )


def is_pruned(series: Series, day: date) -> bool:
    """Return whether a day's bars were made of files that are all gone: healed lines alone would spoil them."""
    place = series.exchange, series.symbol, day
    if segments.sealed(series.layout.raw_day(*place)) or not series.layout.bar_files(*place):
        return False
    made_of = {
        name
        for record in plan.remembered(series, day).values()
        for name, _ in record.fingerprint.get("segments", [])
    }
    return any(name.startswith(f"{day}/") for name in made_of)


def known_days(series: Series, latest: int = 0) -> list[date]:
    """Every day of which anything is known, and those between, since a day may be all hole.

    With `latest`, so many of them, the last ones; older folders are then not looked at.
    """
    received = segments.days(series.layout, series.exchange, series.symbol, latest or None)
    days = {*received, *series.layout.bar_days(series.exchange, series.symbol)[-latest:]}
    days |= {day_of(known.us) for folder in received for known in _told(series, folder)}
    between = [
        one + timedelta(days=n)
        for one, other in pairwise(sorted(days))
        if (other - one).days <= _LONGEST_BETWEEN
        for n in range(1, (other - one).days)
    ]
    return sorted([*days, *between])[-latest:]


def _ends(connection: duckdb.DuckDBPyConnection, bars: str, step: int) -> tuple[Known | None, Known | None]:
    """The first and the last trade of a day's bars, of those whose ids do not lie absurdly far apart."""
    most = MOST_AT_ONCE + MOST_A_SECOND * step // SECOND_US
    row = sql.ask(connection, "completeness/ends", {"bars": bars}, most=most).fetchall()[0]
    return (None, None) if row[0] is None else (Known(*row[:2]), Known(*row[2:]))


def _inner(
    connection: duckdb.DuckDBPyConnection, series: Series, day: date, step: int, short: list[int]
) -> dict[int, list[Run]]:
    """By start, the runs of bars that lack some of their ids, as the raw lines have them."""
    found: dict[int, list[Run]] = {}
    if not short:
        return found
    begin = day_start_us(day)
    of_day = plan.Plan(Recording(connection, series).around(day), series, day, begin + DAY_US)
    for hour in sorted({start // HOUR_US for start in short}):
        sources = of_day.chosen(hour - begin // HOUR_US).sources
        starts = [start for start in short if start // HOUR_US == hour]
        raw = {"raw": lines_of(sources)}
        runs = sql.ask(connection, "completeness/holes_inside", raw, starts=starts, step=step).fetchall()
        for start, first, last in runs:
            found.setdefault(start, []).append(Run(first, last, start + step, start))
    return found


def _neighbour(
    connection: duckdb.DuckDBPyConnection, series: Series, day: date, *, later: bool
) -> Known | None:
    """The last trade of the latest earlier day that has any; or the first of the earliest later one.

    None as well where that day cannot be read: its own run makes it anew, and this day must not wait for it.
    """
    days = series.layout.bar_days(series.exchange, series.symbol)
    step = _step(series)
    for other in [d for d in days if d > day] if later else [d for d in reversed(days) if d < day]:
        try:
            with parquet.named(series.layout.bar_files(series.exchange, series.symbol, other)):
                first, last = _ends(connection, f"({daily.current_rows(series, other)})", step)
        except LakeError:
            return None
        if found := first if later else last:
            return found
    return None


def _evidence(series: Series, day: date) -> list[Known]:
    """Return what the journal knows of trades of a day: first and last ids of segments when sealed, and of gaps."""
    near = (day + timedelta(days=n) for n in (-1, 0, 1))
    return [known for received in near for known in _told(series, received) if day_of(known.us) == day]


def _told(series: Series, received: date) -> Iterator[Known]:
    for record in journals.of_symbol(series.layout, series.exchange, series.symbol, received):
        if isinstance(record, journal.Gap):
            yield Known(record.first_id, record.event_from)
            yield Known(record.last_id, record.event_to)
        if isinstance(record, journal.Sealed):
            if record.first_trade_id is not None and record.event_from is not None:
                yield Known(record.first_trade_id, record.event_from)
            if record.last_trade_id is not None and record.event_to is not None:
                yield Known(record.last_trade_id, record.event_to)
