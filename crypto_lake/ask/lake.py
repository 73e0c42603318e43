"""The lake for Python: `open_lake().bars("SOLUSDT", "1m", start, end)`, and the same for candles, trades and quotes.

Only the files of the days that were asked for are opened, anew at each question. Times are UTC: one without a time zone
is taken as UTC, a date is its midnight; None leaves that end open. `end` is the first instant that is not returned.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from crypto_lake import config as configuration
from crypto_lake import universe
from crypto_lake.ask import books, narrowing, query, views
from crypto_lake.ask.bring import brought
from crypto_lake.ask.sources import Chosen
from crypto_lake.config import Config
from crypto_lake.disk import parquet
from crypto_lake.errors import ConfigError, LakeError
from crypto_lake.layout import DAY_US, EPOCH, HOUR_US, MINUTE_US, SECOND_US, day_of
from crypto_lake.raw.lines import QUOTE, TRADE
from crypto_lake.series import Series
from crypto_lake.staging import Reach, Rooms, known, outlined, staged
from crypto_lake.transform.book_rows import DEEPEST

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

When = str | date | datetime | None
Frame = TypeVar("Frame")
_UNITS = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US, "d": DAY_US}
# How DuckDB hands over a result, by the library that it is for.
_METHODS = {"pandas": "df", "arrow": "to_arrow_table", "polars": "pl"}


@overload
def open_lake(
    config: str | Path | None = ..., *, frames: Literal["pandas"] = ...
) -> "Lake[pd.DataFrame]": ...
@overload
def open_lake(config: str | Path | None = ..., *, frames: Literal["arrow"]) -> "Lake[pa.Table]": ...
@overload
def open_lake(config: str | Path | None = ..., *, frames: Literal["polars"]) -> "Lake[pl.DataFrame]": ...
def open_lake(config: str | Path | None = None, *, frames: str = "pandas") -> "Lake[Any]":
    """The lake of a configuration: of the file given, else of $CRYPTO_LAKE_CONFIG, else of ./config.yml.

    `frames` is what the lake answers in: pandas, arrow (a pyarrow.Table), or polars, which has to be installed.

    Raises:
        ConfigError: no such file, a mistake in it, or no such `frames`.
    """
    if frames not in _METHODS:
        raise ConfigError(f"frames={frames!r}: expected one of {', '.join(_METHODS)}")
    if frames == "polars" and find_spec("polars") is None:
        raise ConfigError("frames='polars': it is not installed; pip install polars")
    found = configuration.find(str(config) if config else None)
    return Lake(configuration.load(found), _METHODS[frames])


@dataclass(frozen=True)
class Lake(Generic[Frame]):
    """Tables of one lake, each a data frame whose rows are in order of time. Made by `open_lake`."""

    config: Config
    _method: str

    def symbols(self) -> list[str]:
        """Return what is recorded, backfilled or configured, sorted."""
        with outlined(self.config) as outline:
            meant = [name for one in outline.exchanges for name in universe.meant(outline.layout, one)]
        layout = self.config.layout
        found = {*meant, *(one.symbol for one in known(self.config) if self.config.store is not None)}
        for one in self.config.exchanges:
            found |= {*layout.bars_symbols(one.name), *layout.candle_symbols(one.name)}
        return sorted(found)

    def bars(self, symbol: str, interval: str = "1s", start: When = None, end: When = None) -> Frame:
        """Bars whose `window_start` is in [start, end), none cut short by these, in the columns of docs/FORMAT.md.

        `interval` is a number and s, m, h or d, and divides a day: 1s, 15m, 4h, 1d. `observed` is true where every
        second of a bar was.

        Raises:
            ConfigError: no such symbol, or an interval or time that is none.
            LakeError: a file of these days is damaged; nothing is answered without it.
        """
        return self._rows(self._table(interval), "window_start", symbol, start, end)

    def candles(self, symbol: str, start: When = None, end: When = None) -> Frame:
        """The exchange's own 1-minute candles that were backfilled, in the columns of a bar. Raises as `bars`."""
        return self._rows("candles_1m", "window_start", symbol, start, end)

    def history(self, symbol: str, start: When = None, end: When = None) -> Frame:
        """Whole minutes: our own where all of one was observed, else the candle (column `source`: live, backfill).

        Raises as `bars`.
        """
        return self._rows("history_1m", "window_start", symbol, start, end)

    def trades(self, symbol: str, start: When = None, end: When = None) -> Frame:
        """The trades of finished days, by `ts_event`; prices are decimals, in pandas floats. Raises as `bars`."""
        return self._rows(TRADE.table, "ts_event, id", symbol, start, end)

    def quotes(self, symbol: str, start: When = None, end: When = None) -> Frame:
        """The quotes of finished days, by `ts_event`; prices are decimals, in pandas floats. Raises as `bars`."""
        return self._rows(QUOTE.table, "ts_event, id", symbol, start, end)

    def book(self, symbol: str, at: str | date | datetime, levels: int = 20) -> Frame:
        """The order book at an instant of a finished day: so many levels of each side, best first, bids before asks.

        It is the book after the last event with a `ts_event` of at most `at`. Columns: `symbol`; that event's
        `ts_event` (null: it was on the day before) and `id`; `side`, `level` (from 1 on), `price`, `qty`.

        Raises:
            ConfigError: no such symbol, or a time or number of levels that is none.
            LakeError: the book is not known then: no depth was recorded, the day is not compacted yet, or no snapshot
                leads to it without a hole; or a file is damaged.
        """
        us, deepest = _us(at, "at"), _levels(levels)
        if us is None:
            raise ConfigError("at None: expected a date or a time, e.g. 2025-10-20T14:05")
        series = self._series(symbol)
        days = [day_of(us) - timedelta(days=1), day_of(us)]
        with (
            parquet.connect() as connection,
            staged(self.config, [series], days, Rooms.DEPTH, reach=Reach.EXACTLY) as local,
        ):
            question = books.at(connection, local.series[0], us, deepest)
            with parquet.named(question.files):
                relation = connection.sql(question.statement, params=question.variables)
                frame: Frame = getattr(relation, self._method)()
                return frame

    def books(
        self, symbol: str, interval: str = "1s", start: When = None, end: When = None, levels: int = 10
    ) -> "pa.Table":
        """The order book at the end of each interval of finished days: an Arrow table, whatever `frames` says.

        Columns are those of the view `book_1s`, with the interval's `window_start` and so many `levels` (20 at most).
        Where the book is not known, `bids` and `asks` are null and `unbroken` is false. Raises as `bars`.
        """
        deepest, length = _levels(levels, DEEPEST), _length(interval, SECOND_US)
        rows = f"""(SELECT symbol, make_timestamptz(epoch_us(window_start) // {length} * {length}) AS window_start, id,
            bids[1:{deepest}] AS bids, asks[1:{deepest}] AS asks, unbroken
            FROM book_1s WHERE (epoch_us(window_start) + {SECOND_US}) % {length} = 0)"""
        lake: Lake[pa.Table] = Lake(self.config, _METHODS["arrow"])
        return lake._rows(rows, "window_start", symbol, start, end)

    def sql(self, question: str) -> Frame:
        """Return what a statement over all views answers.

        Raises:
            LakeError: DuckDB's complaint about it.
        """
        return self._ask(question)

    def _series(self, symbol: str) -> Series:
        """Return a symbol that the lake knows; of several exchanges', the first one's."""
        self._check(symbol)
        found = (one for one in known(self.config) if one.symbol == symbol)
        return next(found, Series(self.config, self.config.exchanges[0].name, symbol))

    def _check(self, symbol: str) -> None:
        if symbol not in (some := self.symbols()):
            raise ConfigError(f"{symbol!r}: not in this lake; expected one of {', '.join(some)}")

    def _rows(self, table: str, order: str, symbol: str, start: When, end: When) -> Frame:
        self._check(symbol)
        begin, until = _us(start, "start"), _us(end, "end")
        if begin is not None and until is not None and until <= begin:
            raise ConfigError(f"end {end}: not after start {start}")
        chosen = Chosen(
            symbol,
            date.min if begin is None else day_of(begin),
            date.max if until is None else day_of(until - 1),
        )
        at = order.partition(",")[0]
        limits = [
            f"{at} {sign} make_timestamptz({us})"
            for sign, us in ((">=", begin), ("<", until))
            if us is not None
        ]
        return self._ask(f"FROM {table} WHERE {' AND '.join(limits) or 'true'} ORDER BY {order}", chosen)

    def _table(self, interval: str) -> str:
        """Return where bars of an interval are read from."""
        step = self.config.transformer.resample_interval_sec * SECOND_US
        length = _length(interval, step)
        # In this order: where bars are minutes now, those of days that were made before may still be shorter.
        if length in {MINUTE_US, step}:
            return "bars_1m" if length == MINUTE_US else "bars_1s"
        return f"resampled({length})" if length % MINUTE_US else f"of_whole_minutes({length})"

    def _ask(self, question: str, chosen: Chosen | None = None) -> Frame:
        with parquet.connect() as connection, brought(self.config, question, chosen) as config:
            chosen = chosen or narrowing.chosen(connection, config, question)

            def make(*, thorough: bool = True) -> None:
                if left_out := views.create(connection, config, chosen, thorough=thorough):
                    raise LakeError(
                        f"{left_out[0]}: {views.damage(left_out[0])}; crypto-lake verify looks at all of them"
                    )

            def answer() -> Frame:
                relation = connection.sql(question)
                if relation is None:
                    raise LakeError(f"{question!r}: has no answer; expected a SELECT or the like")
                frame: Frame = getattr(relation, self._method)()
                return frame

            make(thorough=False)
            return query.asked(answer, make)


def _length(interval: str, step: int) -> int:
    """An interval in µs, one that divides a day and is a multiple of `step`."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", str(interval))
    length = int(found[1]) * _UNITS[found[2]] if found else 0
    if not found or DAY_US % length or length % step:
        raise ConfigError(
            f"interval {interval!r}: expected a number and s, m, h or d that divides a day into bars of "
            f"{step // SECOND_US} s or a multiple, e.g. 1m"
        )
    return length


def _levels(levels: object, most: int = 1 << 31) -> int:
    """A number of levels."""
    if not isinstance(levels, int) or isinstance(levels, bool) or not 1 <= levels <= most:
        raise ConfigError(f"levels {levels!r}: expected a whole number from 1 to {most:,}")
    return levels


def _us(when: When, name: str) -> int | None:
    """An instant in µs since the epoch; None where none is given."""
    if when is None:
        return None
    try:
        at = datetime.fromisoformat(str(when))
        # In UTC it may lie beyond the last day there is.
        since = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC) - EPOCH
    except (ValueError, OverflowError):
        raise ConfigError(f"{name} {when!r}: expected a date or a time, e.g. 2025-10-20T14:05") from None
    return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds
