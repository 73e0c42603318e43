"""A day's bars at a glance, out of their Parquet files: a small picture, the last minutes, what is missing.

The picture is an SVG of a few kilobytes, drawn by hand: no library, and no colour that needs a theme.
"""

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import duckdb
from loguru import logger

from crypto_lake import sql
from crypto_lake.ask.views import whole_files
from crypto_lake.completeness import holes
from crypto_lake.disk import parquet
from crypto_lake.errors import LakeError
from crypto_lake.layout import SECOND_US
from crypto_lake.raw import numbering
from crypto_lake.series import Series

_COLUMNS = 96
_MINUTES = 10
# So many symbols share a statement.
_TOGETHER = 256
_WIDTH, _HEIGHT = 6 * _COLUMNS, 120
# Price above, volume below.
_TOP, _PRICE, _VOLUME = 16, 64, 24
# A thumbnail shows every fourth column.
_SMALL_WIDTH, _MERGED = 192, 4


class Column(NamedTuple):
    """One of a picture's columns, the `place`-th; the picture is of the time [begin, until) µs.

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
    """A symbol's day: pictures and the last minutes, newest first."""

    symbol: str
    svg: str
    small: str
    minutes: list[dict[str, Any]]


class Lacking(NamedTuple):
    """The number of unobserved stretches of a day, and of its missing trades, of all symbols together.

    `trades_missing` is None where no exchange's ids can tell it.
    """

    gaps: int
    trades_missing: int | None


def of_day(
    connection: duckdb.DuckDBPyConnection, series: Iterable[Series], day: date, most: int
) -> list[Preview]:
    """A preview of each series that has bars of the day; of the first `most` that have."""
    found = (_preview(connection, one, paths) for one, paths in _with_bars(series, day))
    return list(islice((preview for preview in found if preview), most))


def _with_bars(series: Iterable[Series], day: date) -> Iterator[tuple[Series, list[Path]]]:
    for one in series:
        if paths := whole_files(one, day):
            yield one, paths


def lacking(connection: duckdb.DuckDBPyConnection, series: Iterable[Series], day: date) -> Lacking:
    """What a day lacks by its bars, in a few statements over all symbols."""
    some = list(_with_bars(series, day))
    found: list[tuple[Series, int, int]] = []
    for at in range(0, len(some), _TOGETHER):
        found += _lacking(connection, some[at : at + _TOGETHER])
    missing = [trades for one, _, trades in found if holes.tells_holes(one)]
    return Lacking(sum(gaps for _, gaps, _ in found), sum(missing) if missing else None)


def _lacking(
    connection: duckdb.DuckDBPyConnection, some: list[tuple[Series, list[Path]]]
) -> list[tuple[Series, int, int]]:
    bars = {"bars": parquet.scan_each([paths for _, paths in some])}
    try:
        rows = sql.ask(connection, "pages/lacking", bars, **numbering.MOST).fetchall()
    except duckdb.Error:
        if len(some) == 1:
            return []  # Damaged: the checks say so.
        return [row for one in some for row in _lacking(connection, [one])]
    return [(some[place][0], gaps, missing) for place, gaps, missing in rows]


def _preview(connection: duckdb.DuckDBPyConnection, series: Series, paths: list[Path]) -> Preview | None:
    """Draw a symbol's day; None where one of its files is damaged, which does not keep others from being seen."""
    bars = {"bars": parquet.scan(paths)}
    step = series.config.transformer.resample_interval_sec * SECOND_US
    try:
        with parquet.named(paths):
            picture = sql.ask(connection, "pages/preview", bars, columns=_COLUMNS, step=step).fetchall()
            minutes = sql.rows(sql.ask(connection, "pages/preview_minutes", bars, count=_MINUTES))
    except LakeError as error:
        logger.error("{}", error)
        return None
    columns = [Column(*row) for row in picture]
    return Preview(series.symbol, draw(series.symbol, columns), thumbnail(columns), minutes)


