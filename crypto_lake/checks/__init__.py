"""The checks: each is a query (`sql/checks/`) that returns the offending rows of a symbol's day; none means passed.

But where an exchange's data cannot prove what a check says, none means that it is unverifiable, with the reason.

`ON` is the table of what is checked where; the Dagster checks, the `validate` command, the validation of a day and the
demo's verdicts are all made from it. Nothing is mended here, and nothing is fetched but the candles to compare with.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Literal, Self, get_args

import duckdb

from crypto_lake.checks import on_bars, on_book, on_candles, on_raw, on_ticks, provable
from crypto_lake.checks.batch import Batch, Rule, each
from crypto_lake.checks.reference import ExchangeCandles
from crypto_lake.checks.subject import Rows, Subject
from crypto_lake.disk import parquet, publish
from crypto_lake.errors import ExchangeError, LakeError
from crypto_lake.exchanges.capabilities import Capabilities
from crypto_lake.raw.lines import TICKS
from crypto_lake.series import Series

Severity = Literal["ERROR", "WARN"]
Outcome = Literal["failed", "warning", "unverifiable", "passed"]
# From the worst to the best.
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
_SHOWN = 5
# So many symbols share a statement: more would save nothing, and take memory.
_TOGETHER = 256


@dataclass(frozen=True)
class Check:
    """A rule about a symbol's day. `offending` returns the rows that break it, of each subject of a batch.

    `blocking` keeps what lies downstream from being made. A row with a `reason` is excused by it: it warns, whatever
    the severity. `unprovable` is why no offending row proves nothing of an exchange; None: it proves the rule kept.
    `doubt` says the same of a symbol's day.
    """

    name: str
    severity: Severity
    blocking: bool
    description: str
    offending: Rule
    unprovable: Callable[[Capabilities], str | None] = provable.anywhere
    doubt: Callable[[Subject], str | None] = provable.always


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check on one day, of those symbols that have something to look at.

    A symbol is told with its exchange where several exchanges have it.

    `counts` has the number of offending rows, `rows` the first, by symbol. `severity` is that of the worst row.
    `unverifiable` has the reasons of the symbols that have no offending row, which proves nothing of them.
    """

    check: Check
    day: date
    counts: dict[str, int]
    rows: dict[str, Rows] = field(default_factory=dict)
    severity: Severity = "ERROR"
    unverifiable: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Return whether the rule is proved to be kept."""
        return self.outcome == "passed"

    @property
    def outcome(self) -> Outcome:
        """By severity where any symbol has an offending row; `passed` if the rule is proved to be kept by all."""
        if any(self.counts.values()):
            return "warning" if self.severity == "WARN" else "failed"
        return "unverifiable" if self.unverifiable else "passed"


@dataclass(frozen=True)
class Means:
    """With what checks are evaluated: a DuckDB, where the exchange's candles come from, and the time (µs UTC)."""

    connection: duckdb.DuckDBPyConnection
    reference: ExchangeCandles
    now_us: int


def run(check: Check, asset: str, all_series: list[Series], day: date, means: Means) -> Verdict:
    """Apply a check to a day of all symbols of which the asset has files.

    Raises:
        LakeError: a file cannot be read.
    """
    return Look.at(asset, all_series, day, means).verdict(check)


@dataclass(frozen=True)
class Look:
    """A look at a day of all symbols of which an asset has files, for as many of its checks as are wanted."""

    day: date
    subjects: dict[str, Subject]
    batches: list[Batch]

    @classmethod
    def at(cls, asset: str, all_series: list[Series], day: date, means: Means) -> Self:
        """Find the files; nothing is read yet."""
        subjects = _subjects(asset, all_series, day, means)
        some = list(subjects.values())
        batches = [Batch(some[at : at + _TOGETHER]) for at in range(0, len(some), _TOGETHER)]
        return cls(day, subjects, batches)

    def verdict(self, check: Check, failures: list[LakeError] | None = None) -> Verdict:
        """Apply a check. Where `failures` are given, a symbol whose files cannot be read is left out, and told there.

        Raises:
            LakeError: a file cannot be read.
        """
        errors: list[LakeError] = []
        each = [rows for batch in self.batches for rows in _offending(check, batch, errors)]
        if errors and failures is None:
            raise errors[0]
        if failures is not None:
            failures += errors
        found = {name: rows for name, rows in zip(self.subjects, each, strict=True) if rows is not None}
        reasons = {
            name: check.unprovable(subject.exchange) or (None if found[name] else check.doubt(subject))
            for name, subject in self.subjects.items()
            if name in found
        }
        excused = all(row.get("reason") for some in found.values() for row in some)
        return Verdict(
            check,
            self.day,
            counts={symbol: len(some) for symbol, some in found.items()},
            rows={symbol: some[:_SHOWN] for symbol, some in found.items() if some},
            severity="WARN" if excused and any(found.values()) else check.severity,
            unverifiable={name: reason for name, reason in reasons.items() if reason and not found[name]},
        )


