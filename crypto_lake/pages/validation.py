"""The validation of a day: `logs/validation/D.json` for programs, and `D.html` for people.

Every check run, however it was started, writes its verdict into that day's validation file, which holds the latest of
each check. The page is made from the JSON file alone, and needs nothing beside itself: no network, no script.
"""

import html
from collections.abc import Iterable
from datetime import date, datetime
from importlib.resources import files
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


def enter(
    connection: duckdb.DuckDBPyConnection,
    config: Config,
    series: Iterable[Series],
    asset: str,
    verdict: Verdict,
    now_us: int,
) -> None:
    """Put a verdict into the validation of its day, in place of an earlier one of the same check on the same asset.

    The report says what bars there are of the `series`. A verdict on nothing (no symbol had a file to look at) takes
    the earlier one away and adds none.

    Raises:
        LakeError: the disk refused, or another run has been at the reports for a minute.
    """
    layout = config.layout
    path = layout.validation(verdict.day)
    try:
        with locks.hold(layout.validation_lock, _PATIENCE_SEC):
            others = [
                c
                for c in read(config, verdict.day)
                if (c["asset"], c["check"]) != (asset, verdict.check.name)
            ]
            if not verdict.counts and not path.exists():
                return
            entered = [*others, _entry(asset, verdict, now_us)] if verdict.counts else others
            validation = {
                "day": str(verdict.day),
                "outcome": min((c["outcome"] for c in entered), key=_ORDER.__getitem__, default="passed"),
                "coverage": _coverage(connection, series, verdict.day),
                "checks": sorted(entered, key=lambda c: (_ORDER[c["outcome"]], c["asset"], c["check"])),
            }
            publish.write(path, json.format(json.encode(validation)) + b"\n")
            publish.write(layout.validation_page(verdict.day), page(validation).encode())
    except OSError as error:
        raise LakeError(f"{path}: cannot be written: {error}") from None


def read(config: Config, day: date) -> list[Row]:
    """Return the checks in the validation of a day; none where there is no file that can be understood."""
    try:
        found = json.decode(publish.read(config.layout.validation(day)), type=_Report)
    except (OSError, *NOT_JSON):
        return []
    return [to_builtins(check) for check in found.checks]


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
        "rows": {symbol: [_plain(row) for row in rows] for symbol, rows in verdict.rows.items()},
        "unverifiable": verdict.unverifiable,
    }


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
    return Template(template).substitute(
        day=validation["day"],
        outcome=validation["outcome"],
        summary=", ".join(f"{count} {name}" for name, count in counted.items() if count),
        symbols=html.escape(", ".join(sorted({symbol for c in checks for symbol in c["counts"]}))),
        coverage=_table(validation["coverage"]) if validation["coverage"] else "<p>No bars of this day.</p>",
        checks=told,
        details=details,
    )


def tables(checks: list[Row]) -> tuple[str, str]:
    """Checks as a table's rows; the first offending rows, or reasons, of those that did not pass. Both as HTML."""
    details = "".join(_details(check) for check in checks if check["outcome"] != "passed")
    return "".join(_check_row(check) for check in checks), details or "<p>None.</p>"


def _check_row(check: Row) -> str:
    cells = (
        check["asset"],
        check["check"],
        check["severity"],
        check["description"],
        check["checked_at"][:19] + "Z",
    )
    counts = " · ".join(
        f"{symbol} {'unverifiable' if symbol in check['unverifiable'] else format(count, ',')}"
        for symbol, count in sorted(check["counts"].items())
    )
    verdict = f'<td class="{check["outcome"]}">{check["outcome"]}</td>'
    return f"<tr>{verdict}{''.join(f'<td>{_text(cell)}</td>' for cell in (*cells[:3], counts, *cells[3:]))}</tr>\n"


def _details(check: Row) -> str:
    rows = [{"symbol": symbol} | row for symbol, rows in check["rows"].items() for row in rows]
    total = sum(check["counts"].values())
    head = f'<h3 class="{check["outcome"]}">{_text(check["asset"])} · {_text(check["check"])}</h3>'
    reasons = "".join(
        f"<p>{_text(symbol)} is unverifiable: {_text(reason)}.</p>"
        for symbol, reason in sorted(check["unverifiable"].items())
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
