"""The page of a lake's day: `reports/D.html`, one file with charts, coverage and verdicts that loads nothing.

The charts are TradingView's Lightweight Charts, as the package litecharts carries it; the file's policy (CSP) allows
its two scripts by their checksums and nothing else. Everything that comes from files is escaped.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import date
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from zoneinfo import ZoneInfo

from crypto_lake.checks import OUTCOMES
from crypto_lake.config import Config
from crypto_lake.disk import publish
from crypto_lake.errors import LakeError
from crypto_lake.pages import validation
from crypto_lake.pages.day import draw, facts
from crypto_lake.pages.day.facts import Facts, Row
from crypto_lake.series import Series
from crypto_lake.transform.judging import Counts

_STRETCHES = 20


def write(config: Config, series: Sequence[Series], day: date | None = None) -> Path:
    """Make the page of a day of some series, of the newest with bars if none is given, and say where it is.

    Raises:
        LakeError: there are no bars of the day, they cannot be read, or the disk refused.
    """
    day = day or facts.newest_day(series)
    if day is None:
        raise LakeError(f"{config.layout.base}: no bars of any day; crypto-lake transformer makes them")
    found = [one for each in series if (one := facts.of_day(each, day))]
    if not found:
        raise LakeError(f"{config.layout.base}: no bars of {day}; crypto-lake transformer makes them")
    path = config.layout.report(day)
    try:
        publish.write(path, _page(config, day, found).encode())
    except OSError as error:
        raise LakeError(f"{path}: cannot be written: {error}") from None
    return path


def _page(config: Config, day: date, found: list[Facts]) -> str:
    library = (files("litecharts") / "js" / "lightweight-charts.js").read_text(encoding="utf-8")
    script = _text("page.js")
    checks = validation.read(config, day)
    rows, details = validation.tables(checks)
    return Template(_text("page.html")).substitute(
        policy=" ".join(_checksum(each) for each in (library, script)),
        style=_text("page.css"),
        library=library,
        script=script,
        day=f"{day:%A} {day.day} {day:%B %Y}",
        zone=escape(config.general.timezone),
        symbols="".join(_button(n, one) for n, one in enumerate(found)),
        sections="".join(
            _section(n, one, day, ZoneInfo(config.general.timezone)) for n, one in enumerate(found)
        ),
        verdict=_verdict(checks),
        checks=rows,
        details=details,
        data=_data(config, found),
    )


def _text(name: str) -> str:
    return (files("crypto_lake.pages.day") / name).read_text(encoding="utf-8")


def _checksum(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _data(config: Config, found: list[Facts]) -> str:
    """Everything the charts draw, by column; no `<` can end the element that it stands in."""
    days = [{key: [row[key] for row in one.minutes] for key in one.minutes[0]} for one in found]
    told = {"zone": config.general.timezone, "decimals": [_decimals(one) for one in found], "days": days}
    return json.dumps(told, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _decimals(one: Facts) -> int:
    """As many as the day's prices have; charts would show two."""
    prices = (f"{row['close']:.8f}".rstrip("0") for row in one.minutes if row["close"] is not None)
    return max((len(price.partition(".")[2]) for price in prices), default=2)


def _button(number: int, one: Facts) -> str:
    return f'<button type="button" data-show="{number}">{escape(one.series.symbol)}</button>'


def _verdict(checks: list[Row]) -> str:
    counts = [(kind, sum(one["outcome"] == kind for one in checks)) for kind in OUTCOMES]
    if told := [(kind, count) for kind, count in counts if count]:
        words = ", ".join(f"{count} {kind}" for kind, count in told)
        return f'<span class="{told[0][0]}">{words}</span>'
    return '<span class="none">not checked</span>'


def _section(number: int, one: Facts, day: date, zone: ZoneInfo) -> str:
    return Template(_text("page.section.html")).substitute(
        number=number,
        symbol=escape(one.series.symbol),
        numbers="".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in _numbers(one)),
        hours=draw.hours(one.minutes, one.length, day, zone),
        calendar=draw.calendar(one.days, day),
        stretches=_stretches(one.stretches, zone),
        book=_book(one, day, zone),
    )


def _book(one: Facts, day: date, zone: ZoneInfo) -> str:
    """The order book's part of a section; nothing on a day that has none."""
    if not one.heat:
        return ""
    drawn = draw.heat(one.heat, day, facts.HEAT_LENGTH_SEC, facts.HEAT_ROWS, zone)
    key = "What it offered by distance from the middle price, asks above, bids below: the more, the fuller."
    return f'<h3>The order book</h3>\n<p class="key">{key}</p>\n<div class="wide">{drawn}</div>'


def _numbers(one: Facts) -> list[tuple[str, str]]:
    told, decimals = one.numbers, _decimals(one)
    seconds = {key: sum(row[key] for row in one.minutes) for key in ("live", "healed", "missed")}
    prices = [(name, _number(told[name], decimals)) for name in ("open", "high", "low", "close")]
    return [
        *prices,
        ("VWAP", _number(told["vwap"], decimals)),
        ("mean spread", _number(told["spread"], decimals + 2)),
        ("volume, base", _number(told["volume_base"], 2)),
        ("volume, quote", _number(told["volume_quote"], 2)),
        ("trades", f"{told['trades']:,}"),
        ("trades missing", draw.missing(told)),
        ("quotes", f"{told['quotes']:,}"),
        ("seconds listened to", f"{seconds['live']:,}"),
        ("seconds healed", f"{seconds['healed']:,}"),
        ("seconds unobserved", f"{seconds['missed']:,}"),
        *(_proved(one.proof) if one.proof else []),
    ]


def _proved(counts: Counts) -> list[tuple[str, str]]:
    seconds = counts.seconds_proved + counts.seconds_contradicted + counts.seconds_unverifiable
    return [
        ("seconds of proved quotes", f"{counts.seconds_proved / seconds:.1%}"),
        ("seconds contradicted", f"{counts.seconds_contradicted:,}"),
        ("seconds filled from the book", f"{counts.seconds_filled:,}"),
    ]


def _number(value: float | None, decimals: int) -> str:
    return "–" if value is None else f"{value:,.{decimals}f}"


def _stretches(found: list[Row], zone: ZoneInfo) -> str:
    if not found:
        return "<p>Every second that has a bar was listened to.</p>"
    rows = "".join(
        f'<tr><td class="{each["state"]}">{each["state"]}</td><td>{draw.clock(each["begin"], zone)}</td>'
        f'<td>{draw.clock(each["until"], zone)}</td><td class="number">{each["until"] - each["begin"]:,}</td></tr>'
        for each in found[:_STRETCHES]
    )
    head = "<tr><th>what</th><th>from</th><th>to</th><th>seconds</th></tr>"
    more = f"<p>The longest {_STRETCHES} of {len(found):,}.</p>" if len(found) > _STRETCHES else ""
    return f'<table class="stretches"><thead>{head}</thead><tbody>{rows}</tbody></table>{more}'
