"""The rows of a day's depth, made of lines of the book stretch by stretch and compared with them.

DuckDB reads the lines, finds those of the day, each once, and puts them in order; their levels are made rows by Arrow,
which keeps that order, and the file is written by one thread: the same lines give the same bytes.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from crypto_lake import sql
from crypto_lake.disk import parquet, units
from crypto_lake.errors import LakeError, RawDataError
from crypto_lake.layout import DAY_US, day_start_us
from crypto_lake.raw import book_scan
from crypto_lake.schema import DEPTH
from crypto_lake.transform.workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So many bytes of levels are made at once: some 400,000 rows, which are a row group.
_AT_ONCE = 12_000_000
_OUTLINES, _CHOSEN, _LINES = "depth_outlines", "depth_chosen", "depth_lines"
_PAIR = 2
_NOTHING = (0, 0)


class Source(NamedTuple):
    """The lines that a day's depth is made of: of segments, and of the depth that stands for some that are gone."""

    symbol: str
    paths: list[Path]
    stands: Path | None
    workspace: Workspace

    def lines(self, of: "_Stretch") -> str:
        """Return the lines of a stretch's segments as an SQL table, and perhaps others; see `book_scan.lines`.

        Raises:
            duckdb.Error: a segment holds something other than lines.
        """
        first, last = of.ids
        short: list[Path] = []
        found: list[str] = []
        for path in (self.paths[one] for one in of.files if one >= 0):
            if copy := self.workspace.of_book(path):
                found.append(f"(FROM {parquet.scan([copy])} WHERE id BETWEEN {first} AND {last})")
            else:
                short.append(path)
        if short:
            found.append(book_scan.lines(short))
        if self.stands and -1 in of.files:
            depth = f"read_parquet({parquet.path_list([self.stands])}, file_row_number = true)"
            found.append(sql.table("transform/depth_again", {"depth": depth}))
        return "(" + " UNION ALL BY NAME ".join(f"FROM {one}" for one in found) + ")"


class Counts(NamedTuple):
    """The rows and lines of a day's depth, whether another event follows on its last one, its lowest and highest id."""

    rows: int
    events: int
    snapshots: int
    followed: bool
    ids: tuple[int, int]


class _Stretch(NamedTuple):
    """Lines that are made together: their number, the places of their segments (-1: what stands), their ids."""

    number: int
    files: list[int]
    ids: tuple[int, int]


def write(
    connection: duckdb.DuckDBPyConnection, source: Source, day: date, path: Path, *, footer: dict[str, int]
) -> Counts | None:
    """Publish the depth of a day; None where there is no event of it, and nothing is written.

    Raises:
        RawDataError: a segment holds something other than lines of the book.
        LakeError: what was written is not what was read, or the disk refused; nothing has appeared.
    """
    start = day_start_us(day)
    values = {"start": start, "stop": start + DAY_US, "most": _AT_ONCE}
    try:
        with sql.kept(connection, _OUTLINES, f"FROM {_outlines(source)}"):
            chosen = sql.statement("transform/depth_chosen", {"lines": _OUTLINES})
            with sql.kept(connection, _CHOSEN, chosen, **values):
                stretches = _stretches(connection)
                lines = sql.ask(connection, "transform/depth_counts", {"lines": _OUTLINES, "chosen": _CHOSEN})
                ((events, snapshots, is_followed, *ids),) = lines.fetchall()
                if not events:
                    return None
                rows = _written(connection, source, stretches, path, footer)
                return Counts(rows, events, snapshots, is_followed, (ids[0], ids[1]))
    except duckdb.Error as error:
        raise RawDataError(f"{source.symbol} {day}: {' '.join(str(error).split())}") from None


def _outlines(source: Source) -> str:
    found = [book_scan.outlines(source.paths)] if source.paths else []
    if source.stands:
        found.append(sql.table("transform/depth_outlines", {"depth": parquet.scan([source.stands])}))
    return "(" + " UNION ALL ".join(f"FROM {one}" for one in found) + ")"


def _stretches(connection: duckdb.DuckDBPyConnection) -> list[_Stretch]:
    rows = connection.execute(
        f"""SELECT stretch, list(DISTINCT file ORDER BY file), min(id), max(id)
            FROM {_CHOSEN} AS chosen JOIN {_OUTLINES} AS lines USING (is_snapshot, id)
            WHERE coalesce(lines.first_id, -1) = chosen.first_id GROUP BY stretch ORDER BY stretch"""
    ).fetchall()
    return [_Stretch(int(number), files, (first, last)) for number, files, first, last in rows]


