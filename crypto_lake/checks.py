"""The checks: each is a query (`sql/checks/`) that returns the offending rows of a symbol's day; none means passed.

`ON_BARS` and `ON_DAILY` are the tables of what is checked where; the Dagster checks, the `validate` command and the
demo's verdicts are all made from them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import files
from typing import Any, Literal

import duckdb

from crypto_lake import bars, daily, parquet
from crypto_lake.bars import Series
from crypto_lake.errors import LakeError
from crypto_lake.layout import DAY_US, SECOND_US, day_start_us

Severity = Literal["ERROR", "WARN"]
Rows = list[dict[str, Any]]
_SHOWN = 5


@dataclass(frozen=True)
class Subject:
    """What a check looks at: one symbol's day, `now_us` telling whether that day is over."""

    connection: duckdb.DuckDBPyConnection
    series: Series
    day: date
    now_us: int


@dataclass(frozen=True)
class Check:
    """A rule about a symbol's day. `offending` returns the rows that break it.

    `blocking` keeps what lies downstream from being made.
    """

    name: str
    severity: Severity
    blocking: bool
    description: str
    offending: Callable[[Subject], Rows]


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check on one day. `counts` has the number of offending rows, `rows` the first, by symbol."""

    check: Check
    day: date
    counts: dict[str, int]
    rows: dict[str, Rows] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no symbol has an offending row."""
        return not any(self.counts.values())


def run(
    check: Check, connection: duckdb.DuckDBPyConnection, all_series: list[Series], day: date, now_us: int
) -> Verdict:
    """Apply a check to a day of all symbols that have bars of it.

    Raises:
        LakeError: a file cannot be read.
    """
    counts: dict[str, int] = {}
    rows: dict[str, Rows] = {}
    for series in all_series:
        if series.layout.bar_files(series.exchange, series.symbol, day):
            try:
                offending = check.offending(Subject(connection, series, day, now_us))
            except duckdb.Error as error:
                raise LakeError(f"{series.symbol} {day}: {check.name} cannot be told: {error}") from None
            counts[series.symbol] = len(offending)
            if offending:
                rows[series.symbol] = offending[:_SHOWN]
    return Verdict(check, day, counts, rows)


def _query(subject: Subject, name: str, variables: dict[str, Any]) -> Rows:
    series = subject.series
    paths = series.layout.bar_files(series.exchange, series.symbol, subject.day)
    connection = subject.connection
    connection.execute(f"CREATE OR REPLACE TEMP VIEW bars AS FROM {parquet.scan(paths)}")
    for variable, value in variables.items():
        connection.execute(f"SET VARIABLE {variable} = $value", {"value": value})
    text = (files("crypto_lake") / "sql" / "checks" / f"{name}.sql").read_text(encoding="utf-8")
    cursor = connection.execute(text)
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _step(subject: Subject) -> int:
    return subject.series.config.transformer.resample_interval_sec * SECOND_US


def _schema_matches(subject: Subject) -> Rows:
    series = subject.series
    return [
        {"file": path.name, "difference": difference}
        for path in series.layout.bar_files(series.exchange, series.symbol, subject.day)
        for difference in parquet.schema_differences(path)
    ]


def _no_missing_seconds(subject: Subject) -> Rows:
    start = day_start_us(subject.day)
    until = start + DAY_US
    if subject.now_us < until:
        records = bars.remembered(subject.series, subject.day)
        until = max((record.fingerprint["until"] for record in records.values()), default=start)
    return _query(subject, "no_missing_seconds", {"start": start, "until": until, "step": _step(subject)})


def _no_duplicate_seconds(subject: Subject) -> Rows:
    return _query(subject, "no_duplicate_seconds", {})


def _prices_are_consistent(subject: Subject) -> Rows:
    return _query(subject, "prices_are_consistent", {})


def _trade_ids_contiguous(subject: Subject) -> Rows:
    return _query(subject, "trade_ids_contiguous", {"last_id_before": _last_id_before(subject)})


def _last_id_before(subject: Subject) -> int | None:
    """The last trade id of the latest earlier day that has trades; None where there is none."""
    series = subject.series
    for day in reversed(_earlier_days(subject)):
        scan = parquet.scan(series.layout.bar_files(series.exchange, series.symbol, day))
        row = subject.connection.execute(f"SELECT max(last_trade_id) FROM {scan}").fetchone()
        if row and row[0] is not None:
            return int(row[0])
    return None


def _earlier_days(subject: Subject) -> list[date]:
    series = subject.series
    return [day for day in series.layout.bar_days(series.exchange, series.symbol) if day < subject.day]


def _stream_downtime(subject: Subject) -> Rows:
    """All stretches, where together they exceed the share that is tolerated; none otherwise."""
    variables = {"recorded_before": bool(_earlier_days(subject)), "step": _step(subject)}
    rows = _query(subject, "stream_downtime", variables)
    share = sum(row["share"] for row in rows)
    return rows if share > subject.series.config.checks.max_unobserved_share else []


def _checksum_matches(subject: Subject) -> Rows:
    series = subject.series
    path = series.layout.daily(series.exchange, series.symbol, subject.day)
    if not path.exists():
        return []
    expected = daily.recorded_checksum(series, subject.day)
    found = parquet.sha256(path)
    return [] if found == expected else [{"file": path.name, "sha256": found, "expected": expected}]


SCHEMA_MATCHES = Check(
    "schema_matches",
    "ERROR",
    blocking=True,
    description="Columns and their types are the declared ones.",
    offending=_schema_matches,
)
NO_DUPLICATE_SECONDS = Check(
    "no_duplicate_seconds",
    "ERROR",
    blocking=True,
    description="No second has two bars.",
    offending=_no_duplicate_seconds,
)
NO_MISSING_SECONDS = Check(
    "no_missing_seconds",
    "ERROR",
    blocking=False,
    description="Every second of the day (while it lasts: of what was made of it) has its bar.",
    offending=_no_missing_seconds,
)
PRICES_ARE_CONSISTENT = Check(
    "prices_are_consistent",
    "ERROR",
    blocking=True,
    description="low ≤ open, close ≤ high; vwap within; spread ≥ 0; takers bought no more than was traded.",
    offending=_prices_are_consistent,
)
TRADE_IDS_CONTIGUOUS = Check(
    "trade_ids_contiguous",
    "WARN",
    blocking=False,
    description="No trade id is missing since the last trade of the day before: the proof of completeness.",
    offending=_trade_ids_contiguous,
)
STREAM_DOWNTIME = Check(
    "stream_downtime",
    "WARN",
    blocking=False,
    description="Since the first recording, nobody listened in at most checks.max_unobserved_share of the seconds.",
    offending=_stream_downtime,
)
CHECKSUM_MATCHES = Check(
    "checksum_matches",
    "ERROR",
    blocking=False,
    description="The daily file is, byte for byte, the one that was verified when it was made.",
    offending=_checksum_matches,
)

ON_BARS: tuple[Check, ...] = (
    SCHEMA_MATCHES,
    NO_DUPLICATE_SECONDS,
    NO_MISSING_SECONDS,
    PRICES_ARE_CONSISTENT,
    TRADE_IDS_CONTIGUOUS,
    STREAM_DOWNTIME,
)
ON_DAILY: tuple[Check, ...] = (
    SCHEMA_MATCHES,
    NO_DUPLICATE_SECONDS,
    NO_MISSING_SECONDS,
    PRICES_ARE_CONSISTENT,
    CHECKSUM_MATCHES,
)
