"""Coverage as pictures: a day as a grid of its minutes, the lake as a calendar. SVG, coloured by the page."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from html import escape
from itertools import groupby
from typing import Any

from crypto_lake.layout import day_start_us

Row = dict[str, Any]
_HOUR, _DAY = 3600, 86_400
_CELL, _ROW, _LEFT, _TOP = 12, 14, 44, 14
_WEEK = 7
_HEAT, _HEAT_LEFT = 9, 60


def hours(minutes: list[Row], length: int, day: date, zone: tzinfo) -> str:
    """A row an hour, a column each `length` seconds; what lies between two states says how many seconds of each."""
    start, columns = day_start_us(day) // 1_000_000, _HOUR // length
    told = {row["time"]: _state(row) for row in minutes}
    shapes = []
    for hour in range(24):
        begin = start + hour * _HOUR
        shapes.append(_label(0, _TOP + hour * _ROW + 10, clock(begin, zone)[:5]))
        times = range(begin, begin + _HOUR, length)
        for state, run in groupby(times, key=lambda at: told.get(at, ("none", "no bars"))):
            shapes.append(_run(list(run), begin, length, hour, (*state, zone)))
    marks = [_label(_LEFT + n * columns // 6 * _CELL, 10, f":{n * 10:02d}") for n in range(6)]
    return _svg(_LEFT + columns * _CELL, _TOP + 24 * _ROW, marks + shapes, "coverage")


def _state(row: Row) -> tuple[str, str]:
    parts = [f"{row[key]} s {name}" for key, name in _NAMES.items() if row[key]]
    kind = "part" if row["missed"] and row["live"] + row["healed"] else "missed" if row["missed"] else "live"
    return ("healed" if kind == "live" and row["healed"] else kind), ", ".join(parts)


_NAMES = {"live": "listened to", "healed": "healed", "missed": "unobserved"}


def _run(times: list[int], begin: int, length: int, hour: int, said: tuple[str, str, tzinfo]) -> str:
    kind, text, zone = said
    title = f"{clock(times[0], zone)} to {clock(times[-1] + length, zone)}: {text}"
    title += " a minute" if len(times) > 1 and length == _HOUR // 60 and kind != "none" else ""
    place = _LEFT + (times[0] - begin) // length * _CELL
    return _rect((place, _TOP + hour * _ROW, len(times) * _CELL - 1, _ROW - 1), kind, title)


def calendar(days: list[Row], shown: date) -> str:
    """A column a week, Mondays on top; how much of each day was observed, the day `shown` outlined."""
    first = days[0]["day"] - timedelta(days=days[0]["day"].weekday())
    shapes = [_label(0, _TOP + n * _ROW + 10, name) for n, name in ((0, "Mon"), (2, "Wed"), (4, "Fri"))]
    month = None
    for row in days:
        week, weekday = divmod((row["day"] - first).days, _WEEK)
        x = _LEFT + week * _ROW
        if month != row["day"].month and (weekday == 0 or month is None):
            shapes.append(_label(x, 10, f"{row['day']:%b}"))
            month = row["day"].month
        kind = _share(row) + (" shown" if row["day"] == shown else "")
        shapes.append(_rect((x, _TOP + weekday * _ROW, _ROW - 2, _ROW - 2), kind, _told(row)))
    weeks = (days[-1]["day"] - first).days // _WEEK + 1
    return _svg(_LEFT + max(weeks, 2) * _ROW + 8, _TOP + _WEEK * _ROW, shapes, "calendar")


def heat(cells: list[Row], day: date, length: int, rows: int, zone: tzinfo) -> str:
    """What the order book offered, a column each `length` seconds, asks above bids: the more, the fuller."""
    start, most = day_start_us(day) // 1_000_000, max(row["qty"] for row in cells)
    shapes = []
    for row in cells:
        x = _HEAT_LEFT + (row["time"] - start) // length * _HEAT
        place = f'x="{x}" y="{_TOP + (rows - 1 - row["row"]) * _HEAT}" width="{_HEAT}" height="{_HEAT}"'
        shapes.append(f'<rect {place} fill-opacity="{(row["qty"] / most) ** 0.5:.2f}"></rect>')
    reach = cells[0]["reach"] * 100
    height = _TOP + 2 * rows * _HEAT
    marks = [
        _label(0, _TOP + 8, f"+{reach:.3f} %"),
        _label(0, height - 2, f"−{reach:.3f} %"),
        *(
            _label(_HEAT_LEFT + n * 6 * _HOUR // length * _HEAT, 10, clock(start + n * 6 * _HOUR, zone)[:5])
            for n in range(4)
        ),
    ]
    return _svg(_HEAT_LEFT + _DAY // length * _HEAT, height, marks + shapes, "heat")


def _share(row: Row) -> str:
    share = row["observed"] / _DAY
    return "live" if share == 1 else "most" if share >= 0.99 else "half" if share >= 0.5 else "part"  # noqa: PLR2004


def _told(row: Row) -> str:
    return (
        f"{row['day']}: {row['observed']:,} s observed, {_DAY - row['observed']:,} s not, "
        f"{row['trades']:,} trades, {missing(row)} missing"
    )


def missing(row: Row) -> str:
    """Return how many trades are missing, as a page says it."""
    count = row["trades_missing"]
    return "unverifiable" if count is None else f"{count:,}"


def clock(at: int, zone: tzinfo) -> str:
    """An instant in seconds as `general.timezone` has it: 14:05:00."""
    return f"{datetime.fromtimestamp(at, UTC).astimezone(zone):%H:%M:%S}"


def _svg(width: int, height: int, shapes: list[str], kind: str) -> str:
    return f'<svg class="{kind}" viewBox="0 0 {width} {height}" width="{width}" role="img">{"".join(shapes)}</svg>'


def _rect(box: tuple[int, int, int, int], kind: str, title: str) -> str:
    x, y, width, height = box
    place = f'x="{x}" y="{y}" width="{width}" height="{height}"'
    return f'<rect class="{kind}" {place}><title>{escape(title)}</title></rect>'


def _label(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}">{escape(text)}</text>'