def names(all_series: Iterable[Series]) -> dict[tuple[str, str], str]:
    """By exchange and symbol: the names that verdicts tell symbols by."""
    every = list(all_series)
    of_symbol = Counter(series.symbol for series in every)
    return {
        (one.exchange, one.symbol): one.symbol
        if of_symbol[one.symbol] == 1
        else f"{one.exchange} {one.symbol}"
        for one in every
    }


def _subjects(asset: str, all_series: list[Series], day: date, means: Means) -> dict[str, Subject]:
    """The symbols of which the asset has files, by the names they are told by."""
    told_by = names(all_series)
    found: dict[str, Subject] = {}
    for series in all_series:
        name = told_by[series.exchange, series.symbol]
        if paths := files_of(asset, series, day):
            found[name] = Subject(means.connection, series, day, means.now_us, paths, means.reference)
    return found


def _offending(check: Check, batch: Batch, failures: list[LakeError]) -> list[Rows | None]:
    """The rows that break a rule, by subject. Where it cannot be told of all, each is asked alone, to name the file.

    Of a subject whose files cannot be read, None, and the error is added to `failures`.
    """
    try:
        with publish.told_of_folders(), parquet.named(path for one in batch.subjects for path in one.files):
            return [*check.offending(batch)]
    except ExchangeError:
        raise
    except (duckdb.Error, LakeError) as error:
        if len(batch.subjects) == 1:
            failures.append(_untold(check, batch.subjects[0], error))
            return [None]
    return [rows for subject in batch.subjects for rows in _offending(check, Batch([subject]), failures)]


def _untold(check: Check, subject: Subject, error: Exception) -> LakeError:
    if isinstance(error, LakeError):
        return error
    return LakeError(f"{subject.series.symbol} {subject.day}: {check.name} cannot be told: {error}")


def files_of(asset: str, series: Series, day: date) -> list[Path]:
    """Return what an asset's checks look at of a symbol's day; for raw the bars, which tell of it. May be none."""
    layout, exchange, symbol = series.layout, series.exchange, series.symbol
    daily, candles = layout.daily(exchange, symbol, day), layout.candles(exchange, symbol, day)
    if asset == "daily_bars":
        return [daily] if daily.exists() else []
    if asset == "candles_1m":
        return [candles] if candles.exists() else []
    if asset == "ticks":
        return [path for one in TICKS if (path := layout.ticks(exchange, symbol, one.table, day)).exists()]
    if asset in OF_BOOK:
        return _files_of_book(series, day)
    return layout.bar_files(exchange, symbol, day)


def _files_of_book(series: Series, day: date) -> list[Path]:
    """Return a day's depth; where it has none, and was to be recorded since an earlier day, its bars stand for it."""
    layout, where = series.layout, (series.exchange, series.symbol)
    depth = layout.depth(*where, day)
    if depth.exists():
        return [depth]
    first = min(layout.depth_days(*where), default=day)
    is_lacking = first < day and any(
        "depth" in one.streams for one in series.config.exchanges if one.name == where[0]
    )
    return layout.bar_files(*where, day) if is_lacking else []


