"""The validation of a day: `logs/validation/D.json` for programs, and `D.html` for people.

Every check run, however it was started, writes its verdict into that day's validation file, which holds the latest of
each check. The page is made from the JSON file alone, and needs nothing beside itself: no network, no script.
"""

import contextlib
import html
from collections.abc import Iterable
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import duckdb
from msgspec import Struct, json, to_builtins

from crypto_lake.ask import views
from crypto_lake.checks import OUTCOMES, Outcome, Verdict
from crypto_lake.config import Config
from crypto_lake.disk import locks, publish
from crypto_lake.errors import NOT_JSON, LakeError
from crypto_lake.layout import iso
from crypto_lake.series import Series

Row = dict[str, Any]
_ORDER = {name: place for place, name in enumerate(OUTCOMES)}
_PATIENCE_SEC = 60
_OF_BARS = {"bars_1s", "daily_bars"}
# Of more symbols the worst are named on the page, and have their offending rows in the file; it has all counts.
_NAMED = 50
_WITH_ROWS = 200


def enter(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    series: Iterable[Series],
    asset: str,
    verdicts: list[Verdict],
    now_us: int,
) -> None:
    """Put the verdicts on a day of an asset into its validation, in place of earlier ones of the same checks.

    The report says what bars there are of the `series`, anew with each verdict on them. A verdict on nothing (no symbol
    had a file to look at) takes the earlier one away and adds none. Where symbols are parted into shards, the `series`
    are those of one, whose verdicts are a file of their own, and the validation is all of these together.

    Raises:
        LakeError: the disk refused, or another run has been at the reports for a minute.
    """
    if not verdicts:
        return
    series, layout, day = list(series), config.layout, verdicts[0].day
    shard = series[0].shard if series else None
    path = place(config, day, shard)
    told = [verdict for verdict in verdicts if verdict.counts]
    if not told and not path.exists():
        return
    coverage = _coverage(connection, series, day) if asset in _OF_BARS else None
    try:
        with locks.hold(layout.validation_lock, _PATIENCE_SEC):
            before = _report(path)
            if coverage is None and not before.coverage:
                coverage = _coverage(connection, series, day)
            entered = [*_others(before, asset, verdicts), *(_entry(asset, one, now_us) for one in told)]
            validation = _validation(day, before.coverage if coverage is None else coverage, entered)
            publish.write(path, json.format(json.encode(validation)) + b"\n")
            if shard is not None:
                validation = _together(config, day)
                publish.write(layout.validation(day), json.format(json.encode(validation)) + b"\n")
            publish.write(layout.validation_page(day), page(validation).encode())
    except OSError as error:
        raise LakeError(f"{path}: cannot be written: {error}") from None


def _others(before: "_Report", asset: str, verdicts: list[Verdict]) -> list[Row]:
    """Return the checks of a report that these verdicts do not take the place of."""
    names = {verdict.check.name for verdict in verdicts}
    return [
        check
        for check in to_builtins(before.checks)
        if check["asset"] != asset or check["check"] not in names
    ]


def _validation(day: date, coverage: list[Row], checks: list[Row]) -> Row:
    return {
        "day": str(day),
        "outcome": min((c["outcome"] for c in checks), key=_ORDER.__getitem__, default="passed"),
        "coverage": coverage,
        "checks": sorted(checks, key=lambda c: (_ORDER[c["outcome"]], c["asset"], c["check"])),
    }


def _together(config: Config, day: date) -> Row:
    """Return the validation of a day that is parted into shards: a check is as bad as in its worst, and as old."""
    reports = [_report(place(config, day, shard)) for shard in range(config.cluster.shards)]
    found: dict[tuple[str, str], Row] = {}
    for check in (to_builtins(one) for report in reports for one in report.checks):
        key = check["asset"], check["check"]
        here = found.setdefault(key, check)
        if here is check:
            continue
        worst = min(here, check, key=lambda c: _ORDER[c["outcome"]])
        merged = {name: here[name] | check[name] for name in ("counts", "rows", "unverifiable")}
        found[key] = worst | merged | {"checked_at": min(here["checked_at"], check["checked_at"])}
    coverage = [row for report in reports for row in report.coverage]
    coverage.sort(key=lambda row: (row["exchange"], row["symbol"]))
    return _validation(day, coverage, list(found.values()))


def place(config: Config, day: date, shard: int | None) -> Path:
    """Return the file that has the verdicts on a day of a shard, or of all symbols (None)."""
    layout = config.layout
    if shard is None:
        return layout.validation(day)
    return layout.validation_of_shard(day, shard, config.cluster.shards)


def read(config: Config, day: date) -> list[Row]:
    """Return the checks in the validation of a day; none where there is no file that can be understood."""
    if config.cluster.shards > 1:
        # Two runs that put it together at once leave out each other's verdicts until the next.
        return list(_together(config, day)["checks"])
    return [to_builtins(check) for check in _report(config.layout.validation(day)).checks]


def _report(path: Path) -> "_Report":
    with contextlib.suppress(OSError, *NOT_JSON):
        return json.decode(publish.read(path), type=_Report)
    return _Report([])


def counts(config: Config, day: date, asset: str, check: str) -> dict[str, int]:
    """Return how many rows offended, by symbol, when a check last looked at a day; empty where it did not."""
    return next((c["counts"] for c in read(config, day) if (c["asset"], c["check"]) == (asset, check)), {})


