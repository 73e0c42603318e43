"""The order book at an instant, from the depth of its day: what each level was told to be last.

Where the book began is what the manifest of the day's book says; so an answer is the book that was rebuilt, and there
is none where that was not known.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from crypto_lake import sql
from crypto_lake.ask import tables
from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError
from crypto_lake.layout import SECOND_US, day_of, iso
from crypto_lake.schema import DEPTH
from crypto_lake.series import Series
from crypto_lake.transform import book_kept, depth
from crypto_lake.transform.book_kept import KeptBook


class Question(NamedTuple):
    """A statement that answers with the levels of a book, its variables, and the files that it reads."""

    statement: str
    variables: dict[str, Any]
    files: list[Path]


class _Last(NamedTuple):
    """The last event before an instant: its id and time (None: of the day before), and whether the book is known."""

    id: int
    ts_event: int | None
    is_known: bool


def at(connection: duckdb.DuckDBPyConnection, series: Series, us: int, levels: int) -> Question:
    """Return what asks for the book after the last event with a `ts_event` of at most `us`, so many levels a side.

    Raises:
        LakeError: the day has no book, or the book is not known then; or a file is damaged.
    """
    day, where = day_of(us), f"the book of {series.symbol} at {iso(us)}"
    kept, of_depth = book_kept.read_kept(series, day), depth.read_kept(series, day)
    if kept is None or of_depth is None:
        raise LakeError(
            f"{where}: {day} has none; expected a finished day whose depth was recorded and compacted"
        )
    source = series.layout.depth(series.exchange, series.symbol, day)
    # A manifest counts beside its own file alone, and a run that makes both anew may be between them.
    is_own = parquet.row_count(source) in {None, of_depth.rows}
    if kept.made_from["depth"] != of_depth.sha256 or not is_own:
        raise LakeError(f"{where}: older than its depth; make it anew (crypto-lake compact --date {day})")
    boundaries = book_kept.paths(series, day)["boundaries"]
    begin = _of_the_day_before(kept)
    with parquet.named([boundaries]):
        # An event of before may have come after midnight; what the day begins with has it.
        last = max(begin, _last(connection, boundaries, us) or begin, key=lambda one: one.id)
        is_whole = last.is_known and _is_whole(
            connection, boundaries, (last, us), is_followed=of_depth.followed
        )
    if not is_whole:
        raise LakeError(
            f"{where}: not known: no snapshot leads to it without a hole; see `unbroken` in book_1s"
        )
    return _question(series, day, (begin, last), kept, levels)


def _question(series: Series, day: date, ends: tuple[_Last, _Last], kept: KeptBook, levels: int) -> Question:
    (begin, last), first = ends, _first(kept, ends[1].id)
    after = begin.id if first is None else first
    source = series.layout.depth(series.exchange, series.symbol, day)
    before = [book_kept.paths(series, day - timedelta(days=1))["end"]] if first is None else []
    found = {
        "depth": f"read_parquet({parquet.path_list([source])}, file_row_number = true)",
        "before": parquet.scan(before) if before else f"({tables.nothing(DEPTH)})",
    }
    variables = {
        "first": first,
        "after": after,
        "last": last.id,
        # One before that was equal to another book, before a break.
        "equal": [one.id for one in kept.anchors.first if one.use == "equal" and one.id >= after],
        "levels": levels,
        "symbol": series.symbol,
        "ts_event": last.ts_event,
    }
    return Question(sql.statement("ask/book_at", found), variables, [source, *before])


def _of_the_day_before(kept: KeptBook) -> _Last:
    """The last event of the day before, and whether the day begins with the book after it."""
    carried = kept.made_from["carried"]
    if carried is None:
        return _Last(-1, None, is_known=False)
    return _Last(carried[0], None, is_known=carried[1] is not None)


def _last(connection: duckdb.DuckDBPyConnection, boundaries: Path, us: int) -> _Last | None:
    found = connection.execute(
        f"""SELECT id, epoch_us(ts_event), unbroken FROM {parquet.scan([boundaries])}
            WHERE ts_event <= make_timestamptz({us}) ORDER BY id DESC LIMIT 1"""
    ).fetchall()
    return _Last(*found[0]) if found else None


def _is_whole(
    connection: duckdb.DuckDBPyConnection, boundaries: Path, of: tuple[_Last, int], *, is_followed: bool
) -> bool:
    """Return whether no event is missing between the last one and an instant.

    If the one after it does not follow on, nobody knows when what is missing happened. `is_followed` says whether the
    first one of the next day does; where none is known to, a second is allowed in which nothing may have changed.
    """
    last, us = of
    if last.ts_event == us:
        return True
    ((first_id,),) = connection.execute(
        f"SELECT arg_min(first_id, id) FROM {parquet.scan([boundaries])} WHERE id > {last.id}"
    ).fetchall()
    if first_id is not None:
        return bool(first_id <= last.id + 1)
    return is_followed or (last.ts_event is not None and us - last.ts_event <= SECOND_US)


def _first(kept: KeptBook, last: int) -> int | None:
    """The id of the snapshot that the book at an event began with; None: it was that of the day before."""
    if sum(kept.anchors.counts.values()) > len(kept.anchors.first):
        raise LakeError("the day has more snapshots than its manifest lists")
    return max((one.id for one in kept.anchors.first if one.use == "began" and one.id <= last), default=None)
