"""The page of coverage: a square for each symbol and day, and the days that leave a doubt, with what that is.

One HTML file that needs nothing beside itself. However many symbols and days there are, it stays readable.
"""

import html
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from importlib.resources import files
from string import Template

from crypto_lake.coverage.rows import Row
from crypto_lake.layout import DAY_US, SECOND_US

# Of more symbols those with the most days that are not complete are shown; of more days the last.
_SYMBOLS, _DAYS, _ROWS = 100, 400, 500
_WHOLE_DAY = DAY_US // SECOND_US


def page(rows: Sequence[Row]) -> str:
    """Return the page of rows, at least one."""
    days = _days(row.day for row in rows)
    by_symbol: dict[tuple[str, str], dict[date, Row]] = {}
    for row in rows:
        by_symbol.setdefault((row.exchange, row.symbol), {})[row.day] = row
    shown = sorted(by_symbol)
    if len(shown) > _SYMBOLS:
        shown = sorted(shown, key=lambda key: -_doubted(by_symbol[key].values()))[:_SYMBOLS]
    complete = sum(row.complete for row in rows)
    more = f"<p>Of {len(by_symbol):,} symbols the {_SYMBOLS} with the most doubts are shown.</p>"
    template = (files("crypto_lake.coverage") / "page.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        span=f"{days[0]} to {days[-1]}" if len(days) > 1 else str(days[0]),
        summary=f"{complete:,} of {len(rows):,} days of {len(by_symbol):,} symbols are complete",
        calendar="".join(_line(key, by_symbol[key], days) for key in shown),
        more=more if len(by_symbol) > len(shown) else "",
        rows=_table([row for row in rows if not row.complete]),
    )


def doubts(row: Row) -> list[str]:
    """Return what leaves a doubt in a row, the gravest first."""
    unheard, unproved = _WHOLE_DAY - row.seconds_listened, _WHOLE_DAY - row.seconds_observed
    different = (row.candle_minutes or 0) - (row.candle_minutes_equal or 0)
    checked = row.checks_passed + row.checks_warned + row.checks_failed + row.checks_unverifiable
    told = {
        f"{row.trade_ids_missing or 0:,} trades missing": row.trade_ids_missing,
        f"{row.checks_failed} checks failed": row.checks_failed,
        f"{different:,} minutes unlike the exchange's": different,
        f"{row.boundaries_contradicted or 0:,} quotes contradicted by the book": row.boundaries_contradicted,
        f"{row.book_breaks or 0:,} breaks of the book": row.book_breaks,
        f"{unproved:,} s neither heard nor healed": unproved,
        f"{unheard:,} s nobody listened": unheard,
        f"{row.checks_warned} checks warned": row.checks_warned,
        f"{row.checks_unverifiable} checks unverifiable": row.checks_unverifiable,
        "no check has looked at it": not checked,
    }
    return [said for said, count in told.items() if count]


def _days(some: Iterable[date]) -> list[date]:
    """All days from the first to the last, of too many the last ones."""
    known = {*some}
    first, last = min(known), max(known)
    first = max(first, last - timedelta(days=_DAYS - 1))
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _doubted(rows: Iterable[Row]) -> int:
    return sum(not row.complete for row in rows)


def _line(key: tuple[str, str], by_day: dict[date, Row], days: Sequence[date]) -> str:
    cells = "".join(_square(day, by_day.get(day)) for day in days)
    return f'<tr><th scope="row" title="{html.escape(key[0])}">{html.escape(key[1])}</th>{cells}</tr>\n'


def _square(day: date, row: Row | None) -> str:
    if row is None:
        return f'<td><i class="none" title="{day}: nothing"></i></td>'
    is_grave = bool(row.trade_ids_missing or row.checks_failed)
    kind = "complete" if row.complete else "missing" if is_grave else "doubt"
    return (
        f'<td><i class="{kind}" title="{day}: {html.escape(", ".join(doubts(row)) or "complete")}"></i></td>'
    )


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return "<p>None.</p>"
    newest = sorted(rows, key=lambda row: (row.day, row.exchange, row.symbol), reverse=True)
    head = "<tr><th>day</th><th>symbol</th><th>trades</th><th>quotes</th><th>what leaves a doubt</th></tr>"
    body = "".join(
        f'<tr><td>{row.day}</td><td>{html.escape(row.symbol)}</td><td class="number">{row.trades:,}</td>'
        f'<td class="number">{row.quotes:,}</td><td>{html.escape(" · ".join(doubts(row)))}</td></tr>\n'
        for row in newest[:_ROWS]
    )
    more = f"<p>The newest {_ROWS} of {len(rows):,}.</p>" if len(rows) > _ROWS else ""
    return f'<div class="wide"><table><thead>{head}</thead><tbody>\n{body}</tbody></table></div>{more}'