class _Check(Struct):
    """A check in a validation, as `_entry` makes it."""

    asset: str
    check: str
    description: str
    outcome: Outcome
    severity: str
    blocking: bool
    checked_at: str
    counts: dict[str, int]
    rows: dict[str, list[Row]]
    # Absent in reports written before there was the outcome.
    unverifiable: dict[str, str] = {}


class _Report(Struct):
    """The part of a validation that is read again."""

    checks: list[_Check]
    coverage: list[Row] = []


def _entry(asset: str, verdict: Verdict, now_us: int) -> Row:
    return {
        "asset": asset,
        "check": verdict.check.name,
        "description": verdict.check.description,
        "outcome": verdict.outcome,
        "severity": verdict.severity,
        "blocking": verdict.check.blocking,
        "checked_at": iso(now_us),
        "counts": verdict.counts,
        "rows": {symbol: [_plain(row) for row in verdict.rows[symbol]] for symbol in _worst_of(verdict)},
        "unverifiable": verdict.unverifiable,
    }


def _worst_of(verdict: Verdict) -> list[str]:
    """The symbols whose offending rows are kept: all, or those with the most of them."""
    if len(verdict.rows) <= _WITH_ROWS:
        return list(verdict.rows)
    return sorted(verdict.rows, key=lambda symbol: -verdict.counts[symbol])[:_WITH_ROWS]


def _plain(row: Row) -> Row:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _coverage(connection: duckdb.DuckDBPyConnection, series: Iterable[Series], day: date) -> list[Row]:
    try:
        return views.day_in_numbers(connection, series, day)
    except duckdb.Error:
        return []  # A file whose columns are others: schema_matches says it, with the file's name.


def page(validation: Row) -> str:
    """Return the page of a validation, as `enter` makes it."""
    checks = validation["checks"]
    told, details = tables(checks)
    counted = {name: sum(c["outcome"] == name for c in checks) for name in _ORDER}
    template = (files("crypto_lake.pages") / "validation.html").read_text(encoding="utf-8")
    symbols = sorted({symbol for c in checks for symbol in c["counts"]})
    return Template(template).substitute(
        day=validation["day"],
        outcome=validation["outcome"],
        summary=", ".join(f"{count} {name}" for name, count in counted.items() if count),
        symbols=html.escape(", ".join(symbols[:_NAMED])) + _and_more(len(symbols)),
        coverage=_coverage_table(validation["coverage"]),
        checks=told,
        details=details,
    )


def _and_more(count: int) -> str:
    return f" and {count - _NAMED:,} more" if count > _NAMED else ""


def _coverage_table(rows: list[Row]) -> str:
    """The bars of each symbol; of many, of all together and of those that fewest heard."""
    if not rows:
        return "<p>No bars of this day.</p>"
    if len(rows) <= _NAMED:
        return _table(rows)
    total = {name: sum(row[name] for row in rows) for name in rows[0] if name not in {"exchange", "symbol"}}
    worst = sorted(rows, key=lambda row: (-row["unobserved"], row["symbol"]))[:_NAMED]
    first = {"symbol": f"all {len(rows):,}"} | total
    return f"{_table([first, *worst])}<p>The {_NAMED} with the most unobserved bars are shown.</p>"


def tables(checks: list[Row]) -> tuple[str, str]:
    """Checks as a table's rows; the first offending rows, or reasons, of those that did not pass. Both as HTML."""
    details = "".join(_details(check) for check in checks if check["outcome"] != "passed")
    return "".join(_check_row(check) for check in checks), details or "<p>None.</p>"


def _check_row(check: Row) -> str:
    cells = (
        check["asset"],
        check["check"],
        check["severity"],
        _counts(check),
        check["description"],
        check["checked_at"][:19] + "Z",
    )
    outcome = check["outcome"]
    told = "".join(f"<td>{_text(cell)}</td>" for cell in cells)
    return f'<tr class="{outcome}"><td class="{outcome}">{outcome}</td>{told}</tr>\n'


def _counts(check: Row) -> str:
    """How many rows offend, by symbol; of many, of the worst."""
    counts, unproved = check["counts"], check["unverifiable"]
    by_symbol = sorted(counts)
    if len(counts) > _NAMED:
        by_symbol.sort(key=lambda symbol: (-counts[symbol], symbol not in unproved))
    told = [
        f"{symbol} {'unverifiable' if symbol in unproved else format(counts[symbol], ',')}"
        for symbol in by_symbol[:_NAMED]
    ]
    return " · ".join(told) + _and_more(len(counts))


def _details(check: Row) -> str:
    worst = sorted(check["rows"], key=lambda symbol: -check["counts"][symbol])[:_NAMED]
    rows = [
        {"symbol": symbol} | row for symbol, rows in check["rows"].items() if symbol in worst for row in rows
    ]
    total = sum(check["counts"].values())
    head = f'<h3 class="{check["outcome"]}">{_text(check["asset"])} · {_text(check["check"])}</h3>'
    reasons = "".join(
        f"<p>{_text(symbol)} is unverifiable: {_text(reason)}.</p>"
        for symbol, reason in sorted(check["unverifiable"].items())[:_NAMED]
    )
    return head + reasons + (f"<p>{len(rows)} of {total:,} offending rows</p>{_table(rows)}" if total else "")


def _table(rows: list[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f"<th>{_text(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(_cell(row.get(name), name) for name in names)}</tr>\n" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _cell(value: object, name: str) -> str:
    """Numbers stand right, and have thousands marked unless they name something."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"<td>{_text(value)}</td>"
    return f'<td class="number">{value if name.endswith("_id") else format(value, ",")}</td>'


def _text(value: object) -> str:
    return "" if value is None else html.escape(str(value))