def draw(symbol: str, columns: list[Column]) -> str:
    """The picture as SVG: price (a stroke from low to high, a line of closes), volume, and in red what was missed."""
    scale = _Scale.over(columns, _WIDTH, top=_TOP, price=_PRICE, volume=_VOLUME)
    x, bottom = scale.x, _TOP + _PRICE + _VOLUME
    known = [c for c in columns if c.close is not None and c.low is not None and c.high is not None]
    strokes = "".join(f"M{x(c.place)} {scale.y(c.low)}V{scale.y(c.high) - 1}" for c in known)
    line = " ".join(f"{x(c.place)},{scale.y(c.close)}" for c in known)
    volume = "".join(f"M{x(c.place)} {bottom}v-{scale.height(c.volume)}" for c in columns if c.volume)
    missed = "".join(f"M{x(c.place)} {_TOP}V{bottom}" for c in columns if c.missed)
    begin, until = (columns[0].begin, columns[0].until) if columns else (0, 0)
    title = f"{symbol}   {scale.floor:g} to {scale.top:g}, last {known[-1].close:g}" if known else symbol
    return (
        f'{_svg(_WIDTH, _HEIGHT)} font-family="sans-serif" font-size="10">'
        f'<path d="M0 0h{_WIDTH}v{_HEIGHT}h-{_WIDTH}z" fill="#fff"/>'
        f'<path d="{missed}" stroke="#f6c6c3" stroke-width="{scale.width + 1}"/>'
        f'<path d="{volume}" stroke="#9db4c8" stroke-width="{scale.width}"/>'
        f'<path d="{strokes}" stroke="#8fa8d8" stroke-width="3"/>'
        f'<polyline points="{line}" stroke="#1b3a7a"/><g fill="#333">'
        f'<text x="2" y="11">{html.escape(title)}</text><text x="2" y="{_HEIGHT - 3}">{_clock(begin)}</text>'
        f'<text x="{_WIDTH - 2}" y="{_HEIGHT - 3}" text-anchor="end">{_clock(until)} UTC</text></g></svg>'
    )


def thumbnail(columns: list[Column]) -> str:
    """The same in some 600 characters, for places that show nothing longer: closes, volume, a red line where missed."""
    scale = _Scale.over(columns, _SMALL_WIDTH, top=3, price=26, volume=10)
    some = columns[::_MERGED]
    line = " ".join(f"{scale.x(c.place)},{scale.y(c.close)}" for c in some if c.close is not None)
    volume = "".join(f"M{scale.x(c.place)} 40v-{scale.height(c.volume)}" for c in some if c.volume)
    missed = "".join(f"M{scale.x(c.place)} 1h{scale.width * _MERGED}" for c in some if c.missed)
    return (
        f'{_svg(_SMALL_WIDTH, 40)}><path d="{volume}" stroke="#9db4c8" stroke-width="4"/>'
        f'<path d="{missed}" stroke="red" stroke-width="2"/><polyline points="{line}" stroke="#36c"/></svg>'
    )


def _svg(width: int, height: int) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" fill="none"'


@dataclass(frozen=True)
class _Scale:
    """The scale of a picture: where a column, a price and a volume come to lie, in pixels."""

    count: int
    pixels: int
    floor: float
    top: float
    most: float
    above: int
    price: int
    volume: int

    @classmethod
    def over(cls, columns: list[Column], pixels: int, *, top: int, price: int, volume: int) -> Self:
        """That of all columns, `top` pixels from the upper edge."""
        lows = [c.low for c in columns if c.low is not None] or [0.0]
        highs = [c.high for c in columns if c.high is not None] or [0.0]
        most = max((c.volume for c in columns), default=0.0)
        count = columns[-1].place + 1 if columns else 1
        return cls(count, pixels, min(lows), max(highs), most, top, price, volume)

    @property
    def width(self) -> int:
        return max(1, self.pixels // self.count)

    def x(self, place: int) -> int:
        return round((place + 0.5) * self.pixels / self.count)

    def y(self, price: float | None) -> int:
        span = self.top - self.floor
        share = (self.top - price) / span if span > 0 and price is not None else 0.5
        return round(self.above + self.price * share)

    def height(self, volume: float) -> int:
        return round(self.volume * volume / self.most)


def _clock(at_us: int) -> str:
    return f"{datetime.fromtimestamp(at_us / SECOND_US, UTC):%H:%M:%S}"
