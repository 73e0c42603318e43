"""One hour of one symbol: its raw lines to a part, by `sql/transform/bars.sql`, and when somebody listened in it."""

from collections.abc import Iterable
from datetime import date
from typing import Any

import duckdb
from msgspec import to_builtins

from crypto_lake import sql
from crypto_lake.disk import parquet
from crypto_lake.errors import RawDataError
from crypto_lake.exchanges import registry
from crypto_lake.layout import DAY_US, HOUR_US, HOURS_OF_A_DAY, MINUTE_US, day_start_us
from crypto_lake.raw import scan
from crypto_lake.raw.catalog import Catalog
from crypto_lake.raw.intervals import Interval, union, without
from crypto_lake.raw.sources import Source, in_place, once_only
from crypto_lake.series import Series
from crypto_lake.transform.plan import Carry, PartRecord, Plan, last_values
from crypto_lake.transform.workspace import Workspace


def make(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    plan: Plan,
    hour: int,
    fingerprint: dict[str, Any],
    *,
    keep_lines: bool = False,
) -> PartRecord:
    """Make the part of an hour from what its fingerprint names; return what is remembered of it.

    `keep_lines`: they are parsed into a table, so that what the workspace is asked of them next costs no parsing.

    Raises:
        RawDataError: a segment holds something other than raw lines.
    """
    series = plan.series
    sources = plan.sources(fingerprint)
    beside = plan.sources(fingerprint, "beside")
    try:
        listened = _listened(connection, workspace, series, fingerprint, [*sources, *beside])
        if keep_lines:
            workspace.keep(sources)
        values = _variables(series, fingerprint | {"listened": listened})
        query, values = _query(workspace, sources, values) if sources else _quiet(values)
        with sql.kept(connection, "part", query, **values):
            return _publish(connection, plan, hour, fingerprint)
    except duckdb.Error as error:
        raise RawDataError(
            f"{series.symbol} {plan.day} hour {hour:02d}: {' '.join(str(error).split())}"
        ) from None


def _query(workspace: Workspace, sources: list[Source], values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the statement that makes an hour's bars of raw lines, and its variables."""
    wanted = window(values["hour_start"], (one["minute"] for one in values["offsets"]))
    return sql.statement("transform/bars", {"raw": once(workspace.lines(sources, wanted), sources)}), values


def _quiet(values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the statement for an hour without raw lines, which makes the same rows of nothing, and its variables."""
    # A quiet symbol's day is mostly such hours, and planning the other statement costs five times as much as this one.
    return sql.statement("transform/quiet"), {
        name: value for name, value in values.items() if name not in {"hour_end", "offsets"}
    }


def _publish(
    connection: duckdb.DuckDBPyConnection, plan: Plan, hour: int, fingerprint: dict[str, Any]
) -> PartRecord:
    """Write the part of an hour from the table `part`."""
    series = plan.series
    record = PartRecord(fingerprint, last_values(connection, "part"))
    path = series.layout.part(series.exchange, series.symbol, plan.day, hour)
    compression = series.config.transformer.parquet_compression
    rows = "FROM part ORDER BY window_start"
    parquet.write(connection, rows, path, compression, footer=to_builtins(record))
    return record


def _variables(series: Series, fingerprint: dict[str, Any]) -> dict[str, Any]:
    """Return what `sql/transform/bars.sql` is given, out of a fingerprint."""
    return {
        "symbol": series.symbol,
        "hour_start": fingerprint["hour_start"],
        "hour_end": fingerprint["hour_start"] + HOUR_US,
        "until": fingerprint["until"],
        "step": fingerprint["step"],
        "offsets": offsets(fingerprint["offsets"]),
        "listened": sql.stretches(fingerprint["listened"]),
        "carry": fingerprint["carry"],
    }


def offsets(by_minute: Iterable[tuple[int, int]]) -> list[dict[str, int]]:
    """Return clock offsets by minute (µs) as statements take them."""
    return [{"minute": minute, "offset_us": offset} for minute, offset in by_minute]


def _listened(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    series: Series,
    fingerprint: dict[str, Any],
    sources: list[Source],
) -> list[Interval]:
    """Return when somebody listened in an hour, and what healed trades prove of the rest."""
    start, end = fingerprint["hour_start"], fingerprint["hour_start"] + HOUR_US
    listened = [(first, last) for first, last in fingerprint["listened"]]
    missed = without(listened, start, end)
    healed = [source for source in sources if source.is_healed]
    # Ids that skip, or that the wire made, follow each other by chance.
    proves = registry.exchange(series.exchange).capabilities.trade_ids == "contiguous"
    if not (missed and healed and proves):
        return listened
    received = [source for source in sources if not source.is_healed]
    tables = {"received": workspace.lines(received), "healed": workspace.lines(healed)}
    proved = sql.ask(connection, "transform/proved", tables, missed=sql.stretches(missed)).fetchall()
    return union([*listened, *proved])


def heard(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, series: Series, catalog: Catalog, day: date
) -> list[Interval]:
    """Return when somebody listened on a finished day, by the exchange's clock, and what healed trades prove."""
    plan = Plan(catalog, series, day, day_start_us(day) + DAY_US)
    found: list[Interval] = []
    for hour in range(HOURS_OF_A_DAY):
        fingerprint = plan.fingerprint(hour, Carry())
        beside = plan.sources(fingerprint, "beside")
        found += _listened(connection, workspace, series, fingerprint, [*plan.sources(fingerprint), *beside])
    return union(found)


def once(lines: str, sources: list[Source]) -> str:
    """The lines of sources once each, and in their place.

    Where none can be there twice, looking for copies would be half the work.
    """
    return in_place(lines if once_only(sources) else scan.once(lines), sources)


def window(start: int, offsets: Iterable[int]) -> scan.Window:
    """The hour from `start` on; quotes of it were received in minutes that are among the keys of its offsets."""
    minutes = list(offsets)
    recv_from, recv_to = (min(minutes), max(minutes) + MINUTE_US) if minutes else (0, 0)
    return scan.Window(start, start + HOUR_US, recv_from, recv_to)