SCHEMA_MATCHES = Check(
    "schema_matches",
    "ERROR",
    blocking=True,
    description="Columns and their types are the declared ones.",
    offending=on_bars.schema,
)
NO_DUPLICATE_SECONDS = Check(
    "no_duplicate_seconds",
    "ERROR",
    blocking=True,
    description="No second has two bars.",
    offending=on_bars.duplicate_seconds,
)
NO_MISSING_SECONDS = Check(
    "no_missing_seconds",
    "ERROR",
    blocking=False,
    description="Every second of the day (while it lasts: of what was made of it) has its bar.",
    offending=on_bars.missing_seconds,
)
PRICES_ARE_CONSISTENT = Check(
    "prices_are_consistent",
    "ERROR",
    blocking=True,
    description="low ≤ open, close ≤ high; vwap within; takers bought no more than was traded; spread < 0 warns.",
    offending=on_bars.inconsistent_prices,
)
NO_ABSURD_JUMP = Check(
    "no_absurd_jump",
    "WARN",
    blocking=False,
    description="No price moves by more than checks.max_jump from one bar to the next, or inside one.",
    offending=on_bars.jumps,
)
CHECKSUM_MATCHES = Check(
    "checksum_matches",
    "ERROR",
    blocking=False,
    description="The file is, byte for byte, the one that was verified when it was made.",
    offending=each(on_bars.wrong_checksum),
)
TRADE_IDS_CONTIGUOUS = Check(
    "trade_ids_contiguous",
    "WARN",
    blocking=False,
    description="No trade id is missing since the last trade of the day before: the proof of completeness.",
    offending=on_raw.missing_trades,
    unprovable=provable.by_ids,
)
TRADE_IDS_UNAMBIGUOUS = Check(
    "trade_ids_unambiguous",
    "WARN",
    blocking=False,
    description="Trade ids rise with time, none jumps to where nothing can be missing, and each is one trade's.",
    offending=each(on_raw.ambiguous_trades),
    unprovable=provable.by_ids,
)
STREAM_DOWNTIME = Check(
    "stream_downtime",
    "WARN",
    blocking=False,
    description="Since the first recording, nobody listened in at most checks.max_unobserved_share of the seconds.",
    offending=each(on_raw.downtime),
)
QUOTES_FRESH = Check(
    "quotes_fresh",
    "WARN",
    blocking=False,
    description="While somebody listened, quotes came, and never none for checks.max_quote_silence_sec.",
    offending=each(on_raw.stale_quotes),
    unprovable=provable.by_quotes,
)
CLOCK_OFFSET = Check(
    "clock_offset",
    "WARN",
    blocking=False,
    description="The collector's clock was within checks.max_clock_offset_sec of the exchange's, and did not drift.",
    offending=each(on_raw.clock_errors),
)
EQUALS_EXCHANGE_CANDLES = Check(
    "equals_exchange_candles",
    "ERROR",
    blocking=False,
    description="Each minute equals the exchange's own candle in nine columns; where trades may be missing, it warns.",
    offending=each(on_candles.differences_from_exchange),
    unprovable=provable.by_candles,
)
BACKFILL_AGREES_WITH_LIVE = Check(
    "backfill_agrees_with_live",
    "WARN",
    blocking=False,
    description="Backfilled candles equal the bars that were recorded of the same minutes.",
    offending=each(on_candles.differences_from_backfill),
    unprovable=provable.by_candles,
)
DEPTH_CHAIN_UNBROKEN = Check(
    "depth_chain_unbroken",
    "WARN",
    blocking=False,
    description="Each event of depth follows on the one before: nothing of the order book is missing.",
    offending=each(on_book.breaks),
    doubt=on_book.no_chain,
)
BOOK_EQUALS_SNAPSHOT = Check(
    "book_equals_snapshot",
    "ERROR",
    blocking=False,
    description="The book carried to a snapshot equals it in every level that both know; where a few differ, it warns.",
    offending=each(on_book.different_anchors),
    doubt=on_book.no_anchor,
)
QUOTES_EQUAL_BOOK = Check(
    "quotes_equal_book",
    "WARN",
    blocking=False,
    description="At the end of each event of depth, the newest quote is the book's best bid and ask.",
    offending=each(on_book.contradicted_quotes),
    doubt=on_book.no_proof,
)

# By asset.
ON: dict[str, tuple[Check, ...]] = {
    "raw_segments": (
        TRADE_IDS_CONTIGUOUS,
        TRADE_IDS_UNAMBIGUOUS,
        STREAM_DOWNTIME,
        QUOTES_FRESH,
        CLOCK_OFFSET,
    ),
    "bars_1s": (
        SCHEMA_MATCHES,
        NO_DUPLICATE_SECONDS,
        NO_MISSING_SECONDS,
        PRICES_ARE_CONSISTENT,
        NO_ABSURD_JUMP,
    ),
    "daily_bars": (
        SCHEMA_MATCHES,
        NO_DUPLICATE_SECONDS,
        NO_MISSING_SECONDS,
        PRICES_ARE_CONSISTENT,
        NO_ABSURD_JUMP,
        CHECKSUM_MATCHES,
        EQUALS_EXCHANGE_CANDLES,
    ),
    "ticks": (
        replace(SCHEMA_MATCHES, offending=each(on_ticks.schema)),
        replace(TRADE_IDS_CONTIGUOUS, offending=each(on_ticks.missing_trades)),
        CHECKSUM_MATCHES,
    ),
    "candles_1m": (SCHEMA_MATCHES, BACKFILL_AGREES_WITH_LIVE),
}
# By asset, of lakes that record the order book.
OF_BOOK: dict[str, tuple[Check, ...]] = {
    "depth": (DEPTH_CHAIN_UNBROKEN, BOOK_EQUALS_SNAPSHOT),
    "quotes": (QUOTES_EQUAL_BOOK,),
}
