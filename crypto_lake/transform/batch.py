"""Many hours of many symbols in one statement: raw lines to parts, by `sql/transform/bars.sql`.

Planning a statement costs more than a quiet hour's lines, so hours are made together, as many as a bound of rows and of
bytes allows. What becomes of an hour does not depend on what it is made together with: if a statement fails, its hours
are made in halves, down to the one whose fault it is.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
from msgspec import to_builtins

from crypto_lake import sql
from crypto_lake.disk import parquet
from crypto_lake.errors import NoFileError
from crypto_lake.raw.intervals import Interval
from crypto_lake.transform import fill, quote_fit
from crypto_lake.transform.hours import Hour, Needs, clocks_of, lines_of, merging, needs, once
from crypto_lake.transform.plan import Carry, PartRecord
from crypto_lake.transform.quote_fit import Hits
from crypto_lake.transform.workspace import Workspace

# A batch is held in memory twice: its bars, 200 bytes each, by Arrow, and while they are made by DuckDB.
_MOST_BARS = 300_000
_MOST_BYTES = 128_000_000
_KEPT = "batch_lines"


class Failed(NamedTuple):
    """An hour that could not be made, and why."""

    hour: Hour
    reason: str


@dataclass
class Made:
    """The outcome of some hours: what is remembered of each that was made, how well quotes fit, and what failed."""

    records: list[tuple[Hour, PartRecord]] = field(default_factory=list)
    fits: list[tuple[Hour, Hits]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


def make(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    hours: Iterable[Hour],
    fit: Iterable[Hour],
) -> Made:
    """Make the parts of hours, those of a run in order, and measure the `fit` of some.

    Raises:
        LakeError: the disk refused.
    """
    made = Made()
    to_fit = set(fit)
    for some in _bounded(hours):
        happened: dict[Hour, _Happened] = {}
        for kind, batch in _by_kind(some, to_fit).items():
            _look(connection, workspace, batch, (happened, made), kind)
        for hour in some:
            if hour in happened:
                _fill(hour, happened[hour], made)
    return made


class _Kind(NamedTuple):
    """What hours that are asked together share, or it would depend on the others how an hour's lines are read."""

    is_fit: bool
    step: int
    needs: Needs


def _by_kind(hours: Iterable[Hour], to_fit: Container[Hour]) -> dict[_Kind, list[Hour]]:
    kinds: dict[_Kind, list[Hour]] = {}
    # How lines are read is nothing to an hour that has none: it is made with others, without a statement of its own.
    for hour in sorted(hours, key=lambda one: not one.sources):
        kind = _Kind(hour in to_fit, int(hour.made_from["step"]), needs(hour))
        if not hour.sources:
            kind = next((one for one in kinds if one[:2] == kind[:2]), kind)
        kinds.setdefault(kind, []).append(hour)
    return kinds


class _Happened(NamedTuple):
    """The intervals of an hour in which something happened, as `bars.sql` has them, and when somebody listened."""

    bars: pa.Table
    listened: list[Interval]


def _bounded(hours: Iterable[Hour]) -> Iterator[list[Hour]]:
    batch: list[Hour] = []
    bars = size = 0
    for hour in hours:
        bars, size = bars + hour.bars, size + hour.size
        if batch and (bars > _MOST_BARS or size > _MOST_BYTES):
            yield batch
            batch, bars, size = [], hour.bars, hour.size
        batch.append(hour)
    if batch:
        yield batch


def _look(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    hours: Sequence[Hour],
    found: tuple[dict[Hour, _Happened], Made],
    kind: _Kind,
) -> None:
    """Find what happened in hours of one kind."""
    happened, made = found
    try:
        listened = [hour.listened(connection, workspace) for hour in hours]
        try:
            bars, fits = _asked(connection, workspace, hours, kind, are_copies_same=True)
        except duckdb.Error:
            if not kind.needs.twice:
                raise
            bars, fits = _asked(connection, workspace, hours, kind, are_copies_same=False)
    except duckdb.Error as error:
        if len(hours) == 1:
            made.failed.append(Failed(hours[0], f"{hours[0]}: {' '.join(str(error).split())}"))
            return
        middle = len(hours) // 2
        for half in (hours[:middle], hours[middle:]):
            _look(connection, workspace, half, found, kind)
        return
    made.fits += zip(hours, fits, strict=False)
    ends = np.searchsorted(parquet.integers(bars, "slot"), np.arange(len(hours) + 1))
    for hour, stretches, (begin, end) in zip(hours, listened, pairwise(map(int, ends)), strict=True):
        happened[hour] = _Happened(bars.slice(begin, end - begin), stretches)


def _fill(hour: Hour, happened: _Happened, made: Made) -> None:
    try:
        record = _publish(hour, fill.hour(hour, *happened))
    except NoFileError as error:
        made.failed.append(Failed(hour, str(error)))
    else:
        made.records.append((hour, record))


def _asked(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    hours: Sequence[Hour],
    kind: _Kind,
    *,
    are_copies_same: bool,
) -> tuple[pa.Table, list[Hits]]:
    """Return what happened in hours, as `bars.sql` has it, and if that is asked how well the quotes of each fit.

    Raises:
        duckdb.Error: a segment holds something other than raw lines, or copies of a line are not the same.
    """
    lines = lines_of(workspace, hours)
    clocks = clocks_of(hours)
    if kind.needs.merged:
        clocks |= merging(hours)
    if not kind.is_fit:
        raw = once(lines, kind.needs, are_copies_same=are_copies_same)
        return sql.arrow(sql.ask(connection, "transform/bars", {"raw": raw}, **clocks, step=kind.step)), []
    # They are asked for twice, and are parsed once.
    with sql.kept(connection, _KEPT, f"FROM {lines}"):
        raw = once(_KEPT, kind.needs, are_copies_same=are_copies_same)
        bars = sql.arrow(sql.ask(connection, "transform/bars", {"raw": raw}, **clocks, step=kind.step))
        return bars, quote_fit.hits(connection, raw, clocks)


def _publish(hour: Hour, bars: pa.Table) -> PartRecord:
    """Write the part of an hour; its last values go on to the next hour of its run."""
    series = hour.series
    last = bars.slice(bars.num_rows - 1).select(Carry.__struct_fields__).to_pylist()
    record = PartRecord(
        hour.made_from | {"carry": to_builtins(hour.run.carry)}, Carry(**last[0]) if last else hour.run.carry
    )
    path = series.layout.part(series.exchange, series.symbol, hour.plan.day, hour.hour)
    compression = series.config.transformer.parquet_compression
    parquet.write_table(bars, path, compression, footer=to_builtins(record))
    hour.run.carry = record.carry
    return record
