"""A day's bars at a glance, out of their Parquet files: a small picture, the last minutes, what is missing.

The picture is an SVG of a few kilobytes, drawn by hand: no library, and no colour that needs a theme.
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.resources import files
from typing import Any, NamedTuple

import duckdb

from crypto_lake import parquet
from crypto_lake.bars import Series
from crypto_lake.config import Config
from crypto_lake.layout import SECOND_US

_COLUMNS = 96
_MINUTES = 10
_WIDTH, _HEIGHT = 6 * _COLUMNS, 120
# Price above, volume below.
_TOP, _PRICE, _VOLUME = 16, 64, 24


class Column(NamedTuple):
    """One of the picture's columns, the `place`-th of the time [begin, until) µs.

    `low`, `high`, `close` are None before the first trade ever seen; `missed` is the share that nobody observed.
    """

    place: int
    begin: int
    until: int
    low: float | None
    high: float | None
    close: float | None
    volume: float
    missed: float


@dataclass(frozen=True)
class Preview:
    """A symbol's day: picture, last minutes (newest first), `gaps` (unobserved stretches) and missing trades."""

    symbol: str
    svg: str
    minutes: list[dict[str, Any]]
    gaps: int
    trades_missing: int


def of_day(connection: duckdb.DuckDBPyConnection, config: Config, day: date) -> list[Preview]:
    """A preview of each symbol that has bars of the day."""
    return list(_previews(connection, config, day))


def _previews(connection: duckdb.DuckDBPyConnection, config: Config, day: date) -> Iterator[Preview]:
    step = config.transformer.resample_interval_sec * SECOND_US
    for series in Series.recorded(config):
        found = series.layout.bar_files(series.exchange, series.symbol, day)
        paths = [path for path in found if parquet.is_whole(path)]
        if not paths:
            continue
        bars = parquet.scan(paths)
        columns = _ask(connection, "preview", bars, columns=_COLUMNS, step=step).fetchall()
        minutes = _ask(connection, "minutes", bars, count=_MINUTES)
        names = [name for name, *_ in minutes.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in minutes.fetchall()]
        gaps, missing = _ask(connection, "gaps", bars).fetchall()[0]
        yield Preview(
            series.symbol, draw(series.symbol, [Column(*row) for row in columns]), rows, gaps, missing
        )


def _ask(
    connection: duckdb.DuckDBPyConnection, name: str, bars: str, **numbers: int
) -> duckdb.DuckDBPyConnection:
    query = (files("crypto_lake") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
    for key, number in numbers.items():
        query = query.replace(f"{{{key}}}", str(number))
    return connection.execute(query.replace("FROM bars", f"FROM {bars}"))


def draw(symbol: str, columns: list[Column]) -> str:
    """The picture as SVG: price (a stroke from low to high, a line of closes), volume, and in red what was missed."""
    lows = [c.low for c in columns if c.low is not None]
    highs = [c.high for c in columns if c.high is not None]
    floor, top = (min(lows), max(highs)) if lows else (0.0, 0.0)
    most = max((c.volume for c in columns), default=0.0)
    begin, until = (columns[0].begin, columns[0].until) if columns else (0, 0)

    def y(price: float) -> int:
        return round(_TOP + (_PRICE * (top - price) / (top - floor) if top > floor else _PRICE / 2))

    bottom = _TOP + _PRICE + _VOLUME
    known = [(c, _x(c), c.low, c.high, c.close) for c in columns if c.close is not None]
    strokes = "".join(f"M{x} {y(low)}V{y(high) - 1}" for _, x, low, high, _ in known if low and high)
    line = " ".join(f"{x},{y(close)}" for _, x, _, _, close in known if close)
    volume = "".join(
        f"M{_x(c)} {bottom}V{round(bottom - _VOLUME * c.volume / most)}" for c in columns if c.volume
    )
    missed = "".join(f"M{6 * c.place} {_TOP}h6v{bottom - _TOP}h-6z" for c in columns if c.missed)
    title = html.escape(f"{symbol}   {floor:g} to {top:g}, last {known[-1][4]:g}" if known else symbol)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="10" fill="none">'
        f'<path d="M0 0h{_WIDTH}v{_HEIGHT}h-{_WIDTH}z" fill="#fff"/>'
        f'<path d="{missed}" fill="#f6c6c3"/><path d="{volume}" stroke="#9db4c8" stroke-width="5"/>'
        f'<path d="{strokes}" stroke="#8fa8d8" stroke-width="3"/>'
        f'<polyline points="{line}" stroke="#1b3a7a"/><g fill="#333">'
        f'<text x="2" y="11">{title}</text><text x="2" y="{_HEIGHT - 3}">{_clock(begin)}</text>'
        f'<text x="{_WIDTH - 2}" y="{_HEIGHT - 3}" text-anchor="end">{_clock(until)} UTC</text></g></svg>'
    )


def _x(column: Column) -> int:
    return 6 * column.place + 3


def _clock(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / SECOND_US, UTC):%H:%M:%S}"