def _written(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    stretches: list[_Stretch],
    path: Path,
    footer: dict[str, int],
) -> int:
    """Write and compare the rows of stretches; return how many there are."""
    expected = _NOTHING

    def verify(written: Path) -> None:
        found = _sum_of_file(connection, written)
        if found != expected:
            raise LakeError(
                f"{path}: {found[0]} rows differ from the {expected[0]} of the raw lines; expected the same; "
                "nothing was changed"
            )

    with parquet.growing(path, DEPTH, footer=footer, verify=verify) as append:
        for table, told in _made(connection, source, stretches):
            expected = expected[0] + told[0], expected[1] + told[1]
            append(table)
    return expected[0]


def _made(
    connection: duckdb.DuckDBPyConnection, source: Source, stretches: list[_Stretch]
) -> Iterator[tuple[pa.Table, tuple[int, int]]]:
    """Yield the rows of each stretch, and what DuckDB by itself makes of their lines: a count and a sum."""
    for stretch in stretches:
        values = {"stretch": stretch.number}
        if -1 in stretch.files:
            values |= {"first": stretch.ids[0], "last": stretch.ids[1]}
        try:
            tables = {"lines": source.lines(stretch), "chosen": _CHOSEN}
            query = sql.statement("transform/depth_lines", tables)
            with sql.kept(connection, _LINES, query, **values):
                ((count, total),) = sql.ask(connection, "transform/depth_sum", {"lines": _LINES}).fetchall()
                made = _rows(connection.sql(f"FROM {_LINES} ORDER BY id, is_snapshot").to_arrow_table())
        except (duckdb.Error, RawDataError) as error:
            places = sorted(str(source.paths[one]) for one in stretch.files if one >= 0)
            told = f"{places[0]}" + (f" to {places[-1]}" if places[1:] else "") if places else source.symbol
            raise RawDataError(f"{told}: {' '.join(str(error).split())}") from None
        yield made, (count, int(total or 0))


def _sum_of_file(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, int]:
    ((count, total),) = connection.execute(
        f"""SELECT count(*), sum(hash(symbol, epoch_us(ts_event), epoch_us(ts_recv), first_id, id, is_snapshot, side,
                                  price, qty)) FROM {parquet.scan([path])}"""
    ).fetchall()
    return count, int(total or 0)


def _rows(lines: pa.Table) -> pa.Table:
    """Return the rows of lines of the book, in their order: of each its bids, then its asks."""
    levels = lines["levels"].combine_chunks()
    counts, bids = parquet.integers(lines, "count"), parquet.integers(lines, "bids")
    # An event that changed no level is a row as well.
    repeats = np.maximum(counts, 1)
    owners = np.repeat(np.arange(len(counts)), repeats)
    place = np.arange(len(owners)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    has_level = np.repeat(counts > 0, repeats)
    price, qty = _numbers(levels.flatten(), has_level)
    sides = parquet.array((place >= bids[owners]).astype(np.int8))
    # Without the levels, which would be taken once for each of them.
    known = [one.name for one in DEPTH if one.name in lines.column_names]
    taken = lines.select(known).take(parquet.array(owners))
    columns = {name: taken[name] for name in known}
    columns |= {name: columns[name].cast(pa.timestamp("us", tz="UTC")) for name in ("ts_event", "ts_recv")}
    columns |= {"side": _named(sides, has_level), "price": price, "qty": qty}
    return pa.table([columns[one.name] for one in DEPTH], schema=parquet.arrow_schema(DEPTH))


def _named(sides: pa.Array, has_level: "NDArray[np.bool_]") -> pa.Array:
    """Return sides, 0 or 1, by their names; null where there is no level."""
    found = pa.array(["bid", "ask"]).take(sides)
    if has_level.all():
        return found
    return pa.compute.if_else(pa.array(has_level), found, pa.scalar(None, pa.string()))


def _numbers(levels: pa.Array, has_level: "NDArray[np.bool_]") -> tuple[pa.Array, pa.Array]:
    """Return the prices and the quantities of levels; null where there is none."""
    texts = levels.flatten()
    if len(texts) != _PAIR * len(levels) or (np.diff(levels.offsets.to_numpy()) != _PAIR).any():
        raise RawDataError("a level of the book is not a price and a quantity; see docs/FORMAT.md")
    pairs = units.of_texts(texts).reshape(-1, _PAIR, 2)
    # Half of a quantity's upper half is of negative ones; of a price's nothing is used.
    if pairs[:, 0, 1].any() or (pairs[:, :, 1] >> 63).any():
        raise RawDataError("a price or quantity of the book is out of range; see docs/FORMAT.md")
    found = []
    for number, kind in enumerate((units.PRICE, units.QUANTITY)):
        spread = np.zeros((len(has_level), 2), np.uint64)
        spread[has_level] = pairs[:, number]
        found.append(units.decimals(spread, kind, has_level))
    return found[0], found[1]
